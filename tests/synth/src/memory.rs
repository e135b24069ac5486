//! Sparse physical memory.
//!
//! A page exists once something was written to it. What exists is what a dump
//! would hold; RAM without a page here is memory that the kernel had free.

use std::collections::BTreeMap;

/// log2 of the bytes of a page, where nothing else is said.
pub const PAGE_SHIFT: u32 = 12;

/// Pages by page frame number.
#[derive(Debug, Clone)]
pub struct Memory {
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(PAGE_SHIFT)
    }
}

impl Memory {
    /// Nothing, in pages of `1 << page_shift` bytes.
    pub fn new(page_shift: u32) -> Self {
        Self {
            page_shift,
            pages: BTreeMap::new(),
        }
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift
    }

    /// The page, if it exists.
    pub fn page(&self, pfn: u64) -> Option<&[u8]> {
        self.pages.get(&pfn).map(|page| &**page)
    }

    /// Pages in order of frame number.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.iter().map(|(pfn, page)| (*pfn, &**page))
    }

    /// How many pages exist.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Takes pages out, as makedumpfile does with what its dump level excludes.
    pub fn exclude(&mut self, pfn: u64) {
        self.pages.remove(&pfn);
    }

    /// Makes pages exist, zeroed where they did not.
    pub fn touch(&mut self, pfn: u64, count: u64) {
        for each in pfn..pfn + count {
            self.page_mut(each);
        }
    }

    /// The page, made if it did not exist.
    pub fn page_mut(&mut self, pfn: u64) -> &mut [u8] {
        let size = self.page_size() as usize;
        let empty = || vec![0; size].into_boxed_slice();
        self.pages.entry(pfn).or_insert_with(empty)
    }

    /// Writes bytes at a physical address, over page borders.
    pub fn write(&mut self, mut address: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = (address % self.page_size()) as usize;
            let count = bytes.len().min(self.page_size() as usize - start);
            let page = self.page_mut(address >> self.page_shift);
            page[start..start + count].copy_from_slice(&bytes[..count]);
            address += count as u64;
            bytes = &bytes[count..];
        }
    }

    /// Reads bytes at a physical address; what does not exist reads as zero.
    pub fn read(&self, address: u64, buffer: &mut [u8]) {
        for (index, byte) in buffer.iter_mut().enumerate() {
            let at = address + index as u64;
            let page = self.page(at >> self.page_shift);
            *byte = page.map_or(0, |page| page[(at % self.page_size()) as usize]);
        }
    }

    /// Reads a little-endian word.
    pub fn read_u64(&self, address: u64) -> u64 {
        let mut word = [0; 8];
        self.read(address, &mut word);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

    #[test]
    fn a_write_over_a_page_border_lands_in_both() {
        let mut memory = Memory::default();
        memory.write(PAGE_SIZE - 3, &[1, 2, 3, 4, 5]);
        assert_eq!(memory.len(), 2);
        assert_eq!(memory.page(0).unwrap()[4093..], [1, 2, 3]);
        assert_eq!(memory.page(1).unwrap()[..2], [4, 5]);
        let mut back = [0; 5];
        memory.read(PAGE_SIZE - 3, &mut back);
        assert_eq!(back, [1, 2, 3, 4, 5]);
    }
}
