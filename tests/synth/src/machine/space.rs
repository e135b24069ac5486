//! Where things lie in virtual memory, and the arithmetic between the two spaces.

use std::collections::BTreeMap;

use crate::era::{Era, PagingLevels};
use crate::random::Random;

/// `__START_KERNEL_map`.
pub const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `MODULES_VADDR`.
pub const MODULES_VADDR: u64 = 0xffff_ffff_c000_0000;
/// Link-time address of `_text` on x86-64.
const LINK_BASE: u64 = 0xffff_ffff_8100_0000;
/// Bytes of the kernel image.
pub const IMAGE_SIZE: u64 = 4 << 20;
/// `PMD_SIZE`, what the image is aligned to.
const PMD: u64 = 2 << 20;

/// Link-time address of `_text`.
pub fn link_base(paging: PagingLevels) -> u64 {
    match paging {
        PagingLevels::Arm64(arm64) => arm64.modules() + (2 << 30),
        _ => LINK_BASE,
    }
}

/// The randomised bases of one boot.
#[derive(Debug, Clone)]
pub struct Space {
    /// What is added to a physical address for the direct map: `page_offset_base`.
    pub page_offset: u64,
    /// `vmalloc_base`.
    pub vmalloc: u64,
    /// `vmemmap_base`: `struct page` of frame 0.
    pub vmemmap: u64,
    /// `KERNELOFFSET`: run time minus link time.
    pub kernel_offset: u64,
    /// `phys_base`, which may be negative.
    pub phys_base: i64,
    /// Run-time address of `_text`.
    pub text: u64,
    /// Physical address of `_text`.
    pub image_phys: u64,
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    /// Pages of the vmalloc area in order: page frame numbers.
    pub vmalloc_pages: Vec<u64>,
    /// Where modules begin.
    pub modules: u64,
    /// Pages of the modules' area in order: page frame numbers.
    pub module_pages: Vec<u64>,
    /// Pages of the memory map that exist, by number from its base: page frame numbers.
    pub vmemmap_pages: BTreeMap<u64, u64>,
    /// Bytes of a `struct page`.
    pub struct_page: u64,
}

impl Space {
    /// Rolls the dice as KASLR would.
    pub fn new(era: Era, paging: PagingLevels, struct_page: u64, random: &mut Random) -> Self {
        // Bases move by whole page upper directories.
        let (page_offset, vmalloc, vmemmap) = match paging {
            PagingLevels::Arm64(arm64) => (
                // RAM begins somewhere in the map: physical 0 may be below its start.
                arm64.linear() + ((1 + random.below(60)) << 30),
                arm64.modules() + (40 << 30) + ((1 + random.below(1000)) << 21),
                arm64.vmemmap() + ((1 + random.below(1000)) << 21),
            ),
            PagingLevels::Four => (
                0xffff_8880_0000_0000 + ((1 + random.below(1000)) << 30),
                0xffff_a500_0000_0000 + ((1 + random.below(1000)) << 30),
                0xffff_e600_0000_0000 + ((1 + random.below(500)) << 30),
            ),
            PagingLevels::Five => (
                0xff11_0000_0000_0000 + ((1 + random.below(100_000)) << 30),
                0xff52_0000_0000_0000 + ((1 + random.below(100_000)) << 30),
                0xffd4_0000_0000_0000 + ((1 + random.below(10_000)) << 30),
            ),
        };
        let (page_offset, vmalloc, vmemmap) = match era {
            // Where they always were without randomisation.
            Era::V3_10 => (
                0xffff_8800_0000_0000,
                0xffff_c900_0000_0000,
                0xffff_ea00_0000_0000,
            ),
            _ => (page_offset, vmalloc, vmemmap),
        };
        let page_shift = paging.page_shift();
        // A third of the eras has the image above where it was linked, the
        // others below: phys_base is positive or negative.
        let (kernel_offset, image_phys) = match era {
            // Without randomised memory the image is moved in both alike: `phys_base` is 0.
            Era::V3_10 => (0x960_0000, 0xa600 << page_shift),
            Era::V4_18 | Era::V5_10 => ((1 + random.below(4)) * PMD, 0xa600 << page_shift),
            _ => ((64 + random.below(300)) * PMD, 0x5600 << page_shift),
        };
        // A third of the way between modules and vmalloc.
        let modules = match paging {
            PagingLevels::Arm64(arm64) => arm64.modules() + (1 << 30) + (0x245 << page_shift),
            _ => MODULES_VADDR + 0x24_5000,
        };
        let text = link_base(paging) + kernel_offset;
        Self {
            page_offset,
            vmalloc,
            vmemmap,
            kernel_offset,
            phys_base: (image_phys as i64).wrapping_sub(text.wrapping_sub(START_KERNEL_MAP) as i64),
            text,
            image_phys,
            page_shift,
            vmalloc_pages: Vec::new(),
            modules,
            module_pages: Vec::new(),
            vmemmap_pages: BTreeMap::new(),
            struct_page,
        }
    }

    /// Virtual address in the direct map.
    pub fn direct(&self, phys: u64) -> u64 {
        self.page_offset.wrapping_add(phys)
    }

    /// Address of a frame's `struct page`.
    pub fn page(&self, pfn: u64) -> u64 {
        self.vmemmap + pfn * self.struct_page
    }

    /// Run-time address of a link-time one.
    pub fn relocated(&self, link: u64) -> u64 {
        link + self.kernel_offset
    }

    /// Physical address behind any kernel address, by arithmetic and not by page table.
    pub fn phys(&self, virt: u64) -> u64 {
        let within = |start: u64| virt.wrapping_sub(start);
        if within(self.text) < IMAGE_SIZE {
            return self.image_phys + within(self.text);
        }
        let page = |offset: u64| (offset >> self.page_shift) as usize;
        for (start, pages) in [
            (self.modules, &self.module_pages),
            (self.vmalloc, &self.vmalloc_pages),
        ] {
            if let Some(pfn) = pages.get(page(within(start))) {
                return (pfn << self.page_shift) + virt % (1 << self.page_shift);
            }
        }
        let map = within(self.vmemmap) >> self.page_shift;
        if let Some(pfn) = self.vmemmap_pages.get(&map) {
            return (pfn << self.page_shift) + virt % (1 << self.page_shift);
        }
        within(self.page_offset)
    }
}
