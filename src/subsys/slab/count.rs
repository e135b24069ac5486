//! From slabs, chains, nodes and CPUs to the numbers of each cache.
//!
//! Per slab: free objects are those on its own chain and, for the current slab of a CPU,
//! on the CPU's. The chain is compared with the slab's counters, the scan with the
//! nodes' counters.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::cache::Cache;
use super::freelist::{Freelists, Geometry, ObjectSet};
use super::nodes::NodeFacts;
use super::pages::Slab;
use super::percpu::CpuFacts;
use super::{
    CacheFacts, Damage, ExactView, Occupancy, Progress, SlabFacts, SlabHeap, SlabinfoView,
};
use crate::addr::VirtAddr;
use crate::kernel::KernelError;

/// The running sums of one cache.
#[derive(Clone, Debug, Default)]
struct Sum {
    slabs: u64,
    objects: u64,
    free: u64,
    pages: u64,
    full: u64,
    empty: u64,
    fallback_order: u64,
    broken_freelists: u64,
    counter_mismatches: u64,
    rcu_slabs: u64,
    kfence_pages: u64,
}

impl Sum {
    fn merge(&mut self, other: &Sum) {
        self.slabs += other.slabs;
        self.objects += other.objects;
        self.free += other.free;
        self.pages += other.pages;
        self.full += other.full;
        self.empty += other.empty;
        self.fallback_order += other.fallback_order;
        self.broken_freelists += other.broken_freelists;
        self.counter_mismatches += other.counter_mismatches;
        self.rcu_slabs += other.rcu_slabs;
        self.kfence_pages += other.kfence_pages;
    }
}

/// Which slabs are where, by index into the scan.
pub(super) struct Places {
    /// CPU chains of current slabs.
    current: FxHashMap<usize, Vec<VirtAddr>>,
    /// Slabs on any list of a node or CPU.
    listed: FxHashSet<usize>,
}

impl Places {
    pub(super) fn of(heap: &SlabHeap<'_>) -> Self {
        let mut current: FxHashMap<usize, Vec<VirtAddr>> = FxHashMap::default();
        let mut listed = FxHashSet::default();
        for cpu in &heap.cpus {
            for (_, index, freelist) in &cpu.current {
                current.entry(*index).or_default().push(*freelist);
                listed.insert(*index);
            }
            listed.extend(&cpu.partial);
        }
        for node in &heap.nodes {
            listed.extend(&node.partial);
        }
        Self { current, listed }
    }
}

/// What kind of slab this is to the allocator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SlabKind {
    /// Counted.
    Live,
    /// A page of KFENCE, on no list and in no counter.
    Kfence,
    /// Freed, off the counters, waiting for a grace period before its page is.
    AwaitingRcu,
}

impl SlabHeap<'_> {
    pub(super) fn kind(&self, index: usize, slab: &Slab, places: &Places) -> SlabKind {
        if self.kfence.contains(&slab.pfn) {
            return SlabKind::Kfence;
        }
        // discard_slab() takes it off the counters, then lets RCU free the page: it keeps its
        // mark until then, has no object in use, and is on no list (mm/slub.c).
        let rcu = self
            .caches
            .get(slab.cache as usize)
            .is_some_and(|cache| cache.has(self.masks.typesafe_by_rcu));
        if rcu && slab.inuse == 0 && !places.listed.contains(&index) {
            return SlabKind::AwaitingRcu;
        }
        SlabKind::Live
    }

    /// Marks the free objects of one slab; returns whether all its chains are whole, and how
    /// many objects are on its own chain.
    pub(super) fn mark_free(
        &self,
        freelists: &Freelists<'_>,
        geometry: &Geometry,
        index: usize,
        slab: &Slab,
        places: &Places,
        set: &mut ObjectSet,
    ) -> (bool, u64, u64) {
        set.reset(geometry.objects());
        let own = freelists.walk(geometry, slab.freelist, set, |_| ());
        let mut whole = own.end.is_complete();
        let mut on_cpus = 0;
        for head in places.current.get(&index).into_iter().flatten() {
            let chain = freelists.walk(geometry, *head, set, |_| ());
            whole &= chain.end.is_complete();
            on_cpus += chain.seen;
        }
        (whole, own.seen, on_cpus)
    }

    fn add(
        &self,
        sum: &mut Sum,
        freelists: &Freelists<'_>,
        index: usize,
        places: &Places,
        set: &mut ObjectSet,
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
        let (whole, own, on_cpus) = self.mark_free(freelists, &geometry, index, slab, places, set);
        let counted = u64::from(slab.objects.saturating_sub(slab.inuse));
        let free = if whole {
            own + on_cpus
        } else {
            counted + on_cpus
        };
        let objects = u64::from(slab.objects);
        sum.slabs += 1;
        sum.objects += objects;
        sum.free += free.min(objects);
        sum.pages += 1 << slab.order;
        sum.full += u64::from(free == 0);
        sum.empty += u64::from(free >= objects);
        sum.fallback_order += u64::from(1 << slab.order < cache.pages_per_slab);
        sum.broken_freelists += u64::from(!whole);
        sum.counter_mismatches += u64::from(whole && own != counted);
    }
}

