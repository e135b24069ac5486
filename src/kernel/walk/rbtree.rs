//! Red-black trees (lib/rbtree.c).

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::partial::{End, Partial};
use crate::space::AddressSpace;

/// The nodes of the red-black tree whose root pointer is at `root`, in its order: left, node, right
/// (`struct rb_node`: parent and colour, right, left).
pub fn rbtree(space: &AddressSpace, root: VirtAddr, bound: usize) -> Partial<Vec<VirtAddr>> {
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    let mut end = End::Complete;
    // A node to go down to, or one whose left side is done.
    let mut stack = match space.read_ptr(root) {
        Ok(node) => vec![(node, false)],
        Err(_) => return Partial::new(found, End::Fault, 0),
    };
    while let Some((node, entered)) = stack.pop() {
        if entered {
            found.push(node);
            continue;
        }
        if node.is_null() {
            continue;
        }
        if seen.len() >= bound {
            end = End::Limit;
            // What was met above is in the tree all the same.
            stack.retain(|(_, entered)| *entered);
            continue;
        }
        if !seen.insert(node) {
            end = End::Cycle;
            continue;
        }
        let mut links = [0; 24];
        if space.read(node, &mut links).is_err() {
            // The rest of the tree may still be reached.
            end = End::Fault;
            continue;
        }
        let link = |at| VirtAddr(u64_at(&links, at).unwrap_or(0));
        stack.extend([(link(8), false), (node, true), (link(16), false)]);
    }
    let count = found.len() as u64;
    Partial::new(found, end, count)
}
