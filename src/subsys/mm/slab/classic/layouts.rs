//! The structures of classic SLAB and the members of them that are read.

use super::DebugStatistics;
use crate::kernel::layout::{Field, layout};

layout! {
    /// include/linux/slab_def.h
    pub(crate) struct ClassicCacheLayout = "kmem_cache" in "mm/slab.c" {
        need cpu_cache = "cpu_cache",
        need batchcount = "batchcount",
        need limit = "limit",
        need shared = "shared",
        need size = "size",
        need flags = "flags",
        need num = "num",
        need gfporder = "gfporder",
        need freelist_size = "freelist_size",
        need name = "name",
        need list = "list",
        need refcount = "refcount",
        need object_size = "object_size",
        need align = "align",
        need node = "node",
        /// The rest only with CONFIG_DEBUG_SLAB.
        maybe obj_offset = "obj_offset",
        maybe num_allocations = "num_allocations",
        maybe high_mark = "high_mark",
        maybe grown = "grown",
        maybe reaped = "reaped",
        maybe errors = "errors",
        maybe max_freeable = "max_freeable",
        maybe node_allocs = "node_allocs",
        maybe node_frees = "node_frees",
        maybe node_overflow = "node_overflow",
        maybe allochit = "allochit.counter",
        maybe allocmiss = "allocmiss.counter",
        maybe freehit = "freehit.counter",
        maybe freemiss = "freemiss.counter",
    }
}

impl ClassicCacheLayout {
    /// In the order of /proc/slabinfo (mm/slab.c: slabinfo_show_stats); `None` if the kernel keeps
    /// none.
    pub(super) fn statistics(&self, record: &[u8]) -> Option<DebugStatistics> {
        let get = |field: &Option<Field>| field.as_ref().map(|field| field.get(record));
        Some(DebugStatistics {
            globalstat: [
                get(&self.num_allocations)?,
                get(&self.high_mark)?,
                get(&self.grown)?,
                get(&self.reaped)?,
                get(&self.errors)?,
                get(&self.max_freeable)?,
                get(&self.node_allocs)?,
                get(&self.node_frees)?,
                get(&self.node_overflow)?,
            ],
            cpustat: [
                get(&self.allochit)?,
                get(&self.allocmiss)?,
                get(&self.freehit)?,
                get(&self.freemiss)?,
            ],
        })
    }
}

layout! {
    /// mm/slab.h, 5.17 and later (commit d122019bf061).
    pub(crate) struct ClassicSlabLayout = "slab" in "mm/slab.c" {
        need slab_cache = "slab_cache",
        need slab_list = "slab_list",
        need freelist = "freelist",
        need s_mem = "s_mem",
        need active = "active",
    }
}

layout! {
    /// include/linux/mm_types.h, before 5.17: the slab's members are the page's.
    pub(crate) struct ClassicSlabInPageLayout = "page" in "mm/slab.c" {
        need slab_cache = "slab_cache",
        need slab_list = "slab_list" | "lru",
        need freelist = "freelist",
        need s_mem = "s_mem",
        need active = "active",
    }
}

layout! {
    /// mm/slab.h
    pub(super) struct ClassicNodeLayout = "kmem_cache_node" in "mm/slab.c" {
        need slabs_partial = "slabs_partial",
        need slabs_full = "slabs_full",
        need slabs_free = "slabs_free",
        need total_slabs = "total_slabs",
        need free_slabs = "free_slabs",
        need free_objects = "free_objects",
        need shared = "shared",
        /// Null without CONFIG_NUMA, or with `noaliencache`.
        need alien = "alien",
    }
}

layout! {
    /// mm/slab.c
    pub(super) struct ArrayCacheLayout = "array_cache" in "mm/slab.c" {
        need avail = "avail",
        need limit = "limit",
        need entry = "entry",
    }
}

layout! {
    /// mm/slab.c
    pub(super) struct AlienCacheLayout = "alien_cache" in "mm/slab.c" {
        need array = "ac",
    }
}
