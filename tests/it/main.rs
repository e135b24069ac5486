//! Tests of the whole command, one binary so that it links once.

mod bad_input;
mod classic;
mod cli;
mod conntrack_damage;
mod conntrack_real;
mod conntrack_synthetic;
mod corpora;
mod damage;
mod damage_matrix;
mod diff;
mod findings;
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;
mod hostile;
mod kfree_rcu;
mod leaks_areas;
mod leaks_memory;
mod leaks_real;
mod leaks_synthetic;
mod log;
mod looks;
mod machine_damage;
mod matrix;
mod meminfo;
mod modules;
mod much_memory;
mod nat_real;
mod no_vmlinux;
mod owners;
mod page_kinds;
mod page_owner;
mod profiles;
mod real_dumps;
mod real_forms;
mod report;
mod seeds;
mod self_told;
mod sheaves;
mod stack_depot;
mod support;
mod synthetic;
mod sysctl;
mod vmalloc;
mod whatis;
mod wounds;
