//! What the slab allocator held at the crash, independent of any kernel version.

use super::flags::SlabFlag;
use crate::conntrack::Conntrack;

/// The state of all caches, and of the pages that look like slabs and are none.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How free pointers are stored.
    pub freelist: Freelist,
    /// Caches in the order of `slab_caches`, newest first as the kernel links them.
    pub caches: Vec<Cache>,
    /// Objects that KFENCE took; ignored by eras without KFENCE.
    pub kfence: Vec<KfenceObject>,
    /// Compound pages that are no slabs.
    pub compound: Vec<CompoundPage>,
    /// The connection table, if the kernel has one; it brings caches of its own.
    pub conntrack: Option<Conntrack>,
    /// Objects point to each other, and some are lost ([`crate::leaks`]).
    pub leaks: bool,
}

/// CONFIG_SLAB_FREELIST_HARDENED and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freelist {
    /// Next pointers as they are; `kmem_cache.random` does not exist.
    Plain,
    /// Mixed with `random` and the pointer's address (before 5.7).
    Hardened,
    /// Mixed with `random` and the byte-swapped address.
    HardenedSwab,
}

/// One cache.
#[derive(Debug, Clone)]
pub struct Cache {
    /// As /proc/slabinfo names it.
    pub name: String,
    /// Names of caches that were merged into it.
    pub aliases: Vec<String>,
    /// Bytes that a user asked for.
    pub object_size: u32,
    /// Alignment asked for; 0 for none.
    pub align: u32,
    /// Creation flags.
    pub flags: Vec<SlabFlag>,
    /// Number of the constructor function, if there is one.
    pub ctor: Option<u32>,
    /// Part of the object may be copied to user space, which forbids merging.
    pub usercopy: bool,
    /// Preferred order of a slab.
    pub order: u32,
    /// Its slabs.
    pub slabs: Vec<Slab>,
    /// The cache that this one is a copy of, for a memory cgroup.
    pub memcg_of: Option<String>,
}

/// One slab.
#[derive(Debug, Clone, Copy)]
pub struct Slab {
    /// NUMA node of its pages.
    pub node: u32,
    /// Where the allocator keeps it.
    pub place: Place,
    /// Order of this one, when the preferred order could not be had.
    pub order: Option<u32>,
}

/// Which list or CPU a slab is on, and how many of its objects are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The current slab of a CPU: some free objects on the CPU's list, some freed
    /// by other CPUs on the slab's own.
    Current {
        /// The CPU.
        cpu: u32,
        /// Objects on `kmem_cache_cpu.freelist`.
        cpu_free: u32,
        /// Objects on the slab's freelist.
        remote_free: u32,
    },
    /// On a CPU's partial list.
    CpuPartial {
        /// The CPU.
        cpu: u32,
        /// Free objects.
        free: u32,
    },
    /// On its node's partial list.
    NodePartial {
        /// Free objects.
        free: u32,
    },
    /// On its node's partial list without one allocated object.
    Empty,
    /// Full: on no list, or on the node's full list if the cache is debugged.
    Full,
    /// Empty and waiting for RCU: off the counters, still marked a slab.
    PendingRcu,
}

impl Slab {
    /// A slab of the preferred order.
    pub fn new(node: u32, place: Place) -> Self {
        Self {
            node,
            place,
            order: None,
        }
    }
}

/// One slot of the KFENCE pool.
#[derive(Debug, Clone)]
pub struct KfenceObject {
    /// The cache it was taken for.
    pub cache: String,
    /// Still allocated; else freed, its page protected.
    pub allocated: bool,
}

/// A compound page that is no slab.
#[derive(Debug, Clone, Copy)]
pub struct CompoundPage {
    /// NUMA node.
    pub node: u32,
    /// Order.
    pub order: u32,
    /// `kmalloc` of more than two pages, which the slab counters count.
    pub kmalloc: bool,
}
