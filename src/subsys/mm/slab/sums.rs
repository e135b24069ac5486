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

#[cfg(test)]
mod tests {
    use super::*;

    fn slabinfo(n: u64) -> SlabinfoView {
        SlabinfoView {
            active_objs: n,
            num_objs: 2 * n,
            active_slabs: 3 * n,
            num_slabs: 4 * n,
            shared_avail: 5 * n,
            ..SlabinfoView::default()
        }
    }

    fn exact(n: u64, complete: bool) -> ExactView {
        ExactView {
            slabs: n,
            objects: 2 * n,
            allocated: 3 * n,
            allocated_min: 4 * n,
            allocated_max: 5 * n,
            free: 6 * n,
            pending_free: 7 * n,
            bytes: 8 * n,
            allocated_bytes: 9 * n,
            complete,
        }
    }

    fn occupancy(n: u64) -> Occupancy {
        Occupancy {
            full: n,
            partial: 2 * n,
            empty: 3 * n,
            cpu: 4 * n,
            cpu_partial: 5 * n,
            node_partial: 6 * n,
            sheaves: 7 * n,
            fallback_order: 8 * n,
        }
    }

    fn damage(n: u64, broken: bool) -> Damage {
        Damage {
            broken_freelists: n,
            circular_freelists: 2 * n,
            counter_mismatches: 3 * n,
            lost_cpu_slabs: 4 * n,
            broken_sheaves: 5 * n,
            wild_sheaf_objects: 6 * n,
            doubly_free: 7 * n,
            broken_partial_list: broken,
            slabs_against_counter: Some((8 * n, 9 * n)),
            objects_against_counter: Some((10 * n, 11 * n)),
            free_against_counter: Some((12 * n, 13 * n)),
        }
    }

    #[test]
    fn every_number_is_added_to_its_like() {
        let mut sum = slabinfo(1);
        sum.add(&slabinfo(10));
        assert_eq!(sum, slabinfo(11));
        let mut sum = occupancy(1);
        sum.add(&occupancy(10));
        assert_eq!(sum, occupancy(11));
        for (one, two) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut sum = exact(1, one);
            sum.add(&exact(10, two));
            assert_eq!(sum, exact(11, one && two));
            let mut sum = damage(1, one);
            sum.add(&damage(10, two));
            assert_eq!(sum, damage(11, one || two));
        }
    }

    /// A counter that agrees is not there, and adds nothing.
    #[test]
    fn counters_that_agree_are_left_out() {
        let mut sum = Damage::default();
        sum.add(&damage(10, false));
        assert_eq!(sum, damage(10, false));
        sum.add(&Damage::default());
        assert_eq!(sum, damage(10, false));
        let beyond = Damage {
            slabs_against_counter: Some((1, u64::MAX)),
            ..Damage::default()
        };
        sum.add(&beyond);
        assert_eq!(sum.slabs_against_counter, Some((81, u64::MAX)));
    }
}
