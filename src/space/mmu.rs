//! Page tables as data, and the one walker that reads them.
//!
//! An architecture is a [`MmuSpec`]: how many index bits each level takes, which
//! levels may map a block directly, which bits say "present" and "block", and which
//! hold the address. A new architecture is a new constant, not new code.

use crate::addr::{PhysAddr, VirtAddr};

/// One level of a page-table tree, from the root down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The kernel's name for it, for messages: `pgd`, `p4d`, `pud`, `pmd`, `pte`.
    pub name: &'static str,
    /// The lowest bit of the virtual address that indexes this level.
    pub shift: u32,
    /// How many bits index it.
    pub bits: u32,
    /// Whether an entry may map a block of `1 << shift` bytes directly.
    pub blocks: bool,
}

/// How an architecture translates addresses.
#[derive(Clone, Copy, Debug)]
pub struct MmuSpec {
    /// For `info` and assumptions.
    pub name: &'static str,
    /// From the root to the last level.
    pub levels: &'static [Level],
    /// Entry bits that must be set for it to be valid.
    pub present: u64,
    /// Entry bit that makes an entry of a `blocks` level a leaf.
    pub block: u64,
    /// Entry bits that hold the physical address.
    pub address: u64,
    /// Entry bit, of any level, that forbids to execute what lies below.
    pub no_execute: u64,
}

/// A virtual range that one entry maps to contiguous physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Physical address of the byte that was asked for.
    pub phys: PhysAddr,
    /// How many bytes from there on the same entry maps.
    pub len: u64,
}

/// Why a walk ended without a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError<E> {
    /// The entry at this level says that nothing is mapped.
    NotPresent(&'static str),
    /// The table of this level could not be read.
    Table(&'static str, E),
}

impl MmuSpec {
    /// Walks from the table at `root` to the mapping of `va`. `clear` are entry bits to ignore
    /// (memory encryption); `read` gives the 64-bit entry at a physical address.
    ///
    /// # Errors
    /// If an entry is not present or a table can't be read.
    pub fn walk<E>(
        &self,
        root: PhysAddr,
        clear: u64,
        va: VirtAddr,
        read: impl FnMut(PhysAddr) -> Result<u64, E>,
    ) -> Result<Mapping, WalkError<E>> {
        Ok(self.walk_with_bits(root, clear, va, read)?.0)
    }

    /// As [`walk`](Self::walk), with the bits that are set in an entry of any level.
    ///
    /// # Errors
    /// As there.
    pub fn walk_with_bits<E>(
        &self,
        root: PhysAddr,
        clear: u64,
        va: VirtAddr,
        mut read: impl FnMut(PhysAddr) -> Result<u64, E>,
    ) -> Result<(Mapping, u64), WalkError<E>> {
        let mut table = root;
        let mut bits = 0;
        for (depth, level) in self.levels.iter().enumerate() {
            let index = va.0 >> level.shift & ((1 << level.bits) - 1);
            let entry = read(table.plus(index * 8))
                .map_err(|error| WalkError::Table(level.name, error))?
                & !clear;
            if entry & self.present != self.present {
                return Err(WalkError::NotPresent(level.name));
            }
            bits |= entry;
            let last = depth + 1 == self.levels.len();
            if last || (level.blocks && entry & self.block != 0) {
                let size = 1u64 << level.shift;
                let within = va.0 & (size - 1);
                // Bits below the block's size are attributes there (PAT), not address.
                let base = entry & self.address & !(size - 1);
                let mapping = Mapping {
                    phys: PhysAddr(base | within),
                    len: size - within,
                };
                return Ok((mapping, bits));
            }
            table = PhysAddr(entry & self.address);
        }
        Err(WalkError::NotPresent("root"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::x86_64::{FIVE_LEVELS, FOUR_LEVELS};

    /// A tree whose every entry is at an address made of its table and index.
    fn read(tables: &[(u64, u64)]) -> impl Fn(PhysAddr) -> Result<u64, ()> + '_ {
        |at| {
            let found = tables.iter().find(|(address, _)| *address == at.0);
            Ok(found.map_or(0, |(_, entry)| *entry))
        }
    }

    #[test]
    fn four_levels_to_a_4k_page() {
        let va = VirtAddr(0xffff_c900_0040_3123);
        let index = |shift: u32| (va.0 >> shift & 511) * 8;
        let tables = [
            (0x1000 + index(39), 0x2000 | 0x63),
            (0x2000 + index(30), 0x3000 | 0x63),
            (0x3000 + index(21), 0x4000 | 0x63),
            (0x4000 + index(12), 0x8000_0000_1234_5000 | 0x163),
        ];
        let mapping = FOUR_LEVELS.walk(PhysAddr(0x1000), 0, va, read(&tables));
        assert_eq!(
            mapping,
            Ok(Mapping {
                phys: PhysAddr(0x1234_5123),
                len: 0x1000 - 0x123
            })
        );
        let found = FOUR_LEVELS.walk_with_bits(PhysAddr(0x1000), 0, va, read(&tables));
        assert_ne!(found.unwrap().1 & FOUR_LEVELS.no_execute, 0);
        let unmapped = FOUR_LEVELS.walk(PhysAddr(0x1000), 0, va.plus(0x1000), read(&tables));
        assert_eq!(unmapped, Err(WalkError::NotPresent("pte")));
    }

    #[test]
    fn five_levels_to_a_2m_block_with_encryption_bit_and_pat() {
        let va = VirtAddr(0xffd4_0000_0040_0010);
        let sme = 1 << 47;
        let index = |shift: u32| (va.0 >> shift & 511) * 8;
        let tables = [
            (0x1000 + index(48), 0x2000 | sme | 1),
            (0x2000 + index(39), 0x3000 | sme | 1),
            (0x3000 + index(30), 0x4000 | sme | 1),
            // Bit 12 of a 2M entry is the PAT bit, not address.
            (0x4000 + index(21), 0x4000_0000 | sme | 1 << 12 | 0x81),
        ];
        let found = FIVE_LEVELS.walk_with_bits(PhysAddr(0x1000), sme, va, read(&tables));
        assert_eq!(found.unwrap().1 & FIVE_LEVELS.no_execute, 0);
        let mapping = FIVE_LEVELS.walk(PhysAddr(0x1000), sme, va, read(&tables));
        assert_eq!(
            mapping,
            Ok(Mapping {
                phys: PhysAddr(0x4000_0010),
                len: 0x20_0000 - 0x10
            })
        );
    }
}
