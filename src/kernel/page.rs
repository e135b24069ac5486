//! `struct page`: the members of it that tell what a page is, and how big a compound
//! page is.

use super::layout::{Field, LayoutError, layout};
use super::{Kernel, KernelError};
use crate::types::TypeDb;

/// The translation unit of this kernel's slab allocator: classic SLAB's, where SLUB's is not there.
pub(crate) fn allocator_home(types: &TypeDb) -> &'static str {
    match types.has_home("mm/slab.c") && !types.has_home("mm/slub.c") {
        true => "mm/slab.c",
        false => "mm/slub.c",
    }
}

/// The largest order of what the page allocator gives out, or keeps free (MAX_PAGE_ORDER): 10, and
/// up to 13 where pages are large. Anything above is no order.
pub const MAX_PAGE_ORDER: u32 = 13;
/// The largest order of a folio: gigantic pages of hugetlb are put together of several blocks.
pub const MAX_FOLIO_ORDER: u32 = 20;

layout! {
    /// include/linux/mm_types.h
    pub(crate) struct PageLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need flags = "flags.f" | "flags",
        need mapcount = "_mapcount.counter" | "_mapcount",
        /// In the first tail page, 3.19 to 6.2.
        maybe compound_order = "compound_order",
        /// There too, and before: its second word is the order.
        need lru = "lru",
        /// Up to 4.2: the head of a tail, which a flag tells.
        maybe first_page = "first_page",
    }
}

layout! {
    /// include/linux/mm_types.h, 5.16 and later.
    struct FolioLayout = "folio" in "mm/slub.c" | "mm/slab.c" {
        /// 6.1 to 6.5. It comes first: 6.1 has both, and keeps the order here.
        maybe folio_order = "_folio_order",
        /// 6.6 and later, in the low byte.
        maybe flags_1 = "_flags_1",
    }
}

layout! {
    /// include/linux/mm_types.h: what tells how page tables are marked before 6.11.
    struct TableMarkLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        maybe page_type = "page_type",
        maybe memcg_data = "memcg_data",
        maybe mem_cgroup = "mem_cgroup",
    }
}

/// Where a compound page keeps its order: one byte, in the structure of its first tail page.
/// Bytes from the start of the head's structure.
pub(crate) fn order_offset(
    kernel: &Kernel,
    page: &PageLayout,
    struct_page: usize,
) -> Result<usize, LayoutError> {
    if kernel
        .types
        .find_struct("folio", allocator_home(&kernel.types), false)?
        .is_some()
    {
        let folio: FolioLayout = kernel.layout()?;
        if let Some(field) = folio.folio_order.or(folio.flags_1) {
            return Ok(field.offset as usize);
        }
    }
    match (page.compound_order, page.first_page) {
        (Some(field), _) => Ok(struct_page + field.offset as usize),
        // include/linux/mm.h up to 3.18: `page[1].lru.prev`.
        (None, Some(_)) => Ok(struct_page + page.lru.offset as usize + 8),
        (None, None) => Err(LayoutError::NoMember {
            structure: "folio",
            member: "_folio_order or _flags_1, and struct page no compound_order",
        }),
    }
}

/// How the pages of a compound page behind its first are told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TailMark {
    /// Bit 0 of a word that has the head's address, or what takes its place: 4.3 and later (commit
    /// 1d798ca3f164).
    LowBit(Field),
    /// A bit of `page.flags`.
    Flag(u64),
}

layout! {
    /// include/linux/mm_types.h; renamed in 7.1.
    struct TailLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        maybe compound_head = "compound_info" | "compound_head",
    }
}

impl TailMark {
    pub(crate) fn find(kernel: &Kernel) -> Result<Self, KernelError> {
        let layout: TailLayout = kernel.layout()?;
        if let Some(field) = layout.compound_head {
            return Ok(Self::LowBit(field));
        }
        let home = allocator_home(&kernel.types);
        match kernel.types.enumerator("pageflags", home, "PG_tail")? {
            Some(bit @ 0..=63) => Ok(Self::Flag(1 << bit)),
            _ => Err(KernelError::Layout(LayoutError::NoMember {
                structure: "page",
                member: "compound_info or compound_head, and pages no flag PG_tail",
            })),
        }
    }

