//! x86_64: page tables of 4 and 5 levels, and the places of a kernel's address
//! space that are linear.
//!
//! Source: Documentation/arch/x86/x86_64/mm.rst, arch/x86/kernel/vmcore_info_64.c.

use std::borrow::Cow;

use goblin::elf::header::EM_X86_64;

mod search;

use super::super::boot::{BootFacts, Fact};
use super::super::mmu::{Entry, Level, MmuSpec};
use super::super::{LinearRegion, SpaceError};
use super::Arch;
use crate::addr::{PhysAddr, VirtAddr};
use crate::bytes::u64_at;
use crate::dump::{Dump, VmcoreInfo};

/// `__START_KERNEL_map`: where the kernel image's mapping starts.
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `KERNEL_IMAGE_SIZE` with KASLR and without, where VMCOREINFO does not say (up to 3.19): modules
/// begin behind it.
const IMAGE_SIZES: [u64; 2] = [1 << 29, 1 << 30];

const PAGE_OFFSET_L4: u64 = 0xffff_8880_0000_0000;
const PAGE_OFFSET_L5: u64 = 0xff11_0000_0000_0000;
/// `VMALLOC_START` where no variable has it: up to 4.16, without a randomised layout.
const VMALLOC_L4: u64 = 0xffff_c900_0000_0000;
const VMALLOC_L5: u64 = 0xffa0_0000_0000_0000;

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

const fn spec(name: &'static str, sign_bit: u32, levels: &'static [Level]) -> MmuSpec {
    MmuSpec {
        name: Cow::Borrowed(name),
        levels: Cow::Borrowed(levels),
        sign_bit,
        lower_half: true,
        ignored: 0,
        decode,
    }
}

/// 48-bit virtual addresses.
pub(in super::super) const FOUR_LEVELS: MmuSpec = spec(
    "x86_64, 4 levels",
    47,
    &[level("pgd", 39, false), PUD, PMD, PTE],
);
/// 57-bit virtual addresses (LA57).
pub(in super::super) const FIVE_LEVELS: MmuSpec = spec(
    "x86_64, 5 levels",
    56,
    &[
        level("pgd", 48, false),
        level("p4d", 39, false),
        PUD,
        PMD,
        PTE,
    ],
);

/// Of an entry, and of CR3: where a table or page lies.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// arch/x86/include/asm/pgtable_types.h: `_PAGE_PRESENT`, `_PAGE_PSE`, `_PAGE_NX`.
fn decode(entry: u64, level: &Level, last: bool) -> Entry {
    const PRESENT: u64 = 1;
    const BLOCK: u64 = 1 << 7;
    const NO_EXECUTE: u64 = 1 << 63;
    let at = PhysAddr(entry & ADDRESS);
    let executable = entry & NO_EXECUTE == 0;
    if entry & PRESENT == 0 {
        Entry::Absent
    } else if last || (level.blocks && entry & BLOCK != 0) {
        Entry::Leaf { at, executable }
    } else {
        Entry::Table { at, executable }
    }
}

/// From `page_offset_base` (a variable where memory layout is randomised) up to `vmalloc_base`, or
/// as far as the architecture lets it reach.
fn direct_map(levels: u32, start: Option<VirtAddr>, end: Option<VirtAddr>) -> LinearRegion {
    let (default, reach) = match levels > 4 {
        true => (PAGE_OFFSET_L5, 1 << 55),
        false => (PAGE_OFFSET_L4, 1 << 46),
    };
    let start = start.unwrap_or(VirtAddr(default));
    let farthest = VirtAddr(start.0.saturating_add(reach));
    LinearRegion {
        start,
        end: end.filter(|end| *end > start).unwrap_or(farthest),
        phys: PhysAddr(0),
    }
}

/// The architecture.
#[derive(Debug)]
pub(super) struct X86_64;

impl X86_64 {
    fn has_five_levels(boot: &BootFacts) -> bool {
        boot.levels.value > 4
    }
}

