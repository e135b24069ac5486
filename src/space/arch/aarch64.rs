//! aarch64: pages of 4, 16 and 64 KiB, addresses of 36 to 52 bits.
//!
//! Two numbers of bits matter. `VA_BITS` is what the kernel was built for, and what its constants
//! are made of; `TCR_EL1.T1SZ` tells what the processor translates, which is less where a kernel
//! for 52 bits runs on a processor without LVA or LPA2. All arithmetic is modulo 2^64: the
//! physical offset of the linear map is "negative" where KASLR moved the map up.
//!
//! Source: arch/arm64/include/asm/memory.h, pgtable-hwdef.h, pgtable.h, kernel/vmcore_info.c
//! (crash_core.c), Documentation/arch/arm64/memory.rst; Arm ARM, "VMSAv8-64 descriptor formats".

mod layout;

use std::borrow::Cow;

use goblin::elf::header::EM_AARCH64;

use super::super::boot::{BootFacts, Fact};
use super::super::mmu::{Entry, Level, MmuSpec};
use super::super::{LinearRegion, SpaceError};
use super::Arch;
use crate::addr::{PhysAddr, VirtAddr, is_page_size};
use crate::bytes::u64_at;
use crate::dump::VmcoreInfo;
use layout::Layout;

/// Names of levels, from the root down, by how many there are.
const NAMES: [&str; 5] = ["pgd", "p4d", "pud", "pmd", "pte"];
/// Where PTEs of 64 KiB pages begin.
const SHIFT_64K: u32 = 16;

/// arch/arm64/include/asm/pgtable-hwdef.h: `PTE_VALID`, `PTE_TYPE_PAGE`, `PTE_PXN`, `PMD_TABLE_PXN`.
fn entry(entry: u64, at: u64, level: &Level, last: bool) -> Entry {
    const VALID: u64 = 1;
    /// At the last level a page, above it a table.
    const NO_BLOCK: u64 = 1 << 1;
    const PRIVILEGED_NO_EXECUTE: u64 = 1 << 53;
    const TABLE_NO_EXECUTE: u64 = 1 << 59;
    let at = PhysAddr(at);
    let leaf = Entry::Leaf {
        at,
        executable: entry & PRIVILEGED_NO_EXECUTE == 0,
    };
    match (entry & VALID != 0, entry & NO_BLOCK != 0) {
        (true, true) if last => leaf,
        (true, true) => Entry::Table {
            at,
            executable: entry & TABLE_NO_EXECUTE == 0,
        },
        (true, false) if !last && level.blocks => leaf,
        _ => Entry::Absent,
    }
}

/// 48 bits of physical address.
fn decode(value: u64, level: &Level, last: bool) -> Entry {
    const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
    entry(value, value & ADDRESS, level, last)
}

/// 52 bits with pages of 64 KiB (LPA): bits 51 to 48 are in 15 to 12 (`PTE_ADDR_HIGH`). They are 0
/// where the kernel has 48.
fn decode_64k(value: u64, level: &Level, last: bool) -> Entry {
    const ADDRESS: u64 = 0x0000_ffff_ffff_0000;
    const HIGH: u64 = 0xf << 12;
    let at = value & ADDRESS | (value & HIGH) << 36;
    entry(value, at, level, last)
}

/// 52 bits with smaller pages (LPA2): bits 49 to 12 in place, 51 and 50 in 9 and 8.
fn decode_lpa2(value: u64, level: &Level, last: bool) -> Entry {
    const ADDRESS: u64 = 0x0003_ffff_ffff_f000;
    const HIGH: u64 = 3 << 8;
    let at = value & ADDRESS | (value & HIGH) << 42;
    entry(value, at, level, last)
}

/// From the root to the last level: each table fills a page, but for the root's.
fn levels(page_shift: u32, bits: u32) -> Vec<Level> {
    let per_level = page_shift - 3;
    let count = (bits - page_shift).div_ceil(per_level);
    let name = |depth: u32| {
        let after = count - 1 - depth;
        // The root's own name is pgd however few levels there are.
        let place = if depth == 0 { 0 } else { 4 - after.min(4) };
        NAMES.get(place as usize).copied().unwrap_or("pte")
    };
    (0..count)
        .map(|depth| {
            let shift = page_shift + (count - 1 - depth) * per_level;
            Level {
                name: name(depth),
                shift,
                bits: per_level.min(bits - shift),
                // The largest are of 4 TiB; the level above has none.
                blocks: depth + 1 < count && shift <= 42,
            }
        })
        .collect()
}

/// The architecture.
#[derive(Debug)]
pub(super) struct Aarch64;

