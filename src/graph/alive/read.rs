//! One pass over all memory that may hold pointers: every word that points to a node, with where it
//! lies and where it leads.
//!
//! What `leaks` leaves out as stale is left out here. Invariants: each page is read once; a page
//! that the dump lacks is counted and never read as zeros.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::ground::Ground;
use super::links::{Link, Reference};
use crate::addr::{Pfn, VirtAddr};
use crate::dump::PageFault;
use crate::graph::bitmap::Bitmap;
use crate::graph::search::Search;
use crate::graph::words::each_address;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::tasks::Stack;
use crate::subsys::mm::slab::visit::{SlabView, SlabVisitor};

/// Pages taken at a time.
const PAGES: u64 = 128;

/// A reference is kept in a batch, in one list of all, and once sorted.
const BYTES: u64 = 3 * size_of::<Reference>() as u64;

/// Pages of one node that follow each other.
struct Run {
    node: u32,
    /// In bytes from the start of the node.
    at: u64,
    first: Where,
    pages: u64,
}

#[derive(Clone, Copy)]
enum Where {
    Physical(Pfn),
    Mapped(VirtAddr),
}

/// What the pass found.
pub(super) struct Read {
    /// Objects in use, and all areas and blocks.
    pub(super) live: Bitmap,
    /// In no order.
    pub(super) references: Vec<Reference>,
    /// Whether there was no memory for more.
    pub(super) is_full: bool,
    /// Pages that the dump lacks.
    pub(super) missing: u64,
}

