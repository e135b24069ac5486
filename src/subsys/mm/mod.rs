//! Memory management: the slab allocator, vmalloc, memory cgroups, the counters of
//! /proc/meminfo, and what debugging kernels keep of allocations.

pub mod allocinfo;
pub mod kmemleak;
pub mod large_kmalloc;
pub mod memcg;
pub mod meminfo;
pub mod page_owner;
pub mod slab;
pub mod vmalloc;
pub mod zones;
