//! The pass over what always counts: the kernel's own pages, stacks, words of page structures.

use rayon::prelude::*;

use super::holders::Source;
use super::omit::OmittedRanges;
use super::scan::{Counts, Edge, Scan};
use super::words::each_address;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::dump::PageFault;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::tasks::Stacks;
use crate::subsys::mm::slab::Progress;

/// Pages taken at a time: contiguous in the file, small enough to share out evenly.
const PAGES: usize = 128;

/// What words are searched in: a page, or a stack.
struct Memory {
    /// Where a page lies; stacks are in pieces.
    start: Option<PhysAddr>,
    may_hold_variables: bool,
    of_module: bool,
}

impl Memory {
    const STACK: Self = Self {
        start: None,
        may_hold_variables: false,
        of_module: false,
    };

    /// Where the word at this offset lies.
    fn at(&self, offset: usize) -> Option<PhysAddr> {
        Some(self.start?.plus(offset as u64))
    }

    fn source(&self, offset: usize) -> Source {
        match self.at(offset) {
            Some(at) if self.may_hold_variables => Source::Root(at),
            Some(_) => Source::Memory,
            None => Source::Stack,
        }
    }
}

impl Scan<'_> {
    /// Marks what the words of memory point to that is always reachable, or as far as the area or
    /// block `from` is.
    fn mark_from(&self, bytes: &[u8], counts: &mut Counts, from: Option<u32>, memory: &Memory) {
        each_address(bytes, |offset, word| {
            if self.targets.may_point(word)
                && let Some((object, cache)) = self.targets.object(word)
            {
                counts.totals.pointers += 1;
                if from != Some(object) {
                    self.mark(from, object, &mut counts.area_edges);
                }
                // Variables of modules are few and tell the most.
                if memory.of_module || self.found.holders.wants(object, cache) {
                    counts.held.push((object, cache, memory.source(offset)));
                }
                if self.cache_of_caches == Some(cache)
                    && let Source::Root(at) = memory.source(offset)
                {
                    counts.cache_pointers.push((word, at));
                }
            } else if self.areas.may_point(word)
                && let Some(area) = self.areas.pointed_to(word, memory.at(offset), from)
            {
                self.mark(from, area, &mut counts.area_edges);
            }
        });
        counts.totals.words += bytes.len() as u64 / 8;
        self.hand_over(&mut counts.held);
    }

    /// Marks what a root, or a reachable area or block, points to; of any other it is kept.
    fn mark(&self, from: Option<u32>, to: u32, edges: &mut Vec<Edge>) {
        match from {
            Some(area) if !self.found.marked.get(area) => {
                if edges.last() != Some(&(area, to)) && !self.found.marked.get(to) {
                    edges.push((area, to));
                }
            }
            _ => {
                self.found.marked.set(to);
            }
        }
    }

    /// Words of page structures, gathered while the memmap was read.
    pub(crate) fn page_structures(&self, words: &[u64]) {
        let mut counts = Counts::default();
        for word in words {
            if let Some((object, cache)) = self.targets.object(*word) {
                self.found.marked.set(object);
                if self.found.holders.wants(object, cache) {
                    counts.held.push((object, cache, Source::PageStructure));
                }
            }
        }
        counts.totals.words += words.len() as u64;
        self.finish(counts);
    }

    /// All pages that may hold the kernel's pointers, but for slabs and stacks.
    pub(crate) fn roots(
        &self,
        kinds: &PageKinds,
        omitted: &OmittedRanges,
        progress: &dyn Progress,
    ) {
        let sections: Vec<(Pfn, usize)> = kinds.index().sections().collect();
        let per_section = kinds.index().section_pages().div_ceil(PAGES);
        progress.start("searching roots", kinds.index().len() as u64);
        (0..sections.len() * per_section)
            .into_par_iter()
            // One that is done takes the next: some batches hold much and most hold nothing.
            .with_max_len(1)
            .for_each_init(Vec::new, |page, batch| {
                let Some((start, number)) = sections.get(batch / per_section) else {
                    return;
                };
                let first = batch % per_section * PAGES;
                if !self.out_of_time() {
                    self.root_batch(
                        Pfn(start.0 + first as u64),
                        number + first,
                        kinds,
                        omitted,
                        page,
                    );
                }
                progress.step(PAGES as u64);
            });
    }

    fn root_batch(
        &self,
        start: Pfn,
        number: usize,
        kinds: &PageKinds,
        omitted: &OmittedRanges,
        page: &mut Vec<u8>,
    ) {
        let dump = self.kernel.dump();
        let mut counts = Counts::default();
        page.resize(dump.page_size(), 0);
        for at in 0..PAGES {
            let kind = kinds.at(number + at);
            if !kind.holds_pointers() {
                continue;
            }
            let pfn = Pfn(start.0 + at as u64);
            match dump.read_page(pfn, page) {
                Ok(()) => {
                    counts.totals.root_pages += 1;
                    omitted.clear(pfn, page);
                    let phys = pfn.start(dump.page_shift());
                    if let Some(watch) = &self.found.watch {
                        watch.look(page, |offset| {
                            let at = phys.plus(offset as u64);
                            (Source::Root(at), self.kernel.space.direct_map_address(at))
                        });
                    }
                    let from = match kind {
                        PageKind::Vmalloc => self.areas.of_page(pfn),
                        PageKind::LargeKmalloc => self.block_of(phys),
                        _ => None,
                    };
                    let of_module = self.symbols.is_of_module(pfn);
                    let memory = Memory {
                        start: Some(phys),
                        may_hold_variables: of_module || self.symbols.is_of_kernel(pfn),
                        of_module,
                    };
                    self.mark_from(page, &mut counts, from, &memory);
                }
                // No RAM: a hole that the memmap covers.
                Err(PageFault::NotInDump(_)) => {}
                Err(_) => counts.totals.root_missing += 1,
            }
        }
        self.finish(counts);
    }

    /// The block of large kmalloc that lies at an address.
    fn block_of(&self, phys: PhysAddr) -> Option<u32> {
        let at = self.kernel.space.direct_map_address(phys);
        let (number, _) = self.targets.object(at.0)?;
        self.targets.blocks().contains(&number).then_some(number)
    }

    /// The live parts of all stacks.
    pub(crate) fn stacks(&self, stacks: &Stacks) {
        stacks.stacks.par_iter().with_min_len(64).for_each(|stack| {
            let mut counts = Counts::default();
            let start = stack.live.0 & !7;
            let len = (stack.end.0.saturating_sub(start)) as usize;
            let mut bytes = vec![0; len];
            // Page by page: the part that is there counts.
            let page = self.kernel.dump().page_size();
            let mut at = start;
            let mut rest = bytes.as_mut_slice();
            while !rest.is_empty() {
                let step = (page - at as usize % page).min(rest.len());
                let (now, later) = rest.split_at_mut(step);
                counts.totals.root_pages += 1;
                if self.kernel.space.read(VirtAddr(at), now).is_err() {
                    counts.totals.root_missing += 1;
                }
                at += step as u64;
                rest = later;
            }
            if let Some(watch) = &self.found.watch {
                let at = VirtAddr(start);
                watch.look(&bytes, |offset| (Source::Stack, at.plus(offset as u64)));
            }
            self.mark_from(&bytes, &mut counts, None, &Memory::STACK);
            self.finish(counts);
        });
    }
}
