//! On which NUMA nodes the pages of an area lie (`show_numa_info`, mm/vmalloc.c).

use std::collections::BTreeMap;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::page::allocator_home;
use crate::kernel::{Kernel, cpus};

layout! {
    /// mm/slab.h: arrays by node, for the most nodes that the kernel is built for.
    struct ByNodeLayout = "kmem_cache" in "mm/slub.c" | "mm/slab.c" {
        maybe node = "node",
        /// 7.1 and later.
        maybe per_node = "per_node",
    }
}

/// Counts pages by node.
#[derive(Debug)]
pub(super) struct PageNodes<'k> {
    kernel: &'k Kernel,
    /// `None` without CONFIG_NUMA.
    shift: Option<u32>,
    nodes: usize,
}

impl<'k> PageNodes<'k> {
    /// A page's node is in the highest bits of its flags, as many as the nodes there can be need
    /// (include/linux/page-flags-layout.h).
    pub(super) fn new(kernel: &'k Kernel) -> Self {
        let stated = kernel.vmcoreinfo().get("LENGTH(node_data)");
        let stated = stated.and_then(|most| most.parse::<u64>().ok());
        let most = stated.or_else(|| most_nodes(kernel));
        let most = most.filter(|most| (1..=1 << 16).contains(most));
        Self {
            kernel,
            shift: kernel
                .symbol("node_data")
                .and(most)
                .map(|most| 64 - most.next_power_of_two().trailing_zeros()),
            nodes: cpus::node_count(kernel),
        }
    }

    /// Pages by node; `step` pages each lie together, and the last ones count as whole. `None` if
    /// a page can't be read; empty without CONFIG_NUMA.
    pub(super) fn count(
        &self,
        pages: VirtAddr,
        count: u64,
        step: u64,
    ) -> Option<BTreeMap<u32, u64>> {
        let mut nodes = BTreeMap::new();
        let Some(shift) = self.shift.filter(|_| count > 0) else {
            return Some(nodes);
        };
        if self.nodes == 1 {
            nodes.insert(0, count.checked_next_multiple_of(step)?);
            return Some(nodes);
        }
        let space = &self.kernel.space;
        let table = space.read_bytes(pages, usize::try_from(count.checked_mul(8)?).ok()?);
        let table = table.ok()?;
        for index in (0..count).step_by(usize::try_from(step).ok()?) {
            let page = u64_at(&table, index as usize * 8)?;
            let flags = space.read_u64(VirtAddr(page)).ok()?;
            let node = if shift < 64 { flags >> shift } else { 0 };
            *nodes.entry(node as u32).or_default() += step;
        }
        Some(nodes)
    }
}

/// `MAX_NUMNODES` by the types, for kernels whose note does not have it.
fn most_nodes(kernel: &Kernel) -> Option<u64> {
    let layout: ByNodeLayout = kernel.layout().ok()?;
    let home = allocator_home(&kernel.types);
    let entry = kernel
        .types
        .find_struct("kmem_cache_per_node_ptrs", home, false);
    let entry = entry.ok()?.map_or(8, |found| found.body.size);
    let array = layout.node.map(|node| (node.size, 8));
    let (bytes, each) = array.or_else(|| Some((layout.per_node?.size, entry)))?;
    Some(u64::from(bytes / each.max(1)))
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    /// Of 1024 nodes that there can be, the machine has two. `struct page *` of an area's pages.
    #[test]
    fn pages_are_counted_on_their_nodes() {
        let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let table = m.kernel.alloc(8 * 8, 8);
        for (slot, node) in [1u64, 0, 1, 1, 0, 1, 1, 0].into_iter().enumerate() {
            let page = m.kernel.alloc(64, 64);
            // NODES_SHIFT of 10: the highest ten bits; below them are the zone and others.
            m.kernel.write_u64(page, node << 54 | 0x003f_ffff_0000_0001);
            m.kernel.write_u64(table + slot as u64 * 8, page);
        }
        let count = |kernel: &Kernel, pages, step| {
            let nodes = PageNodes::new(kernel).count(VirtAddr(table), pages, step)?;
            Some(nodes.into_iter().collect::<Vec<_>>())
        };
        let kernel = synthetic::kernel(&m);
        assert_eq!(count(&kernel, 0, 1), Some(vec![]));
        assert_eq!(count(&kernel, 8, 1), Some(vec![(0, 3), (1, 5)]));
        assert_eq!(count(&kernel, 7, 1), Some(vec![(0, 2), (1, 5)]));
        // Of pages that lie together the first one tells, and the last ones count as whole.
        assert_eq!(count(&kernel, 8, 4), Some(vec![(0, 4), (1, 4)]));
        assert_eq!(count(&kernel, 5, 4), Some(vec![(0, 4), (1, 4)]));
        m.kernel.write_u64(table + 8, 1);
        assert_eq!(count(&synthetic::kernel(&m), 8, 1), None);
        // With one node nothing is read.
        m.kernel.set_variable("nr_node_ids", 1);
        let kernel = synthetic::kernel(&m);
        assert_eq!(count(&kernel, 5, 4), Some(vec![(0, 8)]));
    }
}
