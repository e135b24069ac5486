//! Page tables as data, and the one walker that reads them.
//!
//! An architecture makes a [`MmuSpec`]: how many index bits each level takes, which levels may
//! map a block directly, which addresses there are, and how an entry is read.

use std::borrow::Cow;

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

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is mapped.
    Absent,
    /// The next level's table.
    Table {
        /// Where it lies.
        at: PhysAddr,
        /// Whether anything below may be executed.
        executable: bool,
    },
    /// Memory itself.
    Leaf {
        /// Where it begins; bits below its size are no part of the address.
        at: PhysAddr,
        /// Whether it may be executed.
        executable: bool,
    },
}

/// How an architecture translates addresses.
#[derive(Clone, Debug)]
pub struct MmuSpec {
    /// For `info` and assumptions.
    pub name: Cow<'static, str>,
    /// From the root to the last level.
    pub levels: Cow<'static, [Level]>,
    /// The lowest of the bits that are alike in every address that can be translated.
    pub sign_bit: u32,
    /// Whether these may be clear: the same tables translate the lower half, too.
    pub lower_half: bool,
    /// Bits of entries that say nothing of where memory is (encryption).
    pub ignored: u64,
    /// What an entry says: without the ignored bits, with its level and whether that is the last.
    pub decode: fn(u64, &Level, bool) -> Entry,
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
    /// It is no address: the processor would not translate it.
    NotCanonical,
    /// The entry at this level says that nothing is mapped.
    NotPresent(&'static str),
    /// The table of this level could not be read.
    Table(&'static str, E),
}

impl MmuSpec {
    /// Whether the processor translates it at all: only so many bits are looked at, and the
    /// others have to be like the highest of them.
    pub fn is_canonical(&self, va: VirtAddr) -> bool {
        match va.0.cast_signed() >> self.sign_bit {
            -1 => true,
            0 => self.lower_half,
            _ => false,
        }
    }

    /// Walks from the table at `root` to the mapping of `va`, and says whether it may be executed.
    /// `read` gives the 64-bit entry at a physical address.
    ///
    /// # Errors
    /// If it is no address, an entry is not present, or a table can't be read.
    pub fn walk<E>(
        &self,
        root: PhysAddr,
        va: VirtAddr,
        mut read: impl FnMut(PhysAddr) -> Result<u64, E>,
    ) -> Result<(Mapping, bool), WalkError<E>> {
        if !self.is_canonical(va) {
            return Err(WalkError::NotCanonical);
        }
        let mut table = root;
        let mut may_execute = true;
        for (depth, level) in self.levels.iter().enumerate() {
            let index = va.0 >> level.shift & ((1 << level.bits) - 1);
            let entry =
                read(table.plus(index * 8)).map_err(|error| WalkError::Table(level.name, error))?;
            let last = depth + 1 == self.levels.len();
            match (self.decode)(entry & !self.ignored, level, last) {
                Entry::Absent => return Err(WalkError::NotPresent(level.name)),
                Entry::Table { at, executable } => {
                    table = at;
                    may_execute &= executable;
                }
                Entry::Leaf { at, executable } => {
                    let size = 1u64 << level.shift;
                    let within = va.0 & (size - 1);
                    // Bits below the block's size are attributes there (PAT), not address.
                    let mapping = Mapping {
                        phys: PhysAddr(at.0 & !(size - 1) | within),
                        len: size - within,
                    };
                    return Ok((mapping, may_execute && executable));
                }
            }
        }
        Err(WalkError::NotPresent("root"))
    }

    /// The tables of the kernel's half. Those of the last level are many where much is mapped: they
    /// are among them only below entries of the root that have no more than `few`.
    pub fn tables<E>(
        &self,
        root: PhysAddr,
        few: usize,
        mut read: impl FnMut(PhysAddr) -> Result<u64, E>,
    ) -> Vec<PhysAddr> {
        let entries = self.levels.first().map_or(0, |level| 1u64 << level.bits);
        let first = if self.lower_half { entries / 2 } else { 0 };
        let mut found = vec![root];
        for index in first..entries {
            let mut below = Below::default();
            self.below(root.plus(index * 8), 0, &mut below, &mut read);
            found.append(&mut below.upper);
            if below.last.len() <= few {
                found.append(&mut below.last);
            }
        }
        found
    }

    fn below<E>(
        &self,
        entry_at: PhysAddr,
        depth: usize,
        found: &mut Below,
        read: &mut impl FnMut(PhysAddr) -> Result<u64, E>,
    ) {
        let Some((level, next)) = self.levels.get(depth).zip(self.levels.get(depth + 1)) else {
            return;
        };
        // What can't be read leads nowhere.
        let Ok(entry) = read(entry_at) else {
            return;
        };
        let Entry::Table { at, .. } = (self.decode)(entry & !self.ignored, level, false) else {
            return;
        };
        if depth + 2 == self.levels.len() {
            found.last.push(at);
            return;
        }
        found.upper.push(at);
        for index in 0..1u64 << next.bits {
            self.below(at.plus(index * 8), depth + 1, found, read);
        }
    }
}

/// Tables below an entry of the root.
#[derive(Default)]
struct Below {
    upper: Vec<PhysAddr>,
    last: Vec<PhysAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::arch::{FIVE_LEVELS, FOUR_LEVELS};

    /// A tree whose every entry is at an address made of its table and index.
    fn read(tables: &[(u64, u64)]) -> impl Fn(PhysAddr) -> Result<u64, ()> + '_ {
        |at| {
            let found = tables.iter().find(|(address, _)| *address == at.0);
            Ok(found.map_or(0, |(_, entry)| *entry))
        }
    }

    #[test]
    fn tables_of_the_kernels_half_are_told_and_the_last_only_where_they_are_few() {
        let tables = [
            // The lower half, and two entries of the upper one.
            (0x1000, 0x9000 | 0x63),
            (0x1000 + 300 * 8, 0x2000 | 0x63),
            (0x1000 + 301 * 8, 0x6000 | 0x63),
            (0x2000, 0x3000 | 0x63),
            (0x3000, 0x4000 | 0x63),
            (0x3000 + 8, 0x5000 | 0x63),
            (0x6000, 0x7000 | 0x63),
            (0x7000, 0x8000 | 0x63),
            // A large page is no table.
            (0x7000 + 8, 0xa000_0000 | 0xe3),
        ];
        let all = |few| {
            let found = FOUR_LEVELS.tables(PhysAddr(0x1000), few, read(&tables));
            found.into_iter().map(|at| at.0).collect::<Vec<_>>()
        };
        let all_of_them = [
            0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000,
        ];
        assert_eq!(all(2), all_of_them);
        assert_eq!(all(1), [0x1000, 0x2000, 0x3000, 0x6000, 0x7000, 0x8000]);
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
        let found = FOUR_LEVELS.walk(PhysAddr(0x1000), va, read(&tables));
        let mapping = Mapping {
            phys: PhysAddr(0x1234_5123),
            len: 0x1000 - 0x123,
        };
        assert_eq!(found, Ok((mapping, false)));
        let unmapped = FOUR_LEVELS.walk(PhysAddr(0x1000), va.plus(0x1000), read(&tables));
        assert_eq!(unmapped, Err(WalkError::NotPresent("pte")));
        // The same bits below, and others above than the highest that is looked at.
        for wrong in [
            0x0000_c900_0040_3123,
            0x1234_c900_0040_3123,
            0x7fff_c900_0040_3123,
        ] {
            let found = FOUR_LEVELS.walk(PhysAddr(0x1000), VirtAddr(wrong), read(&tables));
            assert_eq!(found, Err(WalkError::NotCanonical), "{wrong:#x}");
        }
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
        let encrypted = MmuSpec {
            ignored: sme,
            ..FIVE_LEVELS
        };
        let found = encrypted.walk(PhysAddr(0x1000), va, read(&tables));
        let mapping = Mapping {
            phys: PhysAddr(0x4000_0010),
            len: 0x20_0000 - 0x10,
        };
        assert_eq!(found, Ok((mapping, true)));
    }

    /// Documentation/arch/x86/x86_64/mm.rst: the holes between the halves.
    #[test]
    fn the_hole_between_the_halves_is_no_address() {
        for (mmu, lower, upper) in [
            (FOUR_LEVELS, 0x0000_8000_0000_0000, 0xffff_8000_0000_0000),
            (FIVE_LEVELS, 0x0100_0000_0000_0000, 0xff00_0000_0000_0000),
        ] {
            for address in [0, lower - 1, upper, u64::MAX] {
                assert!(mmu.is_canonical(VirtAddr(address)), "{address:#x}");
            }
            for address in [lower, 1 << 63, upper - 1] {
                assert!(!mmu.is_canonical(VirtAddr(address)), "{address:#x}");
            }
        }
    }
}
