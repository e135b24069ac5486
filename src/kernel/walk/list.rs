//! Lists: circular (`list_head`), and ending with null (`llist_node`, `rcu_head`, `hlist`).

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::partial::{End, Partial};
use crate::space::AddressSpace;

/// The addresses of the `list_head`s on the circular list at `head`, without `head` itself.
///
/// A list is followed forward; each element must point back to the one before it
/// (include/linux/list.h). `bound` is the most elements that there can be.
pub fn list(space: &AddressSpace, head: VirtAddr, bound: u64) -> Partial<Vec<VirtAddr>> {
    let mut found = Vec::new();
    let end = list_into(space, head, bound, &mut found);
    let seen = found.len() as u64;
    Partial::new(found, end, seen)
}

fn list_into(space: &AddressSpace, head: VirtAddr, bound: u64, found: &mut Vec<VirtAddr>) -> End {
    let mut previous = head;
    let mut links = [0; 16];
    if space.read(head, &mut links).is_err() {
        return End::Fault;
    }
    loop {
        let next = VirtAddr(u64_at(&links, 0).unwrap_or(0));
        if next == head {
            return End::Complete;
        }
        if found.len() as u64 >= bound {
            return End::Limit;
        }
        if next.is_null() || !next.0.is_multiple_of(8) {
            return End::BrokenLink;
        }
        if space.read(next, &mut links).is_err() {
            return End::Fault;
        }
        // A list that runs into its own middle breaks this too: there the back-link of the
        // element entered twice can't match both ways in. So this also ends every cycle.
        if u64_at(&links, 8) != Some(previous.0) {
            return if found.contains(&next) {
                End::Cycle
            } else {
                End::BrokenLink
            };
        }
        found.push(next);
        previous = next;
    }
}

/// The nodes of a list that ends with null, from `first` on. Each has a pointer to the next one
/// `link` bytes from where it is pointed to (`struct llist_node` and `rcu_head`: 0 bytes). `bound`
/// is the most nodes that there can be.
pub fn chain(
    space: &AddressSpace,
    first: VirtAddr,
    link: u64,
    bound: u64,
) -> Partial<Vec<VirtAddr>> {
    let mut found: Vec<VirtAddr> = Vec::new();
    let mut node = first;
    // Brent's: a node is compared with one that stands still twice as long each time.
    let (mut still, mut lap, mut power) = (VirtAddr(0), 0, 1);
    let end = loop {
        if node.is_null() {
            break End::Complete;
        }
        if node == still {
            first_lap(&mut found, lap);
            break End::Cycle;
        }
        if found.len() as u64 >= bound {
            break End::Limit;
        }
        let Ok(next) = space.read_ptr(node.plus(link)) else {
            break End::Fault;
        };
        if lap == power {
            (still, lap, power) = (node, 0, power * 2);
        }
        found.push(node);
        node = next;
        lap += 1;
    };
    let seen = found.len() as u64;
    Partial::new(found, end, seen)
}

/// Cuts a walk that has run in a circle of `lap` nodes where it begins to repeat itself.
fn first_lap(found: &mut Vec<VirtAddr>, lap: usize) {
    let repeats = found.iter().zip(found.iter().skip(lap));
    let before = repeats.take_while(|(one, other)| one != other).count();
    found.truncate(before + lap);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_cut_after_its_first_lap() {
        let walk = |nodes: &[u64]| nodes.iter().copied().map(VirtAddr).collect::<Vec<_>>();
        let mut found = walk(&[1, 2, 3, 4, 5, 3, 4, 5, 3, 4]);
        first_lap(&mut found, 3);
        assert_eq!(found, walk(&[1, 2, 3, 4, 5]));
        let mut found = walk(&[7, 7]);
        first_lap(&mut found, 1);
        assert_eq!(found, walk(&[7]));
    }
}
