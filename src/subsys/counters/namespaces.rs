//! Network namespaces, which are on a list until they are taken down.

use super::{Bound, is_worth};
use crate::kernel::{Kernel, namespaces};
use crate::subsys::mm::slab::CacheFacts;

/// `net_namespace` against `net_namespace_list` (net/core/net_namespace.c). The initial one is
/// on the list, but no object.
pub(super) fn of_networks(kernel: &Kernel, caches: &[CacheFacts]) -> Option<Bound> {
    const CACHE: &str = "net_namespace";
    if !is_worth(caches, CACHE) {
        return None;
    }
    let networks = namespaces::of_networks(kernel).ok()?;
    if !networks.complete {
        return None;
    }
    let counter = "net_namespace_list".to_owned();
    let limit = (networks.all.len() as u64).saturating_sub(1);
    Bound::new(caches, |cache| cache.name == CACHE, counter, limit)
}
