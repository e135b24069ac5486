//! Structures of page pools.

use crate::kernel::layout::layout;

layout! {
    /// include/net/page_pool/types.h; include/net/page_pool.h up to 6.5
    pub(super) struct PagePoolLayout = "page_pool" in "net/core/page_pool.c" {
        need order = "p.order",
        need size = "p.pool_size",
        need device = "p.dev",
        /// 6.4 and later (commit 8c48eea3adf3).
        maybe napi = "p.napi",
        /// 6.8 and later (commit 083772c9f972).
        maybe netdev = "slow.netdev",
        /// 5.3 and later (commit 99c07c43c4ea).
        maybe held = "pages_state_hold_cnt",
        maybe released = "pages_state_release_cnt.counter",
        maybe users = "user_cnt.refs.counter",
        maybe destroyed = "defer_start",
        /// 6.9 and later (commit 2b0cfa6e4956): less than 0 but for the system's own.
        maybe cpu = "cpuid",
        need cached = "alloc.count",
        need cache = "alloc.cache",
        need ring = "ring",
        /// 6.8 and later (commit f17c69649c69).
        maybe id = "user.id",
    }
}

layout! {
    /// include/linux/ptr_ring.h
    pub(super) struct PoolRingLayout = "ptr_ring" in "net/core/page_pool.c" {
        need size = "size",
        need queue = "queue",
        /// 4.13 and later (commit fb9de9704775): what lies between was taken, and is cleared later.
        maybe taken_from = "consumer_tail",
        maybe taken_to = "consumer_head",
    }
}

layout! {
    /// include/net/xdp_priv.h
    pub(super) struct XdpAllocatorLayout = "xdp_mem_allocator" in "net/core/xdp.c" {
        need kind = "mem.type",
        need pool = "page_pool",
        need node = "node",
    }
}

layout! {
    /// include/linux/mm_types.h
    pub(super) struct MarkedPageLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        /// 5.14 to 6.18 or so (commit c07aea3ef4d4); then a type of the page says it.
        maybe magic = "pp_magic",
        maybe pool = "pp",
    }
}

layout! {
    /// include/net/netmem.h, 6.16 and later (commit f3d85c9ee510): what a page's structure holds of
    /// the pool, where that has no members for it.
    pub(super) struct NetmemLayout = "netmem_desc" in "net/core/page_pool.c" {
        need pool = "pp",
    }
}

layout! {
    /// include/linux/netdevice.h
    pub(super) struct PoolNapiLayout = "napi_struct" in "net/core/dev.c" {
        need device = "dev",
        maybe id = "napi_id",
    }
}

layout! {
    /// include/linux/netdevice.h
    pub(super) struct PoolNetdevLayout = "net_device" in "net/core/dev.c" {
        need name = "name",
        need flags = "flags",
    }
}

layout! {
    /// include/linux/device.h
    pub(super) struct PoolDeviceLayout = "device" in "drivers/base/class.c" {
        need name = "kobj.name",
    }
}
