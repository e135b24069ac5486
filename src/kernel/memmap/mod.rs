//! The memmap: the kernel's array of one `struct page` per page of RAM.
//!
//! Found through the sparse memory sections (mm/sparse.c), which hold in every
//! configuration that has them, whether or not the map is virtually contiguous. Each
//! `section_mem_map` is biased so that adding the pfn gives the page's structure.

mod scan;
mod sections;

pub use scan::Chunk;

use sections::{Sections, Shape};

use super::layout::layout;
use super::{Kernel, KernelError};
use crate::addr::{Pfn, VirtAddr};
use crate::bytes::u64_at;

layout! {
    /// include/linux/mmzone.h
    struct SectionLayout = "mem_section" in "mm/sparse.c" {
        need map = "section_mem_map",
        /// Only with CONFIG_PAGE_EXTENSION.
        maybe page_ext = "page_ext",
        /// What is noted of blocks of pages: behind a structure since 5.3.
        maybe block_flags = "usage" | "pageblock_flags",
    }
}

/// One present section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Section {
    start: Pfn,
    /// Address that the structure of pfn 0 would have.
    bias: VirtAddr,
    /// The same for what is kept besides of pages; null if nothing is, or if it is being removed.
    page_ext: VirtAddr,
    /// What is noted of its blocks of pages, or what holds it; null if that is not known.
    block_flags: VirtAddr,
    online: bool,
}

/// Where the page structures are.
#[derive(Clone, Debug)]
pub struct Memmap {
    sections: Vec<Section>,
    section_pages: u64,
    struct_page: u64,
    /// Pages of sections that are not seen.
    lost: u64,
    /// One past the last page that has a structure: the last section may reach beyond RAM.
    end: Pfn,
}

/// Numbers the pages that the memmap describes without the holes between them.
#[derive(Clone, Debug)]
pub struct PageIndex {
    shift: u32,
    /// For each section, how many present ones lie before it; `u32::MAX` if it is absent.
    before: Vec<u32>,
    pages: usize,
}

impl PageIndex {
    /// The number of a page; `None` if no section holds it.
    pub fn get(&self, pfn: Pfn) -> Option<usize> {
        let before = *self.before.get((pfn.0 >> self.shift) as usize)?;
        (before != u32::MAX).then(|| {
            let within = pfn.0 & ((1 << self.shift) - 1);
            ((before as usize) << self.shift) + within as usize
        })
    }

    /// How many pages are numbered.
    pub fn len(&self) -> usize {
        self.pages
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// One past the last page that a section holds.
    pub fn end(&self) -> Pfn {
        Pfn((self.before.len() as u64) << self.shift)
    }

    /// The ranges of pages that sections hold, in order, each with the number of its first.
    pub fn sections(&self) -> impl Iterator<Item = (Pfn, usize)> + '_ {
        let present = |(_, before): &(u64, &u32)| **before != u32::MAX;
        (0u64..)
            .zip(&self.before)
            .filter(present)
            .map(|(section, before)| {
                let start = Pfn(section << self.shift);
                (start, (*before as usize) << self.shift)
            })
    }

    /// Pages in a section.
    pub fn section_pages(&self) -> usize {
        1 << self.shift
    }
}

impl SectionLayout {
    /// Where the section at `index` keeps what else is known of pages.
    fn page_ext_of(&self, entries: &[u8], index: usize) -> VirtAddr {
        let Some(field) = self.page_ext else {
            return VirtAddr(0);
        };
        let at = index * self.struct_size + field.offset as usize;
        // Bit 0 marks what is being removed (6.1 and later).
        VirtAddr(u64_at(entries, at).filter(|at| at & 1 == 0).unwrap_or(0))
    }

    /// Where the section at `index` keeps what is noted of its blocks.
    fn block_flags_of(&self, entries: &[u8], index: usize) -> VirtAddr {
        let Some(field) = self.block_flags else {
            return VirtAddr(0);
        };
        let at = index * self.struct_size + field.offset as usize;
        VirtAddr(u64_at(entries, at).unwrap_or(0))
    }
}

