//! Which node and zone a page is of: by the range that a zone spans and, where ranges overlap, by
//! the uppermost bits of the page's flags (include/linux/page-flags-layout.h).

use std::ops::Range;

use super::cpus::node_count;
use super::layout::layout;
use super::memmap::Memmap;
use super::{Kernel, KernelError, zones};
use crate::addr::{Pfn, VirtAddr};

layout! {
    /// include/linux/mmzone.h
    struct NodeLayout = "pglist_data" in "mm/page_alloc.c" {
        need zones = "node_zones",
        need id = "node_id",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct SpanLayout = "zone" in "mm/page_alloc.c" {
        need name = "name",
        need start = "zone_start_pfn",
        need spanned = "spanned_pages",
        need present = "present_pages",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct FlagsLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need flags = "flags.f" | "flags",
    }
}

const MAX_ZONES: usize = 8;
const MAX_NAME: usize = 32;

/// One zone that has memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The number of its node.
    pub node: usize,
    /// Its place in the node.
    pub index: usize,
    /// `DMA32`, `Normal`, ….
    pub name: String,
    /// From its first page to its last.
    pub pages: Range<u64>,
}

/// All zones that have memory.
#[derive(Clone, Debug)]
pub struct ZoneMap {
    /// In the order of nodes.
    pub zones: Vec<Zone>,
    /// Whether all could be read.
    pub complete: bool,
    bits: Option<Bits>,
    flags_at: u64,
}

impl ZoneMap {
    /// Reads what zones span.
    ///
    /// # Errors
    /// If the kernel's types lack what zones are made of.
    pub fn read(kernel: &Kernel, memmap: &Memmap) -> Result<Self, KernelError> {
        let node: NodeLayout = kernel.layout()?;
        let span: SpanLayout = kernel.layout()?;
        let flags: FlagsLayout = kernel.layout()?;
        let count = (node.zones.size as usize / span.struct_size.max(1)).min(MAX_ZONES);
        let mut map = Self {
            zones: Vec::new(),
            complete: true,
            bits: Bits::read(kernel, memmap, count),
            flags_at: u64::from(flags.flags.offset),
        };
        for at in zones::nodes(kernel) {
            let Some(at) = at else {
                map.complete = false;
                continue;
            };
            for index in 0..count {
                match zone(kernel, at, index, &node, &span) {
                    Some(Some(zone)) => map.zones.push(zone),
                    Some(None) => {}
                    None => map.complete = false,
                }
            }
        }
        Ok(map)
    }

    /// The zone of a page; `None` if it is of none, or if that can't be told.
    pub fn of(&self, kernel: &Kernel, memmap: &Memmap, pfn: Pfn) -> Option<&Zone> {
        let (place, _) = self.run(kernel, memmap, pfn);
        self.zones.get(place?)
    }

    /// The place of a page's zone among all, and up to which page all are of the same.
    pub fn run(&self, kernel: &Kernel, memmap: &Memmap, pfn: Pfn) -> (Option<usize>, u64) {
        let around = |(_, zone): &(usize, &Zone)| zone.pages.contains(&pfn.0);
        let mut all = self.zones.iter().enumerate().filter(around);
        let first = all.next().map(|(place, _)| place);
        if all.next().is_some() {
            return (self.by_flags(kernel, memmap, pfn), pfn.0 + 1);
        }
        let edges = self.zones.iter();
        let edges = edges.flat_map(|zone| [zone.pages.start, zone.pages.end]);
        let end = edges.filter(|edge| *edge > pfn.0).min();
        (first, end.unwrap_or(u64::MAX))
    }

    /// Where several zones span a page.
    fn by_flags(&self, kernel: &Kernel, memmap: &Memmap, pfn: Pfn) -> Option<usize> {
        let at = memmap.page_address(pfn)?.plus(self.flags_at);
        let flags = kernel.space.read_u64(at).ok()?;
        let own = self.bits?.of(flags);
        let mut zones = self.zones.iter();
        zones.position(|zone| (zone.node, zone.index) == own)
    }
}

/// `Some(None)` if it has no memory.
fn zone(
    kernel: &Kernel,
    at: VirtAddr,
    index: usize,
    node: &NodeLayout,
    span: &SpanLayout,
) -> Option<Option<Zone>> {
    let space = &kernel.space;
    let id = space.read_u32(at.plus(u64::from(node.id.offset))).ok()?;
    let offset = node.zones.offset as usize + index * span.struct_size;
    let record = space.read_bytes(at.plus(offset as u64), span.len).ok()?;
    if span.present.get(&record) == 0 {
        return Some(None);
    }
    let name = VirtAddr(span.name.get(&record));
    let start = span.start.get(&record);
    Some(Some(Zone {
        node: id as usize,
        index,
        name: space.read_c_string(name, MAX_NAME).ok()?,
        pages: start..start.saturating_add(span.spanned.get(&record)),
    }))
}

/// Where node and zone stand in `page.flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    node: u32,
    zone: u32,
}

impl Bits {
    /// `zones` is how many a node has. `None` where the number of the section stands in front of
    /// them: without a virtually contiguous memmap.
    fn read(kernel: &Kernel, memmap: &Memmap, zones: usize) -> Option<Self> {
        memmap.bias()?;
        // MAX_NUMNODES pointers; another variable may begin some words behind them.
        let node = match kernel.symbol("node_data") {
            None => 0,
            Some(_) => {
                let room = kernel.symbol_room("node_data")? / 8;
                let most = room.max(node_count(kernel) as u64);
                most.checked_ilog2()?.min(10)
            }
        };
        Some(Self {
            node,
            // ZONES_SHIFT
            zone: zones.max(1).next_power_of_two().ilog2(),
        })
    }

    /// Numbers of the node and of the zone in it.
    fn of(self, flags: u64) -> (usize, usize) {
        let field = |above: u32, bits: u32| match bits {
            0 => 0,
            _ => flags << above >> (64 - bits),
        };
        let (node, zone) = (field(0, self.node), field(self.node, self.zone));
        (node as usize, zone as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// include/linux/page-flags-layout.h: | NODE | ZONE | … | FLAGS |
    #[test]
    fn the_node_stands_above_the_zone() {
        let bits = Bits { node: 10, zone: 3 };
        assert_eq!(bits.of((5 << 54) | (2 << 51) | 0x7ff), (5, 2));
        let one_node = Bits { node: 0, zone: 2 };
        assert_eq!(one_node.of((3 << 62) | 1), (0, 3));
    }
}
