//! What the kernel keeps of each page besides its `struct page` (mm/page_ext.c).
//!
//! Layer: kernel. Input: the memory sections, each with an array of entries of equal size.
//! Output: the entries, in the order of pages. Invariant: entries that the dump lacks are
//! counted, never given as zeros.

use rayon::prelude::*;

use super::layout::layout;
use super::memmap::Memmap;
use super::{Kernel, KernelError};
use crate::addr::{Pfn, VirtAddr};

/// Entries read at a time.
const CHUNK: u64 = 1024;
/// More than any kernel has for a page.
const MAX_ENTRY: u64 = 4 << 10;

layout! {
    /// include/linux/page_ext.h
    pub(crate) struct PageExtLayout = "page_ext" in "mm/page_ext.c" {
        need flags = "flags",
    }
}

layout! {
    /// include/linux/page_ext.h
    struct OperationsLayout = "page_ext_operations" in "mm/page_ext.c" {
        need offset = "offset",
    }
}

/// The arrays of entries.
#[derive(Debug)]
pub(crate) struct PageExt<'k> {
    kernel: &'k Kernel,
    /// The first page of each section, and where the entry of page 0 would be.
    sections: Vec<(Pfn, VirtAddr)>,
    section_pages: u64,
    entry: u64,
}

/// Consecutive entries.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    /// The page of the first.
    pub(crate) start: Pfn,
    bytes: &'a [u8],
    entry: usize,
}

impl Entries<'_> {
    /// Each entry with its page.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Pfn, &[u8])> + '_ {
        let entries = self.bytes.chunks_exact(self.entry);
        (self.start.0..).map(Pfn).zip(entries)
    }
}

impl<'k> PageExt<'k> {
    /// Finds the arrays; `None` if the kernel keeps nothing more of pages.
    ///
    /// # Errors
    /// If the types or the memory sections are missing.
    pub(crate) fn find(kernel: &'k Kernel) -> Result<Option<Self>, KernelError> {
        let size = "page_ext_size";
        let entry = match kernel.u64_of(size).there(size)? {
            Some(size) => size,
            // Up to 5.3.
            None => match kernel.u64_of("extra_mem").there("extra_mem")? {
                Some(more) => {
                    (kernel.layout::<PageExtLayout>()?.struct_size as u64).saturating_add(more)
                }
                None => return Ok(None),
            },
        };
        let memmap = Memmap::find(kernel)?;
        let sections: Vec<_> = memmap.page_ext_sections().collect();
        let usable = (8..=MAX_ENTRY).contains(&entry) && !sections.is_empty();
        Ok(usable.then(|| Self {
            kernel,
            sections,
            section_pages: memmap.index().section_pages() as u64,
            entry,
        }))
    }

    /// Where in an entry the part of the user `operations` begins: its variable's name.
    ///
    /// # Errors
    /// If the types lack what such a user looks like.
    pub(crate) fn offset_of(&self, operations: VirtAddr) -> Result<Option<usize>, KernelError> {
        let layout: OperationsLayout = self.kernel.layout()?;
        let at = operations.plus(u64::from(layout.offset.offset));
        let offset = self.kernel.space.read_u64(at).ok();
        Ok(offset.filter(|at| *at < self.entry).map(|at| at as usize))
    }

    /// Bytes of an entry.
    pub(crate) fn entry_size(&self) -> usize {
        self.entry as usize
    }

    /// Folds over all entries on all cores, and says how many the dump lacks.
    pub(crate) fn fold<T: Send>(
        &self,
        new: impl Fn() -> T + Sync + Send,
        visit: impl Fn(&mut T, &Entries<'_>) + Sync + Send,
        merge: impl Fn(T, T) -> T + Sync + Send,
    ) -> (T, u64) {
        let per_section = self.section_pages.div_ceil(CHUNK).max(1);
        let chunks = self.sections.len() * per_section as usize;
        let step = |(mut sum, mut lost): (T, u64), index: usize| {
            let index = index as u64;
            let section = self.sections.get((index / per_section) as usize);
            if let Some((first, bias)) = section {
                let start = first.0 + index % per_section * CHUNK;
                let count = CHUNK.min(first.0 + self.section_pages - start);
                let at = bias.plus(start.wrapping_mul(self.entry));
                match (self.kernel.space).span(at, (count * self.entry) as usize) {
                    Ok(bytes) => visit(
                        &mut sum,
                        &Entries {
                            start: Pfn(start),
                            bytes: &bytes,
                            entry: self.entry_size(),
                        },
                    ),
                    Err(_) => lost += count,
                }
            }
            (sum, lost)
        };
        (0..chunks)
            .into_par_iter()
            .with_min_len(8)
            .fold(|| (new(), 0), step)
            .reduce(
                || (new(), 0),
                |(one, lost), (other, more)| (merge(one, other), lost + more),
            )
    }
}