impl Memmap {
    /// Finds all sections that have a memmap.
    ///
    /// # Errors
    /// If the section table is missing from the kernel or the dump.
    pub fn find(kernel: &Kernel) -> Result<Self, KernelError> {
        let info = kernel.vmcoreinfo();
        let shift = kernel.dump().page_shift();
        let stated = info.number("SECTION_SIZE_BITS");
        let section_bits = stated.and_then(|bits| u32::try_from(bits).ok());
        // The note has it since 5.13.
        let section_bits = section_bits.unwrap_or(kernel.space.boot().arch.section_bits());
        let section_shift = section_bits.clamp(shift, 40) - shift;
        let section_pages = 1u64 << section_shift;
        let stated = info.get("SIZE(page)").and_then(|size| size.parse().ok());
        let by_types = kernel.types.find_struct("page", "mm/slub.c", true)?;
        let by_types = by_types.map(|page| u64::from(page.body.size));
        let plausible = |size: &u64| (32..=256).contains(size);
        let sizes = [stated, by_types].into_iter().flatten();
        let struct_page = sizes.into_iter().find(plausible).unwrap_or(64);
        let shape = Shape {
            section_pages,
            struct_page,
        };
        let sections = Sections::find(kernel, &shape)?;
        Ok(Self {
            end: end(kernel, &sections.found, section_pages),
            sections: sections.found,
            lost: sections.lost,
            section_pages,
            struct_page,
        })
    }

    /// Ranges of pages that are no RAM in use: memory of devices, and what was taken offline.
    /// None in kernels that do not tell.
    pub fn offline(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        let told = self.sections.iter().any(|section| section.online);
        let offline = self.sections.iter().filter(move |s| told && !s.online);
        offline.map(|section| section.start.0..section.start.0 + self.section_pages)
    }

    /// Pages, at most, of sections that are not seen: what they hold is unknown.
    pub fn lost_pages(&self) -> u64 {
        self.lost
    }

    /// Size of `struct page` in bytes.
    pub fn struct_page_size(&self) -> usize {
        self.struct_page as usize
    }

    /// Numbers all pages of the sections found.
    pub fn index(&self) -> PageIndex {
        let shift = self.section_pages.trailing_zeros();
        let end = self.sections.last().map_or(0, |last| last.start.0 >> shift);
        let absent = if self.sections.is_empty() { 0 } else { end + 1 };
        let mut before = vec![u32::MAX; absent as usize];
        for (number, section) in (0u32..).zip(&self.sections) {
            if let Some(slot) = before.get_mut((section.start.0 >> shift) as usize) {
                *slot = number;
            }
        }
        PageIndex {
            shift,
            before,
            pages: self.pages() as usize,
        }
    }

    /// The sections that keep more of their pages: the first page, and where the entry of page 0
    /// would be.
    pub fn page_ext_sections(&self) -> impl Iterator<Item = (Pfn, VirtAddr)> + '_ {
        let sections = self.sections.iter().filter(|one| !one.page_ext.is_null());
        sections.map(|one| (one.start, one.page_ext))
    }

    /// Where what is noted of blocks begins for the section of a page (`mem_section.usage`, or the
    /// bits themselves up to 5.2).
    pub fn block_flags(&self, pfn: Pfn) -> Option<VirtAddr> {
        let flags = self.section_of(pfn)?.block_flags;
        (!flags.is_null()).then_some(flags)
    }

    /// Whether a page is of a section that is in use, as far as the kernel tells.
    pub fn is_online(&self, pfn: Pfn) -> bool {
        let told = self.sections.iter().any(|section| section.online);
        self.section_of(pfn)
            .is_some_and(|section| section.online || !told)
    }

    /// One past the last page that has a structure.
    pub fn end(&self) -> Pfn {
        self.end
    }

    /// Pages in a section.
    pub fn section_pages(&self) -> u64 {
        self.section_pages
    }

    /// Pages that sections with a memmap span.
    pub fn pages(&self) -> u64 {
        self.sections.len() as u64 * self.section_pages
    }

    fn section_of(&self, pfn: Pfn) -> Option<&Section> {
        let index = self
            .sections
            .partition_point(|s| s.start <= pfn)
            .checked_sub(1)?;
        self.sections
            .get(index)
            .filter(|section| pfn.0 < section.start.0 + self.section_pages)
    }

    /// Address of the structure of a page.
    pub fn page_address(&self, pfn: Pfn) -> Option<VirtAddr> {
        let section = self.section_of(pfn)?;
        Some(section.bias.plus(pfn.0 * self.struct_page))
    }

    /// The address that the structure of page 0 would have, where all lie one behind the other, as
    /// with a virtually contiguous memmap.
    pub fn bias(&self) -> Option<VirtAddr> {
        let first = self.sections.first()?.bias;
        let same = self.sections.iter().all(|section| section.bias == first);
        same.then_some(first)
    }

    /// The page whose structure `address` lies in; `None` where the memmap is not contiguous.
    pub fn page_of_structure(&self, address: VirtAddr) -> Option<Pfn> {
        let bytes = address.offset_from(self.bias()?)?;
        let pfn = Pfn(bytes / self.struct_page);
        self.page_address(pfn).map(|_| pfn)
    }

    /// The page whose structure is at `address`; `None` if that is no structure of this memmap.
    pub fn pfn_of(&self, address: VirtAddr) -> Option<Pfn> {
        // With a virtually contiguous memmap all sections have the same bias.
        let mut last_bias = None;
        for section in &self.sections {
            if last_bias == Some(section.bias) {
                continue;
            }
            last_bias = Some(section.bias);
            let bytes = address.offset_from(section.bias)?;
            let pfn = Pfn(bytes / self.struct_page);
            if bytes % self.struct_page == 0 && self.page_address(pfn) == Some(address) {
                return Some(pfn);
            }
        }
        None
    }
}

