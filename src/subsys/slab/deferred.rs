//! Objects freed where no lock may be taken, for the next interrupt to give back
//! (`defer_free_objects` of each CPU, mm/slub.c, 6.18 and later).
//!
//! The list is linked through the objects themselves, at the cache's free pointer, by
//! plain pointers. In 6.18 and 6.19 slabs hang beside them, each with the CPU's chain
//! that was not put back into it yet.

use super::layouts::{DeferredLayout, DeferredSlabLayout};
use super::pages::SlabScan;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError, walk};

/// What waits on all CPUs.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeferredFacts {
    /// The link within each object; which cache's it is, its slab tells.
    pub(crate) links: Vec<VirtAddr>,
    /// Slabs, by index into the scan, and the chains that belong to them.
    pub(crate) chains: Vec<(usize, VirtAddr)>,
    /// Lists that are not followed to their end.
    pub(crate) broken: u64,
}

/// Reads the lists of all CPUs; there are none in kernels without them.
///
/// # Errors
/// If the kernel has the lists, but does not say how they look.
pub(crate) fn read(
    kernel: &Kernel,
    memmap: &Memmap,
    scan: &SlabScan,
) -> Result<DeferredFacts, KernelError> {
    let mut facts = DeferredFacts::default();
    let Some(percpu) = kernel.symbol("defer_free_objects") else {
        return Ok(facts);
    };
    let layout: DeferredLayout = kernel.layout()?;
    let slab: DeferredSlabLayout = kernel.layout()?;
    let bound = scan.objects();
    for (_, at) in Cpus::read(kernel)?.instances(percpu) {
        let Ok(record) = kernel.space.read_bytes(at, layout.len) else {
            facts.broken += 1;
            continue;
        };
        let first = VirtAddr(layout.objects.get(&record));
        let links = walk::chain(&kernel.space, first, 0, bound);
        facts.broken += u64::from(!links.is_complete());
        facts.links.extend(links.value);
        if let (Some(list), Some(link), Some(chain)) =
            (layout.slabs, slab.llnode, slab.flush_freelist)
        {
            let first = VirtAddr(list.get(&record));
            let links = walk::chain(&kernel.space, first, 0, scan.slabs.len() as u64);
            facts.broken += u64::from(!links.is_complete());
            for node in links.value {
                let descriptor = node.minus(u64::from(link.offset));
                let index = memmap.pfn_of(descriptor).and_then(|pfn| scan.find(pfn));
                let head = (kernel.space).read_ptr(descriptor.plus(u64::from(chain.offset)));
                match (index, head) {
                    (Some(index), Ok(head)) => facts.chains.push((index, head)),
                    _ => facts.broken += 1,
                }
            }
        }
    }
    if facts.broken > 0 {
        kernel.diag.warn_many(
            "deferred-free-lost",
            "lists of objects whose free was put off can't be followed to their end (defer_free_objects): those behind count as allocated (look at it with crash: p defer_free_objects)",
            facts.broken,
        );
    }
    Ok(facts)
}
