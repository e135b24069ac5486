//! Page tables of x86-64 and aarch64, laid into the memory that they describe.

use super::arm64::Arm64;
use super::ram::Frames;
use crate::era::PagingLevels;
use crate::memory::{Memory, PAGE_SHIFT};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const ACCESSED_DIRTY: u64 = 0x60;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// aarch64: at the last level a page, above it a table.
const NO_BLOCK: u64 = 1 << 1;
/// AttrIndx, inner shareable, accessed, not for user space; and contiguous, which changes nothing.
const ATTRIBUTES: u64 = 0x0050_0000_0000_0f10 & !0x300;

/// Size of what one entry maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// 4 KiB, in a page table.
    Page,
    /// 2 MiB, in a page middle directory.
    Pmd,
    /// 1 GiB, in a page upper directory.
    Pud,
}

impl Leaf {
    /// How many levels above the last.
    fn level(self) -> u32 {
        match self {
            Leaf::Page => 0,
            Leaf::Pmd => 1,
            Leaf::Pud => 2,
        }
    }
}

/// A tree of page tables under construction.
#[derive(Debug, Clone)]
pub struct PageTables {
    /// Physical address of the topmost table.
    pub root: u64,
    /// Lowest bit and number of bits of each level, from the last up.
    levels: Vec<(u32, u32)>,
    arm64: Option<Arm64>,
    /// Set in every entry when memory is encrypted.
    pub encryption_mask: u64,
    frames: Frames,
}

impl PageTables {
    /// Starts with an empty topmost table.
    pub fn new(root: u64, paging: PagingLevels, encryption_mask: u64, frames: Frames) -> Self {
        let x86 = |levels: u32| {
            (0..levels)
                .map(|level| (PAGE_SHIFT + 9 * level, 9))
                .collect()
        };
        let levels = match paging {
            PagingLevels::Four => x86(4),
            PagingLevels::Five => x86(5),
            PagingLevels::Arm64(arm64) => arm64.levels().into_iter().rev().collect(),
        };
        Self {
            root,
            levels,
            arm64: paging.arm64(),
            encryption_mask,
            frames,
        }
    }

    /// Maps `size` bytes with leaves of one size.
    pub fn map(&mut self, memory: &mut Memory, virt: u64, phys: u64, size: u64, leaf: Leaf) {
        let step = 1u64 << self.levels[leaf.level() as usize].0;
        assert!((virt | phys).is_multiple_of(step), "{virt:#x} -> {phys:#x}");
        for offset in (0..size).step_by(step as usize) {
            let entry = self.leaf(phys + offset, leaf != Leaf::Page);
            let slot = self.slot(memory, virt + offset, leaf.level());
            memory.write(slot, &entry.to_le_bytes());
        }
    }

    /// The entry that maps memory.
    fn leaf(&self, phys: u64, large: bool) -> u64 {
        if let Some(arm64) = self.arm64 {
            let page = if large { 0 } else { NO_BLOCK };
            // Bit 53 is PXN, bit 54 UXN.
            return arm64.encode(phys) | PRESENT | page | ATTRIBUTES | 1 << 53;
        }
        let large = if large { LARGE } else { 0 };
        let flags = PRESENT | WRITABLE | ACCESSED_DIRTY | GLOBAL | NO_EXECUTE | large;
        phys | flags | self.encryption_mask
    }

    /// The entry that leads to a table.
    fn table(&self, phys: u64) -> u64 {
        match self.arm64 {
            Some(arm64) => arm64.encode(phys) | PRESENT | NO_BLOCK,
            None => phys | PRESENT | WRITABLE | 0x60 | self.encryption_mask,
        }
    }

    /// Where an entry leads, and whether it maps memory above the last level.
    fn decode(&self, entry: u64) -> (u64, bool) {
        match self.arm64 {
            Some(arm64) => (arm64.decode(entry), entry & NO_BLOCK == 0),
            None => (entry & ADDRESS & !self.encryption_mask, entry & LARGE != 0),
        }
    }

    fn index(&self, virt: u64, level: u32) -> u64 {
        let (shift, bits) = self.levels[level as usize];
        (virt >> shift) & ((1 << bits) - 1)
    }

    /// Clears the present bit of a 4 KiB mapping, as KFENCE does with guards.
    pub fn hide(&mut self, memory: &mut Memory, virt: u64) {
        let slot = self.slot(memory, virt, 0);
        let entry = memory.read_u64(slot) & !PRESENT;
        memory.write(slot, &entry.to_le_bytes());
    }

    /// Physical address of the entry for `virt` at `level`, tables made on the way.
    fn slot(&mut self, memory: &mut Memory, virt: u64, level: u32) -> u64 {
        let mut table = self.root;
        for at in (level + 1..self.levels.len() as u32).rev() {
            let slot = table + self.index(virt, at) * 8;
            let mut entry = memory.read_u64(slot);
            if entry & PRESENT == 0 {
                let frame = self.frames.take(0);
                memory.touch(frame, 1);
                entry = self.table(frame << self.levels[0].0);
                memory.write(slot, &entry.to_le_bytes());
            }
            let (at, large) = self.decode(entry);
            assert!(!large, "{virt:#x} is inside a large page");
            table = at;
        }
        table + self.index(virt, level) * 8
    }

    /// What a processor would find: the physical address behind `virt`.
    pub fn walk(&self, memory: &Memory, virt: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (0..self.levels.len() as u32).rev() {
            let entry = memory.read_u64(table + self.index(virt, level) * 8);
            if entry & PRESENT == 0 {
                return None;
            }
            let (base, large) = self.decode(entry);
            if level == 0 || (level < 3 && large) {
                let size = 1 << self.levels[level as usize].0;
                return Some((base & !(size - 1)) + virt % size);
            }
            table = base;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_found() {
        for (paging, mask) in [(PagingLevels::Four, 0), (PagingLevels::Five, 1 << 47)] {
            let mut memory = Memory::default();
            let mut tables = PageTables::new(0x5000, paging, mask, Frames::new(0x100..0x200));
            let virt = 0xffff_8880_0000_0000;
            tables.map(&mut memory, virt, 0, 0x40_0000, Leaf::Pmd);
            tables.map(&mut memory, virt + (1 << 30), 5 << 30, 1 << 30, Leaf::Pud);
            tables.map(&mut memory, virt + (2 << 30), 0x7000, 0x2000, Leaf::Page);
            assert_eq!(tables.walk(&memory, virt + 0x20_1234), Some(0x20_1234));
            let far = tables.walk(&memory, virt + (1 << 30) + 77);
            assert_eq!(far, Some((5 << 30) + 77));
            let small = virt + (2 << 30) + 0x1008;
            assert_eq!(tables.walk(&memory, small), Some(0x8008));
            tables.hide(&mut memory, small);
            assert_eq!(tables.walk(&memory, small), None);
            assert_eq!(tables.walk(&memory, virt - 8), None);
        }
    }
}
