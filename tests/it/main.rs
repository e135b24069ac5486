//! Tests of the whole command, one binary so that it links once.

mod allocinfo;
mod conntrack;
mod files;
mod findings;
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;
mod graph;
mod hold;
mod kmemleak;
mod leaks;
mod log;
mod memcg;
mod meminfo;
mod modules;
mod opening;
mod output;
mod page_owner;
mod ps;
mod slab;
mod stack_depot;
mod support;
mod sysctl;
mod vmalloc;
mod zones;
