//! From slabs, chains, nodes and CPUs to the numbers of each cache.
//!
//! Per slab: free objects are those on its own chain, on the chain of the CPU whose
//! current slab it is, in sheaves, and those whose free was put off. The chain is compared
//! with the slab's counters, the scan with the nodes' counters.

use rayon::prelude::*;

use super::children;
use super::era::SlabEra;
use super::freelist::{Freelists, Geometry};
use super::one_cache::OneCache;
use super::places::{Marks, Places, SlabKind};
use super::range::Unsure;
use super::visit::{SlabView, SlabVisitor};
use super::warnings;
use super::{CacheFacts, Progress, SlabFacts, SlabHeap};
use crate::kernel::KernelError;

/// Into how many parts the slabs are divided at least, where there are enough: threads that are
/// done take the next.
const PARTS: usize = 256;

/// The running sums of one cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) slabs: u64,
    pub(super) objects: u64,
    pub(super) free: u64,
    pub(super) pending_free: u64,
    /// Free ones by the slabs' own counters.
    pub(super) counted_free: u64,
    pub(super) pages: u64,
    pub(super) full: u64,
    pub(super) empty: u64,
    pub(super) fallback_order: u64,
    pub(super) broken_freelists: u64,
    pub(super) circular_freelists: u64,
    pub(super) counter_mismatches: u64,
    pub(super) doubly_free: u64,
    pub(super) rcu_slabs: u64,
    pub(super) kfence_pages: u64,
    pub(super) unsure: Unsure,
}

impl Sum {
    fn merge(&mut self, other: &Sum) {
        self.slabs += other.slabs;
        self.objects += other.objects;
        self.free += other.free;
        self.pending_free += other.pending_free;
        self.counted_free += other.counted_free;
        self.pages += other.pages;
        self.full += other.full;
        self.empty += other.empty;
        self.fallback_order += other.fallback_order;
        self.broken_freelists += other.broken_freelists;
        self.circular_freelists += other.circular_freelists;
        self.counter_mismatches += other.counter_mismatches;
        self.doubly_free += other.doubly_free;
        self.rcu_slabs += other.rcu_slabs;
        self.kfence_pages += other.kfence_pages;
        self.unsure.merge(other.unsure);
    }
}

impl SlabHeap<'_> {
    fn add<V: SlabVisitor>(
        &self,
        sum: &mut Sum,
        freelists: &Freelists<'_>,
        index: usize,
        places: &Places,
        (marks, visitor, batch): (&mut Marks, &V, &mut V::Batch),
    ) {
        let Some(slab) = self.scan.slabs.get(index) else {
            return;
        };
        let Some(cache) = self.caches.get(slab.cache as usize) else {
            return;
        };
        match self.kind(index, slab, places) {
            SlabKind::Kfence => return sum.kfence_pages += 1,
            SlabKind::AwaitingRcu => return sum.rcu_slabs += 1,
            SlabKind::Live => {}
        }
        let geometry = Geometry::of(self.kernel, cache, slab);
        self.mark_free(freelists, &geometry, index, slab, places, marks);
        let counted = u64::from(slab.objects.saturating_sub(slab.inuse));
        let objects = u64::from(slab.objects);
        let own = if marks.own_whole { marks.own } else { counted };
        let free = (own + marks.elsewhere).min(objects);
        let pending = marks.pending_free.min(objects - free);
        let unused = free + pending;
        sum.slabs += 1;
        sum.objects += objects;
        sum.free += free;
        sum.pending_free += pending;
        sum.counted_free += counted;
        sum.pages += 1 << slab.order;
        sum.full += u64::from(unused == 0);
        sum.empty += u64::from(unused >= objects);
        sum.fallback_order += u64::from(1 << slab.order < cache.pages_per_slab);
        sum.broken_freelists += u64::from(!marks.whole());
        sum.circular_freelists += u64::from(marks.circular);
        sum.counter_mismatches += u64::from(marks.own_whole && marks.own != counted);
        sum.doubly_free += marks.doubled;
        let unsure = Unsure::of_slab(slab, marks, objects - unused);
        sum.unsure.merge(unsure);
        visitor.slab(
            batch,
            &SlabView {
                index,
                slab,
                cache,
                geometry: &geometry,
                marks,
                trusted: marks.whole() && marks.own == counted && marks.doubled == 0,
            },
        );
    }
}

/// What must be known before free chains are walked.
#[derive(Debug)]
pub struct Prepared<'k> {
    places: Places,
    freelists: Freelists<'k>,
}

impl<'k> Prepared<'k> {
    pub(super) fn of(heap: &SlabHeap<'k>) -> Self {
        let (places, freelists) = rayon::join(
            || Places::of(heap),
            || Freelists::probe(heap.kernel, &heap.caches, &heap.scan.slabs),
        );
        Self { places, freelists }
    }
}

pub(super) fn facts(
    heap: &SlabHeap<'_>,
    prepared: &Prepared<'_>,
    progress: &dyn Progress,
    visitor: &impl SlabVisitor,
) -> Result<SlabFacts, KernelError> {
    let Prepared { places, freelists } = prepared;
    progress.start("walking freelists", heap.scan.slabs.len() as u64);
    let (aliases, sums) = rayon::join(
        || heap.aliases(),
        || count(heap, freelists, places, progress, visitor),
    );
    let aliases = aliases?;
    let page_size = heap.kernel.dump().page_size() as u64;
    let caches: Vec<CacheFacts> = sums
        .iter()
        .zip(aliases.of_caches)
        .enumerate()
        .filter_map(|(index, (sum, aliases))| {
            let cache = OneCache::of(heap, places, index, sum)?;
            Some(cache.facts(heap, aliases, page_size))
        })
        .collect();
    warnings::warn(heap, &caches);
    Ok(SlabFacts {
        caches: children::fold(heap.kernel, &heap.caches, caches),
        complete: heap.is_complete() && aliases.lost == 0,
        missing_page_structs: heap.scan.missing,
        stray_slabs: heap.scan.strays,
        slab_mark: heap.scan.mark.describe(),
        freelist_encoding: match heap.era {
            SlabEra::Slab => "arrays of indices",
            _ => freelists.encoding().describe(),
        },
    })
}

/// The sums of all caches, by one pass over all slabs.
fn count(
    heap: &SlabHeap<'_>,
    freelists: &Freelists<'_>,
    places: &Places,
    progress: &dyn Progress,
    visitor: &impl SlabVisitor,
) -> Vec<Sum> {
    const BATCH: usize = 256;
    let empty = || vec![Sum::default(); heap.caches.len()];
    let batches = heap.scan.slabs.par_chunks(BATCH);
    // Parts that can't be divided are small, but each has sums of its own.
    let most = (batches.len() / PARTS).max(1);
    batches
        .enumerate()
        .with_max_len(most)
        .fold(empty, |mut sums, (batch, slabs)| {
            let mut marks = Marks::default();
            let mut visits = visitor.begin();
            for (offset, slab) in slabs.iter().enumerate() {
                if let Some(sum) = sums.get_mut(slab.cache as usize) {
                    let seen = (&mut marks, visitor, &mut visits);
                    heap.add(sum, freelists, batch * BATCH + offset, places, seen);
                }
            }
            visitor.end(visits);
            progress.step(slabs.len() as u64);
            sums
        })
        .reduce(empty, |mut sums, others| {
            for (sum, other) in sums.iter_mut().zip(&others) {
                sum.merge(other);
            }
            sums
        })
}
