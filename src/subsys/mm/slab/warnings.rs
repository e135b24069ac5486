//! What is broken in each cache, in words with a remedy.

use super::{CacheFacts, Damage, SlabHeap};
use crate::diag::Diagnostics;

pub(super) fn warn(heap: &SlabHeap<'_>, caches: &[CacheFacts]) {
    let diag = &heap.kernel.diag;
    if heap.scan.strays > 0 {
        diag.warn_many(
            "stray-slabs",
            "pages are marked as slab, but belong to no cache (being freed, or the list of caches is cut short)",
            heap.scan.strays,
        );
    }
    for cache in caches {
        let name = &cache.name;
        let damage = &cache.damage;
        if damage.broken_freelists > 0 {
            diag.warn_many(
                "freelist-broken",
                format!("{name}: free chains are corrupt or enter missing memory; those slabs are counted by their own counters (use after free? see vmleak objects {name})"),
                damage.broken_freelists,
            );
        }
        if damage.circular_freelists > 0 {
            diag.warn_many(
                "freelist-circular",
                format!("{name}: free chains lead back into themselves, as when an object is freed twice (those on them: vmleak objects {name} --state free)"),
                damage.circular_freelists,
            );
        }
        if damage.counter_mismatches > 0 {
            diag.warn_many(
                "freelist-counter",
                format!("{name}: slabs whose free chain is not as long as their counters say (the crash came in the middle of a change, or memory was overwritten)"),
                damage.counter_mismatches,
            );
        }
        warn_held(diag, name, damage);
        if damage.doubly_free > 0 {
            diag.note_many(
                "doubly-free",
                format!("{name}: objects are free in two places, a chain or a sheaf (a double free? see vmleak objects {name})"),
                damage.doubly_free,
            );
        }
        if damage.broken_partial_list {
            diag.warn(
                "partial-list-broken",
                format!("{name}: a node's list of slabs is broken; the slabinfo view of active objects is too high"),
            );
        }
        if let Some((scanned, counted)) = damage.slabs_against_counter {
            diag.warn(
                "slab-count",
                format!("{name}: {scanned} slabs found, but the kernel counted {counted} (missing pages, or the crash came in the middle of a change)"),
            );
        } else if let Some((scanned, counted)) = damage.objects_against_counter {
            diag.warn(
                "object-count",
                format!("{name}: {scanned} objects found, but the kernel counted {counted} (the crash came in the middle of a change, or a counter was overwritten)"),
            );
        } else if let Some((scanned, counted)) = damage.free_against_counter {
            diag.warn(
                "free-count",
                format!("{name}: its slabs have {scanned} free objects, but the kernel counted {counted} (the crash came in the middle of a change, or a counter was overwritten)"),
            );
        }
    }
}

/// What CPUs and sheaves hold, and the dump lacks: without it free objects look allocated.
pub(super) fn warn_held(diag: &Diagnostics, name: &str, damage: &Damage) {
    if damage.lost_cpu_slabs > 0 {
        diag.warn_many(
            "cpu-slab-lost",
            format!("{name}: current slabs of CPUs can't be found; objects free there count as allocated"),
            damage.lost_cpu_slabs,
        );
    }
    if damage.broken_sheaves > 0 {
        diag.warn_many(
            "sheaf-broken",
            format!("{name}: sheaves, barns, arrays of free objects or CPUs' structures of them are missing or make no sense; objects free there count as allocated (was the dump filtered by a makedumpfile that takes them for user pages? see the limitations)"),
            damage.broken_sheaves,
        );
    }
    if damage.wild_sheaf_objects > 0 {
        diag.warn_many(
            "sheaf-pointer",
            format!("{name}: pointers in sheaves or arrays of free objects lead to no object of the cache (memory was overwritten, or the slab's page structure is missing)"),
            damage.wild_sheaf_objects,
        );
    }
}
