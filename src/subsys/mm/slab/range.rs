//! How far off the number of allocated objects can be, where part of a cache was lost.
//!
//! A slab whose own free chain is lost still has its counters, which stand elsewhere and
//! say how many are free. Nothing says it of a CPU's chain, of a sheaf or of a barn: all
//! that they could hold may be free, and counts as allocated.

use super::pages::Slab;
use super::places::Marks;
use super::{CacheFacts, NodeFacts};

/// Objects of which it is not certain that they are what they are counted as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsure {
    /// Counted as allocated, may be free.
    pub(super) allocated: u64,
    /// Counted as free, may be allocated.
    pub(super) free: u64,
}

impl Unsure {
    /// Of one slab, of which `allocated` objects count as such.
    pub(super) fn of_slab(slab: &Slab, marks: &Marks, allocated: u64) -> Self {
        let counted = u64::from(slab.objects.saturating_sub(slab.inuse));
        // What is on a CPU's chain the slab counts as in use. A chain that is longer than its
        // slab's counters allow shows that these are wrong.
        if !marks.others_whole || !marks.own_whole && marks.own > counted {
            return Self { allocated, free: 0 };
        }
        // What was freed twice its slab counts as two free objects.
        if marks.own_circular {
            let free = counted.saturating_sub(marks.own);
            return Self { allocated: 0, free };
        }
        if !marks.own_whole {
            return Self::default();
        }
        Self {
            allocated: counted.saturating_sub(marks.own).min(allocated),
            free: marks.own.saturating_sub(counted),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.allocated = self.allocated.saturating_add(other.allocated);
        self.free = self.free.saturating_add(other.free);
    }
}

/// What of a cache is lost besides its slabs' chains.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    /// CPUs' current slabs.
    pub(super) cpu_slabs: u64,
    /// The most objects that lost sheaves hold.
    pub(super) in_sheaves: u64,
    /// Pointers in sheaves that lead nowhere.
    pub(super) wild: u64,
}

/// The fewest and the most objects that may be allocated in a cache that is not complete.
pub(super) fn allocated(
    cache: &CacheFacts,
    nodes: &NodeFacts,
    unsure: Unsure,
    lost: Lost,
) -> (u64, u64) {
    let exact = &cache.exact;
    let in_cpu_slabs = (lost.cpu_slabs).saturating_mul(u64::from(cache.objects_per_slab));
    let hidden = [in_cpu_slabs, lost.in_sheaves, lost.wild, unsure.allocated];
    let hidden = hidden.into_iter().fold(0, u64::saturating_add);
    // Slabs that were not found may be full; those that no node counts need not exist.
    let counted = nodes.total_objects.unwrap_or(exact.objects);
    let unseen = counted.saturating_sub(exact.objects);
    let uncounted = exact.objects.saturating_sub(counted);
    let least = exact
        .allocated
        .saturating_sub(hidden.saturating_add(uncounted));
    let most = (exact.allocated.saturating_add(unsure.free)).saturating_add(unseen);
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Pfn, VirtAddr};

    fn slab(objects: u16, inuse: u16) -> Slab {
        Slab {
            pfn: Pfn(1),
            freelist: VirtAddr(0),
            cache: 0,
            first: 0,
            objects,
            inuse,
            order: 0,
            frozen: false,
        }
    }

    fn unsure(own: u64, own_whole: bool, others_whole: bool) -> (u64, u64) {
        let marks = Marks {
            own,
            own_whole,
            others_whole,
            ..Marks::default()
        };
        let found = Unsure::of_slab(&slab(30, 20), &marks, 20);
        (found.allocated, found.free)
    }

    #[test]
    fn counters_stand_in_for_the_slabs_own_chain_only() {
        assert_eq!(unsure(10, true, true), (0, 0));
        assert_eq!(unsure(4, false, true), (0, 0));
        assert_eq!(unsure(11, false, true), (20, 0));
        assert_eq!(unsure(10, true, false), (20, 0));
        assert_eq!(unsure(9, true, true), (1, 0));
        assert_eq!(unsure(12, true, true), (0, 2));
    }

    #[test]
    fn a_circle_shows_that_more_frees_were_counted_than_objects_freed() {
        let marks = Marks {
            own: 2,
            own_circular: true,
            others_whole: true,
            ..Marks::default()
        };
        let found = Unsure::of_slab(&slab(30, 27), &marks, 27);
        assert_eq!((found.allocated, found.free), (0, 1));
    }
}
