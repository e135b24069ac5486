//! The memory map: `vmemmap`, `mem_section` and the pages behind them.

use super::kernel::Kernel;
use super::paging::Leaf;
use super::ram::{Frames, PAGES_PER_SECTION, node_of};
use super::zones::zone_of;
use crate::era::PagingLevels;
use crate::memory::PAGE_SHIFT;

/// Shift of the NUMA node in `page.flags` (NODES_SHIFT 10, SPARSEMEM_VMEMMAP).
const NODES_PGSHIFT: u32 = 54;
/// Shift of the zone in `page.flags`.
const ZONES_PGSHIFT: u32 = 51;
const SECTION_MARKED_PRESENT: u64 = 1 << 0;
const SECTION_HAS_MEM_MAP: u64 = 1 << 1;
const SECTION_IS_ONLINE: u64 = 1 << 2;
const SECTION_IS_EARLY: u64 = 1 << 3;

/// Lays the memory map of every section; `huge` gives 2 MiB runs of frames.
pub fn lay(kernel: &mut Kernel, paging: PagingLevels, huge: &mut Frames) {
    let sections = kernel.ram.sections.clone();
    let mut of_extra = Frames::new(kernel.ram.maps_of_extra());
    for section in &sections {
        let frames = section.frames();
        let first = kernel.space.page(frames.start);
        let size = (frames.end - frames.start) * kernel.types.sizeof("page");
        let pages = size >> kernel.page_shift();
        let base = (first - kernel.space.vmemmap) >> kernel.page_shift();
        // Large pages hold a section's map only if its structures are 64 bytes each.
        if section.huge && size.is_multiple_of(2 << 20) && kernel.page_shift() == PAGE_SHIFT {
            let frame = match section.is_extra() {
                true => of_extra.take(9),
                false => huge.take(9),
            };
            kernel.memory.touch(frame, pages);
            let phys = frame << kernel.page_shift();
            map(kernel, first, phys, size, Leaf::Pmd);
            for page in 0..pages {
                kernel.space.vmemmap_pages.insert(base + page, frame + page);
            }
        } else {
            for page in 0..pages {
                // Backwards, so that no reader gets away with one translation for all.
                let frame = kernel.boot.take(0);
                kernel.memory.touch(frame, 1);
                let page = pages - 1 - page;
                let virt = first + page * kernel.page_size();
                let (phys, size) = (frame << kernel.page_shift(), kernel.page_size());
                map(kernel, virt, phys, size, Leaf::Page);
                kernel.space.vmemmap_pages.insert(base + page, frame);
            }
        }
    }
    for section in &sections {
        for pfn in section.frames() {
            init_page(kernel, pfn);
        }
    }
    lay_sections(kernel, paging);
}

fn map(kernel: &mut Kernel, virt: u64, phys: u64, size: u64, leaf: Leaf) {
    kernel
        .tables
        .map(&mut kernel.memory, virt, phys, size, leaf);
}

/// A page that nobody has: right node and zone, no mapcount, no references.
fn init_page(kernel: &mut Kernel, pfn: u64) {
    let in_ram = kernel.ram.ranges.iter().any(|range| range.contains(&pfn));
    let zone = zone_of(pfn);
    let mut flags = u64::from(node_of(pfn)) << NODES_PGSHIFT | zone << ZONES_PGSHIFT;
    if !in_ram {
        flags |= 1 << kernel.types.constant("PG_reserved");
    }
    let page = kernel.space.page(pfn);
    kernel.set(page, "page", "flags", flags);
    kernel.set(page, "page", "_mapcount", u64::from(u32::MAX));
}

/// SPARSEMEM_EXTREME: an array of pointers to pages of `mem_section`.
fn lay_sections(kernel: &mut Kernel, paging: PagingLevels) {
    let per_root = kernel.page_size() / kernel.types.sizeof("mem_section");
    let page = kernel.page_size();
    let array = match kernel.era.is_3_10() {
        // The variable is the array (up to 4.14).
        true => kernel.symbol("mem_section"),
        false => {
            let array = kernel.alloc(section_roots(paging) * 8, page);
            kernel.set_variable("mem_section", array);
            array
        }
    };
    let sections = kernel.ram.sections.clone();
    let highest = sections[sections.len() - 1].number;
    kernel.set_variable("__highest_present_section_nr", highest);
    for section in &sections {
        let slot = array + section.number / per_root * 8;
        if kernel.read_u64(slot) == 0 {
            let page = kernel.page_size();
            let root = kernel.alloc(page, page);
            kernel.write_u64(slot, root);
        }
        let size = kernel.types.sizeof("mem_section");
        let entry = kernel.read_u64(slot) + section.number % per_root * size;
        let early = if section.early { SECTION_IS_EARLY } else { 0 };
        let flags = SECTION_MARKED_PRESENT | SECTION_HAS_MEM_MAP | SECTION_IS_ONLINE | early;
        // The kernel stores the section's map minus its first frame, so that
        // every section holds the address of frame 0.
        let section_mem_map = kernel.space.page(section.number * PAGES_PER_SECTION)
            - section.number * PAGES_PER_SECTION * kernel.space.struct_page;
        kernel.set(
            entry,
            "mem_section",
            "section_mem_map",
            section_mem_map | flags,
        );
        if !kernel.types.has("mem_section", "usage") {
            continue;
        }
        let usage = kernel.alloc_struct("mem_section_usage");
        kernel.set(entry, "mem_section", "usage", usage);
        let (first, end) = section.subsections;
        let map = ((1u128 << end) - (1u128 << first)) as u64;
        kernel.set(usage, "mem_section_usage", "subsection_map", map);
    }
}

/// `NR_SECTION_ROOTS`.
pub fn section_roots(paging: PagingLevels) -> u64 {
    1 << (max_physmem_bits(paging) - 27 - 8)
}

/// `MAX_PHYSMEM_BITS`.
pub fn max_physmem_bits(paging: PagingLevels) -> u32 {
    match paging {
        PagingLevels::Four => 46,
        PagingLevels::Five => 52,
        PagingLevels::Arm64(arm64) => arm64.configured.max(48),
    }
}
