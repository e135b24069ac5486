//! Where things lie in virtual memory, and the arithmetic between the two spaces.

use std::collections::BTreeMap;

use crate::era::{Era, PagingLevels};
use crate::memory::PAGE_SHIFT;
use crate::random::Random;

/// `__START_KERNEL_map`.
pub const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `MODULES_VADDR`.
pub const MODULES_VADDR: u64 = 0xffff_ffff_c000_0000;
/// Link-time address of `_text`.
pub const LINK_BASE: u64 = 0xffff_ffff_8100_0000;
/// Bytes of the kernel image.
pub const IMAGE_SIZE: u64 = 4 << 20;
/// `PMD_SIZE`, what the image is aligned to.
const PMD: u64 = 2 << 20;

/// The randomised bases of one boot.
#[derive(Debug, Clone)]
pub struct Space {
    /// `page_offset_base`: the direct map.
    pub page_offset: u64,
    /// `vmalloc_base`.
    pub vmalloc: u64,
    /// `vmemmap_base`: `struct page` of frame 0.
    pub vmemmap: u64,
    /// `KERNELOFFSET`: run time minus link time.
    pub kernel_offset: u64,
    /// `phys_base`, which may be negative.
    pub phys_base: i64,
    /// Physical address of `_text`.
    pub image_phys: u64,
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
        // A third of the eras has the image above where it was linked, the
        // others below: phys_base is positive or negative.
        let (kernel_offset, image_phys) = match era {
            Era::V4_18 | Era::V5_10 => ((1 + random.below(4)) * PMD, 0x0a60_0000),
            _ => ((64 + random.below(300)) * PMD, 0x0560_0000),
        };
        let text = LINK_BASE + kernel_offset;
        Self {
            page_offset,
            vmalloc,
            vmemmap,
            kernel_offset,
            phys_base: image_phys as i64 - (text - START_KERNEL_MAP) as i64,
            image_phys,
            vmalloc_pages: Vec::new(),
            modules: MODULES_VADDR + 0x24_5000,
            module_pages: Vec::new(),
            vmemmap_pages: BTreeMap::new(),
            struct_page,
        }
    }

    /// Virtual address in the direct map.
    pub fn direct(&self, phys: u64) -> u64 {
        self.page_offset + phys
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
        if virt >= self.modules {
            let offset = virt - self.modules;
            let pfn = self.module_pages[(offset >> PAGE_SHIFT) as usize];
            return (pfn << PAGE_SHIFT) + offset % 4096;
        }
        if virt >= START_KERNEL_MAP {
            return (virt - START_KERNEL_MAP).wrapping_add_signed(self.phys_base);
        }
        if virt >= self.vmemmap {
            let offset = virt - self.vmemmap;
            let pfn = self.vmemmap_pages[&(offset >> PAGE_SHIFT)];
            return (pfn << PAGE_SHIFT) + offset % 4096;
        }
        if virt >= self.vmalloc {
            let offset = virt - self.vmalloc;
            let pfn = self.vmalloc_pages[(offset >> PAGE_SHIFT) as usize];
            return (pfn << PAGE_SHIFT) + offset % 4096;
        }
        virt - self.page_offset
    }
}
