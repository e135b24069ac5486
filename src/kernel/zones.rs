//! The zones of memory (include/linux/mmzone.h), and the free pages that CPUs keep.

use super::cpus::{Cpus, node_count};
use super::layout::{LayoutError, layout};
use super::{Kernel, KernelError};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;

layout! {
    /// include/linux/mmzone.h
    struct PgdatLayout = "pglist_data" in "mm/page_alloc.c" {
        need zones = "node_zones",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct ZoneLayout = "zone" in "mm/page_alloc.c" {
        need present_pages = "present_pages",
        /// Per-CPU; since 5.14 (commit 28f836b6777b).
        maybe lists = "per_cpu_pageset",
        /// Up to 5.13, with a structure around the lists.
        maybe pageset = "pageset",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct ListsLayout = "per_cpu_pages" in "mm/page_alloc.c" {
        need lists = "lists",
    }
}

/// One zone that has memory.
#[derive(Clone, Copy, Debug)]
struct Zone {
    /// Per-CPU pointer to its lists of free pages.
    lists: VirtAddr,
    /// Whether a structure is around them.
    wrapped: bool,
}

/// Of every node's `pglist_data`; `None` for one whose pointer can't be read.
pub(crate) fn nodes(kernel: &Kernel) -> Vec<Option<VirtAddr>> {
    let Some(table) = kernel.symbol("node_data") else {
        // Without CONFIG_NUMA there is one.
        return vec![kernel.symbol("contig_page_data")];
    };
    let count = node_count(kernel);
    let bytes = kernel.space.read_bytes(table, count * 8);
    let Ok(bytes) = bytes else {
        return vec![None; count];
    };
    (0..count)
        .filter_map(|node| u64_at(&bytes, node * 8))
        .filter(|at| *at != 0)
        .map(|at| Some(VirtAddr(at)))
        .collect()
}

/// All zones that have memory, node by node.
///
/// # Errors
/// If the kernel's types or symbols lack them. What the dump lacks is left out, with a warning.
fn all(kernel: &Kernel) -> Result<Vec<Zone>, KernelError> {
    let node: PgdatLayout = kernel.layout()?;
    let layout: ZoneLayout = kernel.layout()?;
    let (lists, wrapped) = match (layout.lists, layout.pageset) {
        (Some(lists), _) => (lists, false),
        (None, Some(pageset)) => (pageset, true),
        (None, None) => {
            return Err(KernelError::Layout(LayoutError::NoMember {
                structure: "zone",
                member: "per_cpu_pageset or pageset",
            }));
        }
    };
    if kernel.symbol("node_data").is_none() {
        kernel.need_symbol("contig_page_data")?;
    }
    let zones = node.zones.size as usize / layout.struct_size.max(1);
    let mut found = Vec::new();
    let lost = || {
        kernel.diag.warn(
            "zone-lost",
            "a memory zone can't be read: the free pages that CPUs hold of it are taken for used ones",
        );
    };
    for node_at in nodes(kernel) {
        let Some(node_at) = node_at else {
            lost();
            continue;
        };
        for zone in 0..zones {
            let offset = node.zones.offset as usize + zone * layout.struct_size;
            let address = node_at.plus(offset as u64);
            match kernel.space.read_bytes(address, layout.len) {
                Ok(record) if layout.present_pages.get(&record) == 0 => {}
                Ok(record) => found.push(Zone {
                    lists: VirtAddr(lists.get(&record)),
                    wrapped,
                }),
                Err(_) => lost(),
            }
        }
    }
    Ok(found)
}

/// A list of free pages that one CPU keeps of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuList {
    /// Its `struct list_head`.
    pub head: VirtAddr,
    /// Of the blocks on it.
    pub order: u32,
}

/// All CPUs' lists of free pages.
///
/// # Errors
/// If the kernel's types or symbols lack them.
pub fn cpu_lists(kernel: &Kernel) -> Result<Vec<CpuList>, KernelError> {
    let mut found = Vec::new();
    let lists: ListsLayout = kernel.layout()?;
    let kinds = kernel
        .types
        .enumerator("migratetype", "mm/page_alloc.c", "MIGRATE_PCPTYPES")?;
    let kinds = kinds.filter(|kinds| (1..16).contains(kinds)).unwrap_or(3) as u64;
    let cpus = Cpus::read(kernel)?;
    let heads = u64::from(lists.lists.size / 16);
    for zone in all(kernel)? {
        let within = match zone.wrapped {
            true => kernel.layout::<PagesetLayout>()?.pcp.offset,
            false => 0,
        };
        for (_, at) in cpus.instances(zone.lists) {
            let lists = at.plus(u64::from(within + lists.lists.offset));
            for head in 0..heads {
                // Behind the lists of orders 0 to 3 come those of huge pages (pindex_to_order).
                let order = match head / kinds {
                    order @ 0..=3 => order as u32,
                    _ => 9,
                };
                found.push(CpuList {
                    head: lists.plus(head * 16),
                    order,
                });
            }
        }
    }
    Ok(found)
}

layout! {
    /// include/linux/mmzone.h, up to 5.13.
    struct PagesetLayout = "per_cpu_pageset" in "mm/page_alloc.c" {
        need pcp = "pcp",
    }
}
