//! The numbers of one cache: its sums over all slabs beside what the kernel itself counts.

use super::cache::Cache;
use super::count::Sum;
use super::nodes::NodeFacts;
use super::percpu::CpuFacts;
use super::places::Places;
use super::range::{self, Lost};
use super::sheaves::SheafFacts;
use super::{CacheFacts, Damage, ExactView, Occupancy, SlabHeap, SlabinfoView, Tunables};

/// All that is known of it.
pub(super) struct OneCache<'a> {
    cache: &'a Cache,
    nodes: &'a NodeFacts,
    cpus: &'a CpuFacts,
    sheaves: &'a SheafFacts,
    sum: &'a Sum,
    /// Pointers in its sheaves that lead to none of its objects.
    wild: u64,
    /// Objects in its sheaves.
    in_sheaves: u64,
}

impl<'a> OneCache<'a> {
    /// The cache with this number.
    pub(super) fn of(
        heap: &'a SlabHeap<'_>,
        places: &Places,
        index: usize,
        sum: &'a Sum,
    ) -> Option<Self> {
        let count = |counts: &[u64]| counts.get(index).copied().unwrap_or(0);
        Some(Self {
            cache: heap.caches.get(index)?,
            nodes: heap.nodes.get(index)?,
            cpus: heap.cpus.get(index)?,
            sheaves: heap.sheaves.get(index)?,
            sum,
            wild: count(&places.wild),
            in_sheaves: count(&places.in_sheaves),
        })
    }

    pub(super) fn facts(
        &self,
        heap: &SlabHeap<'_>,
        aliases: Vec<String>,
        page_size: u64,
    ) -> CacheFacts {
        let (cache, sum) = (self.cache, self.sum);
        let damage = self.damage();
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
            slabinfo: self.slabinfo(),
            exact: self.exact(page_size, self.is_whole(&damage, heap.scan.missing)),
            occupancy: self.occupancy(),
            rcu_slabs: sum.rcu_slabs,
            kfence_pages: sum.kfence_pages,
            memcg_children: 0,
            damage,
        };
        if !facts.exact.complete {
            let lost = Lost {
                cpu_slabs: self.cpus.lost,
                in_sheaves: self.sheaves.hidden,
                wild: self.wild,
            };
            let exact = range::allocated(&facts, self.nodes, sum.unsure, lost);
            (facts.exact.allocated_min, facts.exact.allocated_max) = exact;
        }
        facts
    }

    fn damage(&self) -> Damage {
        let (sum, nodes) = (self.sum, self.nodes);
        let differs = |scanned: u64, counted: Option<u64>| match counted {
            Some(counted) if counted != scanned => Some((scanned, counted)),
            _ => None,
        };
        Damage {
            broken_freelists: sum.broken_freelists,
            circular_freelists: sum.circular_freelists,
            counter_mismatches: sum.counter_mismatches,
            lost_cpu_slabs: self.cpus.lost,
            broken_sheaves: self.sheaves.broken,
            wild_sheaf_objects: self.wild,
            doubly_free: sum.doubly_free,
            broken_partial_list: nodes.end.is_some(),
            slabs_against_counter: differs(sum.slabs, nodes.nr_slabs),
            objects_against_counter: differs(sum.objects, nodes.total_objects),
            free_against_counter: differs(sum.counted_free, nodes.free_objects),
        }
    }

    /// Whether all slabs were seen, by the nodes' counters or else by the memmap (`missing` page
    /// structures), and all of their free objects.
    fn is_whole(&self, damage: &Damage, missing: u64) -> bool {
        let (sum, nodes) = (self.sum, self.nodes);
        let counters_agree = match (nodes.nr_slabs, nodes.total_objects) {
            (Some(slabs), Some(objects)) => slabs == sum.slabs && objects == sum.objects,
            _ => missing == 0 && nodes.end.is_none(),
        };
        let free_agrees = damage.free_against_counter.is_none();
        let chains_whole = damage.broken_freelists == 0 && damage.lost_cpu_slabs == 0;
        let sheaves_whole = damage.broken_sheaves == 0 && damage.wild_sheaf_objects == 0;
        counters_agree && free_agrees && chains_whole && sheaves_whole
    }

    /// As the kernel prints them.
    fn slabinfo(&self) -> SlabinfoView {
        let nodes = self.nodes;
        let classic = self.cache.classic.as_ref();
        let num_objs = nodes.total_objects.unwrap_or(self.sum.objects);
        let num_slabs = nodes.nr_slabs.unwrap_or(self.sum.slabs);
        SlabinfoView {
            active_objs: num_objs.saturating_sub(nodes.partial_free),
            num_objs,
            active_slabs: num_slabs.saturating_sub(nodes.free_slabs),
            num_slabs,
            tunables: classic.map_or_else(Tunables::default, |classic| classic.tunables),
            shared_avail: nodes.shared_avail,
            statistics: classic.and_then(|classic| classic.statistics),
        }
    }

    fn exact(&self, page_size: u64, complete: bool) -> ExactView {
        let sum = self.sum;
        let allocated = sum.objects - sum.free - sum.pending_free;
        ExactView {
            slabs: sum.slabs,
            objects: sum.objects,
            allocated,
            allocated_min: allocated,
            allocated_max: allocated,
            free: sum.free,
            pending_free: sum.pending_free,
            bytes: sum.pages * page_size,
            allocated_bytes: allocated * u64::from(self.cache.object_size),
            complete,
        }
    }

    fn occupancy(&self) -> Occupancy {
        let sum = self.sum;
        Occupancy {
            full: sum.full,
            partial: sum.slabs.saturating_sub(sum.full + sum.empty),
            empty: sum.empty,
            cpu: self.cpus.current.len() as u64,
            cpu_partial: self.cpus.partial.len() as u64,
            node_partial: self.nodes.partial.len() as u64,
            sheaves: self.in_sheaves,
            fallback_order: sum.fallback_order,
        }
    }
}
