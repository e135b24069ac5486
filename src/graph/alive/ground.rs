//! What is no object of a slab: areas of vmalloc and the kernel's own pages, in blocks, and from
//! any word to the object, area or block that it points into.
//!
//! Blocks are what the page allocator gave out as one; pages that were set apart at boot are one
//! block as far as they touch. A pointer to a page's structure leads to its block, too.

use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::graph::areas::Areas;
use crate::graph::search::Search;
use crate::graph::targets::Targets;
use crate::kernel::Kernel;
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::page_kinds::{PageBlock, PageKinds};

/// More pages than this are two blocks: offsets have 32 bits.
const MOST: u64 = 1 << 18;

/// Pages that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) first: Pfn,
    pub(super) pages: u64,
    /// Set apart at boot.
    pub(super) reserved: bool,
}

impl Block {
    fn end(&self) -> u64 {
        self.first.0 + self.pages
    }

    /// Whether one that follows is a part of it.
    fn takes(&self, next: &Self, joins: bool) -> bool {
        let fits = self.pages + next.pages <= MOST && self.reserved == next.reserved;
        joins && fits && self.end() == next.first.0
    }
}

/// A part of the image: where it is mapped, its bytes, its block and where in that it begins.
#[derive(Clone, Copy, Debug)]
struct ImagePart {
    start: u64,
    len: u64,
    block: u32,
    at: u64,
}

/// The kernel's pages, and all that words may point to.
pub(super) struct Ground<'a> {
    pub(super) targets: &'a Targets,
    pub(super) areas: &'a Areas,
    pub(super) blocks: Vec<Block>,
    /// Bytes of page cache, by the address of the file's `address_space`.
    pub(super) files: Vec<(VirtAddr, u64)>,
    image: Vec<ImagePart>,
    memmap: &'a Memmap,
    /// Where the structure of page 0 would be, as far as there is one map.
    structures: u64,
    structure: u64,
    end: Pfn,
    pub(super) shift: u32,
}

impl<'a> Ground<'a> {
    pub(super) fn of(search: &'a Search<'_>) -> Self {
        let kernel = search.kernel;
        let shift = kernel.dump().page_shift();
        let (blocks, files) = blocks(kernel, &search.memmap, &search.kinds, shift);
        let first = search.kinds.index().sections().next();
        let structure = search.memmap.struct_page_size() as u64;
        let structures = first.and_then(|(pfn, _)| {
            let at = search.memmap.page_address(pfn)?;
            Some(at.0.wrapping_sub(pfn.0.wrapping_mul(structure)))
        });
        let first_block = search.targets.objects.saturating_add(search.areas.len());
        Self {
            targets: &search.targets,
            areas: &search.areas,
            image: image(kernel, &blocks, first_block, shift),
            blocks,
            files,
            memmap: &search.memmap,
            structures: structures.unwrap_or(0),
            structure,
            end: search.kinds.index().end(),
            shift,
        }
    }

    /// The number of the first area.
    pub(super) fn first_area(&self) -> u32 {
        self.targets.objects
    }

    /// The number of the first block.
    pub(super) fn first_block(&self) -> u32 {
        self.first_area().saturating_add(self.areas.len())
    }

    /// One past the last number.
    pub(super) fn end(&self) -> u32 {
        self.first_block().saturating_add(self.blocks.len() as u32)
    }

    /// The block that a page is of.
    pub(super) fn block_of(&self, phys: PhysAddr) -> Option<(u32, u64)> {
        let pfn = Pfn::containing(phys, self.shift);
        let place = self
            .blocks
            .partition_point(|block| block.first <= pfn)
            .checked_sub(1)?;
        let block = self.blocks.get(place)?;
        let into = phys.0 - block.first.start(self.shift).0;
        (pfn.0 < block.end()).then(|| (self.first_block() + place as u32, into))
    }

    /// What a word points into, and how far from the start of that.
    pub(super) fn node(&self, word: u64, at: Option<PhysAddr>) -> Option<(u32, u64)> {
        if self.targets.may_point(word) {
            if let Some((object, _)) = self.targets.object(word) {
                let (start, _) = self.targets.address(object)?;
                return Some((object, word - start.0));
            }
            return self.block_of(self.targets.physical(word)?);
        }
        if self.areas.may_point(word)
            && let Some(number) = self.areas.pointed_to(word, at, None)
        {
            let (_, area) = self.areas.at(VirtAddr(word))?;
            return Some((number, word - area.start.0));
        }
        self.in_image(word).or_else(|| self.by_structure(word))
    }

    /// Whether a block is a part of the image.
    pub(super) fn is_image(&self, number: u32) -> bool {
        self.image.iter().any(|part| part.block == number)
    }