pub(super) fn facts(
    heap: &SlabHeap<'_>,
    progress: &dyn Progress,
) -> Result<SlabFacts, KernelError> {
    let places = Places::of(heap);
    let freelists = Freelists::probe(heap.kernel, &heap.caches, &heap.scan.slabs);
    progress.start("walking freelists", heap.scan.slabs.len() as u64);
    const BATCH: usize = 1024;
    let empty = || vec![Sum::default(); heap.caches.len()];
    let sums = heap
        .scan
        .slabs
        .par_chunks(BATCH)
        .enumerate()
        .fold(empty, |mut sums, (batch, slabs)| {
            let mut set = ObjectSet::default();
            for (offset, slab) in slabs.iter().enumerate() {
                if let Some(sum) = sums.get_mut(slab.cache as usize) {
                    heap.add(sum, &freelists, batch * BATCH + offset, &places, &mut set);
                }
            }
            progress.step(slabs.len() as u64);
            sums
        })
        .reduce(empty, |mut sums, others| {
            for (sum, other) in sums.iter_mut().zip(&others) {
                sum.merge(other);
            }
            sums
        });
    let aliases = heap.aliases()?;
    let page_size = heap.kernel.dump().page_size() as u64;
    let parts = heap.caches.iter().zip(&heap.nodes).zip(&heap.cpus);
    let caches: Vec<CacheFacts> = parts
        .zip(sums.iter().zip(aliases))
        .map(|(((cache, nodes), cpus), (sum, aliases))| {
            one_cache(heap, cache, nodes, cpus, sum, aliases, page_size)
        })
        .collect();
    warn(heap, &caches);
    Ok(SlabFacts {
        caches,
        complete: heap.is_complete(),
        missing_page_structs: heap.scan.missing,
        stray_slabs: heap.scan.strays,
        slab_mark: heap.scan.mark.describe(),
        freelist_encoding: freelists.encoding().describe(),
    })
}

fn one_cache(
    heap: &SlabHeap<'_>,
    cache: &Cache,
    nodes: &NodeFacts,
    cpus: &CpuFacts,
    sum: &Sum,
    aliases: Vec<String>,
    page_size: u64,
) -> CacheFacts {
    let differs = |scanned: u64, counted: Option<u64>| match counted {
        Some(counted) if counted != scanned => Some((scanned, counted)),
        _ => None,
    };
    let damage = Damage {
        broken_freelists: sum.broken_freelists,
        counter_mismatches: sum.counter_mismatches,
        lost_cpu_slabs: cpus.lost,
        broken_partial_list: nodes.end.is_some(),
        slabs_against_counter: differs(sum.slabs, nodes.nr_slabs),
        objects_against_counter: differs(sum.objects, nodes.total_objects),
    };
    let counters_agree = match (nodes.nr_slabs, nodes.total_objects) {
        (Some(slabs), Some(objects)) => slabs == sum.slabs && objects == sum.objects,
        _ => heap.scan.missing == 0 && nodes.end.is_none(),
    };
    let num_objs = nodes.total_objects.unwrap_or(sum.objects);
    let num_slabs = nodes.nr_slabs.unwrap_or(sum.slabs);
    let allocated = sum.objects - sum.free;
    CacheFacts {
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
            active_slabs: num_slabs,
            num_slabs,
        },
        exact: ExactView {
            slabs: sum.slabs,
            objects: sum.objects,
            allocated,
            free: sum.free,
            pending_free: 0,
            bytes: sum.pages * page_size,
            allocated_bytes: allocated * u64::from(cache.object_size),
            complete: counters_agree && sum.broken_freelists == 0 && cpus.lost == 0,
        },
        occupancy: Occupancy {
            full: sum.full,
            partial: sum.slabs.saturating_sub(sum.full + sum.empty),
            empty: sum.empty,
            cpu: cpus.current.len() as u64,
            cpu_partial: cpus.partial.len() as u64,
            node_partial: nodes.partial.len() as u64,
            fallback_order: sum.fallback_order,
        },
        rcu_slabs: sum.rcu_slabs,
        kfence_pages: sum.kfence_pages,
        damage,
    }
}

fn warn(heap: &SlabHeap<'_>, caches: &[CacheFacts]) {
    let diag = &heap.kernel.diag;
    if heap.scan.strays > 0 {
        diag.warn_many(
            "stray-slabs",
            "pages are marked as slab, but belong to no cache (being freed, or the list of caches is cut short)",
            heap.scan.strays,
        );
    }
    for cache in caches {
        let name = &cache.name;
        let damage = &cache.damage;
        if damage.broken_freelists > 0 {
            diag.warn_many(
                "freelist-broken",
                format!("{name}: free chains are corrupt or enter missing memory; those slabs are counted by their own counters (use after free? see vmleak objects {name})"),
                damage.broken_freelists,
            );
        }
        if damage.counter_mismatches > 0 {
            diag.warn_many(
                "freelist-counter",
                format!("{name}: slabs whose free chain is not as long as their counters say (the crash came in the middle of a change, or memory was overwritten)"),
                damage.counter_mismatches,
            );
        }
        if damage.lost_cpu_slabs > 0 {
            diag.warn_many(
                "cpu-slab-lost",
                format!("{name}: current slabs of CPUs can't be found; objects free there count as allocated"),
                damage.lost_cpu_slabs,
            );
        }
        if damage.broken_partial_list {
            diag.warn(
                "partial-list-broken",
                format!("{name}: a node's list of partial slabs is broken; the slabinfo view of active objects is too high"),
            );
        }
        if let Some((scanned, counted)) = damage.slabs_against_counter {
            diag.warn(
                "slab-count",
                format!("{name}: {scanned} slabs found, but the kernel counted {counted} (missing pages, or the crash came in the middle of a change)"),
            );
        } else if let Some((scanned, counted)) = damage.objects_against_counter {
            diag.warn(
                "object-count",
                format!("{name}: {scanned} objects found, but the kernel counted {counted} (the crash came in the middle of a change, or a counter was overwritten)"),
            );
        }
    }
}
