//! The two passes over memory: the roots, then all slabs.
//!
//! Each page is read once, in the order of the file. An object that is known to be
//! reachable when its slab is passed marks what it points to at once; of any other the
//! references are kept, until it is known what becomes of it (`closure`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::bitmap::Bitmap;
use super::holders::{Holders, Source};
use super::omit::{OmittedRanges, Shape, ShortObjects};
use super::targets::Targets;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::dump::PageFault;
use crate::kernel::Kernel;
use crate::kernel::page_kinds::PageKinds;
use crate::kernel::tasks::Stacks;
use crate::subsys::slab::Progress;
use crate::subsys::slab::visit::{SlabView, SlabVisitor};

/// Pages taken at a time: contiguous in the file, small enough to share out evenly.
const PAGES: usize = 512;

/// From an object to one that it points to, by number.
pub(crate) type Edge = (u32, u32);

/// What the passes know and find.
pub(crate) struct Scan<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) targets: &'a Targets,
    pub(crate) shapes: &'a [Shape],
    pub(crate) short: &'a ShortObjects,
    /// The number of the cache that caches' own structures come from.
    pub(crate) cache_of_caches: Option<u32>,
    pub(crate) deadline: Option<Instant>,
    /// Objects in use whose state is certain.
    pub(crate) allocated: Bitmap,
    /// Objects that are free.
    pub(crate) free: Bitmap,
    /// Objects that something reachable points into.
    pub(crate) marked: Bitmap,
    pub(crate) totals: Totals,
    pub(crate) stopped: AtomicBool,
    edges: Mutex<Vec<Vec<Edge>>>,
    pub(crate) holders: Holders,
}

/// How much was looked at.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) root_pages: AtomicU64,
    pub(crate) root_missing: AtomicU64,
    pub(crate) slab_pages: AtomicU64,
    pub(crate) slab_missing: AtomicU64,
    pub(crate) words: AtomicU64,
    pub(crate) pointers: AtomicU64,
    pub(crate) doubtful: AtomicU64,
}

fn add(total: &AtomicU64, count: u64) {
    total.fetch_add(count, Ordering::Relaxed);
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word))
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        targets: &'a Targets,
        shapes: &'a [Shape],
        short: &'a ShortObjects,
        cache_of_caches: Option<u32>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            allocated: Bitmap::new(targets.objects),
            free: Bitmap::new(targets.objects),
            marked: Bitmap::new(targets.objects),
            holders: Holders::of(targets),
            totals: Totals::default(),
            stopped: AtomicBool::new(false),
            edges: Mutex::default(),
            kernel,
            targets,
            shapes,
            short,
            cache_of_caches,
            deadline,
        }
    }

    fn out_of_time(&self) -> bool {
        let late = self.deadline.is_some_and(|at| Instant::now() >= at);
        if late {
            self.stopped.store(true, Ordering::Relaxed);
        }
        late
    }

    /// Marks what the words of memory that is always reachable point to. `source` says where
    /// a word lies, by its offset.
    fn mark_from(&self, bytes: &[u8], counts: &mut Counts, source: impl Fn(usize) -> Source) {
        for (index, word) in words(bytes).enumerate() {
            if self.targets.may_point(word)
                && let Some((object, cache)) = self.targets.object(word)
            {
                counts.pointers += 1;
                self.marked.set(object);
                if self.holders.wants(object, cache) {
                    counts.held.push((cache, source(index * 8)));
                }
                if self.cache_of_caches == Some(cache)
                    && let Source::Root(at) = source(index * 8)
                {
                    counts.cache_pointers.push((word, at));
                }
            }
        }
        counts.words += bytes.len() as u64 / 8;
    }

    /// Words of page structures, gathered while the memmap was read.
    pub(crate) fn page_structures(&self, words: &[u64]) {
        let mut counts = Counts::default();
        for word in words {
            if let Some((object, cache)) = self.targets.object(*word) {
                self.marked.set(object);
                if self.holders.wants(object, cache) {
                    counts.held.push((cache, Source::PageStructure));
                }
            }
        }
        counts.words += words.len() as u64;
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
            if !kinds.at(number + at).holds_pointers() {
                continue;
            }
            let pfn = Pfn(start.0 + at as u64);
            match dump.read_page(pfn, page) {
                Ok(()) => {
                    add(&self.totals.root_pages, 1);
                    omitted.clear(pfn, page);
                    let phys = pfn.start(dump.page_shift());
                    self.mark_from(page, &mut counts, |offset| {
                        Source::Root(phys.plus(offset as u64))
                    });
                }
                // No RAM: a hole that the memmap covers.
                Err(PageFault::NotInDump(_)) => {}
                Err(_) => add(&self.totals.root_missing, 1),
            }
        }
        self.finish(counts);
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
                add(&self.totals.root_pages, 1);
                if self.kernel.space.read(VirtAddr(at), now).is_err() {
                    add(&self.totals.root_missing, 1);
                }
                at += step as u64;
                rest = later;
            }
            self.mark_from(&bytes, &mut counts, |_| Source::Stack);
            self.finish(counts);
        });
    }

    fn finish(&self, counts: Counts) {
        add(&self.totals.words, counts.words);
        add(&self.totals.pointers, counts.pointers);
        self.holders.add(counts.held);
        self.holders.add_cache_pointers(counts.cache_pointers);
    }

    /// The references of objects that were not reachable when they were passed, by source.
    pub(crate) fn into_edges(self) -> (Found, Vec<Edge>) {
        let mut batches = self
            .edges
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        batches.sort_by_key(|batch| batch.first().copied());
        let found = Found {
            allocated: self.allocated,
            free: self.free,
            marked: self.marked,
            totals: self.totals,
            stopped: self.stopped.into_inner(),
            holders: self.holders,
        };
        (found, batches.concat())
    }
}

