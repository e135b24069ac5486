//! SLUB: a scenario's caches laid into a kernel's memory.
//!
//! [`scenario`] is the data, [`lay`] writes caches and [`slab`] slabs, [`kfence`] and
//! [`sysfs`] what surrounds them, [`classic`] does the same
//! for the other allocator, [`truth`] is what a reader should find.

pub mod classic;
pub mod flags;
pub mod freelist;
pub mod geometry;
pub mod kfence;
pub mod kfree_rcu;
pub mod lay;
pub mod objects;
pub mod page;
pub mod scenario;
pub mod sheaves;
pub mod slab;
pub mod standard;
pub mod sysfs;
pub mod truth;
