//! `hlist_nulls` lists: the hash and the lists of entries that are not in it.

use crate::machine::Kernel;

/// `UNCONFIRMED_NULLS_VAL`.
pub(super) const UNCONFIRMED_NULLS: u64 = 1 << 30;
/// `DYING_NULLS_VAL`.
pub(super) const DYING_NULLS: u64 = (1 << 30) + 1;
/// `LIST_POISON2`, what `hlist_nulls_del` leaves behind.
pub(super) const POISON: u64 = 0xdead_0000_0000_0122;

/// Links `nodes` behind a head; the last one ends with the marker `nulls`.
pub(super) fn link(kernel: &mut Kernel, head: u64, nodes: &[u64], nulls: u64) {
    let mut slot = head;
    for node in nodes {
        kernel.write_u64(slot, *node);
        // hlist_nulls_node is next, then pprev.
        kernel.write_u64(node + 8, slot);
        slot = *node;
    }
    kernel.write_u64(slot, nulls << 1 | 1);
}

/// Links an `hlist`, which ends with a null pointer.
pub(super) fn link_hlist(kernel: &mut Kernel, head: u64, nodes: &[u64]) {
    let mut slot = head;
    for node in nodes {
        kernel.write_u64(slot, *node);
        kernel.write_u64(node + 8, slot);
        slot = *node;
    }
    kernel.write_u64(slot, 0);
}
