//! /proc/pagetypeinfo (mm/vmstat.c): free blocks, and blocks of pages, by who may have them.

use serde::Serialize;

use super::layouts::{NodeLayout, ZoneLayout};
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::layout;
use crate::kernel::literals::{self, Literal};
use crate::kernel::memmap::Memmap;
use crate::kernel::page_blocks::PageBlocks;
use crate::kernel::page_zone::ZoneMap;
use crate::kernel::{Kernel, KernelError, walk, zones};

layout! {
    /// include/linux/mmzone.h
    struct ListsLayout = "free_area" in "mm/page_alloc.c" {
        need lists = "free_list",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct LinkLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need lru = "lru",
    }
}

/// Free blocks of each list that are asked which kind of block they are in.
const ASKED: u64 = 16;
/// A list is counted so far where the file is capped, since 5.4 (commit 93b3a674485f).
const CAP: u64 = 100_000;
/// MIGRATE_TYPES and their names.
const MAX_KINDS: usize = 16;
const MAX_NAME: usize = 32;

/// The blocks on a free list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FreeList {
    /// How many.
    pub blocks: u64,
    /// Whether there may be more: the kernel counts to 100,000.
    pub capped: bool,
}

/// One zone that has memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ZoneBlocks {
    /// Its name.
    pub name: String,
    /// Of each kind, its lists by order.
    pub free: Vec<Vec<FreeList>>,
    /// Blocks of pages of each kind.
    pub blocks: Vec<u64>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeBlocks {
    /// Its number.
    pub node: u64,
    /// Its zones that have memory.
    pub zones: Vec<ZoneBlocks>,
}

/// All of the file, but for the mixed blocks of a kernel with page_owner=on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PagetypeFacts {
    /// Pages of a block are 2^this.
    pub block_order: u32,
    /// `Unmovable`, `Movable`, ….
    pub kinds: Vec<String>,
    /// Those that have memory.
    pub nodes: Vec<NodeBlocks>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Walks all free lists, and asks every block of pages.
///
/// # Errors
/// If the kernel's types or symbols lack what zones are made of.
pub fn pagetypes(kernel: &Kernel) -> Result<PagetypeFacts, KernelError> {
    let reader = Reader::new(kernel)?;
    let mut facts = PagetypeFacts {
        block_order: reader.blocks.order,
        kinds: names(kernel, reader.blocks.kinds)?,
        nodes: Vec::new(),
        complete: reader.memmap.lost_pages() == 0 && reader.map.complete,
    };
    for at in zones::nodes(kernel) {
        match at.and_then(|at| reader.node(at, &mut facts.complete)) {
            Some(node) if node.zones.is_empty() => {}
            Some(node) => facts.nodes.push(node),
            None => facts.complete = false,
        }
    }
    if !facts.complete {
        kernel.diag.warn(
            "free-list-broken",
            "a free list, or what is noted of blocks of pages, is broken or missing: what can't be counted is left out; take the dump with kernel pages included",
        );
    }
    if kernel.bool_of("page_owner_inited").value() == Some(true) {
        kernel.diag.note(
            "mixed-blocks",
            "with page_owner=on the kernel counts mixed blocks of pages too: those lines are left out",
        );
    }
    Ok(facts)
}

fn names(kernel: &Kernel, count: usize) -> Result<Vec<String>, KernelError> {
    let at = kernel.need_symbol("migratetype_names")?;
    let name = |index: usize| {
        let name = kernel.space.read_ptr(at.plus(index as u64 * 8))?;
        kernel.space.read_c_string(name, MAX_NAME)
    };
    let names = (0..count).map(name).collect::<Result<_, _>>();
    names.map_err(|fault| KernelError::Memory {
        what: "the names of kinds of blocks (migratetype_names)",
        fault,
    })
}

struct Reader<'k> {
    kernel: &'k Kernel,
    node: NodeLayout,
    zone: ZoneLayout,
    lists: ListsLayout,
    memmap: Memmap,
    blocks: PageBlocks,
    map: ZoneMap,
    /// Whether lists are counted to their end.
    uncapped: bool,
}