    /// Whether a page is one.
    pub(crate) fn holds(self, page: &PageLayout, record: &[u8]) -> bool {
        match self {
            Self::LowBit(field) => field.get(record) & 1 != 0,
            Self::Flag(mask) => page.flags.get(record) & mask != 0,
        }
    }
}

/// How a kernel marks pages of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMark {
    /// 6.12 and later: the top byte of `page_type`; the rest of the word may be used otherwise
    /// (commit 4ffca5a96678).
    TypeByte(u8),
    /// Up to 6.11: `page_type` has this value, an inverted bit with all others set.
    TypeValue(u32),
    /// A bit of `page.flags`.
    FlagBit(u32),
}

impl PageMark {
    /// A type of page as VMCOREINFO states it.
    pub(crate) fn stated(kernel: &Kernel, key: &str) -> Option<Self> {
        let info = kernel.vmcoreinfo();
        match info.number(key) {
            Some(value) => Some(Self::of_value(value as u32)),
            // What the kernel wrote itself is all that it has to say.
            None if info.is_written_by_kernel() => None,
            None => Self::by_types(kernel, key),
        }
    }

    fn of_value(value: u32) -> Self {
        match value & 0x00ff_ffff {
            0 => PageMark::TypeByte((value >> 24) as u8),
            _ => PageMark::TypeValue(value),
        }
    }

    /// The same by the kernel's types, where no VMCOREINFO is found: enumerators since 6.11
    /// (commit ff202303c398), which give the top byte since 6.12 (commit 4ffca5a96678); constants
    /// that no type has before (commit 6e292b9be7f4).
    fn by_types(kernel: &Kernel, key: &str) -> Option<Self> {
        let (names, constant) = match key {
            "PAGE_SLAB_MAPCOUNT_VALUE" => (["PGTY_slab", "PG_slab"], None),
            "PAGE_BUDDY_MAPCOUNT_VALUE" => (["PGTY_buddy", "PG_buddy"], Some(0x80)),
            "PAGE_OFFLINE_MAPCOUNT_VALUE" => (["PGTY_offline", "PG_offline"], Some(0x100)),
            "PAGE_HUGETLB_MAPCOUNT_VALUE" => (["PGTY_hugetlb", "PG_hugetlb"], None),
            _ => return None,
        };
        let home = allocator_home(&kernel.types);
        let value = |name: &str| {
            kernel
                .types
                .enumerator("pagetype", home, name)
                .ok()
                .flatten()
        };
        let [byte, bit] = names.map(value);
        match (byte, bit.or(constant)) {
            (Some(byte), _) => Some(PageMark::TypeByte(byte as u8)),
            (None, Some(bit)) => Some(PageMark::TypeValue(!(bit as u32))),
            (None, None) => None,
        }
    }

    /// The mark of slabs: a type since 6.10 (commit 46df8e73a4a3), a flag before.
    pub(crate) fn of_slabs(kernel: &Kernel) -> Result<Self, KernelError> {
        if let Some(mark) = Self::stated(kernel, "PAGE_SLAB_MAPCOUNT_VALUE") {
            return Ok(mark);
        }
        let bit = match kernel.vmcoreinfo().number("PG_slab") {
            Some(bit) => Some(bit),
            None => {
                kernel
                    .types
                    .enumerator("pageflags", allocator_home(&kernel.types), "PG_slab")?
            }
        };
        bit.and_then(|bit| u32::try_from(bit).ok())
            .filter(|bit| *bit < 64)
            .map(PageMark::FlagBit)
            .ok_or_else(|| {
                KernelError::Unsupported(
                    "neither VMCOREINFO nor the types say how this kernel marks slab pages".into(),
                )
            })
    }

