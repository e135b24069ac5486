//! The two passes over memory: the roots (`roots`), then all slabs (`objects`).
//!
//! Each page is read once, in the order of the file. An object that is known to be
//! reachable when its slab is passed marks what it points to at once; of any other the
//! references are kept, until it is known what becomes of it (`closure`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::areas::Areas;
use super::bitmap::Bitmap;
use super::closure::Edges;
use super::holders::{Held, Holders};
use super::omit::SeenObjects;
use super::pages::PageWatch;
use super::percpu::PercpuWatch;
use super::removed::RemovedWatch;
use super::targets::Targets;
use super::watch::Watch;
use super::words::Prefix;
use crate::addr::PhysAddr;
use crate::kernel::Kernel;
use crate::kernel::variables::Variables;
use crate::subsys::mm::slab::SlabHeap;

/// So many references are kept before it is counted who holds them.
const HELD: usize = 2048;

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
    pub(super) symbols: &'a Variables<'a>,
    pub(super) edges: Mutex<Vec<Vec<Edge>>>,
    /// From areas and blocks of large kmalloc.
    area_edges: Mutex<Vec<Edge>>,
    /// How many more references there is room for.
    pub(crate) room: AtomicU64,
    /// Per-CPU allocations, where they are wanted.
    percpu: Option<&'a PercpuWatch>,
    /// What their pointers have in common.
    pub(super) prefix: Option<Prefix>,
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
    pub(super) removed: RemovedWatch,
    /// The kernel's own pages, where it is wanted who points to them.
    pub(super) pages: Option<PageWatch>,
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
        symbols: &'a Variables<'a>,
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
                removed: RemovedWatch::new(kernel, heap),
                watch: None,
                pages: None,
            },
            symbols,
            edges: Mutex::default(),
            area_edges: Mutex::default(),
            room: AtomicU64::new(u64::MAX),
            percpu: None,
            prefix: None,
            kernel,
            targets,
            areas,
            seen,
            cache_of_caches: heap.find("kmem_cache").map(|index| index as u32),
            deadline,
        }
    }

    /// Looks out for per-CPU allocations.
    pub(super) fn watch_percpu(&mut self, watch: Option<&'a PercpuWatch>) {
        self.prefix = watch.and_then(|watch| watch.pointers.prefix());
        self.percpu = watch;
    }

    /// The per-CPU allocations that a word can mean, if it can mean any.
    pub(super) fn percpu(&self, word: u64) -> Option<&PercpuWatch> {
        let watch = self.percpu?;
        (watch.pointers.contains(word) || watch.addresses.contains(word)).then_some(watch)
    }

    pub(super) fn out_of_time(&self) -> bool {
        let late = self.deadline.is_some_and(|at| Instant::now() >= at);
        if late {
            self.found.stopped.store(true, Ordering::Relaxed);
        }
        late
    }

    /// Counts who holds what while it is little, so that it need not be kept.
    pub(super) fn hand_over(&self, held: &mut Vec<Held>) {
        if held.len() >= HELD {
            self.found.holders.add(held);
            held.clear();
        }
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
    pub(super) cache_pointers: Vec<(u64, PhysAddr)>,
    pub(super) area_edges: Vec<Edge>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
