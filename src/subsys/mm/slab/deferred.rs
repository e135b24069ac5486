//! Objects freed where no lock may be taken, for the next interrupt to give back
//! (mm/slub.c: `deferred_percpu_work` of each CPU since 7.3, `defer_free_objects` in 6.18
//! to 7.2).
//!
//! The list is linked through the objects themselves, at the cache's free pointer, by
//! plain pointers. In 6.18 and 6.19 slabs hang beside them, each with the CPU's chain
//! that was not put back into it yet. Since 7.3 what is still to be given to RCU does:
//! objects by their `rcu_head`, which lies anywhere in them, and sheaves.

use super::layouts::{DeferredLayout, DeferredSheafLayout, DeferredSlabLayout, DeferredWorkLayout};
use super::pages::SlabScan;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError, walk};

/// What waits on all CPUs.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeferredFacts {
    /// The link within each object; which cache's it is, its slab tells.
    pub(crate) links: Vec<VirtAddr>,
    /// Slabs, by index into the scan, and the chains that belong to them.
    pub(crate) chains: Vec<(usize, VirtAddr)>,
    /// Places within objects that are to be given to RCU.
    pub(crate) rcu_heads: Vec<VirtAddr>,
    /// Sheaves that are to be given to RCU.
    pub(crate) rcu_sheaves: Vec<VirtAddr>,
    /// Lists that are not followed to their end.
    pub(crate) broken: u64,
}

/// The lists that this kernel has.
struct Lists {
    name: &'static str,
    percpu: VirtAddr,
    len: usize,
    objects: Field,
    slabs: Option<Field>,
    rcu_objects: Option<Field>,
    /// With the place of the link in a sheaf.
    rcu_sheaves: Option<(Field, u64)>,
}

impl Lists {
    /// Newest kernel first.
    fn find(kernel: &Kernel) -> Result<Option<Self>, LayoutError> {
        if let Some(percpu) = kernel.symbol("deferred_percpu_work") {
            let layout: DeferredWorkLayout = kernel.layout()?;
            let sheaf: DeferredSheafLayout = kernel.layout()?;
            let node = sheaf.llnode.ok_or(LayoutError::NoMember {
                structure: "slab_sheaf",
                member: "llnode",
            })?;
            return Ok(Some(Self {
                name: "deferred_percpu_work",
                percpu,
                len: layout.len,
                objects: layout.objects,
                slabs: None,
                rcu_objects: Some(layout.objects_by_rcu),
                rcu_sheaves: Some((layout.rcu_sheaves, u64::from(node.offset))),
            }));
        }
        let Some(percpu) = kernel.symbol("defer_free_objects") else {
            return Ok(None);
        };
        let layout: DeferredLayout = kernel.layout()?;
        Ok(Some(Self {
            name: "defer_free_objects",
            percpu,
            len: layout.len,
            objects: layout.objects,
            slabs: layout.slabs,
            rcu_objects: None,
            rcu_sheaves: None,
        }))
    }
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
    let Some(lists) = Lists::find(kernel)? else {
        return Ok(facts);
    };
    let slab: DeferredSlabLayout = kernel.layout()?;
    let bound = scan.objects();
    // Large allocations are given to RCU as well.
    let most = bound.saturating_add(memmap.pages());
    for (_, at) in Cpus::read(kernel)?.instances(lists.percpu) {
        let Ok(record) = kernel.space.read_bytes(at, lists.len) else {
            facts.broken += 1;
            continue;
        };
        let follow = |list: &Field, most: u64| {
            let first = VirtAddr(list.get(&record));
            let links = walk::chain(&kernel.space, first, 0, most);
            (u64::from(!links.is_complete()), links.value)
        };
        let (broken, links) = follow(&lists.objects, bound);
        facts.broken += broken;
        facts.links.extend(links);
        if let Some(list) = &lists.rcu_objects {
            let (broken, heads) = follow(list, most);
            facts.broken += broken;
            facts.rcu_heads.extend(heads);
        }
        if let Some((list, node)) = &lists.rcu_sheaves {
            let (broken, nodes) = follow(list, bound);
            facts.broken += broken;
            let sheaves = nodes.into_iter().map(|at| at.minus(*node));
            facts.rcu_sheaves.extend(sheaves);
        }
        if let (Some(list), Some(link), Some(chain)) =
            (&lists.slabs, slab.llnode, slab.flush_freelist)
        {
            let (broken, nodes) = follow(list, scan.slabs.len() as u64);
            facts.broken += broken;
            for node in nodes {
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
            format!(
                "lists of objects whose free was put off can't be followed to their end ({0}): those behind count as allocated (look at it with crash: p {0})",
                lists.name
            ),
            facts.broken,
        );
    }
    Ok(facts)
}
