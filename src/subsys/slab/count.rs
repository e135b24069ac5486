//! From slabs, chains, nodes and CPUs to the numbers of each cache.
//!
//! Per slab: free objects are those on its own chain, on the chain of the CPU whose
//! current slab it is, in sheaves, and those whose free was put off. The chain is compared
//! with the slab's counters, the scan with the nodes' counters.

use rayon::prelude::*;

use super::children;
use super::era::SlabEra;
use super::freelist::{Freelists, Geometry};
use super::places::{Marks, Places, SlabKind};
use super::range::{self, Lost, Unsure};
use super::visit::{SlabView, SlabVisitor};
use super::warnings;
use super::{
    CacheFacts, Damage, ExactView, Occupancy, Progress, SlabFacts, SlabHeap, SlabinfoView, Tunables,
};
use crate::kernel::KernelError;

/// Into how many parts the slabs are divided at least, where there are enough: threads that are
/// done take the next.
const PARTS: usize = 256;

/// The running sums of one cache.
#[derive(Clone, Debug, Default)]
struct Sum {
    slabs: u64,
    objects: u64,
    free: u64,
    pending_free: u64,
    /// Free ones by the slabs' own counters.
    counted_free: u64,
    pages: u64,
    full: u64,
    empty: u64,
    fallback_order: u64,
    broken_freelists: u64,
    circular_freelists: u64,
    counter_mismatches: u64,
    doubly_free: u64,
    rcu_slabs: u64,
    kfence_pages: u64,
    unsure: Unsure,
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
        .zip(aliases)
        .enumerate()
        .filter_map(|(index, (sum, aliases))| {
            one_cache(heap, index, places, sum, aliases, page_size)
        })
        .collect();
    warnings::warn(heap, &caches);
    Ok(SlabFacts {
        caches: children::fold(heap.kernel, &heap.caches, caches),
        complete: heap.is_complete(),
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

fn one_cache(
    heap: &SlabHeap<'_>,
    index: usize,
    places: &Places,
    sum: &Sum,
    aliases: Vec<String>,
    page_size: u64,
) -> Option<CacheFacts> {
    let (cache, nodes) = (heap.caches.get(index)?, heap.nodes.get(index)?);
    let (cpus, sheaves) = (heap.cpus.get(index)?, heap.sheaves.get(index)?);
    let differs = |scanned: u64, counted: Option<u64>| match counted {
        Some(counted) if counted != scanned => Some((scanned, counted)),
        _ => None,
    };
    let damage = Damage {
        broken_freelists: sum.broken_freelists,
        circular_freelists: sum.circular_freelists,
        counter_mismatches: sum.counter_mismatches,
        lost_cpu_slabs: cpus.lost,
        broken_sheaves: sheaves.broken,
        wild_sheaf_objects: places.wild.get(index).copied().unwrap_or(0),
        doubly_free: sum.doubly_free,
        broken_partial_list: nodes.end.is_some(),
        slabs_against_counter: differs(sum.slabs, nodes.nr_slabs),
        objects_against_counter: differs(sum.objects, nodes.total_objects),
        free_against_counter: differs(sum.counted_free, nodes.free_objects),
    };
    let counters_agree = match (nodes.nr_slabs, nodes.total_objects) {
        (Some(slabs), Some(objects)) => slabs == sum.slabs && objects == sum.objects,
        _ => heap.scan.missing == 0 && nodes.end.is_none(),
    };
    let free_agrees = damage.free_against_counter.is_none();
    let classic = cache.classic.as_ref();
    let num_objs = nodes.total_objects.unwrap_or(sum.objects);
    let num_slabs = nodes.nr_slabs.unwrap_or(sum.slabs);
    let allocated = sum.objects - sum.free - sum.pending_free;
    let chains_whole = damage.broken_freelists == 0 && damage.lost_cpu_slabs == 0;
    let sheaves_whole = damage.broken_sheaves == 0 && damage.wild_sheaf_objects == 0;
    let mut facts = CacheFacts {
        name: cache.name.clone(),
        aliases,
        address: cache.address,
        object_size: cache.object_size,
        size: cache.size,
        align: cache.align,
        objects_per_slab: cache.objects_per_slab,
        pages_per_slab: cache.pages_per_slab,
        flags: heap.flags.describe(cache.flags),
        reclaimable: cache.has(heap.masks.reclaimable),
        slabinfo: SlabinfoView {
            active_objs: num_objs.saturating_sub(nodes.partial_free),
            num_objs,
            active_slabs: num_slabs.saturating_sub(nodes.free_slabs),
            num_slabs,
            tunables: classic.map_or_else(Tunables::default, |classic| classic.tunables),
            shared_avail: nodes.shared_avail,
            statistics: classic.and_then(|classic| classic.statistics),
        },
        exact: ExactView {
            slabs: sum.slabs,
            objects: sum.objects,
            allocated,
            allocated_min: allocated,
            allocated_max: allocated,
            free: sum.free,
            pending_free: sum.pending_free,
            bytes: sum.pages * page_size,
            allocated_bytes: allocated * u64::from(cache.object_size),
            complete: counters_agree && free_agrees && chains_whole && sheaves_whole,
        },
        occupancy: Occupancy {
            full: sum.full,
            partial: sum.slabs.saturating_sub(sum.full + sum.empty),
            empty: sum.empty,
            cpu: cpus.current.len() as u64,
            cpu_partial: cpus.partial.len() as u64,
            node_partial: nodes.partial.len() as u64,
            sheaves: places.in_sheaves.get(index).copied().unwrap_or(0),
            fallback_order: sum.fallback_order,
        },
        rcu_slabs: sum.rcu_slabs,
        kfence_pages: sum.kfence_pages,
        memcg_children: 0,
        damage,
    };
    if !facts.exact.complete {
        let lost = Lost {
            cpu_slabs: cpus.lost,
            in_sheaves: sheaves.hidden,
            wild: facts.damage.wild_sheaf_objects,
        };
        let exact = range::allocated(&facts, nodes, sum.unsure, lost);
        (facts.exact.allocated_min, facts.exact.allocated_max) = exact;
    }
    Some(facts)
}
