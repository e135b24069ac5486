//! Zones with the lists of free pages that each CPU keeps, and the pages that nobody has.

use super::cpus::{NODES, POSSIBLE_CPUS, PerCpu};
use super::kernel::Kernel;
use super::ram::node_of;
use crate::slub::page::is_tail;

/// The largest block of the buddy allocator.
const MAX_ORDER: u32 = 10;
/// Zones of a node that can have memory.
const ZONES: u64 = 3;
/// Pages of KFENCE's pool.
const KFENCE_PAGES: u64 = 512;

/// The zone of a page frame: DMA, DMA32 or Normal.
pub(super) fn zone_of(pfn: u64) -> u64 {
    match pfn {
        0..0x1000 => 0,
        0x1000..0x10_0000 => 1,
        _ => 2,
    }
}

/// Says how many pages each zone has, and gives it empty lists.
pub(super) fn lay(kernel: &mut Kernel, percpu: &mut PerCpu) {
    let ranges = kernel.ram.ranges.clone();
    for node in 0..NODES {
        for zone in 0..ZONES {
            let pages = ranges.iter().cloned().flatten();
            let own = |pfn: &u64| node_of(*pfn) == node && zone_of(*pfn) == zone;
            let present = pages.filter(own).count() as u64;
            if present == 0 {
                continue;
            }
            let (member, tag) = match kernel.types.has("zone", "pageset") {
                true => ("pageset", "per_cpu_pageset"),
                false => ("per_cpu_pageset", "per_cpu_pages"),
            };
            let lists = percpu.alloc(kernel.types.sizeof(tag));
            let at = address(kernel, node, zone);
            kernel.set(at, "zone", "present_pages", present);
            kernel.set(at, "zone", member, lists);
            for cpu in 0..POSSIBLE_CPUS {
                for head in heads(kernel, percpu, (node, zone), cpu) {
                    kernel.link_list(head, &[]);
                }
            }
        }
    }
}

fn address(kernel: &Kernel, node: u32, zone: u64) -> u64 {
    let pgdat = kernel.read_u64(kernel.symbol("node_data") + u64::from(node) * 8);
    let zones = kernel.types.offset("pglist_data", "node_zones");
    pgdat + zones + zone * kernel.types.sizeof("zone")
}

/// The heads of a CPU's lists of a zone's free pages: three for each order.
pub fn heads(kernel: &Kernel, percpu: &PerCpu, zone: (u32, u64), cpu: u32) -> Vec<u64> {
    let at = address(kernel, zone.0, zone.1);
    let old = kernel.types.has("zone", "pageset");
    let member = if old { "pageset" } else { "per_cpu_pageset" };
    let within = match old {
        true => kernel.types.offset("per_cpu_pageset", "pcp"),
        false => 0,
    };
    let lists = kernel.types.field("per_cpu_pages", "lists");
    let start = percpu.pointer(kernel.get(at, "zone", member), cpu) + within + lists.offset();
    (0..lists.bits / 128)
        .map(|head| start + head * 16)
        .collect()
}

/// Gives every page that does not exist to the buddy allocator, in blocks as large as they fit.
pub(super) fn free_the_rest(kernel: &mut Kernel) {
    for range in kernel.ram.ranges.clone() {
        let mut pfn = range.start;
        while pfn < range.end {
            let free = (pfn..range.end).take_while(|pfn| is_unused(kernel, *pfn));
            let run = free.take(1 << MAX_ORDER).count() as u64;
            if run == 0 {
                pfn += 1;
                continue;
            }
            let aligned = pfn.trailing_zeros().min(run.ilog2()).min(MAX_ORDER);
            free_block(kernel, pfn, aligned);
            pfn += 1 << aligned;
        }
    }
}

/// Part of a large page may not exist, but has an owner.
fn is_unused(kernel: &Kernel, pfn: u64) -> bool {
    let pool = kernel.kfence_pool..kernel.kfence_pool + KFENCE_PAGES;
    kernel.memory.page(pfn).is_none() && !pool.contains(&pfn) && !is_tail(kernel, pfn)
}

/// Marks a block as the buddy allocator's.
pub fn free_block(kernel: &mut Kernel, pfn: u64, order: u32) {
    let page = kernel.space.page(pfn);
    match kernel.era.slab_is_page_type() {
        true => {
            let kind = kernel.types.constant("PGTY_buddy") << 24;
            kernel.set(page, "page", "page_type", kind);
        }
        false => {
            // PAGE_BUDDY_MAPCOUNT_VALUE, up to 4.17.
            let mark = if kernel.era.is_3_10() {
                !0x7fu32
            } else {
                !0x80
            };
            kernel.set(page, "page", "_mapcount", u64::from(mark));
        }
    }
    kernel.set(page, "page", "private", u64::from(order));
}