impl Arch for X86_64 {
    fn name(&self) -> &'static str {
        "x86_64"
    }

    fn elf_machine(&self) -> u16 {
        EM_X86_64
    }

    fn boot_facts(&'static self, info: &VmcoreInfo) -> Result<BootFacts, SpaceError> {
        let lacks = |key| SpaceError::MissingKey {
            key,
            arch: self.name(),
        };
        let number = |name: &str| info.number(name).map(i64::cast_unsigned);
        // Up to 4.11 the note has the variable's address alone. Where the dump's own headers do not
        // say its value either, the kernel lies where it was linked to: KASLR moved both together.
        let by_address = info.symbol("phys_base").map(|_| 0);
        let phys_base = number("phys_base").or(by_address);
        let phys_base = phys_base.ok_or_else(|| lacks("NUMBER(phys_base)"))?;
        // init_top_pgt since 4.14; the older key keeps its name in the note.
        let root = ["init_top_pgt", "swapper_pg_dir", "init_level4_pgt"]
            .iter()
            .find_map(|name| info.symbol(name))
            .ok_or_else(|| lacks("SYMBOL(swapper_pg_dir)"))?;
        let levels = number("pgtable_l5_enabled").map(|five| if five == 1 { 5 } else { 4 });
        let levels = Fact::noted_or(levels, 4);
        let bits = if levels.value > 4 { 57 } else { 48 };
        let symbols = [Some(root), info.symbol("_stext")];
        let fits = |size: &u64| {
            let ends = VirtAddr(START_KERNEL_MAP + size);
            symbols.iter().flatten().all(|at| *at < ends)
        };
        let image_size = number("KERNEL_IMAGE_SIZE")
            .or_else(|| IMAGE_SIZES.into_iter().find(fits))
            .unwrap_or(1 << 30);
        let image = LinearRegion {
            start: VirtAddr(START_KERNEL_MAP),
            end: VirtAddr(START_KERNEL_MAP.saturating_add(image_size)),
            phys: PhysAddr(phys_base),
        };
        Ok(BootFacts {
            arch: self,
            root: Fact::noted(root),
            kernel_offset: Fact::noted_or(info.hex("KERNELOFFSET"), 0),
            image: Fact::noted(image),
            direct: Fact::noted_or(None, direct_map(levels.value, None, None)),
            vmalloc: None,
            first_symbol: VirtAddr(START_KERNEL_MAP),
            page_shift: Fact::noted_or(None, PTE.shift),
            table_bits: bits,
            address_bits: Fact {
                value: bits,
                how: levels.how,
            },
            levels,
            signature_bits: Fact::noted_or(None, 0),
            encryption_bits: Fact::noted_or(number("sme_mask"), 0),
            release: info.release().map(str::to_owned).map(Fact::noted),
            build_id: info.build_id().map(str::to_owned).map(Fact::noted),
        })
    }

    fn notes_by_search(&self, dump: &Dump) -> Vec<VmcoreInfo> {
        search::notes(dump)
    }

    fn mmu(&self, boot: &BootFacts) -> MmuSpec {
        let levels = match Self::has_five_levels(boot) {
            true => FIVE_LEVELS,
            false => FOUR_LEVELS,
        };
        MmuSpec {
            ignored: boot.encryption_bits.value,
            ..levels
        }
    }

    /// Parts that are given back lose their mapping at most, and nothing that is read lies there.
    fn image_is_whole(&self) -> bool {
        true
    }

    fn direct_map(
        &self,
        boot: &BootFacts,
        start: Option<VirtAddr>,
        end: Option<VirtAddr>,
    ) -> LinearRegion {
        direct_map(boot.levels.value, start, end)
    }

    /// arch/x86/include/asm/sparsemem.h.
    fn physical_bits(&self, boot: &BootFacts) -> u32 {
        match Self::has_five_levels(boot) {
            true => 52,
            false => 46,
        }
    }

    /// `VMALLOC_SIZE_TB` (arch/x86/include/asm/pgtable_64_types.h).
    fn vmalloc_size(&self, boot: &BootFacts) -> u64 {
        match Self::has_five_levels(boot) {
            true => 12800 << 40,
            false => 32 << 40,
        }
    }

    /// `VMALLOC_END` is the last byte here.
    fn vmalloc_total(&self, boot: &BootFacts) -> u64 {
        self.vmalloc_size(boot) - 1
    }

    fn vmalloc_default(&self, boot: &BootFacts) -> Option<VirtAddr> {
        Some(VirtAddr(match Self::has_five_levels(boot) {
            true => VMALLOC_L5,
            false => VMALLOC_L4,
        }))
    }

    /// Once (commit d52888aa2753, 4.20), and only a layout that is randomised has a variable.
    fn direct_map_has_moved(&self) -> bool {
        true
    }

    /// arch/x86/kernel/setup.c: `high_memory` is where RAM ends in the map.
    fn direct_map_by_end(&self, high_memory: VirtAddr, end: PhysAddr) -> Option<VirtAddr> {
        let start = VirtAddr(high_memory.0.checked_sub(end.0)?);
        let whole = start.0.is_multiple_of(1 << PUD.shift);
        (whole && start < VirtAddr(START_KERNEL_MAP)).then_some(start)
    }

    /// It has always been so; the note says it since 5.13.
    fn section_bits(&self) -> u32 {
        27
    }

    /// 16 KiB, and more with KASAN; 8 KiB up to 3.14.
    fn stack_sizes(&self) -> &'static [u64] {
        &[1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 13]
    }

    /// Behind the 112 bytes of `elf_prstatus_common`, `user_regs_struct.sp` is the 20th of 64-bit
    /// registers.
    fn stack_pointer(&self, prstatus: &[u8]) -> Option<VirtAddr> {
        u64_at(prstatus, 112 + 19 * 8).map(VirtAddr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(more: &str) -> BootFacts {
        let text =
            format!("NUMBER(phys_base)=33554432\nSYMBOL(swapper_pg_dir)=ffffffff82610000\n{more}");
        let info = VmcoreInfo::parse(text.as_bytes());
        X86_64.boot_facts(&info).expect("facts")
    }

    #[test]
    fn the_image_is_as_large_as_is_told() {
        let image = boot("").image.value;
        assert_eq!(image.start, VirtAddr(0xffff_ffff_8000_0000));
        // Without a word 512 MiB, unless the kernel lies above: 1 GiB with KASLR.
        assert_eq!(image.end, VirtAddr(0xffff_ffff_a000_0000));
        let above = boot("SYMBOL(_stext)=ffffffffa1000000\n").image.value;
        assert_eq!(above.end, VirtAddr(0xffff_ffff_c000_0000));
        let image = boot("NUMBER(KERNEL_IMAGE_SIZE)=536870912\n").image.value;
        assert_eq!(image.end, VirtAddr(0xffff_ffff_a000_0000));
        let image = boot("").image.value;
        let root = image.translate(boot("").root.value).expect("in the image");
        assert_eq!(root.phys, PhysAddr(0x261_0000 + 33_554_432));
    }

    /// arch/x86/kernel/machine_kexec_64.c up to 4.11: the address of the variable alone.
    #[test]
    fn the_image_lies_where_it_was_linked_unless_it_is_said() {
        let boot = |more: &str| {
            let text = format!(
                "SYMBOL(phys_base)=ffffffff81810010\nSYMBOL(init_level4_pgt)=ffffffff81c05000\n{more}"
            );
            X86_64.boot_facts(&VmcoreInfo::parse(text.as_bytes()))
        };
        let facts = boot("").expect("facts");
        assert_eq!(facts.image.value.phys, PhysAddr(0));
        assert_eq!(facts.root.value, VirtAddr(0xffff_ffff_81c0_5000));
        let moved = boot("NUMBER(phys_base)=-27262976\n").expect("facts");
        assert_eq!(moved.image.value.phys.0, 27_262_976u64.wrapping_neg());
        let info = VmcoreInfo::parse(b"SYMBOL(init_level4_pgt)=ffffffff81c05000\n");
        assert!(X86_64.boot_facts(&info).is_err());
    }

    /// arch/x86/mm/init_64.c: `high_memory` is the end of RAM in the map. RHEL 7.9's randomised
    /// base and both fixed ones, also where RAM reaches from the older one beyond the newer.
    #[test]
    fn the_end_of_ram_tells_where_the_direct_map_begins() {
        let start = |high: u64, end: u64| {
            let start = X86_64.direct_map_by_end(VirtAddr(high), PhysAddr(end));
            start.map(|start| start.0)
        };
        let end = 0x37fd_4000;
        for base in [
            0xffff_8800_0000_0000,
            0xffff_8880_0000_0000,
            0xffff_96b7_c000_0000,
        ] {
            assert_eq!(start(base + end, end), Some(base));
            assert_eq!(start(base + (1 << 40), 1 << 40), Some(base));
        }
        assert_eq!(start(0xffff_8800_1234_5000, end), None);
        assert_eq!(start(0, end), None);
    }

    /// Documentation/arch/x86/x86_64/mm.rst: 64 TiB of direct map with four levels, 32 PiB with
    /// five.
    #[test]
    fn the_direct_map_ends_at_vmalloc_or_where_it_must() {
        let (four, five) = (boot(""), boot("NUMBER(pgtable_l5_enabled)=1\n"));
        let levels = |boot: &BootFacts| X86_64.mmu(boot).levels.len();
        assert_eq!((levels(&four), levels(&five)), (4, 5));
        assert_eq!(levels(&boot("NUMBER(pgtable_l5_enabled)=0\n")), 4);
        let ends = |boot: &BootFacts, offset: Option<u64>, vmalloc: Option<u64>| {
            let map = X86_64.direct_map(boot, offset.map(VirtAddr), vmalloc.map(VirtAddr));
            (map.start.0, map.end.0, map.phys.0)
        };
        let start = 0xffff_8880_0000_0000;
        assert_eq!(ends(&four, None, None), (start, 0xffff_c880_0000_0000, 0));
        let start = 0xff11_0000_0000_0000;
        assert_eq!(ends(&five, None, None), (start, 0xff91_0000_0000_0000, 0));
        let (start, end) = (0xffff_9000_0000_0000, 0xffff_a000_0000_0000);
        assert_eq!(ends(&four, Some(start), Some(end)), (start, end, 0));
        // Where vmalloc can't be, it is not believed.
        for wrong in [start, start - 1, 0] {
            let reach = start + (1 << 46);
            assert_eq!(ends(&four, Some(start), Some(wrong)), (start, reach, 0));
        }
    }

    /// The sizes of vmalloc and of physical addresses are those of the levels, and of nothing else.
    #[test]
    fn sizes_go_by_the_levels() {
        let (four, five) = (boot(""), boot("NUMBER(pgtable_l5_enabled)=1\n"));
        assert_eq!(X86_64.vmalloc_size(&four), 32 << 40);
        assert_eq!(X86_64.vmalloc_size(&five), 12_800 << 40);
        assert_eq!(X86_64.physical_bits(&four), 46);
        assert_eq!(X86_64.physical_bits(&five), 52);
        let moved = boot("KERNELOFFSET=1a000000\n");
        assert_eq!(
            moved.run_time(0xffff_ffff_8100_0000).0,
            0xffff_ffff_9b00_0000
        );
        assert_eq!(moved.linked(0xffff_ffff_9b00_0000), 0xffff_ffff_8100_0000);
        assert_eq!(moved.run_time(0x2_1234).0, 0x2_1234);
        assert_eq!(moved.from(), "vmcoreinfo");
    }
}
