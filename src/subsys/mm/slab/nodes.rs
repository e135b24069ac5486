//! The kernel's own accounting per NUMA node: counters and the list of partial slabs.

use super::cache::Cache;
use super::layouts::{CacheNodeLayout, SlabWords};
use super::pages::SlabScan;
use crate::addr::VirtAddr;
use crate::kernel::memmap::Memmap;
use crate::kernel::page::PageMark;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::End;

/// `MAX_PARTIAL_TO_SCAN` of mm/slub.c: longer lists are estimated for /proc/slabinfo.
const MAX_PARTIAL_TO_SCAN: usize = 10_000;

/// What the nodes of one cache say.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeFacts {
    /// Sum of `nr_slabs`, where the kernel counts (CONFIG_SLUB_DEBUG).
    pub nr_slabs: Option<u64>,
    /// Sum of `total_objects`.
    pub total_objects: Option<u64>,
    /// Sum of `free_objects`, which classic SLAB alone counts.
    pub free_objects: Option<u64>,
    /// Sum of `free_slabs`, in classic SLAB.
    pub free_slabs: u64,
    /// Objects in the arrays that a node's CPUs share, in classic SLAB.
    pub shared_avail: u64,
    /// Indices into the scan of the slabs on the nodes' other lists, in classic SLAB.
    pub listed: Vec<usize>,
    /// Free objects on partial slabs, as /proc/slabinfo of this kernel sums or estimates them.
    pub partial_free: u64,
    /// Indices into the scan of the slabs on the partial lists.
    pub partial: Vec<usize>,
    /// How the walks over the partial lists ended; the worst of them.
    pub end: Option<End>,
}

/// Reads the nodes of caches.
#[derive(Debug)]
pub(crate) struct NodeReader<'k> {
    kernel: &'k Kernel,
    memmap: &'k Memmap,
    scan: &'k SlabScan,
    layout: CacheNodeLayout,
    slab_list: u64,
    estimates: bool,
}

impl<'k> NodeReader<'k> {
    pub(crate) fn new(
        kernel: &'k Kernel,
        memmap: &'k Memmap,
        scan: &'k SlabScan,
    ) -> Result<Self, KernelError> {
        // Commit 046f4c6d4f5b ("slub: introduce count_partial_free_approx", v6.10) came with the
        // release that moved the slab mark, and may have been inlined.
        let estimates = kernel.symbol("count_partial_free_approx").is_some()
            || !matches!(scan.mark, PageMark::FlagBit(_));
        Ok(Self {
            layout: kernel.layout()?,
            slab_list: u64::from(SlabWords::resolve(kernel)?.slab_list.offset),
            kernel,
            memmap,
            scan,
            estimates,
        })
    }

    pub(crate) fn read(&self, cache: &Cache) -> NodeFacts {
        let mut facts = NodeFacts::default();
        for node in &cache.nodes {
            if self.add_node(*node, &mut facts).is_none() {
                facts.end = Some(End::Fault);
            }
        }
        facts
    }

    fn add_node(&self, node: VirtAddr, facts: &mut NodeFacts) -> Option<()> {
        let record = self.kernel.space.read_bytes(node, self.layout.len).ok()?;
        let add = |sum: &mut Option<u64>, value: Option<u64>| {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0).saturating_add(value));
            }
        };
        let objects = self.layout.total_objects.map(|f| f.get(&record));
        add(
            &mut facts.nr_slabs,
            self.layout.nr_slabs.map(|f| f.get(&record)),
        );
        add(&mut facts.total_objects, objects);

        let head = node.plus(u64::from(self.layout.partial.offset));
        let bound = self.scan.slabs.len() as u64 + 1;
        let list = walk::list(&self.kernel.space, head, bound);
        let nr_partial = self.layout.nr_partial.get(&record);
        let complete = list.end.is_complete();
        let on_list: Vec<Option<usize>> = list
            .value
            .iter()
            .map(|link| {
                let pfn = self.memmap.pfn_of(link.minus(self.slab_list))?;
                self.scan.find(pfn)
            })
            .collect();
        facts.partial_free += self.free_on(&on_list, nr_partial, objects);
        facts.partial.extend(on_list.iter().flatten());
        if !complete {
            facts.end = Some(list.end);
        } else if list.seen != nr_partial || on_list.iter().any(Option::is_none) {
            facts.end = Some(End::BrokenLink);
        }
        Some(())
    }

    /// Free objects on the slabs of a list.
    fn free_on(&self, slabs: &[Option<usize>], nr_partial: u64, total: Option<u64>) -> u64 {
        let free = |slab: &Option<usize>| {
            slab.and_then(|index| self.scan.slabs.get(index))
                .map_or(0, |slab| u64::from(slab.objects.saturating_sub(slab.inuse)))
        };
        let free = slabs.iter().map(free);
        match self.estimates {
            true => estimate(free, nr_partial, total),
            false => free.sum(),
        }
    }
}

/// What the kernel estimates for a list of `nr_partial` slabs with so many `free` objects each
/// (mm/slub.c: count_partial_free_approx): on a long one half of those that it looks at are at
/// either end. No more than there are in `total`.
fn estimate(
    free: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + Clone,
    nr_partial: u64,
    total: Option<u64>,
) -> u64 {
    if free.len() <= MAX_PARTIAL_TO_SCAN {
        return free.sum();
    }
    let half = MAX_PARTIAL_TO_SCAN / 2;
    let scanned = free.clone().take(half).sum::<u64>() + free.rev().take(half).sum::<u64>();
    let all = u128::from(scanned) * u128::from(nr_partial) / MAX_PARTIAL_TO_SCAN as u128;
    let all = u64::try_from(all).unwrap_or(u64::MAX);
    total.map_or(all, |total| all.min(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_estimated_from_both_ends() {
        // 5,000 slabs with 3 free objects each, 10,000 with 100, 5,000 with 1.
        let of = |len: usize| {
            (0..len).map(move |at| match at {
                0..5_000 => 3,
                _ if at < len - 5_000 => 100,
                _ => 1,
            })
        };
        assert_eq!(estimate(of(20_000), 20_000, None), 40_000);
        assert_eq!(estimate(of(20_000), 20_000, Some(39_999)), 39_999);
        // (5,000 * 3 + 5,000 * 1) * 10,001 / 10,000, rounded down.
        assert_eq!(estimate(of(10_001), 10_001, Some(1 << 40)), 20_002);
        // As many as it looks at are summed, whatever the list's own count says.
        assert_eq!(estimate(of(10_000), 7, Some(0)), 20_000);
    }
}
