//! NUMA nodes and their zones (include/linux/mmzone.h): low watermarks, where each CPU keeps
//! its differences to the counters, and the free pages that it keeps for itself.

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, zones};

/// DMA, DMA32, NORMAL, MOVABLE, DEVICE: kernels have five at most.
const MAX_ZONES: usize = 8;
/// WMARK_MIN comes first (`enum zone_watermarks`).
const WMARK_LOW: usize = 1;

layout! {
    /// include/linux/mmzone.h
    struct PgdatCountersLayout = "pglist_data" in "mm/vmstat.c" {
        need zones = "node_zones",
        /// 4.8 and later.
        maybe per_cpu_nodestats = "per_cpu_nodestats",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct ZoneLayout = "zone" in "mm/vmstat.c" {
        /// `watermark` up to 4.20 (commit a9214443c29e).
        need watermark = "_watermark" | "watermark",
        maybe boost = "watermark_boost",
        need present = "present_pages",
        /// 5.14 and later.
        maybe per_cpu_zonestats = "per_cpu_zonestats",
        maybe per_cpu_pageset = "per_cpu_pageset" | "pageset",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct PagesLayout = "per_cpu_pages" in "mm/vmstat.c" {
        need count = "count",
    }
}

layout! {
    /// include/linux/mmzone.h, up to 5.13.
    struct PagesetLayout = "per_cpu_pageset" in "mm/vmstat.c" {
        need count = "pcp.count",
    }
}

/// What is wanted of one zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    /// Per-CPU address of its CPUs' counters.
    pub(super) stats: Option<VirtAddr>,
    /// Per-CPU address of its CPUs' lists of free pages.
    pageset: Option<VirtAddr>,
    low: u64,
}

/// All zones of all nodes.
#[derive(Debug)]
pub(super) struct Nodes {
    zones: Vec<Zone>,
    stats: Vec<VirtAddr>,
    pageset_holds_stats: bool,
    lost: u64,
}

impl Nodes {
    pub(super) fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let node_layout: PgdatCountersLayout = kernel.layout()?;
        let zone_layout: ZoneLayout = kernel.layout()?;
        let mut nodes = Self {
            zones: Vec::new(),
            stats: Vec::new(),
            pageset_holds_stats: zone_layout.per_cpu_zonestats.is_none(),
            lost: 0,
        };
        for at in zones::nodes(kernel) {
            let Some(Ok(record)) = at.map(|at| {
                kernel
                    .space
                    .read_bytes(at, node_layout.struct_size.min(1 << 20))
            }) else {
                nodes.lost += 1;
                continue;
            };
            let stats = node_layout.per_cpu_nodestats;
            nodes
                .stats
                .extend(stats.map(|field| VirtAddr(field.get(&record))));
            let size = zone_layout.struct_size.max(1);
            let start = node_layout.zones.offset as usize;
            let end = start + node_layout.zones.size as usize;
            let array = record.get(start..end).unwrap_or_default();
            let zones = array.chunks_exact(size).take(MAX_ZONES);
            nodes.zones.extend(zones.map(|zone| zone_layout.zone(zone)));
        }
        Ok(nodes)
    }

    pub(super) fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// Per-CPU addresses of the nodes' differences.
    pub(super) fn node_stats(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        self.stats.iter().copied()
    }

    /// Whether CPUs keep a zone's differences beside its free pages, as up to 5.13.
    pub(super) fn pageset_holds_stats(&self) -> bool {
        self.pageset_holds_stats
    }

    /// Sum of the low watermarks, with what was put on top of them for a time.
    pub(super) fn low_watermarks(&self) -> u64 {
        self.zones
            .iter()
            .fold(0, |sum, zone| sum.saturating_add(zone.low))
    }

    /// How many nodes the dump lacks.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Free pages on the CPUs' own lists, which no counter has. `None` if they can't be read.
    pub(super) fn pages_of_cpus(
        &self,
        kernel: &Kernel,
        cpus: &Cpus,
    ) -> Result<Option<u64>, KernelError> {
        let field = match self.pageset_holds_stats {
            false => kernel.layout::<PagesLayout>()?.count,
            true => kernel.layout::<PagesetLayout>()?.count,
        };
        let mut sum = 0u64;
        for pageset in self.zones.iter().filter_map(|zone| zone.pageset) {
            for (_, at) in cpus.instances(pageset) {
                match kernel.space.read_u32(at.plus(u64::from(field.offset))) {
                    Ok(count) => sum += u64::try_from(count.cast_signed()).unwrap_or(0),
                    Err(_) => return Ok(None),
                }
            }
        }
        Ok(Some(sum))
    }
}

impl ZoneLayout {
    fn zone(&self, record: &[u8]) -> Zone {
        let pageset = self.per_cpu_pageset.map(|field| field.get(record));
        let stats = match self.per_cpu_zonestats {
            Some(field) => Some(field.get(record)),
            None => pageset,
        };
        // A zone without memory has the boot CPU's, as all others of its kind.
        let populated = self.present.get(record) > 0;
        let address = |value: Option<u64>| value.filter(|_| populated).map(VirtAddr);
        let low = u64_at(record, self.watermark.offset as usize + WMARK_LOW * 8);
        let boost = self.boost.map_or(0, |field| field.get(record));
        Zone {
            stats: address(stats),
            pageset: address(pageset),
            low: low.unwrap_or(0).saturating_add(boost),
        }
    }
}
