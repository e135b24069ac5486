//! Slab descriptors: `struct page` up to 5.16, `struct slab` after that.

use crate::era::Era;
use crate::machine::Kernel;

/// The struct that describes a slab in this era.
pub fn slab_tag(era: Era) -> &'static str {
    if era.slab_in_page() { "page" } else { "slab" }
}

/// The member by which a slab is on its node's list.
pub fn slab_link(kernel: &Kernel) -> &'static str {
    match kernel.types.has(slab_tag(kernel.era), "slab_list") {
        true => "slab_list",
        false => "lru",
    }
}

/// The member that counts a page's users: renamed in 4.6.
pub fn reference_count(kernel: &Kernel) -> &'static str {
    match kernel.types.has("page", "_refcount") {
        true => "_refcount",
        false => "_count",
    }
}

/// Whether the page is part of a compound page, but not its first one.
pub fn is_tail(kernel: &Kernel, pfn: u64) -> bool {
    let page = kernel.space.page(pfn);
    if kernel.types.has("page", "first_page") {
        let bit = kernel.types.constant("PG_tail");
        return kernel.get(page, "page", "flags") >> bit & 1 == 1;
    }
    let info = match kernel.types.has("page", "compound_info") {
        true => "compound_info",
        false => "compound_head",
    };
    kernel.get(page, "page", info) & 1 == 1
}

/// Up to 4.2: a flag and a pointer; the order lies in the first tail's link.
fn make_old_compound(kernel: &mut Kernel, pfn: u64, order: u32) {
    let head = kernel.space.page(pfn);
    for tail in 1..1 << order {
        kernel.set_page_flag(pfn + tail, "PG_tail");
        let page = kernel.space.page(pfn + tail);
        kernel.set(page, "page", "first_page", head);
    }
    let first_tail = kernel.space.page(pfn + 1);
    kernel.set(first_tail, "page", "lru.prev", u64::from(order));
}

/// Links the pages of a compound page to their head and records the order.
pub fn make_compound(kernel: &mut Kernel, pfn: u64, order: u32) {
    if order == 0 {
        return;
    }
    kernel.set_page_flag(pfn, "PG_head");
    if kernel.types.has("page", "first_page") {
        return make_old_compound(kernel, pfn, order);
    }
    let head = kernel.space.page(pfn);
    let (member, link) = if kernel.types.has("page", "compound_info") {
        // From 7.1 on: what to mask a tail's address with, the low bit set. Works
        // because struct page is a power of two and the memory map is aligned.
        let bytes = kernel.types.sizeof("page") << order;
        ("compound_info", !(bytes - 1) | 1)
    } else {
        ("compound_head", head | 1)
    };
    for tail in 1..1 << order {
        let page = kernel.space.page(pfn + tail);
        kernel.set(page, "page", member, link);
    }
    let first_tail = kernel.space.page(pfn + 1);
    if kernel.types.has("page", "compound_order") {
        kernel.set(first_tail, "page", "compound_order", u64::from(order));
        kernel.set(first_tail, "page", "compound_nr", 1 << order);
    } else if kernel.types.has("folio", "_folio_order") {
        kernel.set(head, "folio", "_folio_order", u64::from(order));
    } else {
        // From 6.6 on the order is the low byte of the first tail's flags.
        let flags = kernel.get(head, "folio", "_flags_1");
        kernel.set(
            head,
            "folio",
            "_flags_1",
            (flags & !0xff) | u64::from(order),
        );
        let member = if kernel.types.has("folio", "_nr_pages") {
            "_nr_pages"
        } else {
            "_folio_nr_pages"
        };
        kernel.set(head, "folio", member, 1 << order);
    }
}

/// Marks a head page as a slab.
pub fn mark_slab(kernel: &mut Kernel, pfn: u64) {
    if kernel.era.slab_is_page_type() {
        let page = kernel.space.page(pfn);
        let kind = kernel.types.constant("PGTY_slab");
        kernel.set(page, "page", "page_type", kind << 24);
    } else {
        kernel.set_page_flag(pfn, "PG_slab");
    }
    let page = kernel.space.page(pfn);
    kernel.set(page, "page", reference_count(kernel), 1);
}
