//! Where the kernel itself has its pools: a list of all, the memory of receive queues, releases
//! that wait for the next try.

use std::collections::BTreeSet;

use super::layouts::XdpAllocatorLayout;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/xarray.h
    struct PoolArrayLayout = "xarray" in "net/core/page_pool_user.c" | "lib/xarray.c" {
        need head = "xa_head",
    }
}

layout! {
    /// include/net/page_pool/types.h; include/net/page_pool.h up to 6.5
    struct PoolReleaseLayout = "page_pool" in "net/core/page_pool.c" {
        need function = "release_dw.work.func",
        need timer = "release_dw.timer.entry",
    }
}

layout! {
    /// kernel/time/timer.c, 4.8 and later (commit 494af3ed7848; before `tvec_base`).
    struct WheelLayout = "timer_base" in "kernel/time/timer.c" {
        need vectors = "vectors",
    }
}

/// MEM_TYPE_PAGE_POOL of enum xdp_mem_type, in all releases.
const PAGE_POOL: u64 = 2;
/// More than a machine has: some for each queue.
const MAX_POOLS: usize = 1 << 20;
/// Timers in one slot of the wheel.
const MAX_TIMERS: u64 = 1 << 20;
/// NR_BASES: one without CONFIG_NO_HZ_COMMON, three since 6.9.
const MAX_BASES: u64 = 3;

/// Pools that the kernel lists, and whether all of them could be read. Where neither it nor pages
/// (`by_pages`) have all, those that wait to be released are found by their timers.
pub(super) fn listed(
    kernel: &Kernel,
    by_pages: bool,
) -> Result<(BTreeSet<VirtAddr>, bool), KernelError> {
    let mut found = BTreeSet::new();
    let mut complete = true;
    let all = kernel.symbol("page_pools");
    if let Some(at) = all {
        let layout: PoolArrayLayout = kernel.layout()?;
        let head = at.plus(u64::from(layout.head.offset));
        let pools = walk::xarray::pointers(kernel, head, MAX_POOLS)?;
        complete &= pools.end.is_complete();
        found.extend(pools.value.into_iter().map(|(_, at)| at));
    }
    complete &= of_queues(kernel, &mut found)?;
    if all.is_none() && !by_pages {
        complete &= released(kernel, &mut found)?;
    }
    Ok((found, complete))
}

/// Those that a receive queue has told XDP of (net/core/xdp.c).
fn of_queues(kernel: &Kernel, found: &mut BTreeSet<VirtAddr>) -> Result<bool, KernelError> {
    // A pointer to the table, made with the first entry.
    let table = kernel.u64_of("mem_id_ht").value().unwrap_or(0);
    let Some(layout) = kernel.layout::<XdpAllocatorLayout>().ok() else {
        return Ok(true);
    };
    if table == 0 {
        return Ok(true);
    }
    let nodes = walk::rhashtable(kernel, VirtAddr(table), MAX_POOLS)?;
    let mut complete = nodes.end.is_complete();
    for node in nodes.value {
        let at = node.minus(u64::from(layout.node.offset));
        let Ok(record) = kernel.space.span(at, layout.len) else {
            complete = false;
            continue;
        };
        let pool = layout.pool.get(&record);
        if layout.kind.get(&record) == PAGE_POOL && pool != 0 {
            found.insert(VirtAddr(pool));
        }
    }
    Ok(complete)
}

/// Those that were destroyed while their pages were out: each tries again after a second
/// (`page_pool_release_retry`), by a timer of the CPU that it was destroyed on.
fn released(kernel: &Kernel, found: &mut BTreeSet<VirtAddr>) -> Result<bool, KernelError> {
    let Some((release, wheel)) = kernel
        .layout::<PoolReleaseLayout>()
        .ok()
        .zip(kernel.layout::<WheelLayout>().ok())
    else {
        return Ok(true);
    };
    let Some((bases, retry)) = kernel
        .symbol("timer_bases")
        .zip(kernel.symbol("page_pool_release_retry"))
    else {
        return Ok(true);
    };
    let size = wheel.struct_size as u64;
    let room = kernel.symbol_room("timer_bases").unwrap_or(size);
    let mut complete = true;
    for (_, at) in Cpus::read(kernel)?.instances(bases) {
        for number in 0..(room / size).clamp(1, MAX_BASES) {
            let vectors = at.plus(number * size + u64::from(wheel.vectors.offset));
            let Ok(heads) = kernel
                .space
                .read_bytes(vectors, wheel.vectors.size as usize)
            else {
                complete = false;
                continue;
            };
            for slot in (0..heads.len()).step_by(8) {
                if u64_at(&heads, slot).unwrap_or(0) != 0 {
                    let head = vectors.plus(slot as u64);
                    let timers = walk::hlist(&kernel.space, head, MAX_TIMERS);
                    complete &= timers.end.is_complete();
                    found.extend(timers.value.into_iter().filter_map(|timer| {
                        // Of another kind of timer, what lies there is anything.
                        let pool = timer.minus(u64::from(release.timer.offset));
                        let function = pool.plus(u64::from(release.function.offset));
                        let function = kernel.space.quiet().read_ptr(function);
                        (function.ok() == Some(retry)).then_some(pool)
                    }));
                }
            }
        }
    }
    Ok(complete)
}
