//! Up to 5.8 each memory cgroup that uses a cache has a copy of its own of it
//! (mm/slab_common.c: memcg_create_kmem_cache; RHEL 8). /proc/slabinfo adds the copies
//! to the cache they are of, and so do all numbers here.

use rustc_hash::FxHashMap;

use super::cache::Cache;
use super::{CacheFacts, SlabHeap};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;

impl SlabHeap<'_> {
    /// The caches that count as the one at `index`: itself, and its copies for memory cgroups.
    pub(super) fn counted_as(&self, index: usize) -> Vec<usize> {
        let address = self.caches.get(index).map(|cache| cache.address);
        let copies = self.caches.iter().enumerate();
        let copies = copies.filter(|(_, cache)| cache.root.is_some() && cache.root == address);
        std::iter::once(index)
            .chain(copies.map(|(copy, _)| copy))
            .collect()
    }

    /// For each cache the number of the one whose numbers it is added to: its own, unless it is a
    /// copy of one that is listed.
    pub fn counted_in(&self) -> Vec<usize> {
        let originals = self.caches.iter().enumerate();
        let originals = originals.filter(|(_, cache)| cache.root.is_none());
        let places: FxHashMap<VirtAddr, usize> = originals
            .map(|(number, cache)| (cache.address, number))
            .collect();
        let all = self.caches.iter().enumerate();
        let original = |cache: &Cache| places.get(&cache.root?).copied();
        all.map(|(number, cache)| original(cache).unwrap_or(number))
            .collect()
    }
}

/// Adds the facts of copies to those of the caches they are of. `facts` are of all `caches`, in
/// their order; a copy whose cache is not among them stays for itself, with a warning.
pub(super) fn fold(kernel: &Kernel, caches: &[Cache], facts: Vec<CacheFacts>) -> Vec<CacheFacts> {
    if caches.iter().all(|cache| cache.root.is_none()) {
        return facts;
    }
    let roots: FxHashMap<VirtAddr, VirtAddr> = caches
        .iter()
        .filter_map(|cache| Some((cache.address, cache.root?)))
        .collect();
    let (copies, mut kept): (Vec<_>, Vec<_>) = facts
        .into_iter()
        .partition(|facts| roots.contains_key(&facts.address));
    let places: FxHashMap<VirtAddr, usize> = kept
        .iter()
        .enumerate()
        .map(|(index, facts)| (facts.address, index))
        .collect();
    for copy in copies {
        let root = roots.get(&copy.address).and_then(|root| places.get(root));
        match root.and_then(|index| kept.get_mut(*index)) {
            Some(root) => add(root, &copy),
            None => {
                kernel.diag.warn(
                    "memcg-cache-stray",
                    "caches of memory cgroups are copies of none that is listed: they stand for themselves (the list of caches is cut short?)",
                );
                kept.push(copy);
            }
        }
    }
    kept
}

fn add(root: &mut CacheFacts, copy: &CacheFacts) {
    root.memcg_children += 1;
    root.slabinfo.add(&copy.slabinfo);
    root.exact.add(&copy.exact);
    root.occupancy.add(&copy.occupancy);
    root.damage.add(&copy.damage);
    root.rcu_slabs += copy.rcu_slabs;
    root.kfence_pages += copy.kfence_pages;
}
