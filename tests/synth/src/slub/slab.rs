//! One slab: its pages, objects, freelists and descriptor.

use super::lay::LaidCache;
use super::objects;
use super::page::{make_compound, mark_slab, slab_tag};
use super::scenario::Place;
use crate::machine::Kernel;

/// A slab in memory.
#[derive(Debug, Clone)]
pub struct LaidSlab {
    /// First page frame.
    pub pfn: u64,
    /// Order of this one.
    pub order: u32,
    /// NUMA node.
    pub node: u32,
    /// Where the allocator keeps it.
    pub place: Place,
    /// Address of its descriptor.
    pub descriptor: u64,
    /// Every object's address, in order of place.
    pub objects: Vec<u64>,
    /// Objects on the slab's own freelist, in order of the list.
    pub free: Vec<u64>,
    /// Free objects that the slab counts as in use: on a CPU's freelist, in order
    /// of the list, or in sheaves.
    pub cpu_free: Vec<u64>,
    /// It is on its node's partial list.
    pub on_node_partial: bool,
}

/// Lays a slab of a cache at a page frame.
pub(super) fn lay_slab(
    kernel: &mut Kernel,
    laid: &LaidCache,
    pfn: u64,
    order: u32,
    node: u32,
    place: Place,
) -> LaidSlab {
    let place = kernel.era.place(place);
    let geometry = &laid.geometry;
    let base = kernel.space.direct(pfn << kernel.page_shift()) + u64::from(geometry.red_left_pad);
    let count = geometry.objects(order);
    let objects: Vec<u64> = (0..u64::from(count))
        .map(|index| base + index * u64::from(geometry.size))
        .collect();
    let sheaves = kernel.era.has_sheaves_of(&laid.cache.name);
    let (on_slab, on_cpu) = match place {
        Place::Current {
            cpu_free,
            remote_free,
            ..
        } => (remote_free, cpu_free),
        // Without CPU slabs the free objects are those in a CPU's sheaves.
        Place::CpuPartial { free, .. } if sheaves => (0, free),
        Place::CpuPartial { free, .. } | Place::NodePartial { free } => (free, 0),
        Place::Empty | Place::PendingRcu => (count, 0),
        Place::Full => (0, 0),
    };
    assert!(
        on_slab + on_cpu <= count,
        "{}: {count} objects",
        laid.cache.name
    );
    let mut order_of_freeing = kernel.random.shuffled(count).into_iter();
    let mut pick = |number: u32| -> Vec<u64> {
        let picked = order_of_freeing.by_ref().take(number as usize);
        picked.map(|index| objects[index as usize]).collect()
    };
    let (free, cpu_free) = (pick(on_slab), pick(on_cpu));
    kernel.memory.touch(pfn, 1 << order);
    for object in &objects {
        let is_free = free.contains(object) || cpu_free.contains(object);
        objects::fill(kernel, &laid.cache, geometry, *object, is_free);
    }
    let freelist = laid.pointers.chain(kernel, &free);
    if !sheaves {
        laid.pointers.chain(kernel, &cpu_free);
    }

    make_compound(kernel, pfn, order);
    mark_slab(kernel, pfn);
    let tag = slab_tag(kernel.era);
    let descriptor = kernel.space.page(pfn);
    let old_style = !kernel.era.marks_node_partial();
    let frozen = match place {
        Place::Current { .. } => !sheaves,
        Place::CpuPartial { .. } => old_style,
        _ => false,
    };
    for (member, value) in [
        ("slab_cache", laid.address),
        ("freelist", freelist),
        ("objects", u64::from(count)),
        ("inuse", u64::from(count - on_slab)),
        ("frozen", u64::from(frozen)),
    ] {
        kernel.set(descriptor, tag, member, value);
    }
    let on_node_partial = match place {
        Place::NodePartial { .. } | Place::Empty => true,
        Place::Current { .. } => sheaves && on_slab > 0,
        _ => false,
    };
    LaidSlab {
        pfn,
        order,
        node,
        place,
        descriptor,
        objects,
        free,
        cpu_free,
        on_node_partial,
    }
}
