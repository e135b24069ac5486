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
        mut read: impl FnMut(PhysAddr) -> Result<u64, E>,
    ) -> Result<Mapping, WalkError<E>> {
        let mut table = root;
        for (depth, level) in self.levels.iter().enumerate() {
            let index = va.0 >> level.shift & ((1 << level.bits) - 1);
            let entry = read(table.plus(index * 8))
                .map_err(|error| WalkError::Table(level.name, error))?
                & !clear;
            if entry & self.present != self.present {
                return Err(WalkError::NotPresent(level.name));
            }
            let last = depth + 1 == self.levels.len();
            if last || (level.blocks && entry & self.block != 0) {
                let size = 1u64 << level.shift;
                let within = va.0 & (size - 1);
                // Bits below the block's size are attributes there (PAT), not address.
                let base = entry & self.address & !(size - 1);
                return Ok(Mapping {
                    phys: PhysAddr(base | within),
                    len: size - within,
                });
            }
            table = PhysAddr(entry & self.address);
        }
        Err(WalkError::NotPresent("root"))
    }
}
