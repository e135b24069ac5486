//! One slab of classic SLAB: its pages, objects, array of indices and descriptor.

use super::super::lay::LaidCache;
use super::super::objects;
use super::super::page::{make_compound, mark_slab};
use super::super::scenario::{Place, Slab};
use super::super::slab::LaidSlab;
use super::{Division, IndexPlace};
use crate::machine::Kernel;

/// Lays a slab at a page frame, its objects shifted by `colour` bytes.
pub(super) fn lay(
    kernel: &mut Kernel,
    laid: &LaidCache,
    division: &Division,
    pfn: u64,
    slab: &Slab,
    colour: u32,
) -> LaidSlab {
    let (cache, geometry) = (&laid.cache, &division.geometry);
    let base = kernel.space.direct(pfn << kernel.page_shift());
    let s_mem = base + u64::from(colour);
    let first = s_mem + u64::from(geometry.red_left_pad);
    let objects: Vec<u64> = (0..u64::from(division.num))
        .map(|index| first + index * u64::from(geometry.size))
        .collect();
    let (on_slab, in_arrays) = match slab.place {
        Place::Current {
            cpu_free,
            remote_free,
            ..
        } => (remote_free, cpu_free),
        Place::CpuPartial { free, .. } => (0, free),
        Place::NodePartial { free } => (free, 0),
        Place::Empty | Place::PendingRcu => (division.num, 0),
        Place::Full => (0, 0),
    };
    assert!(on_slab + in_arrays <= division.num, "{}", cache.name);
    let shuffled = kernel.random.shuffled(division.num);
    let picked = |range: std::ops::Range<u32>| -> Vec<u64> {
        let range = range.start as usize..range.end as usize;
        let indices = shuffled[range].iter();
        indices.map(|index| objects[*index as usize]).collect()
    };
    let free = picked(0..on_slab);
    let cpu_free = picked(on_slab..on_slab + in_arrays);
    kernel.memory.touch(pfn, 1 << cache.order);
    for object in &objects {
        let is_free = free.contains(object) || cpu_free.contains(object);
        objects::fill(kernel, cache, geometry, *object, is_free);
    }

    let active = division.num - on_slab;
    let freelist = match division.indices {
        IndexPlace::Object => free.first().copied().unwrap_or(0),
        IndexPlace::Elsewhere => kernel.alloc(u64::from(division.num), 32),
        IndexPlace::Slab => base + (4096 << cache.order) - u64::from(division.num),
    };
    if freelist != 0 {
        // Before `active` stands what was there when those objects were taken: an index that is
        // free again, for one.
        let stale = shuffled.first().copied().unwrap_or(0) as u8;
        let mut indices = vec![stale; active as usize];
        let on_slab = &shuffled[..on_slab as usize];
        indices.extend(on_slab.iter().map(|index| *index as u8));
        kernel.write(freelist, &indices);
    }

    make_compound(kernel, pfn, cache.order);
    mark_slab(kernel, pfn);
    let descriptor = kernel.space.page(pfn);
    for (member, value) in [
        ("slab_cache", laid.address),
        ("freelist", freelist),
        ("s_mem", s_mem),
        ("active", u64::from(active)),
    ] {
        kernel.set(descriptor, "slab", member, value);
    }
    LaidSlab {
        pfn,
        order: cache.order,
        node: slab.node,
        place: slab.place,
        descriptor,
        objects,
        on_node_partial: !free.is_empty(),
        free,
        cpu_free,
    }
}
