//! The kernel's map from numbers to pointers (lib/xarray.c); an `idr` is one too.
//!
//! No recursion; a child is one level below its parent or the walk ends there, so that no circle
//! can hold it.

use super::layout::layout;
use super::{Kernel, KernelError};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::partial::{End, Partial};

layout! {
    /// include/linux/xarray.h
    struct XaNodeLayout = "xa_node" in "lib/xarray.c" {
        need shift = "shift",
        need slots = "slots",
    }
}

/// Internal entries end in these bits; those up to here are no nodes (`xa_is_node`).
const INTERNAL: u64 = 2;
const LAST_SPECIAL: u64 = 4096;
/// Slots of a node: 16 or 64.
const MAX_SLOTS: usize = 64;

/// The pointers in the array whose head (`xa_head`) is at `head`, with their numbers, in order.
/// `bound` is the most that there can be.
///
/// # Errors
/// If the kernel's types don't describe a node.
pub fn pointers(
    kernel: &Kernel,
    head: VirtAddr,
    bound: usize,
) -> Result<Partial<Vec<(u64, VirtAddr)>>, KernelError> {
    let layout: XaNodeLayout = kernel.layout()?;
    let mut found = Vec::new();
    let mut end = End::Complete;
    // An entry, the number of its first slot, and the shift that it has to stay below.
    let mut stack = match kernel.space.read_u64(head) {
        Ok(entry) => vec![(entry, 0u64, 64u64)],
        Err(_) => return Ok(Partial::new(found, End::Fault, 0)),
    };
    while let Some((entry, index, above)) = stack.pop() {
        if found.len() >= bound || stack.len() > bound.saturating_add(MAX_SLOTS * 16) {
            end = End::Limit;
            break;
        }
        if entry & 3 != INTERNAL {
            if entry != 0 {
                found.push((index, VirtAddr(entry)));
            }
            continue;
        }
        if entry <= LAST_SPECIAL {
            continue;
        }
        let Ok(node) = kernel
            .space
            .read_bytes(VirtAddr(entry - INTERNAL), layout.struct_size)
        else {
            end = End::Fault;
            continue;
        };
        let shift = layout.shift.get(&node);
        if shift >= above {
            end = End::BrokenLink;
            continue;
        }
        let slots = (layout.slots.size as usize / 8).min(MAX_SLOTS);
        for slot in (0..slots).rev() {
            let entry = u64_at(&node, layout.slots.offset as usize + slot * 8).unwrap_or(0);
            if entry != 0 {
                let within = (slot as u64).checked_shl(shift as u32).unwrap_or(0);
                stack.push((entry, index.wrapping_add(within), shift));
            }
        }
    }
    let seen = found.len() as u64;
    Ok(Partial::new(found, end, seen))
}
