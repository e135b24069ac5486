//! Entries of page tables in the three formats.

use super::*;

fn walk(mmu: &MmuSpec, va: u64, path: &[u64], entry: u64) -> Option<(u64, u64, bool)> {
    // Each table is a page of its own; the last entry of the path is given.
    let read = |at: PhysAddr| -> Result<u64, ()> {
        let table = at.0 >> 16;
        let index = (at.0 & 0xffff) / 8;
        let depth = table as usize - 1;
        Ok(match path.get(depth) {
            Some(wanted) if *wanted != index => 0,
            Some(_) if depth + 1 == path.len() => entry,
            Some(_) => (table + 1) << 16 | 3,
            None => 0,
        })
    };
    let (mapping, executable) = mmu.walk(PhysAddr(1 << 16), VirtAddr(va), read).ok()?;
    Some((mapping.phys.0, mapping.len, executable))
}

fn path(mmu: &MmuSpec, va: u64) -> Vec<u64> {
    let levels = mmu.levels.iter();
    levels
        .map(|level| va >> level.shift & ((1 << level.bits) - 1))
        .collect()
}

/// Descriptors of the three formats: `PTE_ADDR_HIGH` of arch/arm64/include/asm/pgtable-hwdef.h.
#[test]
fn descriptors_have_their_address_bits_where_the_format_says() {
    let lpa2 = Aarch64.mmu(&DUMPS[1].facts());
    let plain = Aarch64.mmu(&DUMPS[0].facts());
    let stext = 0xffff_8000_1001_0000;
    let large = Noted {
        page: 65536,
        bits: 52,
        size: Some(12),
        phys_offset: 0,
        stext,
        more: "",
    };
    let large = Aarch64.mmu(&large.facts());
    let va = 0xffff_8123_4567_8abc;
    const PXN: u64 = 1 << 53;
    const CONTIGUOUS: u64 = 1 << 52;
    for (mmu, phys, entry) in [
        (&plain, 0x0000_8765_4321_0000, 0x0000_8765_4321_0000),
        (&lpa2, 0x000d_8765_4321_0000, 0x0001_8765_4321_0000 | 3 << 8),
        (
            &large,
            0x000d_8765_4321_0000,
            0x0000_8765_4321_0000 | 0xd << 12,
        ),
    ] {
        let size = 1u64 << mmu.levels.last().expect("levels").shift;
        let within = va & (size - 1);
        let path = path(mmu, va);
        let found = |flags| walk(mmu, va, &path, entry | flags);
        let wanted = (phys | within, size - within);
        assert_eq!(found(3), Some((wanted.0, wanted.1, true)), "{}", mmu.name);
        let flags = 0xc00
            & if mmu.sign_bit == 52 && size == 4096 {
                0xc00
            } else {
                0xfff
            };
        assert_eq!(
            found(3 | PXN | CONTIGUOUS | flags),
            Some((wanted.0, wanted.1, false))
        );
        // Not valid, and at the last level no block.
        for absent in [0, 2, 1] {
            assert_eq!(found(absent), None, "{} {absent}", mmu.name);
        }
    }
}

/// Blocks at level 2: 2 MiB, 32 MiB and 512 MiB (Arm ARM, table of translation granules).
#[test]
fn blocks_are_as_large_as_a_table_maps() {
    for (page, bits, size) in [
        (4096, 48, 2 << 20),
        (16384, 47, 32 << 20),
        (65536, 48, 512u64 << 20),
    ] {
        let stext = 0u64.wrapping_sub(1 << (bits - 1)) + 0x1001_0000;
        let noted = Noted {
            page,
            bits,
            size: Some(64 - bits),
            phys_offset: 0,
            stext,
            more: "",
        };
        let mmu = Aarch64.mmu(&noted.facts());
        let va = stext + 0x1_2345_6789;
        let mut path = path(&mmu, va);
        path.pop();
        let within = va & (size - 1);
        let found = walk(&mmu, va, &path, 0x40_0000_0000 | 1);
        assert_eq!(
            found,
            Some((0x40_0000_0000 | within, size - within, true)),
            "{page}"
        );
    }
}
