//! A kdump-compressed file read and written again with some of its pages left out, as
//! makedumpfile would have left them out: bitmap and descriptors say so.

use std::collections::BTreeSet;
use std::path::Path;

const DESCRIPTOR: usize = 24;
/// `status`, `block_size`, `sub_hdr_size`, `bitmap_blocks` of `struct disk_dump_header`.
const BLOCK_SIZE: usize = 428;
const SUB_HDR_SIZE: usize = 432;
const BITMAP_BLOCKS: usize = 436;

/// A whole dump to thin.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    /// Where the bitmap of dumped pages lies.
    bitmap: std::ops::Range<usize>,
    /// Where the page descriptors end.
    table_end: usize,
    /// The pages dumped, in the order of their descriptors.
    pub(crate) pages: Vec<u64>,
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Undoes `makedumpfile -F`: records of offset and size, big-endian, behind 4,096 bytes.
fn unflattened(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.starts_with(b"makedumpfile") {
        return bytes;
    }
    let word = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let (mut at, mut whole) = (4096, Vec::new());
    while word(at) >= 0 {
        let (offset, size) = (word(at) as usize, word(at + 8) as usize);
        whole.resize(whole.len().max(offset + size), 0);
        whole[offset..offset + size].copy_from_slice(&bytes[at + 16..at + 16 + size]);
        at += 16 + size;
    }
    whole
}

impl Whole {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let bytes = unflattened(bytes);
        assert!(bytes.starts_with(b"KDUMP   "), "{}", path.display());
        let block = u32_at(&bytes, BLOCK_SIZE);
        let first = (1 + u32_at(&bytes, SUB_HDR_SIZE)) * block;
        let both = u32_at(&bytes, BITMAP_BLOCKS) * block;
        let bitmap = first + both / 2..first + both;
        let is_set = |pfn: &u64| bytes[bitmap.start + *pfn as usize / 8] >> (*pfn % 8) & 1 == 1;
        let pages: Vec<u64> = (0..bitmap.len() as u64 * 8).filter(is_set).collect();
        Self {
            table_end: bitmap.end + pages.len() * DESCRIPTOR,
            bitmap,
            pages,
            bytes,
        }
    }

    /// Writes the dump to `path` with zeros in place of what the pages `zeroed` hold.
    pub(crate) fn write_with_zeros(&self, zeroed: &BTreeSet<u64>, path: &Path) {
        let mut bytes = self.bytes.clone();
        let end = bytes.len() as u64;
        let page = u32_at(&bytes, BLOCK_SIZE);
        for (index, _) in (0..)
            .zip(&self.pages)
            .filter(|(_, pfn)| zeroed.contains(pfn))
        {
            // `struct page_desc`: where, how many bytes, not compressed, flags of the page.
            let at = self.bitmap.end + index * DESCRIPTOR;
            bytes[at..at + 8].copy_from_slice(&end.to_le_bytes());
            bytes[at + 8..at + 12].copy_from_slice(&(page as u32).to_le_bytes());
            bytes[at + 12..at + DESCRIPTOR].fill(0);
        }
        bytes.resize(bytes.len() + page, 0);
        std::fs::write(path, bytes).expect("the dump with zeros is written");
    }

    /// Writes the dump to `path` without the pages `left_out`.
    pub(crate) fn write_without(&self, left_out: &BTreeSet<u64>, path: &Path) {
        let mut head = self.bytes[..self.bitmap.end].to_vec();
        let gone = self.pages.iter().filter(|pfn| left_out.contains(pfn));
        let moved = gone.clone().count() * DESCRIPTOR;
        for pfn in gone {
            head[self.bitmap.start + *pfn as usize / 8] &= !(1 << (pfn % 8));
        }
        let table = &self.bytes[self.bitmap.end..self.table_end];
        for (pfn, descriptor) in self.pages.iter().zip(table.chunks_exact(DESCRIPTOR)) {
            if left_out.contains(pfn) {
                continue;
            }
            let offset = u64::from_le_bytes(descriptor[..8].try_into().expect("eight bytes"));
            head.extend((offset - moved as u64).to_le_bytes());
            head.extend(&descriptor[8..]);
        }
        let data = &self.bytes[self.table_end..];
        std::fs::write(path, [head.as_slice(), data].concat())
            .expect("the thinned dump is written");
    }
}
