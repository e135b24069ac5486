//! x86_64: page tables of 4 and 5 levels, and the places of a kernel's address
//! space that are linear.
//!
//! Source: Documentation/arch/x86/x86_64/mm.rst, arch/x86/kernel/vmcore_info_64.c.

use super::mmu::{Level, MmuSpec};
use super::{LinearRegion, SpaceError};
use crate::addr::{PhysAddr, VirtAddr};
use crate::dump::VmcoreInfo;

/// `__START_KERNEL_map`: where the kernel image's mapping starts.
pub(crate) const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `KERNEL_IMAGE_SIZE` with KASLR, where VMCOREINFO does not say.
const KERNEL_IMAGE_SIZE: u64 = 1 << 30;

const PAGE_OFFSET_L4: u64 = 0xffff_8880_0000_0000;
const PAGE_OFFSET_L5: u64 = 0xff11_0000_0000_0000;

const PUD: Level = level("pud", 30, true);
const PMD: Level = level("pmd", 21, true);
const PTE: Level = level("pte", 12, false);

const fn level(name: &'static str, shift: u32, blocks: bool) -> Level {
    Level {
        name,
        shift,
        bits: 9,
        blocks,
    }
}

const fn spec(name: &'static str, levels: &'static [Level]) -> MmuSpec {
    MmuSpec {
        name,
        levels,
        present: 1,
        block: 1 << 7,
        address: 0x000f_ffff_ffff_f000,
        no_execute: 1 << 63,
    }
}

/// 48-bit virtual addresses.
pub const FOUR_LEVELS: MmuSpec = spec(
    "x86_64, 4 levels",
    &[level("pgd", 39, false), PUD, PMD, PTE],
);
/// 57-bit virtual addresses (LA57).
pub const FIVE_LEVELS: MmuSpec = spec(
    "x86_64, 5 levels",
    &[
        level("pgd", 48, false),
        level("p4d", 39, false),
        PUD,
        PMD,
        PTE,
    ],
);

/// What VMCOREINFO tells of an x86_64 kernel's address space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct X86Space {
    pub(crate) mmu: &'static MmuSpec,
    pub(crate) root: PhysAddr,
    pub(crate) encryption_bits: u64,
    pub(crate) image: LinearRegion,
    five_levels: bool,
}

impl X86Space {
    pub(crate) fn from_vmcoreinfo(info: &VmcoreInfo) -> Result<Self, SpaceError> {
        let phys_base = info
            .number("phys_base")
            .ok_or(SpaceError::MissingKey("NUMBER(phys_base)"))?
            .cast_unsigned();
        let size = info
            .number("KERNEL_IMAGE_SIZE")
            .map_or(KERNEL_IMAGE_SIZE, i64::cast_unsigned);
        let image = LinearRegion {
            start: VirtAddr(START_KERNEL_MAP),
            end: VirtAddr(START_KERNEL_MAP.saturating_add(size)),
            phys: PhysAddr(phys_base),
        };
        // init_top_pgt since 4.14; the older key keeps its name in the note.
        let root = ["init_top_pgt", "swapper_pg_dir", "init_level4_pgt"]
            .iter()
            .find_map(|name| info.symbol(name))
            .ok_or(SpaceError::MissingKey("SYMBOL(swapper_pg_dir)"))?;
        let five_levels = info.number("pgtable_l5_enabled") == Some(1);
        Ok(Self {
            mmu: if five_levels {
                &FIVE_LEVELS
            } else {
                &FOUR_LEVELS
            },
            root: image.translate(root).ok_or(SpaceError::BadRoot(root))?.phys,
            encryption_bits: info.number("sme_mask").map_or(0, i64::cast_unsigned),
            image,
            five_levels,
        })
    }

    /// The direct map: from `page_offset_base` (a variable where memory layout is randomised)
    /// up to `vmalloc_base`, or as far as the architecture lets it reach.
    pub(crate) fn direct_map(
        &self,
        page_offset: Option<u64>,
        vmalloc: Option<u64>,
    ) -> LinearRegion {
        let default = if self.five_levels {
            PAGE_OFFSET_L5
        } else {
            PAGE_OFFSET_L4
        };
        let start = page_offset.unwrap_or(default);
        let reach = if self.five_levels { 1 << 55 } else { 1 << 46 };
        let end = vmalloc
            .filter(|end| *end > start)
            .unwrap_or_else(|| start.saturating_add(reach));
        LinearRegion {
            start: VirtAddr(start),
            end: VirtAddr(end),
            phys: PhysAddr(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(more: &str) -> X86Space {
        let text =
            format!("NUMBER(phys_base)=33554432\nSYMBOL(swapper_pg_dir)=ffffffff82610000\n{more}");
        X86Space::from_vmcoreinfo(&VmcoreInfo::parse(text.as_bytes())).expect("a space")
    }

    #[test]
    fn the_image_is_as_large_as_is_told() {
        let image = space("").image;
        assert_eq!(image.start, VirtAddr(0xffff_ffff_8000_0000));
        // Without a word: 1 GiB (KERNEL_IMAGE_SIZE with KASLR).
        assert_eq!(image.end, VirtAddr(0xffff_ffff_c000_0000));
        let image = space("NUMBER(KERNEL_IMAGE_SIZE)=536870912\n").image;
        assert_eq!(image.end, VirtAddr(0xffff_ffff_a000_0000));
        assert_eq!(space("").root, PhysAddr(0x261_0000 + 33_554_432));
    }

    /// Documentation/arch/x86/x86_64/mm.rst: 64 TiB of direct map with four levels, 32 PiB with
    /// five.
    #[test]
    fn the_direct_map_ends_at_vmalloc_or_where_it_must() {
        let (four, five) = (space(""), space("NUMBER(pgtable_l5_enabled)=1\n"));
        assert_eq!((four.mmu.levels.len(), five.mmu.levels.len()), (4, 5));
        let off = space("NUMBER(pgtable_l5_enabled)=0\n");
        assert_eq!(off.mmu.levels.len(), 4);
        let ends = |space: X86Space, offset, vmalloc| {
            let map = space.direct_map(offset, vmalloc);
            (map.start.0, map.end.0, map.phys.0)
        };
        let start = 0xffff_8880_0000_0000;
        assert_eq!(ends(four, None, None), (start, 0xffff_c880_0000_0000, 0));
        let start = 0xff11_0000_0000_0000;
        assert_eq!(ends(five, None, None), (start, 0xff91_0000_0000_0000, 0));
        let (start, end) = (0xffff_9000_0000_0000, 0xffff_a000_0000_0000);
        assert_eq!(ends(four, Some(start), Some(end)), (start, end, 0));
        // Where vmalloc can't be, it is not believed.
        for wrong in [start, start - 1, 0] {
            let reach = start + (1 << 46);
            assert_eq!(ends(four, Some(start), Some(wrong)), (start, reach, 0));
        }
    }
}
