//! Chains of hash tables: `hlist` and `hlist_bl`, which end with null, and `hlist_nulls`, which ends
//! with a number (include/linux/list.h, list_bl.h and list_nulls.h).

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::partial::{End, Partial};
use crate::space::AddressSpace;

/// The nodes of the chain whose head (`struct hlist_head`) is at `head`. Each must point back to
/// the word that points to it. `bound` is the most nodes that there can be.
pub fn hlist(space: &AddressSpace, head: VirtAddr, bound: u64) -> Partial<Vec<VirtAddr>> {
    match space.read_ptr(head) {
        Err(_) => Partial::new(Vec::new(), End::Fault, 0),
        Ok(first) => hlist_from(space, head, first, bound),
    }
}

/// As [`hlist`], of a head (`struct hlist_bl_head`) that holds `first`: its lowest bit is a lock,
/// which may be taken.
pub fn hlist_bl(
    space: &AddressSpace,
    head: VirtAddr,
    first: u64,
    bound: u64,
) -> Partial<Vec<VirtAddr>> {
    hlist_from(space, head, VirtAddr(first & !1), bound)
}

fn hlist_from(
    space: &AddressSpace,
    head: VirtAddr,
    first: VirtAddr,
    bound: u64,
) -> Partial<Vec<VirtAddr>> {
    let mut found: Vec<VirtAddr> = Vec::new();
    let (mut from, mut node) = (head, first);
    let end = loop {
        if node.is_null() {
            break End::Complete;
        }
        if found.len() as u64 >= bound {
            break End::Limit;
        }
        let mut links = [0; 16];
        if space.read(node, &mut links).is_err() {
            break End::Fault;
        }
        // A chain that runs into itself breaks this too, as that of a `list_head`.
        if u64_at(&links, 8) != Some(from.0) {
            break match found.contains(&node) {
                true => End::Cycle,
                false => End::BrokenLink,
            };
        }
        found.push(node);
        from = node;
        node = VirtAddr(u64_at(&links, 0).unwrap_or(0));
    };
    let seen = found.len() as u64;
    Partial::new(found, end, seen)
}

/// How an `hlist_nulls` chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullsEnd {
    /// With this number: its bucket's, or another's if an element was moved meanwhile.
    Marker(u64),
    /// Before one.
    Broken(End),
}

/// Follows a chain from `first` on, which the head of a bucket points to. `visit` gets each node
/// once and gives what its `next` holds, or why it can't. `bound` is the most nodes that there
/// can be; `seen` holds the nodes afterwards and is for reuse.
pub fn hlist_nulls(
    first: VirtAddr,
    bound: u64,
    seen: &mut FxHashSet<VirtAddr>,
    mut visit: impl FnMut(VirtAddr) -> Result<VirtAddr, End>,
) -> NullsEnd {
    seen.clear();
    let mut node = first;
    loop {
        if node.0 & 1 == 1 {
            return NullsEnd::Marker(node.0 >> 1);
        }
        if node.is_null() || !node.0.is_multiple_of(8) {
            return NullsEnd::Broken(End::BrokenLink);
        }
        if !seen.insert(node) {
            return NullsEnd::Broken(End::Cycle);
        }
        if seen.len() as u64 > bound {
            return NullsEnd::Broken(End::Limit);
        }
        node = match visit(node) {
            Ok(next) => next,
            Err(end) => return NullsEnd::Broken(end),
        };
    }
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::super::super::synthetic;
    use super::*;

    /// A head and three nodes; what is done to them; how the walk then ends, and after how many.
    fn walked(harm: impl FnOnce(&mut Machine, [u64; 4])) -> (End, usize) {
        let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let at = machine.kernel.alloc(64, 8);
        let nodes = [at, at + 16, at + 32, at + 48];
        let next = [nodes[1], nodes[2], nodes[3], 0];
        for (index, (node, next)) in nodes.iter().zip(next).enumerate() {
            machine.kernel.write_u64(*node, next);
            if index > 0 {
                machine.kernel.write_u64(node + 8, nodes[index - 1]);
            }
        }
        harm(&mut machine, nodes);
        let kernel = synthetic::kernel(&machine);
        let walk = hlist(&kernel.space, VirtAddr(nodes[0]), 100);
        (walk.end, walk.value.len())
    }

    #[test]
    fn a_chain_ends_with_null() {
        assert_eq!(walked(|_, _| ()), (End::Complete, 3));
        assert_eq!(
            walked(|m, nodes| m.kernel.write_u64(nodes[0], 0)),
            (End::Complete, 0)
        );
    }

    #[test]
    fn a_chain_that_is_broken_says_how() {
        let circle = |m: &mut Machine, nodes: [u64; 4]| m.kernel.write_u64(nodes[3], nodes[2]);
        assert_eq!(walked(circle), (End::Cycle, 3));
        let stray = |m: &mut Machine, nodes: [u64; 4]| m.kernel.write_u64(nodes[2] + 8, 64);
        assert_eq!(walked(stray), (End::BrokenLink, 1));
        let wild = |m: &mut Machine, nodes: [u64; 4]| m.kernel.write_u64(nodes[1], 1 << 47);
        assert_eq!(walked(wild), (End::Fault, 1));
    }

    #[test]
    fn a_nulls_chain_ends_with_a_number() {
        let mut seen = FxHashSet::default();
        let mut walk = |links: &[(u64, u64)], bound| {
            hlist_nulls(VirtAddr(8), bound, &mut seen, |node| {
                let link = links.iter().find(|(at, _)| *at == node.0);
                link.map(|(_, next)| VirtAddr(*next)).ok_or(End::Fault)
            })
        };
        let marker = (5 << 1) | 1;
        assert_eq!(walk(&[(8, 16), (16, marker)], 9), NullsEnd::Marker(5));
        let broken = |end| NullsEnd::Broken(end);
        assert_eq!(walk(&[(8, 16), (16, 8)], 9), broken(End::Cycle));
        assert_eq!(walk(&[(8, 16), (16, 0)], 9), broken(End::BrokenLink));
        assert_eq!(walk(&[(8, 12)], 9), broken(End::BrokenLink));
        assert_eq!(walk(&[(8, 16)], 9), broken(End::Fault));
        assert_eq!(walk(&[(8, 16), (16, marker)], 1), broken(End::Limit));
    }
}
