//! Memory cgroups: those that can be seen.

use super::{Bound, is_worth};
use crate::subsys::mm::memcg::MemcgCount;
use crate::subsys::mm::slab::CacheFacts;

/// `mem_cgroup`, which is a cache of its own since 6.15, against the cgroups that are not removed.
/// What is charged to a removed one holds it rightly, so that nothing follows from more.
pub(super) fn bound(caches: &[CacheFacts], memcgs: Option<&MemcgCount>) -> Option<Bound> {
    const CACHE: &str = "mem_cgroup";
    let memcgs = memcgs.filter(|counted| counted.complete)?;
    if !is_worth(caches, CACHE) {
        return None;
    }
    let counter = "memory cgroups that are not removed".to_owned();
    let of_this = |cache: &CacheFacts| cache.name == CACHE;
    let bound = Bound::new(caches, of_this, counter, memcgs.online)?;
    Some(Bound {
        strict: false,
        ..bound
    })
}
