//! Every object of one cache, with its state.

use serde::Serialize;

use super::freelist::{Freelists, Geometry};
use super::places::{Marks, Places, SlabKind};
use super::warnings::warn_held;
use super::{Damage, SlabHeap};
use crate::addr::VirtAddr;

/// Whether an object is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// Handed out and not freed.
    Allocated,
    /// On a free chain, in a sheaf, or its free was put off.
    Free,
    /// Freed, waiting for RCU.
    PendingFree,
    /// Its slab's free chain is broken: it may be either.
    Unknown,
}

impl ObjectState {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            ObjectState::Allocated => "allocated",
            ObjectState::Free => "free",
            ObjectState::PendingFree => "pending free",
            ObjectState::Unknown => "unknown",
        }
    }
}

/// One object.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Object {
    /// Where it starts.
    pub address: VirtAddr,
    /// Whether it is in use.
    pub state: ObjectState,
    /// The slab's first byte.
    pub slab: VirtAddr,
    /// Its index in the slab.
    pub index: u32,
    /// The CPU whose current slab this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
}

/// Calls `visit` with every object of the cache at `cache` (an index into the heap's caches) and
/// of its copies for memory cgroups, in the order of addresses. Returns whether all that CPUs and
/// sheaves hold of them was seen; else objects free there are given as allocated, and a warning
/// says so.
pub fn each(heap: &SlabHeap<'_>, cache: usize, mut visit: impl FnMut(Object)) -> bool {
    let places = Places::of(heap);
    let freelists = Freelists::probe(heap.kernel, &heap.caches, &heap.scan.slabs);
    if cache >= heap.caches.len() {
        return false;
    }
    let members = heap.counted_as(cache);
    let mut whole = true;
    for member in &members {
        whole &= is_whole(heap, *member, &places);
    }
    let mut marks = Marks::default();
    for (index, slab) in heap.scan.slabs.iter().enumerate() {
        let owner = slab.cache as usize;
        if !members.contains(&owner) || heap.kind(index, slab, &places) != SlabKind::Live {
            continue;
        }
        let Some(of) = heap.caches.get(owner) else {
            continue;
        };
        let geometry = Geometry::of(heap.kernel, of, slab);
        heap.mark_free(&freelists, &geometry, index, slab, &places, &mut marks);
        let cpu = heap.cpus.get(owner).and_then(|cpus| {
            let current = cpus.current.iter().find(|(_, at, _)| *at == index);
            current.map(|(cpu, _, _)| *cpu)
        });
        let phys = slab.pfn.start(heap.kernel.dump().page_shift());
        for object in 0..geometry.objects() {
            visit(Object {
                address: geometry.address_of(object),
                state: state(&marks, object),
                slab: heap.kernel.space.direct_map_address(phys),
                index: object,
                cpu,
            });
        }
    }
    whole
}

fn state(marks: &Marks, object: u32) -> ObjectState {
    if marks.is_free(object) {
        ObjectState::Free
    } else if marks.is_pending(object) {
        ObjectState::PendingFree
    } else if marks.whole() {
        ObjectState::Allocated
    } else {
        ObjectState::Unknown
    }
}

/// Whether all that CPUs and sheaves hold of a cache was seen; warns if not.
fn is_whole(heap: &SlabHeap<'_>, cache: usize, places: &Places) -> bool {
    let damage = Damage {
        lost_cpu_slabs: heap.cpus.get(cache).map_or(0, |cpus| cpus.lost),
        broken_sheaves: heap.sheaves.get(cache).map_or(0, |sheaves| sheaves.broken),
        wild_sheaf_objects: places.wild.get(cache).copied().unwrap_or(0),
        ..Damage::default()
    };
    if let Some(of) = heap.caches.get(cache) {
        warn_held(&heap.kernel.diag, &of.name, &damage);
    }
    damage == Damage::default()
}
