//! What is read of nodes, zones, and what CPUs keep of them (include/linux/mmzone.h).

use super::PagesetFacts;
use super::items::Items;
use crate::addr::VirtAddr;
use crate::bytes::{u64_at, uint_at};
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/mmzone.h
    pub(super) struct NodeLayout = "pglist_data" in "mm/vmstat.c" {
        need zones = "node_zones",
        /// 4.8 and later (commit 75ef71840539).
        maybe vm_stat = "vm_stat",
        need id = "node_id",
        maybe kswapd_failures = "kswapd_failures",
    }
}

impl NodeLayout {
    /// How many zones a node has, by the size of one.
    pub(super) fn nr_zones_max(&self, zone: usize) -> usize {
        (self.zones.size as usize / zone).min(8)
    }
}

layout! {
    /// include/linux/mmzone.h
    pub(super) struct ZoneLayout = "zone" in "mm/vmstat.c" {
        need name = "name",
        need start_pfn = "zone_start_pfn",
        need spanned_pages = "spanned_pages",
        need present_pages = "present_pages",
        need managed_pages = "managed_pages",
        maybe cma_pages = "cma_pages",
        need watermark = "_watermark" | "watermark",
        maybe boost = "watermark_boost",
        need lowmem_reserve = "lowmem_reserve",
        need free_area = "free_area",
        maybe reserved_highatomic = "nr_reserved_highatomic",
        maybe free_highatomic = "nr_free_highatomic",
        need vm_stat = "vm_stat",
        /// `vm_numa_stat` up to 5.13 (commit f19298b9516c); with CONFIG_NUMA.
        maybe numa = "vm_numa_event" | "vm_numa_stat",
        /// 5.14 and later (commit 28f836b6777b).
        maybe per_cpu_zonestats = "per_cpu_zonestats",
        need pageset = "per_cpu_pageset" | "pageset",
        /// Up to 4.7, with `inactive_ratio`; from 3.16 on a counter (commit 0d5d823ab4e6).
        maybe pages_scanned = "pages_scanned",
        /// Not kept up since 3.12 (commit 6e543d5780e3), but there to 3.13, and in RHEL 7.
        maybe all_unreclaimable = "all_unreclaimable",
        maybe inactive_ratio = "inactive_ratio",
    }
}

layout! {
    /// include/linux/mmzone.h
    pub(super) struct FreeAreaLayout = "free_area" in "mm/vmstat.c" {
        need nr_free = "nr_free",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct PagesLayout = "per_cpu_pages" in "mm/vmstat.c" {
        need count = "count",
        need high = "high",
        need batch = "batch",
        maybe high_min = "high_min",
        maybe high_max = "high_max",
    }
}

layout! {
    /// include/linux/mmzone.h, 5.14 and later.
    struct ZonestatLayout = "per_cpu_zonestat" in "mm/vmstat.c" {
        need threshold = "stat_threshold",
        maybe numa = "vm_numa_event",
    }
}

layout! {
    /// include/linux/mmzone.h, up to 5.13: both in one.
    struct PagesetLayout = "per_cpu_pageset" in "mm/vmstat.c" {
        need pcp = "pcp",
        need threshold = "stat_threshold",
        maybe numa = "vm_numa_stat_diff",
    }
}

/// Reads what CPUs keep of a zone, in either shape.
pub(super) struct PcpReader {
    pages: PagesLayout,
    split: Option<ZonestatLayout>,
    joint: Option<PagesetLayout>,
}

impl PcpReader {
    pub(super) fn new(kernel: &Kernel, zone: &ZoneLayout) -> Result<Self, KernelError> {
        let split = zone.per_cpu_zonestats.is_some();
        Ok(Self {
            pages: kernel.layout()?,
            split: split.then(|| kernel.layout()).transpose()?,
            joint: (!split).then(|| kernel.layout()).transpose()?,
        })
    }

    /// Of the CPUs that were `up`, or kept pages, and the NUMA events that any CPU has not handed
    /// over.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        cpus: &Cpus,
        up: &[u32],
        zone: &[u8],
        layout: &ZoneLayout,
    ) -> Option<(Vec<PagesetFacts>, Items)> {
        let lists = VirtAddr(layout.pageset.get(zone));
        let stats = layout
            .per_cpu_zonestats
            .map(|field| VirtAddr(field.get(zone)));
        let within = self
            .joint
            .as_ref()
            .map_or(0, |joint| u64::from(joint.pcp.offset));
        let mut numa = Items::default();
        let mut found = Vec::new();
        let stats = cpus.instances(stats.unwrap_or(lists));
        for ((cpu, lists), (_, stats)) in cpus.instances(lists).zip(stats) {
            let pages = kernel
                .space
                .read_bytes(lists.plus(within), self.pages.len)
                .ok()?;
            let (threshold, events) = self.stats(kernel, stats)?;
            numa.add(&events);
            let of = |field: &crate::kernel::layout::Field| field.get(&pages);
            if of(&self.pages.count) == 0 && !up.contains(&cpu) {
                continue;
            }
            found.push(PagesetFacts {
                cpu,
                count: of(&self.pages.count),
                high: of(&self.pages.high),
                batch: of(&self.pages.batch),
                high_min: self.pages.high_min.as_ref().map(of),
                high_max: self.pages.high_max.as_ref().map(of),
                threshold,
            });
        }
        Some((found, numa))
    }

    fn stats(&self, kernel: &Kernel, at: VirtAddr) -> Option<(u64, Vec<u64>)> {
        let (len, threshold, numa) = match (&self.split, &self.joint) {
            (Some(split), _) => (split.len, split.threshold, split.numa),
            (None, Some(joint)) => (joint.len, joint.threshold, joint.numa),
            (None, None) => return None,
        };
        let record = kernel.space.read_bytes(at, len).ok()?;
        // Words of 8 bytes since 5.14, of 2 before.
        let width = if self.split.is_some() { 8 } else { 2 };
        let events = numa.map_or_else(Vec::new, |field| {
            let count = field.size as usize / width;
            let one = |index| match width {
                8 => u64_at(&record, field.offset as usize + index * 8),
                _ => uint_at(&record, field.offset as usize + index * width, width),
            };
            (0..count).map(|index| one(index).unwrap_or(0)).collect()
        });
        Some((threshold.get(&record), events))
    }
}
