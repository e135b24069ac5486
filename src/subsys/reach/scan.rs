//! The two passes over memory: the roots, then all slabs.
//!
//! Each page is read once, in the order of the file. An object that is known to be
//! reachable when its slab is passed marks what it points to at once; of any other the
//! references are kept, until it is known what becomes of it (`closure`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::areas::Areas;
use super::bitmap::Bitmap;
use super::closure::Edges;
use super::holders::{Held, Holders, Source};
use super::omit::{OmittedRanges, SeenObjects};
use super::targets::Targets;
use super::watch::Watch;
use super::words::each_address;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::dump::PageFault;
use crate::kernel::Kernel;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::tasks::Stacks;
use crate::subsys::slab::{Progress, SlabHeap};

/// Pages taken at a time: contiguous in the file, small enough to share out evenly.
const PAGES: usize = 512;

/// From an object to one that it points to, by number.
pub(crate) type Edge = (u32, u32);

/// What the passes know and find.
pub(crate) struct Scan<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) targets: &'a Targets,
    pub(crate) areas: &'a Areas,
    pub(crate) seen: &'a SeenObjects,
    /// The number of the cache that caches' own structures come from.
    pub(crate) cache_of_caches: Option<u32>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) found: Found,
    /// Pages of modules, whose variables are few and tell the most.
    pub(crate) module_pages: FxHashSet<Pfn>,
    pub(super) edges: Mutex<Vec<Vec<Edge>>>,
    /// From areas and blocks of large kmalloc.
    area_edges: Mutex<Vec<Edge>>,
    /// How many more references there is room for.
    pub(crate) room: AtomicU64,
}

/// What a scan finds, shared by all threads.
pub(crate) struct Found {
    /// Objects in use whose state is certain.
    pub(crate) allocated: Bitmap,
    /// Objects that are free.
    pub(crate) free: Bitmap,
    /// Objects that something reachable points into.
    pub(crate) marked: Bitmap,
    totals: Mutex<Totals>,
    /// Whether time ran out.
    pub(crate) stopped: AtomicBool,
    /// References that there was no room for.
    pub(crate) dropped: AtomicU64,
    pub(crate) holders: Holders,
    /// Whose referrers are wanted.
    pub(crate) watch: Option<Watch>,
}

/// How much was looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) root_pages: u64,
    pub(crate) root_missing: u64,
    pub(crate) slab_pages: u64,
    pub(crate) slab_missing: u64,
    pub(crate) words: u64,
    pub(crate) pointers: u64,
    pub(crate) doubtful: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.root_pages += other.root_pages;
        self.root_missing += other.root_missing;
        self.slab_pages += other.slab_pages;
        self.slab_missing += other.slab_missing;
        self.words += other.words;
        self.pointers += other.pointers;
        self.doubtful += other.doubtful;
    }
}

impl Found {
    /// How much was looked at.
    pub(crate) fn totals(&self) -> Totals {
        lock(&self.totals).clone()
    }
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        targets: &'a Targets,
        areas: &'a Areas,
        seen: &'a SeenObjects,
        heap: &SlabHeap<'_>,
        deadline: Option<Instant>,
    ) -> Self {
        let nodes = targets.objects.saturating_add(areas.len());
        Self {
            found: Found {
                allocated: Bitmap::new(nodes),
                free: Bitmap::new(nodes),
                marked: Bitmap::new(nodes),
                totals: Mutex::default(),
                stopped: AtomicBool::new(false),
                dropped: AtomicU64::new(0),
                holders: Holders::of(targets, heap.caches()),
                watch: None,
            },
            module_pages: FxHashSet::default(),
            edges: Mutex::default(),
            area_edges: Mutex::default(),
            room: AtomicU64::new(u64::MAX),
            kernel,
            targets,
            areas,
            seen,
            cache_of_caches: heap.find("kmem_cache").map(|index| index as u32),
            deadline,
        }
    }

    pub(super) fn out_of_time(&self) -> bool {
        let late = self.deadline.is_some_and(|at| Instant::now() >= at);
        if late {
            self.found.stopped.store(true, Ordering::Relaxed);
        }
        late
    }

    /// Marks what the words of memory point to that is always reachable, or as far as the area or
    /// block `from` is. `source` says where a word lies, by its offset.
    /// With `all`, who holds them is counted for all objects and not for a sample.
    fn mark_from(
        &self,
        bytes: &[u8],
        counts: &mut Counts,
        from: Option<u32>,
        all: bool,
        source: impl Fn(usize) -> Source,
    ) {
        each_address(bytes, |offset, word| {
            if self.targets.may_point(word)
                && let Some((object, cache)) = self.targets.object(word)
            {
                counts.totals.pointers += 1;
                if from != Some(object) {
                    self.mark(from, object, &mut counts.area_edges);
                }
                if all || self.found.holders.wants(object, cache) {
                    counts.held.push((object, cache, source(offset)));
                }
                if self.cache_of_caches == Some(cache)
                    && let Source::Root(at) = source(offset)
                {
                    counts.cache_pointers.push((word, at));
                }
            } else if self.areas.may_point(word) {
                let at = match source(offset) {
                    Source::Root(at) => Some(at),
                    _ => None,
                };
                if let Some(area) = self.areas.pointed_to(word, at, from) {
                    self.mark(from, area, &mut counts.area_edges);
                }
            }
        });
        counts.totals.words += bytes.len() as u64 / 8;
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
                    let all = self.module_pages.contains(&pfn);
                    let from = match kind {
                        PageKind::Vmalloc => self.areas.of_page(pfn),
                        PageKind::LargeKmalloc => self.block_of(phys),
                        _ => None,
                    };
                    self.mark_from(page, &mut counts, from, all, |offset| {
                        Source::Root(phys.plus(offset as u64))
                    });
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
            self.mark_from(&bytes, &mut counts, None, false, |_| Source::Stack);
            self.finish(counts);
        });
    }

    pub(super) fn finish(&self, counts: Counts) {
        lock(&self.found.totals).add(&counts.totals);
        self.found.holders.add(&counts.held);
        self.found.holders.add_cache_pointers(counts.cache_pointers);
        if !counts.area_edges.is_empty() && self.take_room(counts.area_edges.len()) {
            let mut edges = lock(&self.area_edges);
            edges.extend(counts.area_edges);
        }
    }

    /// Marks what areas point to that are known to be reachable once all roots are passed, so
    /// that fewer references of objects have to be kept.
    pub(crate) fn follow_areas(&self) {
        let edges = Edges::new(lock(&self.area_edges).clone());
        edges.propagate(&self.found.marked);
    }

    /// Takes room for so many references; whether there is any.
    pub(super) fn take_room(&self, count: usize) -> bool {
        let count = count as u64;
        let take = |room: u64| room.checked_sub(count);
        let taken = self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_err() {
            self.found.dropped.fetch_add(count, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// The references of objects that were not reachable when they were passed, and of areas,
    /// by source.
    pub(crate) fn into_edges(self) -> (Found, Vec<Edge>) {
        let mut batches = self
            .edges
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        batches.sort_by_key(|batch| batch.first().copied());
        let of_areas = self.area_edges.into_inner();
        let mut of_areas = of_areas.unwrap_or_else(PoisonError::into_inner);
        // Areas and blocks are numbered behind all objects of slabs.
        of_areas.sort_unstable();
        of_areas.dedup();
        batches.push(of_areas);
        (self.found, batches.concat())
    }
}

/// What one batch counts by itself.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) totals: Totals,
    pub(super) held: Vec<Held>,
    cache_pointers: Vec<(u64, PhysAddr)>,
    area_edges: Vec<Edge>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