impl<'k> Reader<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let node: NodeLayout = kernel.layout()?;
        let zone: ZoneLayout = kernel.layout()?;
        let lists: ListsLayout = kernel.layout()?;
        let memmap = Memmap::find(kernel)?;
        let orders = zone.free_area.size as usize / lists.struct_size;
        let kinds = (lists.lists.size as usize / 16).min(MAX_KINDS);
        let largest = orders.saturating_sub(1).min(32) as u32;
        let mut reader = Self {
            blocks: PageBlocks::read(kernel, &memmap, largest, kinds)?,
            map: ZoneMap::read(kernel, &memmap)?,
            uncapped: matches!(literals::find(kernel, ["%s%6lu "]), [Literal::Absent]),
            node,
            zone,
            lists,
            memmap,
            kernel,
        };
        reader.tell_order(&kernel.layout()?);
        Ok(reader)
    }

    /// Nothing shows in which order blocks are noted: both are tried on free blocks, which lie in
    /// blocks of the kind whose list they are on.
    fn tell_order(&mut self, link: &LinkLayout) {
        let free = self.some_free(link);
        let fit = |from_top: bool| {
            let mut blocks = self.blocks;
            blocks.from_top = from_top;
            let kind = |pfn: Pfn| blocks.kind(self.kernel, &self.memmap, pfn).ok().flatten();
            free.iter()
                .filter(|(pfn, of)| kind(*pfn) == Some(*of))
                .count()
        };
        let (bottom, top) = (fit(false), fit(true));
        self.blocks.from_top = top > bottom;
        let (value, fits) = match self.blocks.from_top {
            true => ("from the top of a word", top),
            false => ("from the bottom of a word", bottom),
        };
        let how = format!(
            "{fits} of {} free blocks lie in one of their kind",
            free.len()
        );
        self.kernel.diag.assume("pageblock_flags", value, how);
    }

    /// Some free blocks, with the kind of list that they are on.
    fn some_free(&self, link: &LinkLayout) -> Vec<(Pfn, u64)> {
        let mut found = Vec::new();
        let size = self.zone.struct_size as u64;
        for node in zones::nodes(self.kernel).into_iter().flatten() {
            let zones = node.plus(u64::from(self.node.zones.offset));
            for zone in 0..self.node.nr_zones_max(self.zone.struct_size) as u64 {
                let areas = zones.plus(zone * size + u64::from(self.zone.free_area.offset));
                for kind in 0..self.blocks.kinds {
                    for order in 0..self.orders() {
                        let head = self.head(areas, kind, order);
                        let list = walk::list(&self.kernel.space, head, ASKED);
                        let pages = list.value.iter();
                        let pages = pages.map(|at| at.minus(u64::from(link.lru.offset)));
                        let pages = pages.filter_map(|page| self.memmap.pfn_of(page));
                        found.extend(pages.map(|pfn| (pfn, kind as u64)));
                    }
                }
            }
        }
        found
    }

    fn orders(&self) -> usize {
        self.zone.free_area.size as usize / self.lists.struct_size
    }

    /// Of a list of free blocks in the areas at `areas`.
    fn head(&self, areas: VirtAddr, kind: usize, order: usize) -> VirtAddr {
        let within = u64::from(self.lists.lists.offset) + kind as u64 * 16;
        areas.plus((order * self.lists.struct_size) as u64 + within)
    }

    fn node(&self, at: VirtAddr, complete: &mut bool) -> Option<NodeBlocks> {
        let space = &self.kernel.space;
        let size = self.zone.struct_size.max(1);
        let record = space.read_bytes(at, self.node.struct_size.min(1 << 20));
        let record = record.ok()?;
        let node = self.node.id.get(&record);
        let mut found = Vec::new();
        for index in 0..self.node.nr_zones_max(size) {
            let offset = self.node.zones.offset as usize + index * size;
            let bytes = record.get(offset..offset + size)?;
            if self.zone.present_pages.get(bytes) == 0 {
                continue;
            }
            let name = VirtAddr(self.zone.name.get(bytes));
            found.push(ZoneBlocks {
                name: space.read_c_string(name, MAX_NAME).ok()?,
                free: self.free(at.plus(offset as u64), complete),
                blocks: self.blocks((node as usize, index), bytes, complete),
            });
        }
        Some(NodeBlocks { node, zones: found })
    }

    /// The lists of the zone at `zone`: of each kind, by order.
    fn free(&self, zone: VirtAddr, complete: &mut bool) -> Vec<Vec<FreeList>> {
        let areas = zone.plus(u64::from(self.zone.free_area.offset));
        let mut of = |kind: usize, order: usize| {
            let head = self.head(areas, kind, order);
            let bound = match self.uncapped {
                true => self.memmap.pages(),
                false => CAP,
            };
            let list = walk::list(&self.kernel.space, head, bound);
            let capped = !self.uncapped && list.seen >= CAP;
            *complete &= list.end.is_complete() || capped;
            FreeList {
                blocks: list.seen,
                capped,
            }
        };
        let kinds = 0..self.blocks.kinds;
        kinds
            .map(|kind| (0..self.orders()).map(|order| of(kind, order)).collect())
            .collect()
    }

    /// Blocks of pages of a zone, from its first page on in steps of a block.
    fn blocks(&self, zone: (usize, usize), record: &[u8], complete: &mut bool) -> Vec<u64> {
        let mut counts = vec![0u64; self.blocks.kinds];
        let first = self.zone.start_pfn.get(record);
        let end = first.saturating_add(self.zone.spanned_pages.get(record));
        let end = end.min(self.memmap.end().0);
        let step = 1usize << self.blocks.order;
        for pfn in (first..end).step_by(step).map(Pfn) {
            if !self.memmap.is_online(pfn) {
                continue;
            }
            match self.kind_in(zone, pfn) {
                Some(Some(kind)) => {
                    if let Some(count) = counts.get_mut(kind as usize) {
                        *count += 1;
                    }
                }
                Some(None) => {}
                None => *complete = false,
            }
        }
        counts
    }

    /// The kind of a block, if its page is of this zone; `None` if that can't be read.
    fn kind_in(&self, zone: (usize, usize), pfn: Pfn) -> Option<Option<u64>> {
        let of = self.map.of(self.kernel, &self.memmap, pfn)?;
        if (of.node, of.index) != zone {
            return Some(None);
        }
        let kind = self.blocks.kind(self.kernel, &self.memmap, pfn).ok()?;
        // A section that keeps none is no page allocator's.
        Some(kind)
    }
}
