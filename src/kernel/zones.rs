//! The zones of memory (include/linux/mmzone.h), and the free pages that CPUs keep.

use super::cpus::{Cpus, node_count};
use super::layout::{Layout, layout};
use super::memmap::Memmap;
use super::{Kernel, KernelError, walk};
use crate::addr::{Pfn, VirtAddr};

layout! {
    /// include/linux/mmzone.h
    struct NodeLayout = "pglist_data" in "mm/page_alloc.c" {
        need zones = "node_zones",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct ZoneLayout = "zone" in "mm/page_alloc.c" {
        need present_pages = "present_pages",
        /// Per-CPU; `pageset` up to 5.13 (commit 28f836b6777b).
        need pageset = "per_cpu_pageset" | "pageset",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct ListsLayout = "per_cpu_pages" in "mm/page_alloc.c" {
        need count = "count",
        need lists = "lists",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct LinkLayout = "page" in "mm/slub.c" {
        need lru = "lru",
    }
}

/// One zone that has memory.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    /// Of `struct zone`.
    pub address: VirtAddr,
    /// Per-CPU pointer to its lists of free pages.
    pageset: VirtAddr,
}

/// All zones that have memory, node by node.
///
/// # Errors
/// If the kernel's types or symbols lack them. What the dump lacks is left out, with a warning.
pub fn all(kernel: &Kernel) -> Result<Vec<Zone>, KernelError> {
    let node: NodeLayout = kernel.layout()?;
    let layout: ZoneLayout = kernel.layout()?;
    // One node and no array without CONFIG_NUMA.
    let nodes = match kernel.symbol("node_data") {
        Some(table) => (0..node_count(kernel) as u64)
            .map(|index| kernel.space.read_ptr(table.plus(index * 8)))
            .filter(|node| !matches!(node, Ok(node) if node.is_null()))
            .collect(),
        None => vec![Ok(kernel.need_symbol("contig_page_data")?)],
    };
    let zones = node.zones.size as usize / layout.struct_size.max(1);
    let mut found = Vec::new();
    let lost = || {
        kernel.diag.warn(
            "zone-lost",
            "a memory zone can't be read: the free pages that CPUs hold of it are taken for used ones",
        );
    };
    for node_at in nodes {
        let Ok(node_at) = node_at else {
            lost();
            continue;
        };
        for zone in 0..zones {
            let offset = node.zones.offset as usize + zone * layout.struct_size;
            let address = node_at.plus(offset as u64);
            match kernel.space.read_bytes(address, layout.len) {
                Ok(record) if layout.present_pages.get(&record) == 0 => {}
                Ok(record) => found.push(Zone {
                    address,
                    pageset: VirtAddr(layout.pageset.get(&record)),
                }),
                Err(_) => lost(),
            }
        }
    }
    Ok(found)
}

/// Calls `free` with every block on the CPUs' lists of free pages: its first page and its order.
/// A broken list is followed to the break, with a warning.
///
/// # Errors
/// If the kernel's types or symbols lack them.
pub fn each_cpu_free(
    kernel: &Kernel,
    memmap: &Memmap,
    mut free: impl FnMut(Pfn, u32),
) -> Result<(), KernelError> {
    // Lists of order 0 only, and a structure around them, up to 5.13.
    let lists: ListsLayout = kernel.layout()?;
    let within = PagesetLayout::resolve(&kernel.types).map_or(0, |layout| layout.pcp.offset);
    let link: LinkLayout = kernel.layout()?;
    let kinds = kernel
        .types
        .enumerator("migratetype", "mm/page_alloc.c", "MIGRATE_PCPTYPES")?;
    let kinds = kinds.filter(|kinds| (1..16).contains(kinds)).unwrap_or(3) as u64;
    let cpus = Cpus::read(kernel)?;
    let heads = u64::from(lists.lists.size / 16);
    for zone in all(kernel)? {
        for (_, at) in cpus.instances(zone.pageset) {
            let pages = at.plus(u64::from(within));
            for head in 0..heads {
                let at = pages.plus(u64::from(lists.lists.offset) + head * 16);
                let list = walk::list(&kernel.space, at, memmap.pages());
                if !list.end.is_complete() {
                    kernel.diag.warn(
                        "cpu-free-list",
                        format!("a CPU's list of free pages {}: those behind it are taken for used ones", list.end.describe()),
                    );
                }
                // Behind the lists of orders 0 to 3 come those of huge pages (pindex_to_order).
                let order = match head / kinds {
                    order @ 0..=3 => order as u32,
                    _ => 9,
                };
                for page in list.value {
                    let page = page.minus(u64::from(link.lru.offset));
                    if let Some(pfn) = memmap.pfn_of(page) {
                        free(pfn, order);
                    }
                }
            }
        }
    }
    Ok(())
}

layout! {
    /// include/linux/mmzone.h, up to 5.13.
    struct PagesetLayout = "per_cpu_pageset" in "mm/page_alloc.c" {
        need pcp = "pcp",
    }
}
