//! Network namespaces, which are on a list until they are taken down.

use super::{Bound, is_worth};
use crate::kernel::{Kernel, walk};
use crate::subsys::mm::slab::CacheFacts;

/// More namespaces than any machine has.
const MAX: u64 = 1 << 20;

/// `net_namespace` against `net_namespace_list` (net/core/net_namespace.c). The initial one is
/// on the list, but no object.
pub(super) fn of_networks(kernel: &Kernel, caches: &[CacheFacts]) -> Option<Bound> {
    const CACHE: &str = "net_namespace";
    if !is_worth(caches, CACHE) {
        return None;
    }
    let head = kernel.symbol("net_namespace_list")?;
    let list = walk::list(&kernel.space, head, MAX);
    if !list.end.is_complete() {
        return None;
    }
    let counter = "net_namespace_list".to_owned();
    let limit = (list.value.len() as u64).saturating_sub(1);
    Bound::new(caches, |cache| cache.name == CACHE, counter, limit)
}
