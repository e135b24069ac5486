//! The kernel's map from numbers to pointers (lib/xarray.c); an `idr` is one too.
//!
//! No recursion; a child is one level below its parent or the walk ends there, so that no circle
//! can hold it.

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
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
const LAST_SPECIAL: u64 = 4 << 10;
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
    with_nodes(kernel, head, bound, |_, _| ())
}

/// The same, and each node on the way: its address and its bytes.
///
/// # Errors
/// As [`pointers`].
pub fn with_nodes(
    kernel: &Kernel,
    head: VirtAddr,
    bound: usize,
    mut visit: impl FnMut(VirtAddr, usize),
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
        visit(VirtAddr(entry - INTERNAL), node.len());
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

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::super::super::synthetic;
    use super::*;

    /// include/linux/xarray.h, with 64 slots (CONFIG_BASE_SMALL off).
    const NODE: &str = "struct xa_node 576 {
        0 unsigned char shift
        1 unsigned char offset
        2 unsigned char count
        3 unsigned char nr_values
        8 struct xa_node * parent
        16 void * array
        24 struct list_head private_list
        40 void * [64] slots
    }";

    fn machine() -> Machine {
        let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let kernel = &mut machine.kernel;
        kernel.types.parse(NODE);
        kernel.vmlinux_types.parse(NODE);
        machine
    }

    /// A node of that shift, as an entry.
    fn node(machine: &mut Machine, shift: u64, slots: &[(u64, u64)]) -> u64 {
        let kernel = &mut machine.kernel;
        let at = kernel.alloc_struct("xa_node");
        kernel.set(at, "xa_node", "shift", shift);
        for (slot, entry) in slots {
            kernel.write_u64(
                at + kernel.types.offset("xa_node", "slots") + slot * 8,
                *entry,
            );
        }
        at | INTERNAL
    }

    fn read(machine: &mut Machine, entry: u64, bound: usize) -> (Vec<(u64, u64)>, End) {
        let head = machine.kernel.alloc(8, 8);
        machine.kernel.write_u64(head, entry);
        let kernel = synthetic::kernel(machine);
        let found = pointers(&kernel, VirtAddr(head), bound).expect("a layout");
        assert_eq!(found.seen, found.value.len() as u64);
        let pairs = found.value.iter().map(|(index, at)| (*index, at.0));
        (pairs.collect(), found.end)
    }

    #[test]
    fn entries_have_the_numbers_of_their_slots() {
        let mut m = machine();
        assert_eq!(read(&mut m, 0, 9), (vec![], End::Complete));
        assert_eq!(read(&mut m, 0x1000, 9), (vec![(0, 0x1000)], End::Complete));
        let low = node(&mut m, 0, &[(1, 0x2000), (63, 0x2100)]);
        let middle = node(&mut m, 6, &[(0, low), (2, 0x3000)]);
        let far = node(&mut m, 0, &[(5, 0x4000)]);
        let other = node(&mut m, 6, &[(3, far)]);
        // A slot that waits for a retry (XA_RETRY_ENTRY) is no node.
        let top = node(
            &mut m,
            12,
            &[(0, middle), (1, 256 << 2 | INTERNAL), (7, other)],
        );
        let wanted = vec![
            (1, 0x2000),
            (63, 0x2100),
            (128, 0x3000),
            ((7 << 12) + (3 << 6) + 5, 0x4000),
        ];
        assert_eq!(read(&mut m, top, 9), (wanted.clone(), End::Complete));
        assert_eq!(read(&mut m, top, 4), (wanted.clone(), End::Complete));
        assert_eq!(read(&mut m, top, 3), (wanted[..3].to_vec(), End::Limit));
    }

    #[test]
    fn a_child_is_below_its_parent() {
        let mut m = machine();
        let child = node(&mut m, 6, &[(0, 0x5000)]);
        let parent = node(&mut m, 6, &[(0, child), (1, 0x6000)]);
        let wanted = vec![(64, 0x6000)];
        assert_eq!(read(&mut m, parent, 9), (wanted, End::BrokenLink));
        let lost = node(&mut m, 6, &[(0, 0xffff_0000_0000_0002), (1, 0x6000)]);
        assert_eq!(read(&mut m, lost, 9), (vec![(64, 0x6000)], End::Fault));
    }
}
