//! Which slabs are on which list, and which of their objects are free beyond their own
//! chains: the index over what nodes, CPUs, sheaves and deferred frees hold.

use rustc_hash::{FxHashMap, FxHashSet};

use super::classic::indices;
use super::freelist::{Freelists, Geometry, ObjectSet};
use super::pages::Slab;
use super::{Cache, SlabHeap};
use crate::addr::{Pfn, VirtAddr};
use crate::partial::End;

/// Why an object that its slab counts as in use is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// In a sheaf.
    Sheaf,
    /// Waits for RCU, in a sheaf or a batch of kfree_rcu().
    Pending,
    /// Its free was put off.
    Deferred,
}

/// Which slabs are where, by index into the scan.
#[derive(Debug)]
pub(super) struct Places {
    /// CPU chains of current slabs.
    current: FxHashMap<usize, Vec<VirtAddr>>,
    /// Objects held outside of their slabs.
    held: FxHashMap<usize, Vec<(u32, Held)>>,
    /// Slabs on any list of a node or CPU.
    listed: FxHashSet<usize>,
    /// For each cache, pointers in its sheaves that lead to none of its objects.
    pub(super) wild: Vec<u64>,
    /// For each cache, objects in its sheaves.
    pub(super) in_sheaves: Vec<u64>,
}

impl Places {
    pub(super) fn of(heap: &SlabHeap<'_>) -> Self {
        let mut places = Self {
            current: FxHashMap::default(),
            held: FxHashMap::default(),
            listed: FxHashSet::default(),
            wild: vec![0; heap.caches.len()],
            in_sheaves: vec![0; heap.caches.len()],
        };
        for cpu in &heap.cpus {
            for (_, index, freelist) in &cpu.current {
                places.current.entry(*index).or_default().push(*freelist);
                places.listed.insert(*index);
            }
            places.listed.extend(&cpu.partial);
        }
        for (index, freelist) in &heap.deferred.chains {
            places.current.entry(*index).or_default().push(*freelist);
            places.listed.insert(*index);
        }
        for node in &heap.nodes {
            places.listed.extend(&node.partial);
            places.listed.extend(&node.listed);
        }
        places.add_held(heap);
        places
    }

    fn add_held(&mut self, heap: &SlabHeap<'_>) {
        let counts = self.wild.iter_mut().zip(&mut self.in_sheaves);
        for ((cache, sheaves), (wild, in_sheaves)) in (0u32..).zip(&heap.sheaves).zip(counts) {
            let free = sheaves.free.iter().map(|object| (object, Held::Sheaf));
            let pending = sheaves.pending.iter();
            for (object, why) in free.chain(pending.map(|object| (object, Held::Pending))) {
                match heap.object_at(*object, 0) {
                    Some((index, slab, object)) if slab.cache == cache => {
                        self.held.entry(index).or_default().push((object, why));
                        *in_sheaves += 1;
                    }
                    _ => *wild += 1,
                }
            }
        }
        for object in heap.kfree_rcu.objects.iter().chain(&heap.callbacks.objects) {
            match heap.object_at(*object, 0) {
                Some((index, _, object)) => {
                    let held = self.held.entry(index).or_default();
                    held.push((object, Held::Pending));
                }
                // Large allocations have no slab.
                None if heap.slab_at(*object).is_none() => {}
                None => heap.kernel.diag.warn(
                    "kfree-rcu-stray",
                    "pointers that wait in kfree_rcu's batches lead into slabs, but to no object (memory was overwritten? look at them with crash: p krc)",
                ),
            }
        }
        for head in &heap.deferred.rcu_heads {
            match heap.object_around(*head) {
                Some((index, object)) => {
                    let held = self.held.entry(index).or_default();
                    held.push((object, Held::Pending));
                }
                // As above.
                None if heap.slab_at(*head).is_none() => {}
                None => heap.kernel.diag.warn(
                    "deferred-free-stray",
                    "objects to be given to RCU lie in slabs, but are no objects of them (memory was overwritten? look at them with crash: p deferred_percpu_work)",
                ),
            }
        }
        for link in &heap.deferred.links {
            match heap.object_at(*link, 1) {
                Some((index, _, object)) => {
                    let held = self.held.entry(index).or_default();
                    held.push((object, Held::Deferred));
                }
                None => heap.kernel.diag.warn(
                    "deferred-free-stray",
                    "objects whose free was put off lie in no slab (look at it with crash: p defer_free_objects)",
                ),
            }
        }
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

/// The objects of one slab that are not allocated; reused from slab to slab.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) chains: ObjectSet,
    pub(super) held: ObjectSet,
    pub(super) pending: ObjectSet,
    /// Whether the slab's own chain reaches its end.
    pub(super) own_whole: bool,
    /// Whether the chains of CPUs do.
    pub(super) others_whole: bool,
    /// Whether the slab's own chain leads back into itself.
    pub(super) own_circular: bool,
    /// Whether any of its chains does.
    pub(super) circular: bool,
    /// Objects on the slab's own chain.
    pub(super) own: u64,
    /// Further free ones: on CPUs' chains, in sheaves, put off.
    pub(super) elsewhere: u64,
    /// Objects that wait for RCU.
    pub(super) pending_free: u64,
    /// Objects met as free in more than one place.
    pub(super) doubled: u64,
}

impl Marks {
    /// Whether all chains reach their ends.
    pub(super) fn whole(&self) -> bool {
        self.own_whole && self.others_whole
    }

