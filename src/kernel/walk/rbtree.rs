//! Red-black trees (lib/rbtree.c).

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::partial::{End, Partial};
use crate::space::AddressSpace;

/// The nodes of the red-black tree whose root pointer is at `root`, in no particular order
/// (`struct rb_node`: parent and colour, right, left).
pub fn rbtree(space: &AddressSpace, root: VirtAddr, bound: usize) -> Partial<Vec<VirtAddr>> {
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    let mut end = End::Complete;
    let mut stack = match space.read_ptr(root) {
        Ok(node) => vec![node],
        Err(_) => return Partial::new(found, End::Fault, 0),
    };
    while let Some(node) = stack.pop() {
        if node.is_null() {
            continue;
        }
        if found.len() >= bound {
            end = End::Limit;
            break;
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
        found.push(node);
        for at in [8, 16] {
            stack.push(VirtAddr(u64_at(&links, at).unwrap_or(0)));
        }
    }
    let count = found.len() as u64;
    Partial::new(found, end, count)
}
