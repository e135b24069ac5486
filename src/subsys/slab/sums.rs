//! The numbers of several caches added up.

use super::{Damage, ExactView, Occupancy, SlabinfoView};

impl SlabinfoView {
    /// Adds what /proc/slabinfo says of another cache.
    pub(super) fn add(&mut self, other: &Self) {
        self.active_objs += other.active_objs;
        self.num_objs += other.num_objs;
        self.active_slabs += other.active_slabs;
        self.num_slabs += other.num_slabs;
        self.shared_avail += other.shared_avail;
    }
}

impl ExactView {
    /// Adds another cache's objects; the sum is complete only if both are.
    pub fn add(&mut self, other: &Self) {
        self.slabs += other.slabs;
        self.objects += other.objects;
        self.allocated += other.allocated;
        self.allocated_min += other.allocated_min;
        self.allocated_max = self.allocated_max.saturating_add(other.allocated_max);
        self.free += other.free;
        self.pending_free += other.pending_free;
        self.bytes += other.bytes;
        self.allocated_bytes += other.allocated_bytes;
        self.complete &= other.complete;
    }
}

impl Occupancy {
    /// Adds another cache's slabs.
    pub(super) fn add(&mut self, other: &Self) {
        self.full += other.full;
        self.partial += other.partial;
        self.empty += other.empty;
        self.cpu += other.cpu;
        self.cpu_partial += other.cpu_partial;
        self.node_partial += other.node_partial;
        self.sheaves += other.sheaves;
        self.fallback_order += other.fallback_order;
    }
}

impl Damage {
    /// Adds another cache's; of the counters only those that differ are added.
    pub(super) fn add(&mut self, other: &Self) {
        self.broken_freelists += other.broken_freelists;
        self.circular_freelists += other.circular_freelists;
        self.counter_mismatches += other.counter_mismatches;
        self.lost_cpu_slabs += other.lost_cpu_slabs;
        self.broken_sheaves += other.broken_sheaves;
        self.wild_sheaf_objects += other.wild_sheaf_objects;
        self.doubly_free += other.doubly_free;
        self.broken_partial_list |= other.broken_partial_list;
        let both = |one: Option<(u64, u64)>, two: Option<(u64, u64)>| match (one, two) {
            (Some(one), Some(two)) => Some((one.0 + two.0, one.1.saturating_add(two.1))),
            (one, two) => one.or(two),
        };
        self.slabs_against_counter = both(self.slabs_against_counter, other.slabs_against_counter);
        self.objects_against_counter =
            both(self.objects_against_counter, other.objects_against_counter);
        self.free_against_counter = both(self.free_against_counter, other.free_against_counter);
    }
}
