//! Classic SLAB (mm/slab.c, up to 6.7): what differs from SLUB.
//!
//! Layer: part of the slab subsystem, which owns the list of caches, the pass over the
//! memmap and the counting. A slab keeps an array of the indices of its objects, of which
//! those from `active` on are free (`indices`); every slab is on one of its node's three
//! lists (`nodes`); free objects on their way lie in arrays of CPUs and nodes, which the
//! slabs count as in use (`arrays`).

pub(super) mod arrays;
pub(super) mod indices;
mod layouts;
pub(super) mod nodes;

use serde::Serialize;

pub(super) use layouts::{ClassicCacheLayout, ClassicSlabInPageLayout, ClassicSlabLayout};

use crate::addr::VirtAddr;
use crate::kernel::layout::Field;

/// The tunables in the middle of a /proc/slabinfo row, which can be written to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tunables {
    /// The most objects in a CPU's array.
    pub limit: u32,
    /// How many go between a CPU and a node at once.
    pub batchcount: u32,
    /// A node's shared array holds so many batches.
    pub sharedfactor: u32,
}

/// The numbers at the end of a /proc/slabinfo row, with CONFIG_DEBUG_SLAB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DebugStatistics {
    /// Allocations, most objects active at once, slabs added and taken away, errors, most that
    /// may stay free, allocations for and frees of other nodes, overflows of the arrays for those.
    pub globalstat: [u64; 9],
    /// Allocations and frees that a CPU's array served, and those it did not: hit, miss, hit, miss.
    pub cpustat: [u64; 4],
}

/// What only a cache of classic SLAB has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassicCache {
    /// Per-CPU pointer to the CPUs' arrays.
    pub(super) cpu_cache: VirtAddr,
    /// Bytes from where an object starts to what its user sees, with CONFIG_DEBUG_SLAB.
    pub(super) obj_offset: u32,
    /// Bytes of one index.
    pub(super) index_width: usize,
    /// As in /proc/slabinfo.
    pub(super) tunables: Tunables,
    /// With CONFIG_DEBUG_SLAB.
    pub(super) statistics: Option<DebugStatistics>,
}

impl ClassicCache {
    /// Takes it from the bytes of a `struct kmem_cache`.
    pub(super) fn of(layout: &ClassicCacheLayout, record: &[u8]) -> Self {
        let narrow = |field: &Field| field.get(record) as u32;
        // Nothing else tells of freelist_idx_t, which depends on the page size: one byte with
        // pages of 4 KiB (mm/slab.c: FREELIST_BYTE_INDEX).
        let indices = layout.freelist_size.get(record);
        let index_width = match indices.checked_div(layout.num.get(record)) {
            Some(2) => 2,
            _ => 1,
        };
        Self {
            cpu_cache: VirtAddr(layout.cpu_cache.get(record)),
            obj_offset: layout.obj_offset.as_ref().map_or(0, narrow),
            index_width,
            tunables: Tunables {
                limit: narrow(&layout.limit),
                batchcount: narrow(&layout.batchcount),
                sharedfactor: narrow(&layout.shared),
            },
            statistics: layout.statistics(record),
        }
    }
}