/// The pass.
pub(super) struct Reader<'a> {
    search: &'a Search<'a>,
    ground: &'a Ground<'a>,
    found: Mutex<Vec<Vec<Reference>>>,
    live: Bitmap,
    /// How many more references there is room for.
    room: AtomicU64,
    is_full: AtomicBool,
    missing: AtomicU64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(search: &'a Search<'a>, ground: &'a Ground<'a>, memory: Option<u64>) -> Self {
        Self {
            search,
            ground,
            found: Mutex::default(),
            live: Bitmap::new(ground.end()),
            room: AtomicU64::new(memory.map_or(u64::MAX, |bytes| bytes / BYTES)),
            is_full: AtomicBool::new(false),
            missing: AtomicU64::new(0),
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Read {
        let found = self.found.into_inner();
        Read {
            live: self.live,
            references: found.unwrap_or_else(PoisonError::into_inner).concat(),
            is_full: self.is_full.into_inner(),
            missing: self.missing.into_inner(),
        }
    }

    /// Areas, blocks of pages, blocks of large kmalloc.
    pub(super) fn pages(&self) {
        let runs = self.runs();
        runs.into_par_iter()
            .with_min_len(8)
            .for_each_init(Vec::new, |page, run| {
                let mut found = Vec::new();
                self.run(&run, page, &mut found);
                self.keep(found);
            });
    }

    fn runs(&self) -> Vec<Run> {
        let ground = self.ground;
        let mut runs = Vec::new();
        let mut add = |node, first: Where, pages: u64| {
            self.live.set(node);
            for start in (0..pages).step_by(PAGES as usize) {
                let at = start << ground.shift;
                let first = match first {
                    Where::Physical(pfn) => Where::Physical(Pfn(pfn.0 + start)),
                    Where::Mapped(va) => Where::Mapped(va.plus(at)),
                };
                let pages = PAGES.min(pages - start);
                runs.push(Run {
                    node,
                    at,
                    first,
                    pages,
                });
            }
        };
        for (number, area) in ground.areas.holders() {
            let pages = area.pages.min(area.bytes() >> ground.shift);
            add(number, Where::Mapped(area.start), pages);
        }
        for number in ground.targets.blocks() {
            let place = ground.targets.address(number);
            let found = place.and_then(|(at, len)| Some((ground.targets.physical(at.0)?, len)));
            if let Some((phys, len)) = found {
                let pfn = Pfn::containing(phys, ground.shift);
                add(number, Where::Physical(pfn), u64::from(len) >> ground.shift);
            }
        }
        for (number, block) in (ground.first_block()..).zip(&ground.blocks) {
            add(number, Where::Physical(block.first), block.pages);
        }
        runs
    }

    fn run(&self, run: &Run, page: &mut Vec<u8>, found: &mut Vec<Reference>) {
        let kernel = self.search.kernel;
        let shift = self.ground.shift;
        page.resize(kernel.dump().page_size(), 0);
        for index in 0..run.pages {
            let pfn = match run.first {
                Where::Physical(first) => Pfn(first.0 + index),
                Where::Mapped(first) => match kernel.space.translate(first.plus(index << shift)) {
                    Ok(mapping) => Pfn::containing(mapping.phys, shift),
                    // The guard page, or what the dump lacks: the address space has said so.
                    Err(_) => continue,
                },
            };
            let kind = self.search.kinds.get(pfn);
            if !kind.holds_pointers() {
                continue;
            }
            if let Err(fault) = kernel.dump().read_page(pfn, page) {
                // No RAM: a hole that the memmap covers. All else is missing.
                let is_hole = matches!(fault, PageFault::NotInDump(_))
                    && matches!(kind, PageKind::Reserved | PageKind::Kernel)
                    && !self.ground.is_image(run.node);
                self.missing
                    .fetch_add(u64::from(!is_hole), Ordering::Relaxed);
                continue;
            }
            self.search.omitted.clear(pfn, page);
            let at = run.at + (index << shift);
            let start = pfn.start(shift);
            each_address(page, |offset, word| {
                let place = start.plus(offset as u64);
                let target = self.ground.node(word, Some(place));
                add(found, (run.node, at + offset as u64), target);
            });
        }
    }

    /// The live parts of stacks, numbered from `first` on.
    pub(super) fn stacks(&self, first: u32, stacks: &[Stack]) {
        let numbered: Vec<(u32, &Stack)> = (first..).zip(stacks).collect();
        numbered
            .into_par_iter()
            .with_min_len(16)
            .for_each(|(node, stack)| {
                let start = stack.live.0 & !7;
                let len = stack.end.0.saturating_sub(start) as usize;
                let mut bytes = vec![0; len];
                let missing = self
                    .search
                    .kernel
                    .space
                    .read_there(VirtAddr(start), &mut bytes);
                self.missing
                    .fetch_add(missing.len() as u64, Ordering::Relaxed);
                let mut found = Vec::new();
                each_address(&bytes, |offset, word| {
                    add(
                        &mut found,
                        (node, offset as u64),
                        self.ground.node(word, None),
                    );
                });
                self.keep(found);
            });
    }

    /// Words of page structures, all of which count as one node.
    pub(super) fn page_structures(&self, node: u32) {
        let mut found = Vec::new();
        // They stand in the order in which threads met them, and where each lay is not kept.
        let mut words = self.search.structures.clone();
        words.sort_unstable();
        for (at, word) in (0u64..).zip(&words) {
            if self.ground.targets.may_point(*word) {
                add(&mut found, (node, at * 8), self.ground.node(*word, None));
            }
        }
        self.keep(found);
    }

    fn keep(&self, found: Vec<Reference>) {
        if found.is_empty() {
            return;
        }
        let count = found.len() as u64;
        let take = |room: u64| room.checked_sub(count);
        match self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        {
            Ok(_) => {
                let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(found);
            }
            Err(_) => self.is_full.store(true, Ordering::Relaxed),
        }
    }
}

/// Takes a reference, but for the words of an empty list, which point to themselves.
fn add(found: &mut Vec<Reference>, (source, at): (u32, u64), target: Option<(u32, u64)>) {
    let Some((target, into)) = target else {
        return;
    };
    if source == target && (into == at || into + 8 == at) {
        return;
    }
    // No block is that large.
    let (Ok(at), Ok(into)) = (u32::try_from(at), u32::try_from(into)) else {
        return;
    };
    let link = Link { at, target, into };
    found.push(Reference { source, link });
}

/// What is gathered over a batch of slabs.
#[derive(Default)]
pub(super) struct Batch {
    found: Vec<Reference>,
    bytes: Vec<u8>,
    missing: Vec<bool>,
}

impl SlabVisitor for Reader<'_> {
    type Batch = Batch;

    fn begin(&self) -> Batch {
        Batch::default()
    }

    fn slab(&self, batch: &mut Batch, view: &SlabView<'_>) {
        let targets = &self.search.targets;
        let seen = &self.search.seen;
        let (Some(span), Some(shape)) = (
            targets.slabs.get(view.index),
            seen.shapes.get(view.slab.cache as usize),
        ) else {
            return;
        };
        self.read_slab(batch, view);
        let page = self.search.kernel.dump().page_size();
        let base = view.geometry.base().0;
        let short = seen.short.in_slab(view.index as u32);
        let kmemleak = seen.kmemleak.as_ref();
        let kmemleak = kmemleak.filter(|objects| objects.are_of(view.slab.cache));
        for index in (0..span.objects).filter(|at| !view.is_free(*at) && !view.is_pending(*at)) {
            let object = span.first + index;
            self.live.set(object);
            let start = (span.start - base) as usize + index as usize * span.stride as usize;
            let pages = start / page..=(start + shape.len.max(1) - 1) / page;
            let lost = batch.missing.get(pages);
            if lost.is_none_or(|lost| lost.contains(&true)) {
                continue;
            }
            let limit = short.iter().find(|(at, _)| *at == index);
            let len = limit.map_or(shape.len, |(_, len)| *len);
            let Some(bytes) = batch.bytes.get_mut(start..start + len) else {
                continue;
            };
            if let Some(kmemleak) = kmemleak {
                kmemleak.clear(bytes);
            }
            let is_record = self.search.areas.is_record(span.cache, bytes);
            let found = &mut batch.found;
            let at = targets.physical(base + start as u64);
            each_address(bytes, |offset, word| {
                let place = is_record && self.search.areas.is_place_in_record(offset);
                if shape.hole != Some(offset) && !place {
                    let at = at.map(|at| at.plus(offset as u64));
                    add(found, (object, offset as u64), self.ground.node(word, at));
                }
            });
        }
    }

    fn end(&self, batch: Batch) {
        self.keep(batch.found);
    }
}

impl Reader<'_> {
    fn read_slab(&self, batch: &mut Batch, view: &SlabView<'_>) {
        let dump = self.search.kernel.dump();
        let pages = 1usize << view.slab.order;
        batch.bytes.resize(pages * dump.page_size(), 0);
        batch.missing.clear();
        let slots = batch.bytes.chunks_exact_mut(dump.page_size());
        for (at, out) in (0u64..).zip(slots) {
            let lost = dump.read_page(Pfn(view.slab.pfn.0 + at), out).is_err();
            self.missing.fetch_add(u64::from(lost), Ordering::Relaxed);
            batch.missing.push(lost);
        }
    }
}