/// What is left of a scan when memory has been read.
pub(crate) struct Found {
    pub(crate) allocated: Bitmap,
    pub(crate) free: Bitmap,
    pub(crate) marked: Bitmap,
    pub(crate) totals: Totals,
    pub(crate) stopped: bool,
    pub(crate) holders: Holders,
}

/// What one batch counts by itself.
#[derive(Default)]
struct Counts {
    words: u64,
    pointers: u64,
    held: Vec<(u32, Source)>,
    cache_pointers: Vec<(u64, PhysAddr)>,
}

/// What is gathered over a batch of slabs.
#[derive(Default)]
pub(crate) struct SlabBatch {
    counts: Counts,
    edges: Vec<Edge>,
    bytes: Vec<u8>,
    missing: Vec<bool>,
    late: bool,
}

impl SlabVisitor for Scan<'_> {
    type Batch = SlabBatch;

    fn begin(&self) -> SlabBatch {
        SlabBatch {
            late: self.out_of_time(),
            ..SlabBatch::default()
        }
    }

    fn slab(&self, batch: &mut SlabBatch, view: &SlabView<'_>) {
        let number = view.index as u32;
        let (Some(span), Some(shape), false) = (
            self.targets.slabs.get(view.index),
            self.shapes.get(view.slab.cache as usize),
            batch.late,
        ) else {
            return;
        };
        self.read_slab(batch, view);
        if !view.trusted {
            add(&self.totals.doubtful, 1);
        }
        let page = self.kernel.dump().page_size();
        let base = view.geometry.base().0;
        let short = self.short.in_slab(number);
        for index in 0..span.objects {
            let object = span.first + index;
            if view.is_free(index) {
                self.free.set(object);
                continue;
            }
            if view.is_pending(index) {
                continue;
            }
            let start = (span.start - base) as usize + index as usize * span.stride as usize;
            let pages = start / page..=(start + span.stride as usize - 1) / page;
            let lost = batch
                .missing
                .get(pages)
                .is_none_or(|lost| lost.contains(&true));
            if view.trusted && !lost {
                self.allocated.set(object);
            }
            let limit = short.iter().find(|(at, _)| *at == index);
            let len = limit.map_or(shape.len, |(_, len)| *len);
            self.object(
                batch,
                object,
                view.slab.cache,
                start,
                Shape { len, ..*shape },
            );
        }
    }

    fn end(&self, batch: SlabBatch) {
        self.finish(batch.counts);
        if !batch.edges.is_empty() {
            let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
            edges.push(batch.edges);
        }
    }
}

impl Scan<'_> {
    fn read_slab(&self, batch: &mut SlabBatch, view: &SlabView<'_>) {
        let dump = self.kernel.dump();
        let pages = 1usize << view.slab.order;
        batch.bytes.resize(pages * dump.page_size(), 0);
        batch.missing.clear();
        add(&self.totals.slab_pages, pages as u64);
        let slots = batch.bytes.chunks_exact_mut(dump.page_size());
        for (at, out) in (0u64..).zip(slots) {
            // Through the cache: the free chain has just been walked over the same pages.
            let page = dump.page(Pfn(view.slab.pfn.0 + at));
            match &page {
                Ok(page) if page.len() == out.len() => out.copy_from_slice(page),
                _ => {
                    out.fill(0);
                    add(&self.totals.slab_missing, 1);
                }
            }
            batch.missing.push(page.is_err());
        }
    }

    /// One object in use, at `start` in the batch's bytes.
    fn object(&self, batch: &mut SlabBatch, object: u32, cache: u32, start: usize, shape: Shape) {
        let SlabBatch {
            bytes,
            edges,
            counts,
            ..
        } = batch;
        let Some(bytes) = bytes.get(start..start + shape.len) else {
            return;
        };
        let reachable = self.marked.get(object);
        counts.words += bytes.len() as u64 / 8;
        for (index, word) in words(bytes).enumerate() {
            if !self.targets.may_point(word) || shape.free_pointer == Some(index * 8) {
                continue;
            }
            let Some((target, of)) = self.targets.object(word) else {
                continue;
            };
            counts.pointers += 1;
            if target == object {
                continue;
            }
            if self.holders.wants(target, of) {
                counts
                    .held
                    .push((of, Source::Object(cache, index as u32 * 8)));
            }
            if reachable {
                self.marked.set(target);
            } else if !self.marked.get(target) && edges.last() != Some(&(object, target)) {
                edges.push((object, target));
            }
        }
    }
}