/// One past the last page. Sections are whole, and RAM may end within the last one: nothing
/// initialises the structures behind `max_pfn` up to 5.5 (commit e822969cab48), so that they hold
/// whatever lay there before.
fn end(kernel: &Kernel, sections: &[Section], section_pages: u64) -> Pfn {
    let Some(last) = sections.last() else {
        return Pfn(0);
    };
    let of_section = last.start.0 + section_pages;
    let Some(at) = kernel.symbol("max_pfn") else {
        return Pfn(of_section);
    };
    match kernel.space.read_u64(at) {
        Ok(end) if end > last.start.0 => Pfn(end.min(of_section)),
        // Memory of devices lies behind it.
        Ok(_) => Pfn(of_section),
        Err(fault) => {
            kernel.diag.warn(
                "memmap-end-unknown",
                format!("where RAM ends can't be read ({fault}): page structures behind the end may be taken for pages; take the dump with kernel pages included"),
            );
            Pfn(of_section)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_a_structure_begins_there_is_a_page() {
        let section = |start: u64, bias| Section {
            start: Pfn(start),
            bias: VirtAddr(bias),
            page_ext: VirtAddr(0),
            block_flags: VirtAddr(0),
            online: true,
        };
        // Two with one map, and one with a map of its own.
        let memmap = Memmap {
            sections: vec![
                section(0, 1 << 40),
                section(64, 1 << 40),
                section(128, 1 << 41),
            ],
            lost: 0,
            section_pages: 32,
            struct_page: 64,
            end: Pfn(160),
        };
        for (pfn, bias) in [(0, 1 << 40), (31, 1 << 40), (64, 1 << 40), (128, 1 << 41)] {
            let at = VirtAddr(bias + pfn * 64);
            assert_eq!(memmap.page_address(Pfn(pfn)), Some(at));
            assert_eq!(memmap.pfn_of(at), Some(Pfn(pfn)));
            assert_eq!(memmap.pfn_of(at.plus(8)), None, "inside of {pfn}");
        }
        // Between sections, behind them, and by another section's map.
        for at in [
            (1 << 40) + 32 * 64,
            (1 << 41) + 160 * 64,
            (1 << 40) + 128 * 64,
        ] {
            assert_eq!(memmap.pfn_of(VirtAddr(at)), None, "{at:#x}");
        }
    }

    #[test]
    fn behind_the_end_of_ram_there_are_no_pages() {
        use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

        let mut m = Machine::build(Era::V4_18, PagingLevels::Four, &Scenario::standard());
        let kernel = super::super::synthetic::kernel(&m);
        let at = kernel.symbol("max_pfn").expect("the symbol").0;
        let whole = Memmap::find(&kernel).expect("a memmap");
        let last = whole.index().end().0;
        // Within the last section, behind it, and before it: then it is not about this memory.
        for (end, behind) in [(last - 100, last - 100), (last + 1, last), (1, last)] {
            m.kernel.write_u64(at, end);
            let kernel = super::super::synthetic::kernel(&m);
            let memmap = Memmap::find(&kernel).expect("a memmap");
            let seen = memmap.scan(&kernel, |_| (), |chunk| chunk.start.0 + chunk.len() as u64);
            assert_eq!(seen.into_iter().max(), Some(behind));
        }
    }
}
