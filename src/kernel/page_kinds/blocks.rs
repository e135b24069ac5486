//! Blocks of pages that were given out as one, after the pass over the memmap.

use super::{PageKind, PageKinds};
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::memmap::Chunk;

/// What a block of pages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageBlock {
    /// Set apart at boot.
    Reserved,
    /// Of the kernel.
    Kernel,
    /// Likewise, without a reference: behind the first page of a block, it belongs to that.
    Behind,
    /// Of a file, whose `address_space` is there.
    File(VirtAddr),
}

impl PageKinds {
    /// After the pass: the kernel's own blocks of pages and the pages of files in one chunk, each
    /// with the first of its pages and how many there are.
    pub fn blocks(&self, chunk: &Chunk<'_>, mut visit: impl FnMut(Pfn, u64, PageBlock)) {
        for at in 0..chunk.len() {
            let Some(record) = chunk.get(at).filter(|record| !self.is_tail(record)) else {
                continue;
            };
            let pfn = Pfn(chunk.start.0 + at as u64);
            let block = match self.get(pfn) {
                PageKind::Reserved => PageBlock::Reserved,
                PageKind::Kernel if self.usage.refcount.get(record) == 0 => PageBlock::Behind,
                PageKind::Kernel => PageBlock::Kernel,
                PageKind::Cache | PageKind::Shmem => {
                    PageBlock::File(VirtAddr(self.usage.mapping.get(record)))
                }
                _ => continue,
            };
            let (_, order) = self.kind_of(record, chunk.get(at + 1));
            visit(pfn, 1 << order, block);
        }
    }
}
