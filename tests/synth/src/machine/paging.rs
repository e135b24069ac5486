//! x86-64 page tables, laid into the memory that they describe.

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
    fn level(self) -> u32 {
        match self {
            Leaf::Page => 0,
            Leaf::Pmd => 1,
            Leaf::Pud => 2,
        }
    }

    /// Bytes mapped.
    pub fn size(self) -> u64 {
        1 << (PAGE_SHIFT + 9 * self.level())
    }
}

/// A tree of page tables under construction.
#[derive(Debug, Clone)]
pub struct PageTables {
    /// Physical address of the topmost table.
    pub root: u64,
    levels: u32,
    /// Set in every entry when memory is encrypted.
    pub encryption_mask: u64,
    frames: Frames,
}

impl PageTables {
    /// Starts with an empty topmost table.
    pub fn new(root: u64, paging: PagingLevels, encryption_mask: u64, frames: Frames) -> Self {
        let levels = match paging {
            PagingLevels::Four => 4,
            PagingLevels::Five => 5,
        };
        Self {
            root,
            levels,
            encryption_mask,
            frames,
        }
    }

    /// Maps `size` bytes with leaves of one size.
    pub fn map(&mut self, memory: &mut Memory, virt: u64, phys: u64, size: u64, leaf: Leaf) {
        let step = leaf.size();
        assert!((virt | phys).is_multiple_of(step), "{virt:#x} -> {phys:#x}");
        for offset in (0..size).step_by(step as usize) {
            let large = if leaf == Leaf::Page { 0 } else { LARGE };
            let flags = PRESENT | WRITABLE | ACCESSED_DIRTY | GLOBAL | NO_EXECUTE | large;
            let entry = (phys + offset) | flags | self.encryption_mask;
            let slot = self.slot(memory, virt + offset, leaf.level());
            memory.write(slot, &entry.to_le_bytes());
        }
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
        for at in (level + 1..self.levels).rev() {
            let slot = table + index(virt, at) * 8;
            let mut entry = memory.read_u64(slot);
            if entry & PRESENT == 0 {
                let frame = self.frames.take(0);
                memory.touch(frame, 1);
                entry = (frame << PAGE_SHIFT) | PRESENT | WRITABLE | 0x60 | self.encryption_mask;
                memory.write(slot, &entry.to_le_bytes());
            }
            assert_eq!(entry & LARGE, 0, "{virt:#x} is inside a large page");
            table = entry & ADDRESS & !self.encryption_mask;
        }
        table + index(virt, level) * 8
    }

    /// What a processor would find: the physical address behind `virt`.
    pub fn walk(&self, memory: &Memory, virt: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (0..self.levels).rev() {
            let entry = memory.read_u64(table + index(virt, level) * 8);
            if entry & PRESENT == 0 {
                return None;
            }
            let base = entry & ADDRESS & !self.encryption_mask;
            if level == 0 || (level < 3 && entry & LARGE != 0) {
                let size = 1 << (PAGE_SHIFT + 9 * level);
                return Some((base & !(size - 1)) + virt % size);
            }
            table = base;
        }
        None
    }
}

fn index(virt: u64, level: u32) -> u64 {
    (virt >> (PAGE_SHIFT + 9 * level)) & 511
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
