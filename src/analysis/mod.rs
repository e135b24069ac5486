//! Facts to findings: pure functions that read no memory and print nothing.

pub mod accounting;
pub mod brief;
pub mod conntrack;
pub mod families;
pub mod filter;
pub mod finding;
pub mod growth;
pub mod kmemleak;
pub mod leaks;
pub mod memory;
pub mod nat;
pub mod nat_rules;
pub mod oom;
pub mod pages;
pub mod saved;
pub mod saved_slabinfo;
pub mod series;
pub mod sockets;
pub mod sysctl_check;
pub mod vmalloc;
pub mod zones;