    /// Whether the object was met as free.
    pub(super) fn is_free(&self, object: u32) -> bool {
        self.chains.contains(object) || self.held.contains(object)
    }

    /// Whether the object waits for RCU.
    pub(super) fn is_pending(&self, object: u32) -> bool {
        self.pending.contains(object)
    }

    fn reset(&mut self, objects: u32) {
        for set in [&mut self.chains, &mut self.held, &mut self.pending] {
            set.reset(objects);
        }
        (self.own_whole, self.others_whole) = (true, true);
        (self.own_circular, self.circular) = (false, false);
        (self.own, self.elsewhere) = (0, 0);
        (self.pending_free, self.doubled) = (0, 0);
    }

    fn add_held(&mut self, object: u32, why: Held) {
        // Behind a broken chain nobody knows what is on it: it can't accuse an object.
        let met = self.whole() && self.chains.contains(object)
            || self.held.contains(object)
            || self.pending.contains(object);
        if met {
            self.doubled += 1;
        } else if why == Held::Pending {
            self.pending_free += 1;
            self.pending.insert(object);
        } else {
            self.elsewhere += 1;
            self.held.insert(object);
        }
    }
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

    /// The slab that a pointer leads into.
    fn slab_at(&self, pointer: VirtAddr) -> Option<(usize, &Slab)> {
        let space = &self.kernel.space;
        let offset = pointer.minus(space.direct_map_zero().0).0;
        let pfn = Pfn(offset >> self.kernel.dump().page_shift());
        self.scan.find_around(pfn)
    }

    /// The slab and the index in it of the object at a pointer; with `links` of 1 the pointer is
    /// to the object's free pointer.
    fn object_at(&self, pointer: VirtAddr, links: u64) -> Option<(usize, &Slab, u32)> {
        let (index, slab) = self.slab_at(pointer)?;
        let cache: &Cache = self.caches.get(slab.cache as usize)?;
        // KFENCE puts its objects anywhere in their pages; no counter knows of them.
        if self.kfence.contains(&slab.pfn) {
            return Some((index, slab, 0));
        }
        let geometry = Geometry::of(self.kernel, cache, slab);
        let object = pointer.minus(links * u64::from(cache.free_pointer));
        Some((index, slab, geometry.index_of(object)?))
    }

    /// The slab and the index in it of the object that a pointer leads into.
    fn object_around(&self, pointer: VirtAddr) -> Option<(usize, u32)> {
        let (index, slab) = self.slab_at(pointer)?;
        let cache = self.caches.get(slab.cache as usize)?;
        if self.kfence.contains(&slab.pfn) {
            return Some((index, 0));
        }
        let geometry = Geometry::of(self.kernel, cache, slab);
        Some((index, geometry.index_around(pointer)?))
    }

    /// Marks the objects of one slab that are not allocated.
    pub(super) fn mark_free(
        &self,
        freelists: &Freelists<'_>,
        geometry: &Geometry,
        index: usize,
        slab: &Slab,
        places: &Places,
        marks: &mut Marks,
    ) {
        marks.reset(geometry.objects());
        let cache = self.caches.get(slab.cache as usize);
        let own = match cache.and_then(|cache| cache.classic.as_ref()) {
            Some(classic) => {
                let width = classic.index_width;
                indices::read(self.kernel, width, geometry, slab, &mut marks.chains)
            }
            None => freelists.walk(geometry, slab.freelist, &mut marks.chains, |_| ()),
        };
        marks.own = own.seen;
        marks.own_whole = own.end.is_complete();
        marks.own_circular = own.end == End::Cycle;
        marks.circular = marks.own_circular;
        for head in places.current.get(&index).into_iter().flatten() {
            let chain = freelists.walk(geometry, *head, &mut marks.chains, |_| ());
            marks.others_whole &= chain.end.is_complete();
            marks.circular |= chain.end == End::Cycle;
            marks.elsewhere += chain.seen;
        }
        for (object, why) in places.held.get(&index).into_iter().flatten() {
            marks.add_held(*object, *why);
        }
    }
}
