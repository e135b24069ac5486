//! One pass over all page structures, in parallel and past the page cache.

use rayon::prelude::*;

use super::Memmap;
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::Kernel;
use crate::space::MemFault;

/// Page structures handed out at a time: 64 KiB of them. A compound page's first tail is always
/// in the same chunk as its head, and so is all of the largest free block of most kernels.
const CHUNK_PAGES: u64 = 1024;

/// Some consecutive page structures.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// The pfn of the first one.
    pub start: Pfn,
    bytes: &'a [u8],
    pages: &'a [Held],
    struct_page: usize,
    page_size: usize,
}

impl Chunk<'_> {
    /// How many structures the chunk holds.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.struct_page
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the structure at `index`, or `None` if the dump lacks them.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = index * self.struct_page;
        let end = start + self.struct_page;
        let first = start / self.page_size;
        let last = (end - 1) / self.page_size;
        let whole = self.pages.get(first..=last)?.iter().all(|held| !held.lost);
        whole.then(|| self.bytes.get(start..end)).flatten()
    }

    /// The pages that hold these structures themselves, as far as they are mapped.
    pub fn holding(&self) -> impl Iterator<Item = Pfn> + '_ {
        self.pages.iter().filter_map(|held| held.pfn)
    }
}

/// A page of page structures.
#[derive(Clone, Copy, Debug)]
struct Held {
    pfn: Option<Pfn>,
    /// It is mapped, but the dump lacks it.
    lost: bool,
}

impl Memmap {
    /// Runs `visit` over all chunks of page structures, on all cores, and returns what it made
    /// of each in the order of pfns. Bypasses the page cache: everything is read once.
    /// `step` is told how many pages each chunk covers.
    pub fn scan<T: Send>(
        &self,
        kernel: &Kernel,
        step: impl Fn(u64) + Sync,
        visit: impl Fn(&Chunk<'_>) -> T + Sync,
    ) -> Vec<T> {
        self.scan_every(kernel, 1, step, visit)
    }

    /// As [`scan`](Self::scan), over some `chunks` of all that are evenly spread over memory.
    pub fn sample<T: Send>(
        &self,
        kernel: &Kernel,
        chunks: usize,
        visit: impl Fn(&Chunk<'_>) -> T + Sync,
    ) -> Vec<T> {
        let all = (self.pages() / self.chunk_pages()) as usize;
        let every = all.div_ceil(chunks.max(1)).max(1);
        self.scan_every(kernel, every, |_| {}, visit)
    }

    fn chunk_pages(&self) -> u64 {
        CHUNK_PAGES.min(self.section_pages)
    }

    fn scan_every<T: Send>(
        &self,
        kernel: &Kernel,
        every: usize,
        step: impl Fn(u64) + Sync,
        visit: impl Fn(&Chunk<'_>) -> T + Sync,
    ) -> Vec<T> {
        let chunk_pages = self.chunk_pages();
        let per_section = self.section_pages / chunk_pages;
        let total = self.sections.len() * per_section as usize;
        (0..total.div_ceil(every))
            .into_par_iter()
            .with_min_len(8)
            .with_max_len(8)
            .map_init(
                || (Vec::new(), Vec::new()),
                |(bytes, pages), index| {
                    let index = (index * every) as u64;
                    let within = index % per_section * chunk_pages;
                    let section = self.sections.get((index / per_section) as usize)?;
                    let start = Pfn(section.start.0 + within);
                    let at = section.bias.plus(start.0 * self.struct_page);
                    self.fill(kernel, at, chunk_pages, bytes, pages);
                    step(chunk_pages);
                    // Behind the end there are no pages, but what describes them is memory, too.
                    let count = self.end.0.saturating_sub(start.0).min(chunk_pages);
                    let bytes = bytes.get(..(count * self.struct_page) as usize)?;
                    Some(visit(&Chunk {
                        start,
                        bytes,
                        pages,
                        struct_page: self.struct_page as usize,
                        page_size: kernel.dump().page_size(),
                    }))
                },
            )
            .flatten_iter()
            .collect()
    }

    /// Reads the structures of `count` pages from `at` on; pages of them that the dump lacks are
    /// marked. Where nothing is mapped there is no RAM: that is no loss.
    fn fill(
        &self,
        kernel: &Kernel,
        at: VirtAddr,
        count: u64,
        bytes: &mut Vec<u8>,
        pages: &mut Vec<Held>,
    ) {
        let page_size = kernel.dump().page_size();
        let len = (count * self.struct_page) as usize;
        bytes.resize(len, 0);
        pages.clear();
        for (index, out) in bytes.chunks_mut(page_size).enumerate() {
            let va = at.plus((index * page_size) as u64);
            let mut holder = None;
            let read = kernel.space.translate(va).and_then(|mapping| {
                let pfn = Pfn::containing(mapping.phys, kernel.dump().page_shift());
                holder = Some(pfn);
                if mapping.phys.0 % page_size as u64 != 0 {
                    return kernel.space.read(va, out);
                }
                kernel
                    .dump()
                    .read_page(pfn, out)
                    .map_err(|fault| MemFault::Page { va, fault })
            });
            let fault = read.err();
            let lost = fault.and_then(|fault| fault.page_fault());
            if fault.is_some() {
                // Nothing mapped: as if all its pages were absent. Lost: not looked at.
                out.fill(0);
            }
            pages.push(Held {
                pfn: holder,
                lost: lost.is_some(),
            });
            if let Some(fault) = lost {
                kernel.diag.warn("memmap-page-lost", memmap_loss(fault));
            }
        }
    }
}

fn memmap_loss(fault: crate::dump::PageFault) -> &'static str {
    use crate::dump::PageFault;
    match fault {
        PageFault::Excluded(_) => {
            "pages of the memmap were left out of the dump: slabs described there are not seen (was it filtered with --exclude-unused-vm?)"
        }
        PageFault::NotInDump(_) => {
            "pages of the memmap are not in the dump: slabs described there are not seen (are all segments of the file there?)"
        }
        PageFault::PartAbsent(_) => {
            "pages of the memmap are in a part of the split set that is not given: slabs described there are not seen (give all parts)"
        }
        PageFault::Truncated { .. } => {
            "pages of the memmap lie beyond the end of the file: slabs described there are not seen (copy the dump again, or see why it is incomplete)"
        }
        PageFault::Corrupt { .. } => {
            "pages of the memmap do not decompress: slabs described there are not seen (compare the file's checksum with the original's)"
        }
    }
}
