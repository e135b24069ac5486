//! The structures of SLUB and the members of them that are read.

use super::classic::{ClassicSlabInPageLayout, ClassicSlabLayout};
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, LayoutError, layout};
use crate::kernel::page::allocator_home;

layout! {
    /// mm/slab.h (6.8 and later), include/linux/slub_def.h (before).
    pub(crate) struct CacheLayout = "kmem_cache" in "mm/slub.c" {
        /// Up to 6.19, and not with CONFIG_SLUB_TINY.
        maybe cpu_slab = "cpu_slab",
        /// 6.18 and later (commit 2d517aa09bbc).
        maybe cpu_sheaves = "cpu_sheaves",
        maybe sheaf_capacity = "sheaf_capacity",
        need flags = "flags",
        need size = "size",
        need object_size = "object_size",
        need offset = "offset",
        need inuse = "inuse",
        need oo = "oo.x",
        need refcount = "refcount",
        need align = "align",
        /// 4.6 and later.
        maybe red_left_pad = "red_left_pad",
        need name = "name",
        need list = "list",
        /// Only with CONFIG_SYSFS.
        maybe kobj = "kobj",
        /// Only with CONFIG_SLAB_FREELIST_HARDENED.
        maybe random = "random",
        /// Up to 5.8, with memory cgroups: whose copy a cache is (`copies`).
        maybe memcg_params = "memcg_params",
        /// Up to 7.0.
        maybe node = "node",
        /// 7.1 and later (commit 5ba6bc27b1f9).
        maybe per_node = "per_node",
    }
}

layout! {
    /// mm/slab.h, 7.1 and later: an entry of `per_node[]`.
    pub(crate) struct PerNodeLayout = "kmem_cache_per_node_ptrs" in "mm/slub.c" {
        need barn = "barn",
        need node = "node",
    }
}

layout! {
    /// mm/slub.c; the slab's member was `page` before 5.17.
    pub(crate) struct CpuSlabLayout = "kmem_cache_cpu" in "mm/slub.c" {
        need freelist = "freelist",
        need slab = "slab" | "page",
        /// Only with CONFIG_SLUB_CPU_PARTIAL.
        maybe partial = "partial",
    }
}

layout! {
    /// mm/slub.c (6.8 and later), mm/slab.h (before).
    pub(crate) struct CacheNodeLayout = "kmem_cache_node" in "mm/slub.c" {
        need nr_partial = "nr_partial",
        need partial = "partial",
        /// The counters exist only with CONFIG_SLUB_DEBUG.
        maybe nr_slabs = "nr_slabs.counter",
        maybe total_objects = "total_objects.counter",
        /// 6.18 to 7.0; in `per_node[]` since.
        maybe barn = "barn",
    }
}

layout! {
    /// mm/slub.c, 6.18 and later.
    pub(crate) struct CpuSheavesLayout = "slub_percpu_sheaves" in "mm/slub.c" {
        need main = "main",
        need spare = "spare",
        need rcu_free = "rcu_free",
    }
}

layout! {
    /// mm/slub.c, 6.18 and later.
    pub(crate) struct SheafLayout = "slab_sheaf" in "mm/slub.c" {
        need barn_list = "barn_list",
        need cache = "cache",
        need size = "size",
        need objects = "objects",
    }
}

layout! {
    /// mm/slub.c, 6.18 and later.
    pub(crate) struct BarnLayout = "node_barn" in "mm/slub.c" {
        need sheaves_full = "sheaves_full",
        need sheaves_empty = "sheaves_empty",
        need nr_full = "nr_full",
    }
}

layout! {
    /// mm/slub.c, 7.3 and later.
    pub(crate) struct DeferredWorkLayout = "deferred_percpu_work" in "mm/slub.c" {
        need objects = "objects.first",
        need objects_by_rcu = "objects_by_rcu.first",
        need rcu_sheaves = "rcu_sheaves.first",
    }
}

layout! {
    /// mm/slub.c, 7.3 and later: how a sheaf hangs on `deferred_percpu_work.rcu_sheaves`.
    pub(crate) struct DeferredSheafLayout = "slab_sheaf" in "mm/slub.c" {
        maybe llnode = "llnode",
    }
}

layout! {
    /// mm/slub.c, 6.18 to 7.2.
    pub(crate) struct DeferredLayout = "defer_free" in "mm/slub.c" {
        need objects = "objects.first",
        /// 6.18 and 6.19: slabs whose CPU chain is still to be given back.
        maybe slabs = "slabs.first",
    }
}

layout! {
    /// mm/slab.h, 6.18 and later: how a slab hangs on `defer_free.slabs`.
    pub(crate) struct DeferredSlabLayout = "slab" in "mm/slub.c" {
        maybe llnode = "llnode",
        maybe flush_freelist = "flush_freelist",
    }
}

