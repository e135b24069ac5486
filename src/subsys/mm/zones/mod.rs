//! Memory zones: watermarks, counters, free blocks by order, and what CPUs keep of them.
//!
//! Layer: subsys. Input: every node's `pglist_data`. Output: [`ZonesFacts`], in the order of
//! /proc/zoneinfo and under the names that this kernel prints (its `vmstat_text`). Invariant:
//! values are those of the files: what CPUs have not handed over is not added, but for NUMA
//! events, which the kernel sums when the file is read.

mod blocks;
mod items;
mod layouts;
mod reclaim;
mod text;
mod vmstat;

use serde::Serialize;

pub use self::blocks::{FreeList, NodeBlocks, PagetypeFacts, ZoneBlocks, pagetypes};
use self::items::{Items, Names};
use self::layouts::{FreeAreaLayout, NodeLayout, PcpReader, ZoneLayout};
pub use self::reclaim::ReclaimFacts;
use self::reclaim::ReclaimReader;
pub use self::text::ZoneinfoText;
pub use self::vmstat::{VmstatFacts, vmstat};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError, cpus, zones};

/// A number under the name that the kernel prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// `nr_free_pages`.
    pub name: String,
    /// The value: pages, but for those that are called otherwise.
    pub value: u64,
}

/// What one CPU keeps of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PagesetFacts {
    /// The CPU.
    pub cpu: u32,
    /// Free pages on its lists.
    pub count: u64,
    /// Beyond so many it gives some back.
    pub high: u64,
    /// So many at a time.
    pub batch: u64,
    /// The least that `high` may be set to by itself: 6.7 and later.
    pub high_min: Option<u64>,
    /// The most.
    pub high_max: Option<u64>,
    /// Differences of counters up to which it keeps them for itself.
    pub threshold: u64,
}

/// One zone.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ZoneFacts {
    /// `DMA32`, `Normal`, ….
    pub name: String,
    /// Of its node.
    pub node: usize,
    /// Its first page.
    pub start_pfn: u64,
    /// Pages from its first to its last.
    pub spanned: u64,
    /// Of these, those that exist.
    pub present: u64,
    /// Of these, those that the page allocator has.
    pub managed: u64,
    /// Of these, for contiguous allocations (5.x and later count them).
    pub cma: Option<u64>,
    /// Free pages by the zone's counter.
    pub free: u64,
    /// min, low, high and, from 6.1 on, promo, with `boost` on top of each.
    pub watermarks: Vec<u64>,
    /// What is put on top of the watermarks for a time, against fragmentation.
    pub boost: u64,
    /// Pages kept from requests that could be met by a higher zone, by the zone asked for.
    pub protection: Vec<i64>,
    /// Free blocks of each order, from 0 on.
    pub free_blocks: Vec<u64>,
    /// Pages set aside for requests that can't wait.
    pub reserved_highatomic: Option<u64>,
    /// Of these, the free ones: 6.13 and later.
    pub free_highatomic: Option<u64>,
    /// The zone's counters.
    pub counters: Vec<Counter>,
    /// Where memory was asked for and where it came from; none with one node's kernels.
    pub numa_events: Vec<Counter>,
    /// What reclaim noted of each zone: up to 4.7, later of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reclaim: Option<ReclaimFacts>,
    /// By CPU that was up, or kept pages all the same.
    pub pagesets: Vec<PagesetFacts>,
}

/// One node.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct NodeFacts {
    /// Its number.
    pub node: usize,
    /// The node's counters.
    pub counters: Vec<Counter>,
    /// Whether kswapd gave up on it.
    pub unreclaimable: bool,
    /// Its zones, those without memory too.
    pub zones: Vec<ZoneFacts>,
}

/// All nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ZonesFacts {
    /// In order.
    pub nodes: Vec<NodeFacts>,
    /// Whether all could be read.
    pub complete: bool,
}

/// MAX_RECLAIM_RETRIES (mm/internal.h): so many failures, and kswapd sleeps until told.
const MAX_FAILURES: u64 = 16;

/// Reads all nodes and zones.
///
/// # Errors
/// If the kernel's types or symbols lack what zones are made of.
pub fn collect(kernel: &Kernel) -> Result<ZonesFacts, KernelError> {
    let reader = Reader::new(kernel)?;
    let mut facts = ZonesFacts {
        nodes: Vec::new(),
        complete: true,
    };
    for at in zones::nodes(kernel) {
        match at.and_then(|at| reader.node(at)) {
            Some(node) => facts.nodes.push(node),
            None => facts.complete = false,
        }
    }
    if !facts.complete {
        kernel.diag.warn(
            "node-lost",
            "a node or one of its zones can't be read: take the dump with kernel pages included",
        );
    }
    Ok(facts)
}

