//! The pass over what always counts: the kernel's own pages, stacks, words of page structures.

use std::ops::Range;

use rayon::prelude::*;

use super::holders::Source;
use super::omit::OmittedRanges;
use super::references::Memory;
use super::scan::{Counts, Scan};
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::dump::PageFault;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::tasks::Stacks;
use crate::subsys::mm::slab::Progress;

/// Pages taken at a time: contiguous in the file, small enough to share out evenly.
const PAGES: usize = 128;

impl Scan<'_> {
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
                Ok(()) => counts.totals.root_pages += 1,
                Err(fault) => {
                    // No RAM: a hole that the memmap covers. All else is missing.
                    let hole = matches!(fault, PageFault::NotInDump(_)) && !self.is_ram(pfn, kind);
                    counts.totals.root_missing += u64::from(!hole);
                    if !dump.holds_part_of(pfn) {
                        continue;
                    }
                    dump.read_part(pfn, 0, page);
                }
            }
            omitted.clear(pfn, page);
            self.root_page(pfn, kind, page, &mut counts);
        }
        self.finish(counts);
    }

    /// Whether a page is RAM whatever the dump says: the kernel uses it. Files without bitmaps
    /// can't tell a segment that is lost from a hole.
    fn is_ram(&self, pfn: Pfn, kind: PageKind) -> bool {
        matches!(kind, PageKind::Vmalloc | PageKind::LargeKmalloc)
            || self.symbols.is_of_kernel(pfn)
            || self.symbols.is_of_module(pfn)
    }

    fn root_page(&self, pfn: Pfn, kind: PageKind, page: &[u8], counts: &mut Counts) {
        let phys = pfn.start(self.kernel.dump().page_shift());
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
        let may_hold_variables = of_module || self.symbols.is_of_kernel(pfn);
        let source = |offset: usize| match may_hold_variables {
            true => Source::Root(phys.plus(offset as u64)),
            false => Source::Memory,
        };
        let memory = Memory {
            bytes: page,
            start: Some(phys),
            node: from,
            cache: None,
            hole: None,
        };
        let mut edges = std::mem::take(&mut counts.area_edges);
        // Variables of modules are few and tell the most.
        self.follow(&memory, (counts, &mut edges), of_module, source);
        counts.area_edges = edges;
        self.hand_over(&mut counts.held);
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
            let space = &self.kernel.space;
            // The part that is there counts.
            let missing = space.read_there(VirtAddr(start), &mut bytes);
            counts.totals.root_pages += space.by_page(VirtAddr(start), len).count() as u64;
            // Of a kernel that runs, the stack of a task that has ended meanwhile is no more.
            if !self.kernel.dump().is_live() {
                counts.totals.root_missing += missing.len() as u64;
            }
            let lost: usize = missing.iter().map(Range::len).sum();
            if let Some(watch) = &self.found.watch {
                let at = VirtAddr(start);
                watch.look(&bytes, |offset| (Source::Stack, at.plus(offset as u64)));
            }
            let memory = Memory {
                bytes: &bytes,
                start: None,
                node: None,
                cache: None,
                hole: None,
            };
            let seen = (&mut counts, &mut Vec::new());
            self.follow(&memory, seen, false, |_| Source::Stack);
            counts.totals.words -= lost as u64 / 8;
            self.hand_over(&mut counts.held);
            self.finish(counts);
        });
    }
}