layout! {
    /// mm/slab_common.c (6.14 and later), kernel/rcu/tree.c (before).
    pub(crate) struct KfreeRcuLayout = "kfree_rcu_cpu" in "mm/slab_common.c" | "kernel/rcu/tree.c" {
        need head = "head",
        /// 6.4 and later: heads of lists, one for each kind of memory.
        maybe lists = "bulk_head",
        /// 5.9 to 6.3: pointers to the first page.
        maybe chains = "bkvhead",
        need krw_arr = "krw_arr",
        maybe bkvcache = "bkvcache.first",
    }
}

layout! {
    /// A batch that waits for its grace period; in the same file.
    pub(crate) struct KfreeRcuWorkLayout = "kfree_rcu_cpu_work" in "mm/slab_common.c" | "kernel/rcu/tree.c" {
        need head = "head_free",
        maybe lists = "bulk_head_free",
        maybe chains = "bkvhead_free",
    }
}

layout! {
    /// A page of pointers; in the same file.
    pub(crate) struct BulkLayout = "kvfree_rcu_bulk_data" in "mm/slab_common.c" | "kernel/rcu/tree.c" {
        /// 6.4 and later.
        maybe list = "list",
        maybe next = "next",
        need nr_records = "nr_records",
        need records = "records",
    }
}

layout! {
    /// include/linux/types.h: `struct rcu_head`.
    pub(crate) struct RcuHeadLayout = "callback_head" in "mm/slub.c" {
        need next = "next",
        need func = "func",
    }
}

layout! {
    /// kernel/rcu/tree.h
    pub(crate) struct RcuDataLayout = "rcu_data" in "kernel/rcu/tree.c" {
        /// `nxtlist` up to 4.11 (commit 15fecf89e46a).
        need cblist = "cblist.head" | "nxtlist",
        /// 5.4 and later, with CONFIG_RCU_NOCB_CPU.
        maybe bypass = "nocb_bypass.head",
    }
}

layout! {
    /// mm/slab.h, 5.17 and later.
    struct SlabLayout = "slab" in "mm/slub.c" {
        need slab_cache = "slab_cache",
        need slab_list = "slab_list",
        need freelist = "freelist",
        need inuse = "inuse",
        need objects = "objects",
        need frozen = "frozen",
        maybe next = "next",
    }
}

layout! {
    /// include/linux/mm_types.h, before 5.17: the slab's members are the page's.
    struct SlabInPageLayout = "page" in "mm/slub.c" {
        need slab_cache = "slab_cache",
        need slab_list = "slab_list" | "lru",
        need freelist = "freelist",
        need inuse = "inuse",
        need objects = "objects",
        need frozen = "frozen",
        maybe next = "next",
    }
}

/// The descriptor of a slab, which lies over its first page's `struct page`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabWords {
    pub(crate) slab_cache: Field,
    pub(crate) slab_list: Field,
    pub(crate) freelist: Field,
    /// Objects that the slab does not know as free; `active` in classic SLAB.
    pub(crate) inuse: Field,
    /// Not in classic SLAB, nor is the next.
    pub(crate) objects: Option<Field>,
    pub(crate) frozen: Option<Field>,
    /// Pointer to the first object, in classic SLAB only.
    pub(crate) s_mem: Option<Field>,
    /// Link of the per-CPU partial list, where there is one.
    pub(crate) next: Option<Field>,
}

impl SlabWords {
    pub(crate) fn resolve(kernel: &Kernel) -> Result<Self, LayoutError> {
        macro_rules! words {
            ($layout:ty) => {{
                let l: $layout = kernel.layout()?;
                Ok(Self {
                    slab_cache: l.slab_cache,
                    slab_list: l.slab_list,
                    freelist: l.freelist,
                    inuse: l.inuse,
                    objects: Some(l.objects),
                    frozen: Some(l.frozen),
                    s_mem: None,
                    next: l.next,
                })
            }};
        }
        macro_rules! classic_words {
            ($layout:ty) => {{
                let l: $layout = kernel.layout()?;
                Ok(Self {
                    slab_cache: l.slab_cache,
                    slab_list: l.slab_list,
                    freelist: l.freelist,
                    inuse: l.active,
                    objects: None,
                    frozen: None,
                    s_mem: Some(l.s_mem),
                    next: None,
                })
            }};
        }
        // Commit d122019bf061 ("mm: Split slab into its own type", v5.17).
        let home = allocator_home(&kernel.types);
        let split = kernel.types.find_struct("slab", home, false)?;
        let has = |member| {
            let body = split.as_ref().map(|found| &found.body);
            body.is_some_and(|body| body.member(member).is_some())
        };
        let cache = kernel.types.find_struct("kmem_cache", home, true)?;
        let classic = cache.is_some_and(|found| found.body.member("cpu_cache").is_some());
        match (has("slab_cache"), classic) {
            (true, false) => words!(SlabLayout),
            (false, false) => words!(SlabInPageLayout),
            (true, true) => classic_words!(ClassicSlabLayout),
            (false, true) => classic_words!(ClassicSlabInPageLayout),
        }
    }
}
