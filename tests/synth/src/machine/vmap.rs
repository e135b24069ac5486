//! The kernel's records of areas of vmalloc.
//!
//! Whoever makes an area says where its records lie, so that they can be slab objects.

use super::kernel::Kernel;
use crate::slub::page::reference_count;

/// `VM_ALLOC`.
pub const VM_ALLOC: u64 = 2;
/// `vmap_area.flags` up to 5.1: it was freed.
const VM_LAZY_FREE: u64 = 2;
/// There is a `vm_struct`.
const VM_VM_AREA: u64 = 4;
/// Lists of areas, where there are several.
const LISTS: u64 = 2;

/// Where the records of an area lie.
#[derive(Debug, Clone, Copy)]
pub struct Records {
    /// The `vmap_area`.
    pub area: u64,
    /// The `vm_struct`.
    pub vm: u64,
    /// The array of pointers to page structures; 0 for an area without pages of its own.
    pub pages: u64,
}

/// Without areas.
pub(super) fn lay(kernel: &mut Kernel) {
    if kernel.image.has("vmap_nodes") {
        let nodes = kernel.alloc(LISTS * kernel.types.sizeof("vmap_node"), 64);
        kernel.set_variable("vmap_nodes", nodes);
        kernel.set_variable("nr_vmap_nodes", LISTS);
    }
    link(kernel, &[], &[]);
}

/// Puts `vmap_area`s on the lists: those in use, and those freed but still mapped.
pub fn link(kernel: &mut Kernel, busy: &[u64], lazy: &[u64]) {
    let list = kernel.types.offset("vmap_area", "list");
    let entries = |areas: &[u64]| -> Vec<u64> { areas.iter().map(|at| at + list).collect() };
    let (busy, lazy) = (entries(busy), entries(lazy));
    if kernel.image.has("vmap_nodes") {
        let nodes = kernel.read_u64(kernel.symbol("vmap_nodes"));
        for node in 0..LISTS {
            let at = nodes + node * kernel.types.sizeof("vmap_node");
            for (member, all) in [("busy.head", &busy), ("lazy.head", &lazy)] {
                let own = all.iter().skip(node as usize).step_by(LISTS as usize);
                let own: Vec<u64> = own.copied().collect();
                let head = at + kernel.types.offset("vmap_node", member);
                kernel.link_list(head, &own);
            }
        }
        return;
    }
    let head = kernel.symbol("vmap_area_list");
    if kernel.image.has("purge_vmap_area_list") {
        kernel.link_list(head, &busy);
        let head = kernel.symbol("purge_vmap_area_list");
        kernel.link_list(head, &lazy);
        return;
    }
    // A chain of those freed; up to 5.1 they stay on the list of all.
    let on_list = match kernel.image.has("free_vmap_area_root") {
        true => busy,
        false => [busy, lazy.clone()].concat(),
    };
    kernel.link_list(head, &on_list);
    // Up to 4.6 nothing but their flags tells those that are freed.
    if !kernel.image.has("vmap_purge_list") {
        return;
    }
    let purge = kernel.types.offset("vmap_area", "purge_list");
    let mut at = kernel.symbol("vmap_purge_list");
    for entry in lazy {
        let next = entry - list + purge;
        kernel.write_u64(at, next);
        at = next;
    }
    kernel.write_u64(at, 0);
}

/// Records an area of `size` bytes; if it has pages of its own, they are mapped there, and behind
/// them is a guard page.
pub fn record(kernel: &mut Kernel, at: Records, start: u64, size: u64, caller: u64) {
    record_place(kernel, at.area, start, start + size);
    kernel.set(at.area, "vmap_area", "vm", at.vm);
    if !kernel.image.has("free_vmap_area_root") {
        kernel.set(at.area, "vmap_area", "flags", VM_VM_AREA);
    }
    let held = match at.pages {
        0 => 0,
        _ => size / kernel.page_size() - 1,
    };
    for (member, value) in [
        ("addr", start),
        ("size", size),
        ("flags", VM_ALLOC),
        ("pages", at.pages),
        ("nr_pages", held),
        ("caller", caller),
    ] {
        kernel.set(at.vm, "vm_struct", member, value);
    }
    for page in 0..held {
        let pfn = kernel.space.phys(start + page * kernel.page_size()) >> kernel.page_shift();
        let page_struct = kernel.space.page(pfn);
        kernel.set(page_struct, "page", reference_count(kernel), 1);
        kernel.write_u64(at.pages + page * 8, page_struct);
    }
}

/// Records an area that was freed, and is still mapped for all that the kernel knows.
pub fn record_freed(kernel: &mut Kernel, area: u64, start: u64, end: u64) {
    record_place(kernel, area, start, end);
    if kernel.types.has("vmap_area", "flags") && !kernel.image.has("free_vmap_area_root") {
        kernel.set(area, "vmap_area", "flags", VM_LAZY_FREE);
    }
}

/// Where an area lies, or room for one.
pub fn record_place(kernel: &mut Kernel, area: u64, start: u64, end: u64) {
    kernel.set(area, "vmap_area", "va_start", start);
    kernel.set(area, "vmap_area", "va_end", end);
}