impl Arch for Aarch64 {
    fn name(&self) -> &'static str {
        "aarch64"
    }

    fn elf_machine(&self) -> u16 {
        EM_AARCH64
    }

    fn boot_facts(&'static self, info: &VmcoreInfo) -> Result<BootFacts, SpaceError> {
        let lacks = |key| SpaceError::MissingKey {
            key,
            arch: self.name(),
        };
        let need = |name, key| {
            let number = info.number(name).map(i64::cast_unsigned);
            number.ok_or_else(|| lacks(key))
        };
        let symbol = |name, key| info.symbol(name).ok_or_else(|| lacks(key));
        let voffset = need("kimage_voffset", "NUMBER(kimage_voffset)")?;
        let page_size = info.get("PAGESIZE").and_then(|size| size.parse().ok());
        let page_size = page_size.filter(|size| is_page_size(*size));
        let kernel_offset = Fact::noted_or(info.hex("KERNELOFFSET"), 0);
        let layout = Layout {
            page_shift: page_size.ok_or_else(|| lacks("PAGESIZE"))?.trailing_zeros(),
            configured: bits(need("VA_BITS", "NUMBER(VA_BITS)")?)
                .ok_or_else(|| lacks("NUMBER(VA_BITS)"))?,
            translated: None,
            phys_offset: need("PHYS_OFFSET", "NUMBER(PHYS_OFFSET)")?,
            stext: symbol("_stext", "SYMBOL(_stext)")?,
            kernel_offset: kernel_offset.value,
        }
        .with_translated(info);
        Ok(BootFacts {
            arch: self,
            root: Fact::noted(symbol("swapper_pg_dir", "SYMBOL(swapper_pg_dir)")?),
            levels: Fact::noted(levels(layout.page_shift, layout.table_bits()).len() as u32),
            kernel_offset,
            image: Fact::noted(layout.image(voffset)),
            direct: Fact::noted(layout.direct_map()),
            vmalloc: Some(layout.vmalloc(info)),
            first_symbol: layout.first_symbol(),
            page_shift: Fact::noted(layout.page_shift),
            table_bits: layout.table_bits(),
            address_bits: Fact::noted_or(layout.translated, layout.bits()),
            // Since 5.10 (commit e13760b6a5b6); 0 where the processor does not sign.
            signature_bits: Fact::noted_or(info.number("KERNELPACMASK").map(i64::cast_unsigned), 0),
            encryption_bits: Fact::noted_or(None, 0),
            release: info.release().map(str::to_owned).map(Fact::noted),
            build_id: info.build_id().map(str::to_owned).map(Fact::noted),
        })
    }

    fn mmu(&self, boot: &BootFacts) -> MmuSpec {
        let (shift, bits) = (boot.page_shift.value, boot.address_bits.value);
        MmuSpec {
            name: Cow::Owned(format!(
                "{}, {} KiB pages, {} levels, {bits} bits",
                self.name(),
                1 << (shift - 10),
                boot.levels.value
            )),
            levels: Cow::Owned(levels(shift, boot.table_bits)),
            sign_bit: bits,
            lower_half: false,
            ignored: 0,
            decode: match (shift, bits) {
                (SHIFT_64K, _) => decode_64k,
                (_, layout::MOST_BITS) => decode_lpa2,
                _ => decode,
            },
        }
    }

    /// Between `__init_begin` and `_sdata` the pages are given back and unmapped (`free_initmem`).
    fn image_is_whole(&self) -> bool {
        false
    }

    fn direct_map(
        &self,
        boot: &BootFacts,
        _: Option<VirtAddr>,
        _: Option<VirtAddr>,
    ) -> LinearRegion {
        boot.direct.value
    }

    /// `CONFIG_ARM64_PA_BITS`: 52 where pages are of 64 KiB or addresses have 52 bits.
    fn physical_bits(&self, boot: &BootFacts) -> u32 {
        match boot.page_shift.value == SHIFT_64K || boot.address_bits.value == layout::MOST_BITS {
            true => 52,
            false => 48,
        }
    }

    fn vmalloc_size(&self, boot: &BootFacts) -> u64 {
        let range = boot.vmalloc.as_ref().map(|range| &range.value);
        range.map_or(0, |range| range.end.0.wrapping_sub(range.start.0))
    }

    /// arch/arm64/include/asm/sparsemem.h, up to 5.11; the note says it since.
    fn section_bits(&self) -> u32 {
        30
    }

    /// 16 KiB, more with KASAN; 64 KiB where pages are as large (`THREAD_SHIFT`).
    fn stack_sizes(&self) -> &'static [u64] {
        &[1 << 14, 1 << 15, 1 << 16, 1 << 17]
    }

    /// Behind the 112 bytes of `elf_prstatus_common`, `user_pt_regs.sp` follows 31 registers.
    fn stack_pointer(&self, prstatus: &[u8]) -> Option<VirtAddr> {
        u64_at(prstatus, 112 + 31 * 8).map(VirtAddr)
    }
}

/// `CONFIG_ARM64_VA_BITS`, if it can be.
fn bits(value: u64) -> Option<u32> {
    let bits = u32::try_from(value).ok()?;
    (36..=layout::MOST_BITS).contains(&bits).then_some(bits)
}

#[cfg(test)]
mod tests;
