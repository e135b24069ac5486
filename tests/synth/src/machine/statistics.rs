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
    let old = kernel.era.is_3_10();
    let (of_nodes, of_zones, unit) = match old {
        true => ("vm_stat", "vm_stat", ""),
        false => ("vm_node_stat", "vm_zone_stat", "_B"),
    };
    let slabs = [
        ("RECLAIMABLE", truth.reclaimable_pages),
        ("UNRECLAIMABLE", truth.unreclaimable_pages),
    ];
    let slabs = slabs.map(|(kind, value)| (of_nodes, format!("NR_SLAB_{kind}{unit}"), value));
    let free = (of_zones, "NR_FREE_PAGES".to_string(), free);
    for (array, item, value) in slabs.into_iter().chain([free]) {
        let slot = kernel.symbol(array) + kernel.types.constant(&item) * 8;
        kernel.write_u64(slot, value);
    }
}