    fn in_image(&self, word: u64) -> Option<(u32, u64)> {
        let place = self
            .image
            .partition_point(|part| part.start <= word)
            .checked_sub(1)?;
        let part = self.image.get(place)?;
        let within = word - part.start;
        (within < part.len).then_some((part.block, part.at + within))
    }

    /// A page's structure stands for the page.
    fn by_structure(&self, word: u64) -> Option<(u32, u64)> {
        let number = word.wrapping_sub(self.structures) / self.structure.max(1);
        let pfn = Pfn(number);
        if pfn >= self.end || self.memmap.page_address(pfn) != Some(VirtAddr(word)) {
            return None;
        }
        self.block_of(pfn.start(self.shift))
    }

    /// Where a place in an area or block is mapped; parts of the image by the image.
    pub(super) fn address(&self, kernel: &Kernel, number: u32, at: u64) -> Option<VirtAddr> {
        if let Some(place) = number.checked_sub(self.first_block()) {
            let part = self
                .image
                .iter()
                .find(|part| part.block == number && part.at <= at && at - part.at < part.len);
            if let Some(part) = part {
                return Some(VirtAddr(part.start + (at - part.at)));
            }
            let block = self.blocks.get(place as usize)?;
            let phys = block.first.start(self.shift).plus(at);
            return Some(kernel.space.direct_map_address(phys));
        }
        let mut all = self.areas.holders();
        all.find(|(area, _)| *area == number)
            .map(|(_, area)| area.start.plus(at))
    }

    /// The parts of the image: address, bytes, block, and where in it they begin.
    pub(super) fn image_parts(&self) -> impl Iterator<Item = (VirtAddr, u64, u32, u64)> + '_ {
        let parts = self.image.iter();
        parts.map(|part| (VirtAddr(part.start), part.len, part.block, part.at))
    }
}

/// Blocks by their first page, and what files have in memory.
fn blocks(
    kernel: &Kernel,
    memmap: &Memmap,
    kinds: &PageKinds,
    shift: u32,
) -> (Vec<Block>, Vec<(VirtAddr, u64)>) {
    let of_chunk = |chunk: &Chunk<'_>| {
        let mut blocks: Vec<(Block, bool)> = Vec::new();
        let mut files: Vec<(VirtAddr, u64)> = Vec::new();
        kinds.blocks(chunk, |first, pages, kind| {
            let mut add = |reserved, joins| {
                let block = Block {
                    first,
                    pages,
                    reserved,
                };
                match blocks.last_mut() {
                    Some((last, _)) if last.takes(&block, joins) => last.pages += pages,
                    _ => blocks.push((block, joins)),
                }
            };
            match kind {
                PageBlock::Reserved => add(true, true),
                PageBlock::Kernel => add(false, false),
                PageBlock::Behind => add(false, true),
                PageBlock::File(mapping) => match files.last_mut() {
                    Some((last, bytes)) if *last == mapping => *bytes += pages << shift,
                    _ => files.push((mapping, pages << shift)),
                },
            }
        });
        (blocks, files)
    };
    let mut blocks: Vec<Block> = Vec::new();
    let mut files = Vec::new();
    for (of_chunk, its_files) in memmap.scan(kernel, |_| (), of_chunk) {
        for (block, joins) in of_chunk {
            match blocks.last_mut() {
                Some(last) if last.takes(&block, joins) => last.pages += block.pages,
                _ => blocks.push(block),
            }
        }
        files.extend(its_files);
    }
    (blocks, files)
}

/// Which of the blocks that were set apart at boot are parts of the image, by address.
fn image(kernel: &Kernel, blocks: &[Block], first: u32, shift: u32) -> Vec<ImagePart> {
    let start = kernel.symbol("_text").or_else(|| kernel.symbol("_stext"));
    let (Some(start), Some(end)) = (start, kernel.symbol("_end")) else {
        return Vec::new();
    };
    let mut parts: Vec<ImagePart> = Vec::new();
    for (number, block) in (first..).zip(blocks).filter(|(_, block)| block.reserved) {
        for page in 0..block.pages {
            let phys = Pfn(block.first.0 + page).start(shift);
            let Some(at) = kernel.space.image_address(phys) else {
                continue;
            };
            if at.plus(1 << shift) <= start || at >= end {
                continue;
            }
            match parts.last_mut() {
                Some(last) if last.block == number && last.start + last.len == at.0 => {
                    last.len += 1 << shift;
                }
                _ => parts.push(ImagePart {
                    start: at.0,
                    len: 1 << shift,
                    block: number,
                    at: page << shift,
                }),
            }
        }
    }
    parts.sort_by_key(|part| part.start);
    parts
}
