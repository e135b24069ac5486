//! The free objects of one slab of classic SLAB: an array of indices, of which those from
//! `active` on are free.
//!
//! The array lies at the end of the slab, in an object of a kmalloc cache, or in one of the
//! slab's own free objects; it is read the same way. A full slab may have none.

use super::super::freelist::{Geometry, ObjectSet};
use super::super::pages::Slab;
use crate::bytes::uint_at;
use crate::kernel::Kernel;
use crate::partial::{End, Partial};

/// Adds the free objects of a slab to `seen`, and counts them. Indices are `width` bytes.
pub(in super::super) fn read(
    kernel: &Kernel,
    width: usize,
    geometry: &Geometry,
    slab: &Slab,
    seen: &mut ObjectSet,
) -> Partial<()> {
    let broken = |end, count| Partial::new((), end, count);
    let Some(free) = slab.objects.checked_sub(slab.inuse).map(usize::from) else {
        return broken(End::BrokenLink, 0);
    };
    if !geometry.fits() {
        return broken(End::BrokenLink, 0);
    }
    if free == 0 {
        return broken(End::Complete, 0);
    }
    let first = slab.freelist.plus(u64::from(slab.inuse) * width as u64);
    let Ok(indices) = kernel.space.read_bytes(first, free * width) else {
        return broken(End::Fault, 0);
    };
    let mut count = 0;
    for position in 0..free {
        match uint_at(&indices, position * width, width) {
            Some(index) if index < u64::from(slab.objects) => {
                if !seen.insert(index as u32) {
                    return broken(End::Cycle, count);
                }
                count += 1;
            }
            _ => return broken(End::BrokenLink, count),
        }
    }
    broken(End::Complete, count)
}
