//! What is known of the caches when all objects are counted: plain numbers, for every
//! cache the kernel's own and the exact ones.

use serde::Serialize;

use super::{DebugStatistics, Tunables};
use crate::addr::VirtAddr;

/// What /proc/slabinfo would have printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlabinfoView {
    /// Objects less those free on node partial lists; free ones that CPUs hold count as active.
    pub active_objs: u64,
    /// All objects.
    pub num_objs: u64,
    /// As `num_slabs` with SLUB; with classic SLAB, less those without an object in use.
    pub active_slabs: u64,
    /// All slabs.
    pub num_slabs: u64,
    /// 0 with SLUB, which has none.
    #[serde(flatten)]
    pub tunables: Tunables,
    /// Objects in the arrays that the CPUs of a node share; 0 with SLUB.
    pub shared_avail: u64,
    /// Only classic SLAB with CONFIG_DEBUG_SLAB has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<DebugStatistics>,
}

/// What is there, by walking every slab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExactView {
    /// Slabs.
    pub slabs: u64,
    /// Objects that they are divided into.
    pub objects: u64,
    /// Objects handed out and not freed.
    pub allocated: u64,
    /// The fewest that it may be; as `allocated` unless part of the cache is lost.
    pub allocated_min: u64,
    /// The most that it may be.
    pub allocated_max: u64,
    /// Objects on a free chain, in a sheaf, or put off to be freed.
    pub free: u64,
    /// Freed by their owner, but waiting for RCU.
    pub pending_free: u64,
    /// Bytes of the slabs' pages.
    pub bytes: u64,
    /// Allocated objects times `object_size`.
    pub allocated_bytes: u64,
    /// Whether nothing was missing or broken, and the counts agree with the kernel's counters.
    pub complete: bool,
}

/// Slabs by how they lie: the kernel's own view of fragmentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// Slabs with no free object.
    pub full: u64,
    /// Slabs with both.
    pub partial: u64,
    /// Slabs with no allocated object.
    pub empty: u64,
    /// Current slabs of CPUs.
    pub cpu: u64,
    /// Slabs on CPUs' partial lists.
    pub cpu_partial: u64,
    /// Slabs on nodes' partial lists.
    pub node_partial: u64,
    /// Objects that lie in sheaves, free or waiting for RCU (6.18 and later), or free in the arrays
    /// of CPUs and nodes (classic SLAB).
    pub sheaves: u64,
    /// Slabs of less than the preferred order, taken when memory was short.
    pub fallback_order: u64,
}

/// What went wrong with a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Free chains that are circular, broken or enter missing memory; their slabs are counted
    /// by their own counters instead.
    pub broken_freelists: u64,
    /// Those of them that are circular, as a double free makes them.
    pub circular_freelists: u64,
    /// Slabs whose chain is not as long as their counters say.
    pub counter_mismatches: u64,
    /// Per-CPU structures or slabs of theirs that can't be found.
    pub lost_cpu_slabs: u64,
    /// Sheaves, barns, classic SLAB's arrays, or per-CPU structures of them that are missing, make no sense or are
    /// met twice.
    pub broken_sheaves: u64,
    /// Pointers in sheaves or arrays that lead to no object of the cache.
    pub wild_sheaf_objects: u64,
    /// Objects that are free in two places.
    pub doubly_free: u64,
    /// Whether a node's partial list, or any list of a node of classic SLAB, is broken.
    pub broken_partial_list: bool,
    /// Scanned slabs and objects against the node counters, where they differ: scanned, counted.
    pub slabs_against_counter: Option<(u64, u64)>,
    /// As above, for objects.
    pub objects_against_counter: Option<(u64, u64)>,
    /// Free objects of all slabs against what the nodes of classic SLAB count, where they differ.
    pub free_against_counter: Option<(u64, u64)>,
}

/// One cache as it was.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CacheFacts {
    /// As in /proc/slabinfo.
    pub name: String,
    /// Names of caches merged into this one.
    pub aliases: Vec<String>,
    /// Of `struct kmem_cache`.
    pub address: VirtAddr,
    /// Bytes that the user asked for.
    pub object_size: u32,
    /// Bytes from object to object.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
    /// By the preferred order.
    pub objects_per_slab: u32,
    /// By the preferred order.
    pub pages_per_slab: u32,
    /// `SLAB_*` without the prefix.
    pub flags: Vec<String>,
    /// Whether the kernel may shrink it under pressure.
    pub reclaimable: bool,
    /// The kernel's view.
    pub slabinfo: SlabinfoView,
    /// The truth.
    pub exact: ExactView,
    /// How the slabs lie.
    pub occupancy: Occupancy,
    /// Slabs freed but waiting for a grace period (SLAB_TYPESAFE_BY_RCU); not in `exact`.
    pub rcu_slabs: u64,
    /// Objects of this cache in KFENCE pages; not in `exact`.
    pub kfence_pages: u64,
    /// Copies of it for memory cgroups that are counted in (up to 5.8).
    pub memcg_children: u64,
    /// What is broken.
    pub damage: Damage,
}

/// The whole allocator.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SlabFacts {
    /// In the order of /proc/slabinfo.
    pub caches: Vec<CacheFacts>,
    /// Whether all caches and the whole memmap were seen.
    pub complete: bool,
    /// Page structures that the dump lacks.
    pub missing_page_structs: u64,
    /// Pages marked as slab that belong to no cache.
    pub stray_slabs: u64,
    /// How slabs were recognised, and freelists decoded.
    pub slab_mark: String,
    /// How freelist pointers are stored.
    pub freelist_encoding: &'static str,
}