struct Reader<'k> {
    kernel: &'k Kernel,
    node: NodeLayout,
    zone: ZoneLayout,
    area: FreeAreaLayout,
    pcp: PcpReader,
    reclaim: Option<ReclaimReader>,
    names: Names,
    up: Vec<u32>,
    cpus: cpus::Cpus,
}

impl<'k> Reader<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let zone: ZoneLayout = kernel.layout()?;
        Ok(Self {
            node: kernel.layout()?,
            area: kernel.layout()?,
            pcp: PcpReader::new(kernel, &zone)?,
            reclaim: ReclaimReader::new(kernel, &zone),
            names: Names::read(kernel)?,
            up: cpus::up(kernel)?,
            cpus: cpus::Cpus::read(kernel)?,
            zone,
            kernel,
        })
    }

    fn node(&self, at: VirtAddr) -> Option<NodeFacts> {
        let space = &self.kernel.space;
        let record = space
            .read_bytes(at, self.node.struct_size.min(1 << 20))
            .ok()?;
        // Numbers need not be without gaps.
        let number = self.node.id.get(&record) as u32 as usize;
        let size = self.zone.struct_size.max(1);
        let start = self.node.zones.offset as usize;
        let count = self.node.nr_zones_max(size);
        let zones = (0..count).map(|index| {
            let from = start + index * size;
            let bytes = record.get(from..from + size)?;
            self.zone(number, bytes)
        });
        let failures = self
            .node
            .kswapd_failures
            .map_or(0, |field| field.get(&record));
        Some(NodeFacts {
            node: number,
            counters: self.node.vm_stat.map_or_else(Vec::new, |field| {
                self.names.node.values(&record, field.offset as usize)
            }),
            unreclaimable: failures >= MAX_FAILURES,
            zones: zones.collect::<Option<_>>()?,
        })
    }

    fn zone(&self, node: usize, record: &[u8]) -> Option<ZoneFacts> {
        let (space, layout) = (&self.kernel.space, &self.zone);
        let name = space
            .read_c_string(VirtAddr(layout.name.get(record)), 32)
            .ok()?;
        let long = |at: usize| u64_at(record, at).unwrap_or(0);
        let array = |field: &crate::kernel::layout::Field| {
            let at = field.offset as usize;
            (0..field.size as usize / 8).map(move |index| at + index * 8)
        };
        let boost = layout.boost.map_or(0, |field| field.get(record));
        let counters = self
            .names
            .zone
            .values(record, layout.vm_stat.offset as usize);
        let present = layout.present_pages.get(record);
        let (pagesets, numa) = match present {
            0 => (Vec::new(), Items::default()),
            _ => self
                .pcp
                .read(self.kernel, &self.cpus, &self.up, record, layout)?,
        };
        let mut numa_events = Vec::new();
        if let Some(field) = layout.numa.filter(|_| present > 0) {
            numa_events = self.names.numa.values(record, field.offset as usize);
            numa.add_to(&mut numa_events);
        }
        let areas = layout.free_area.offset as usize;
        let orders = layout.free_area.size as usize / self.area.struct_size.max(1);
        let free_blocks = (0..orders).map(|order| {
            let at = areas + order * self.area.struct_size + self.area.nr_free.offset as usize;
            long(at)
        });
        let first = |name: &str| counters.iter().find(|one| one.name == name);
        Some(ZoneFacts {
            name,
            node,
            start_pfn: layout.start_pfn.get(record),
            spanned: layout.spanned_pages.get(record),
            present,
            managed: layout.managed_pages.get(record),
            cma: layout.cma_pages.map(|field| field.get(record)),
            free: first("nr_free_pages").map_or(0, |counter| counter.value),
            watermarks: array(&layout.watermark)
                .map(|at| long(at).saturating_add(boost))
                .collect(),
            boost,
            protection: array(&layout.lowmem_reserve)
                .map(|at| long(at).cast_signed())
                .collect(),
            free_blocks: free_blocks.collect(),
            reserved_highatomic: layout.reserved_highatomic.map(|field| field.get(record)),
            free_highatomic: layout.free_highatomic.map(|field| field.get(record)),
            reclaim: self
                .reclaim
                .as_ref()
                .map(|reader| reader.read(record, &counters)),
            counters,
            numa_events,
            pagesets,
        })
    }
}
