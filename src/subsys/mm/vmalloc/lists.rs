//! Where the kernel keeps its areas: those in use, and those freed but still mapped.

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::End;

use super::AreaLayout;

/// The vmalloc range of 4 levels has room for 2^33 pages; no machine has a millionth of it.
const MAX_AREAS: u64 = 1 << 24;
/// One per CPU, 128 at most (`vmap_init_nodes`).
const MAX_NODES: u32 = 1024;

layout! {
    /// mm/vmalloc.c, 6.9 and later (commit d093602919ad).
    struct VmapNodeLayout = "vmap_node" in "mm/vmalloc.c" {
        need busy = "busy.head",
        need lazy = "lazy.head",
    }
}

/// Addresses of `struct vmap_area`, in the order of /proc/vmallocinfo.
#[derive(Debug, Default)]
pub(super) struct Areas {
    pub(super) busy: Vec<VirtAddr>,
    pub(super) lazy: Vec<VirtAddr>,
    /// How walks ended that did not reach their end.
    pub(super) broken: Vec<End>,
}

impl Areas {
    pub(super) fn find(kernel: &Kernel, area: &AreaLayout) -> Result<Self, KernelError> {
        let mut areas = Self::default();
        let link = u64::from(area.list.offset);
        if kernel.symbol("vmap_nodes").is_some() {
            let (nodes, count) = nodes(kernel)?;
            let layout: VmapNodeLayout = kernel.layout()?;
            let node = |index: u64| nodes.plus(index * layout.struct_size as u64);
            for index in 0..u64::from(count.min(MAX_NODES)) {
                let busy = node(index).plus(u64::from(layout.busy.offset));
                let busy = areas.list(kernel, busy, link);
                areas.busy.extend(busy);
                let lazy = node(index).plus(u64::from(layout.lazy.offset));
                let lazy = areas.list(kernel, lazy, link);
                areas.lazy.extend(lazy);
            }
            return Ok(areas);
        }
        let head = kernel.need_symbol("vmap_area_list")?;
        areas.busy = areas.list(kernel, head, link);
        if let Some(head) = kernel.symbol("purge_vmap_area_list") {
            areas.lazy = areas.list(kernel, head, link);
        } else if let (Some(head), Some(field)) = (kernel.symbol("vmap_purge_list"), area.purge) {
            // A list of single links up to 5.10 (commit 96e2db456135).
            areas.lazy = areas.chain(kernel, head, u64::from(field.offset));
        }
        // Up to 5.3 what is freed stays on the list of all, too, until it is purged.
        let busy: FxHashSet<VirtAddr> = areas.busy.iter().copied().collect();
        areas.lazy.retain(|area| !busy.contains(area));
        Ok(areas)
    }

    fn list(&mut self, kernel: &Kernel, head: VirtAddr, link: u64) -> Vec<VirtAddr> {
        let found = walk::list(&kernel.space, head, MAX_AREAS);
        if !found.end.is_complete() {
            self.broken.push(found.end);
        }
        found.value.into_iter().map(|at| at.minus(link)).collect()
    }

    fn chain(&mut self, kernel: &Kernel, head: VirtAddr, link: u64) -> Vec<VirtAddr> {
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
        let mut at = head;
        loop {
            match kernel.space.read_ptr(at) {
                Ok(next) if next.is_null() => break,
                Ok(next) if seen.insert(next) => {
                    found.push(next.minus(link));
                    at = next;
                }
                Ok(_) => {
                    self.broken.push(End::Cycle);
                    break;
                }
                Err(_) => {
                    self.broken.push(End::Fault);
                    break;
                }
            }
        }
        found
    }
}

/// The array of nodes and its length.
fn nodes(kernel: &Kernel) -> Result<(VirtAddr, u32), KernelError> {
    let at = kernel.need_symbol("vmap_nodes")?;
    let nodes = kernel.space.read_ptr(at);
    let nodes = nodes.map_err(|fault| KernelError::Memory {
        what: "the nodes of the vmalloc areas",
        fault,
    })?;
    let count = kernel.need_symbol("nr_vmap_nodes")?;
    let count = kernel.space.read_u32(count);
    let count = count.map_err(|fault| KernelError::Memory {
        what: "the number of vmalloc nodes",
        fault,
    })?;
    Ok((nodes, count))
}
