//! `vm_node_stat` and `vm_zone_stat`, so far as slabs and free pages go.

use super::kernel::Kernel;
use crate::slub::scenario::Scenario;
use crate::slub::truth::Truth;

/// Lays the counters and completes the truth about them.
pub(super) fn lay(kernel: &mut Kernel, scenario: &Scenario, truth: &mut Truth) {
    for cache in &truth.caches {
        if cache.flags.contains(&"SLAB_RECLAIM_ACCOUNT") {
            truth.reclaimable_pages += cache.pages;
        } else {
            truth.unreclaimable_pages += cache.pages;
        }
    }
    for page in &scenario.compound {
        if page.kmalloc {
            truth.unreclaimable_pages += 1 << page.order;
        }
    }
    let free = kernel.ram.pages() - kernel.memory.len() as u64;
    for (array, item, value) in [
        (
            "vm_node_stat",
            "NR_SLAB_RECLAIMABLE_B",
            truth.reclaimable_pages,
        ),
        (
            "vm_node_stat",
            "NR_SLAB_UNRECLAIMABLE_B",
            truth.unreclaimable_pages,
        ),
        ("vm_zone_stat", "NR_FREE_PAGES", free),
    ] {
        let slot = kernel.symbol(array) + kernel.types.constant(item) * 8;
        kernel.write_u64(slot, value);
    }
}
