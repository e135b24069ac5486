//! The kernel's numberings as they were up to 4.10 (lib/idr.c; commit 0a835c4f090a made them radix
//! trees): layers of 256 slots, of which the lowest hold the pointers.
//!
//! No recursion; a layer lies below its parent or the walk ends there, so that no circle can hold
//! it.

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::partial::{End, Partial};

layout! {
    /// include/linux/idr.h
    struct LayersLayout = "idr" in "lib/idr.c" {
        need top = "top",
    }
}

layout! {
    /// include/linux/idr.h
    struct IdrLayerLayout = "idr_layer" in "lib/idr.c" {
        /// Layers between this one and the lowest.
        need layer = "layer",
        need slots = "ary",
    }
}

/// Numbers are not negative and have 32 bits.
const MAX_LAYERS: u64 = 4;
/// Of a layer: 256, 32 on 32 bits.
const MAX_SLOTS: usize = 256;

/// The pointers in the `struct idr` at `at`, with their numbers, in order. `bound` is the most
/// that there can be.
///
/// # Errors
/// If the kernel's types don't describe a numbering by layers.
pub fn layered(
    kernel: &Kernel,
    at: VirtAddr,
    bound: usize,
) -> Result<Partial<Vec<(u64, VirtAddr)>>, KernelError> {
    let idr: LayersLayout = kernel.layout()?;
    let layout: IdrLayerLayout = kernel.layout()?;
    let slots = (layout.slots.size as usize / 8).clamp(1, MAX_SLOTS);
    let bits = slots.ilog2();
    let mut found = Vec::new();
    let mut end = End::Complete;
    // A layer, its first number, and the layer that it has to be below.
    let mut stack = match kernel.space.read_ptr(at.plus(u64::from(idr.top.offset))) {
        Ok(top) => vec![(top, 0u64, MAX_LAYERS)],
        Err(_) => return Ok(Partial::new(found, End::Fault, 0)),
    };
    while let Some((at, first, above)) = stack.pop() {
        if at.is_null() {
            continue;
        }
        if above == 0 {
            if found.len() >= bound {
                end = End::Limit;
                break;
            }
            found.push((first, at));
            continue;
        }
        let Ok(record) = kernel.space.read_bytes(at, layout.struct_size) else {
            end = End::Fault;
            continue;
        };
        let layer = layout.layer.get(&record);
        if layer >= above {
            end = End::BrokenLink;
            continue;
        }
        for slot in (0..slots).rev() {
            let below = u64_at(&record, layout.slots.offset as usize + slot * 8).unwrap_or(0);
            let number = first + ((slot as u64) << (bits * layer as u32));
            stack.push((VirtAddr(below), number, layer));
        }
    }
    let seen = found.len() as u64;
    Ok(Partial::new(found, end, seen))
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::super::super::synthetic;
    use super::*;

    /// include/linux/idr.h of 3.10, as its compiler laid it out.
    const TYPES: &str = "struct idr 40 {
    0 struct idr_layer * hint
    8 struct idr_layer * top
}
struct idr_layer 2112 {
    0 int prefix
    8 unsigned long [4] bitmap
    40 struct idr_layer * [256] ary
    2088 int count
    2092 int layer
}";

    fn machine() -> Machine {
        let era = Era::V3_10El7;
        let mut m = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        m.kernel.types.parse(TYPES);
        m.kernel.vmlinux_types.parse(TYPES);
        m
    }

    fn layer(m: &mut Machine, layer: u64, slots: &[(u64, u64)]) -> u64 {
        let at = m.kernel.alloc_struct("idr_layer");
        m.kernel.set(at, "idr_layer", "layer", layer);
        for (slot, below) in slots {
            m.kernel.write_u64(at + 40 + slot * 8, *below);
        }
        at
    }

    fn read(m: &mut Machine, top: u64, bound: usize) -> (Vec<(u64, u64)>, End) {
        let idr = m.kernel.alloc_struct("idr");
        m.kernel.set(idr, "idr", "top", top);
        let kernel = synthetic::kernel(m);
        let found = layered(&kernel, VirtAddr(idr), bound).expect("a layout");
        let pairs = found.value.iter().map(|(number, at)| (*number, at.0));
        (pairs.collect(), found.end)
    }

    #[test]
    fn numbers_are_those_of_their_slots() {
        let mut m = machine();
        assert_eq!(read(&mut m, 0, 9), (vec![], End::Complete));
        let low = layer(&mut m, 0, &[(1, 0x2000), (255, 0x2100)]);
        let one = vec![(1, 0x2000), (255, 0x2100)];
        assert_eq!(read(&mut m, low, 9), (one.clone(), End::Complete));
        assert_eq!(read(&mut m, low, 1), (one[..1].to_vec(), End::Limit));
        let far = layer(&mut m, 0, &[(7, 0x3000)]);
        let top = layer(&mut m, 1, &[(0, low), (3, far)]);
        let all = vec![(1, 0x2000), (255, 0x2100), (3 * 256 + 7, 0x3000)];
        assert_eq!(read(&mut m, top, 9), (all, End::Complete));
    }

    #[test]
    fn a_layer_is_below_its_parent() {
        let mut m = machine();
        let same = layer(&mut m, 1, &[(0, 0x5000)]);
        let low = layer(&mut m, 0, &[(0, 0x6000)]);
        let wanted = vec![(256, 0x6000)];
        for (bad, end) in [(same, End::BrokenLink), (0xffff_0000_0000_0000, End::Fault)] {
            let top = layer(&mut m, 1, &[(0, bad), (1, low)]);
            assert_eq!(read(&mut m, top, 9), (wanted.clone(), end));
        }
    }
}
