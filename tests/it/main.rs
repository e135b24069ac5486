//! Tests of the whole command, one binary so that it links once.

mod allocinfo;
mod conntrack;
mod dentries;
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
mod net;
mod opening;
mod output;
mod page_owner;
mod page_pools;
mod pages;
mod ps;
mod rules;
mod skbs;
mod slab;
mod sockets;
mod stack_depot;
mod support;
mod sysctl;
mod vmalloc;
mod zones;
