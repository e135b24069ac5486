//! A node's accounting in classic SLAB: counters, and three lists with every slab on one.

use super::super::cache::Cache;
use super::super::layouts::SlabWords;
use super::super::nodes::NodeFacts;
use super::super::pages::SlabScan;
use super::layouts::{ArrayCacheLayout, ClassicNodeLayout};
use crate::addr::VirtAddr;
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::End;

/// Reads the nodes of caches.
#[derive(Debug)]
pub(in super::super) struct ClassicNodeReader<'k> {
    kernel: &'k Kernel,
    memmap: &'k Memmap,
    scan: &'k SlabScan,
    layout: ClassicNodeLayout,
    array: ArrayCacheLayout,
    slab_list: u64,
}

impl<'k> ClassicNodeReader<'k> {
    pub(in super::super) fn new(
        kernel: &'k Kernel,
        memmap: &'k Memmap,
        scan: &'k SlabScan,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            layout: kernel.layout()?,
            array: kernel.layout()?,
            slab_list: u64::from(SlabWords::resolve(kernel)?.slab_list.offset),
            kernel,
            memmap,
            scan,
        })
    }

    pub(in super::super) fn read(&self, cache: &Cache) -> NodeFacts {
        let mut facts = NodeFacts::default();
        for node in &cache.nodes {
            if self.add_node(cache, *node, &mut facts).is_none() {
                facts.end = Some(End::Fault);
            }
        }
        facts
    }

    fn add_node(&self, cache: &Cache, node: VirtAddr, facts: &mut NodeFacts) -> Option<()> {
        let layout = &self.layout;
        let record = self.kernel.space.read_bytes(node, layout.len).ok()?;
        let total = layout.total_slabs.get(&record);
        let empty = layout.free_slabs.get(&record);
        let free = layout.free_objects.get(&record);
        let add = |sum: &mut Option<u64>, value: u64| {
            *sum = Some(sum.unwrap_or(0).saturating_add(value));
        };
        let objects = total.saturating_mul(u64::from(cache.objects_per_slab));
        add(&mut facts.nr_slabs, total);
        add(&mut facts.total_objects, objects);
        add(&mut facts.free_objects, free);
        facts.free_slabs = facts.free_slabs.saturating_add(empty);
        facts.partial_free = facts.partial_free.saturating_add(free);

        let shared = VirtAddr(layout.shared.get(&record));
        if !shared.is_null() {
            let avail = shared.plus(u64::from(self.array.avail.offset));
            facts.shared_avail += u64::from(self.kernel.space.read_u32(avail).unwrap_or(0));
        }

        let partial = self.list(node, layout.slabs_partial.offset, facts);
        let full = self.list(node, layout.slabs_full.offset, facts);
        let free = self.list(node, layout.slabs_free.offset, facts);
        let listed = partial.len() + full.len() + free.len();
        if facts.end.is_none() && (listed as u64 != total || free.len() as u64 != empty) {
            facts.end = Some(End::BrokenLink);
        }
        facts.partial.extend(partial);
        facts.listed.extend(full);
        facts.listed.extend(free);
        Some(())
    }

    /// The slabs on one list, by index into the scan.
    fn list(&self, node: VirtAddr, offset: u32, facts: &mut NodeFacts) -> Vec<usize> {
        let bound = self.scan.slabs.len() as u64 + 1;
        let list = walk::list(&self.kernel.space, node.plus(u64::from(offset)), bound);
        if !list.end.is_complete() {
            facts.end = Some(list.end);
        }
        let slab = |link: VirtAddr| {
            let pfn = self.memmap.pfn_of(link.minus(self.slab_list))?;
            self.scan.find(pfn)
        };
        let known: Vec<usize> = list.value.iter().filter_map(|link| slab(*link)).collect();
        if known.len() != list.value.len() {
            facts.end = Some(End::BrokenLink);
        }
        known
    }
}
