//! Tracked connections: those in the hash table, where each has a node in both directions
//! (net/netfilter/nf_conntrack_core.c).
//!
//! The count of a namespace goes down when the object is freed, and bounds nothing; a connection
//! is taken off the table when it is given up.

use rustc_hash::FxHashSet;

use super::{Bound, is_worth};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::modules::{self, Modules};
use crate::kernel::walk::{self, NullsEnd};
use crate::partial::End;
use crate::subsys::mm::slab::CacheFacts;

/// Buckets read at a time.
const CHUNK: u64 = 512;

/// `nf_conntrack` against the table. Those that are being made, or that wait until their end is
/// told to user space, are on no chain.
pub(super) fn in_table(kernel: &Kernel, modules: &Modules, caches: &[CacheFacts]) -> Option<Bound> {
    const CACHE: &str = "nf_conntrack";
    if !is_worth(caches, CACHE) {
        return None;
    }
    let symbol = |name: &str| modules::resolve(kernel, modules, name);
    let table = symbol("nf_conntrack_hash")?;
    let table = kernel.space.read_ptr(table).ok()?;
    let size = symbol("nf_conntrack_htable_size")?;
    let buckets = u64::from(kernel.space.read_u32(size).ok()?);
    let of_cache = caches.iter().find(|cache| cache.name == CACHE)?;
    // Two nodes an object, and each is met once.
    let bound = of_cache.exact.objects.saturating_mul(2);
    let nodes = nodes(kernel, table, buckets, bound)?;
    let counter = "nf_conntrack_hash".to_owned();
    Bound::new(caches, |cache| cache.name == CACHE, counter, nodes / 2)
}

/// Nodes in all buckets; `None` if a chain is broken, or there are more than `bound`.
fn nodes(kernel: &Kernel, table: VirtAddr, buckets: u64, bound: u64) -> Option<u64> {
    let (mut count, mut seen) = (0, FxHashSet::default());
    for first in (0..buckets).step_by(CHUNK as usize) {
        let len = CHUNK.min(buckets - first) * 8;
        let heads = kernel.space.read_bytes(table.plus(first * 8), len as usize);
        let heads = heads.ok()?;
        let (heads, _) = heads.as_chunks::<8>();
        for head in heads {
            let first = VirtAddr(u64::from_le_bytes(*head));
            // `hnnode.next` is the first word of a `struct nf_conntrack_tuple_hash`.
            let next = |node| kernel.space.read_ptr(node).map_err(|_| End::Fault);
            match walk::hlist_nulls(first, bound - count, &mut seen, next) {
                NullsEnd::Marker(_) => count += seen.len() as u64,
                NullsEnd::Broken(_) => return None,
            }
        }
    }
    Some(count)
}