    /// The mark of page tables of processes. A byte since 6.12, an enumerator in 6.11; before, a bit
    /// that no type has: 0x400 (commit 1d40a5ea01d5, 4.18), and 0x200 since the one below it was
    /// given up (commit 0c24e061196c, 5.12), when `memcg_data` had come.
    pub(crate) fn of_tables(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        let home = allocator_home(&kernel.types);
        let value = |name| kernel.types.enumerator("pagetype", home, name);
        if let Some(byte) = value("PGTY_table")? {
            return Ok(Some(PageMark::TypeByte(byte as u8)));
        }
        if let Some(bit) = value("PG_table")? {
            return Ok(Some(PageMark::TypeValue(!(bit as u32))));
        }
        let members: TableMarkLayout = kernel.layout()?;
        let bit = match (members.page_type, members.memcg_data, members.mem_cgroup) {
            (None, ..) => return Ok(None),
            (_, Some(_), _) => 0x200,
            (_, None, Some(_)) => 0x400,
            (_, None, None) => return Ok(None),
        };
        Ok(Some(PageMark::TypeValue(!bit)))
    }

    /// Whether a page is marked so.
    pub(crate) fn holds(self, page: &PageLayout, record: &[u8]) -> bool {
        match self {
            PageMark::TypeByte(byte) => page.mapcount.get(record) >> 24 == u64::from(byte),
            PageMark::TypeValue(value) => page.mapcount.get(record) == u64::from(value),
            PageMark::FlagBit(bit) => page.flags.get(record) >> bit & 1 == 1,
        }
    }

    /// In words, for `info --layouts`.
    pub fn describe(self) -> String {
        match self {
            PageMark::TypeByte(byte) => format!("page_type >> 24 == {byte:#x}"),
            PageMark::TypeValue(value) => format!("page_type == {value:#x}"),
            PageMark::FlagBit(bit) => format!("page.flags bit {bit}"),
        }
    }
}

/// Whether nobody ever said what the page is: its structure is zeros, or as it was allocated
/// (`memblock_alloc_exact_nid_raw`, RHEL 8.1). In one that was filled in, `_mapcount` is not 0
/// where flags may be.
pub(super) fn is_unfilled(flags: u64, record: &[u8]) -> bool {
    flags == u64::MAX || flags == 0 && record.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// include/linux/page-flags.h: a type is an inverted bit of a word of ones up to 6.11, a byte
    /// above whatever else since, a flag before 6.10.
    #[test]
    fn marks_of_pages() {
        let field = |offset, size| Field {
            offset,
            size,
            bits: None,
        };
        let page = PageLayout {
            struct_size: 64,
            flags: field(0, 8),
            mapcount: field(48, 4),
            compound_order: None,
            lru: field(8, 16),
            first_page: None,
            len: 64,
        };
        let record = |flags: u64, word: u32| {
            let mut record = [0; 64];
            record[..8].copy_from_slice(&flags.to_le_bytes());
            record[48..52].copy_from_slice(&word.to_le_bytes());
            record
        };
        for (mark, flags, word, wanted) in [
            (PageMark::TypeByte(0xf5), 0, 0xf500_0000, true),
            (PageMark::TypeByte(0xf5), 0, 0xf512_3456, true),
            (PageMark::TypeByte(0xf5), 0, 0xf0f5_f5f5, false),
            (PageMark::TypeValue(0xffff_efff), 0, 0xffff_efff, true),
            (PageMark::TypeValue(0xffff_efff), 0, 0xffff_ffff, false),
            (PageMark::FlagBit(9), 1 << 9, 0xffff_ffff, true),
            (PageMark::FlagBit(9), !(1 << 9), 1 << 9, false),
        ] {
            assert_eq!(
                mark.holds(&page, &record(flags, word)),
                wanted,
                "{mark:?} {word:#x}"
            );
        }
    }

    /// include/linux/page-flags.h: PGTY_slab is 0xf5 in 6.12; the kernels before 6.10 have a flag,
    /// whose number is in VMCOREINFO.
    #[test]
    fn what_marks_slabs() {
        use vmleak_synth::{Machine, PagingLevels, Scenario};
        for era in vmleak_synth::Era::ALL {
            let m = Machine::build(era, PagingLevels::Four, &Scenario::standard());
            let kernel = super::super::synthetic::kernel(&m);
            let wanted = match era.slab_is_page_type() {
                true => PageMark::TypeByte(m.kernel.types.constant("PGTY_slab") as u8),
                false => PageMark::FlagBit(m.kernel.types.constant("PG_slab") as u32),
            };
            assert_eq!(PageMark::of_slabs(&kernel).expect("a mark"), wanted);
        }
    }
}
