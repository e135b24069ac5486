//! Every slab of every cache, by one pass over the memmap.
//!
//! Full slabs of ordinary caches are on no list in any kernel, so the page structures
//! are the only complete record. A page is the head of a slab if it is marked as one
//! and its `slab_cache` is a cache that exists.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::cache::Cache;
use super::layouts::SlabWords;
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::page::{MAX_PAGE_ORDER, PageLayout, PageMark, allocator_home, order_offset};
use crate::kernel::{Kernel, KernelError};

/// One slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Its first page.
    pub pfn: Pfn,
    /// Head of its chain of free objects; null if there are none. In classic SLAB, its array of
    /// indices.
    pub freelist: VirtAddr,
    /// Index of its cache in the list of caches.
    pub cache: u32,
    /// Bytes from its start to the first object; more than it has if that is corrupt.
    pub first: u32,
    /// How many objects it is divided into.
    pub objects: u16,
    /// How many are not on its free chain.
    pub inuse: u16,
    /// log2 of its pages.
    pub order: u8,
    /// The frozen bit (up to 6.7: a CPU owns the slab).
    pub frozen: bool,
}

/// What the pass over the memmap found.
#[derive(Debug)]
pub struct SlabScan {
    /// All slabs, by pfn.
    pub slabs: Vec<Slab>,
    /// Pages marked as slab whose cache does not exist.
    pub strays: u64,
    /// Page structures that the dump lacks.
    pub missing: u64,
    /// How slabs were recognised.
    pub mark: PageMark,
}

impl SlabScan {
    /// The slab whose first page is `pfn`.
    pub fn find(&self, pfn: Pfn) -> Option<usize> {
        self.slabs.binary_search_by_key(&pfn, |slab| slab.pfn).ok()
    }

    /// How many objects all slabs are divided into: no list of objects is longer.
    pub(crate) fn objects(&self) -> u64 {
        self.slabs.iter().map(|slab| u64::from(slab.objects)).sum()
    }

    /// The slab that `pfn` is any page of.
    pub(crate) fn find_around(&self, pfn: Pfn) -> Option<(usize, &Slab)> {
        let after = self.slabs.partition_point(|slab| slab.pfn <= pfn);
        let index = after.checked_sub(1)?;
        let slab = self.slabs.get(index)?;
        (pfn.0 < slab.pfn.0 + (1 << slab.order)).then_some((index, slab))
    }
}

struct Scanner<'k> {
    kernel: &'k Kernel,
    known: &'k [Cache],
    page: PageLayout,
    words: SlabWords,
    mark: PageMark,
    head_mask: u64,
    order_at: usize,
    caches: FxHashMap<u64, u32>,
    kfence: Range<Pfn>,
}

#[derive(Default)]
struct ChunkResult {
    slabs: Vec<Slab>,
    strays: u64,
    missing: u64,
}

/// Scans the memmap for slabs of `caches`; pages of `kfence` need not belong to one. `step` is told of each batch of pages done,
/// `also` sees what the scan sees, so that memory is read once.
///
/// # Errors
/// If the kernel's types do not say how a slab looks.
pub fn scan(
    kernel: &Kernel,
    memmap: &Memmap,
    caches: &[Cache],
    kfence: &Range<Pfn>,
    step: impl Fn(u64) + Sync,
    also: impl Fn(&Chunk<'_>) + Sync,
) -> Result<SlabScan, KernelError> {
    let page: PageLayout = kernel.layout()?;
    let scanner = Scanner {
        kernel,
        known: caches,
        order_at: order_offset(kernel, &page, memmap.struct_page_size())?,
        words: SlabWords::resolve(kernel)?,
        mark: PageMark::of_slabs(kernel)?,
        head_mask: head_mask(kernel)?,
        kfence: kfence.clone(),
        caches: caches
            .iter()
            .zip(0..)
            .map(|(cache, index)| (cache.address.0, index))
            .collect(),
        page,
    };
    let chunks = memmap.scan(kernel, step, |chunk| {
        also(chunk);
        scanner.chunk(chunk)
    });
    let mut scan = SlabScan {
        slabs: Vec::with_capacity(chunks.iter().map(|chunk| chunk.slabs.len()).sum()),
        strays: 0,
        missing: memmap.lost_pages(),
        mark: scanner.mark,
    };
    for chunk in chunks {
        scan.slabs.extend(chunk.slabs);
        scan.strays += chunk.strays;
        scan.missing += chunk.missing;
    }
    Ok(scan)
}

/// The bit of `page.flags` that marks the first page of several.
pub(super) fn head_mask(kernel: &Kernel) -> Result<u64, KernelError> {
    let head_bit =
        kernel
            .types
            .enumerator("pageflags", allocator_home(&kernel.types), "PG_head")?;
    Ok(match head_bit {
        Some(bit @ 0..=63) => 1 << bit,
        _ => kernel
            .vmcoreinfo()
            .number("PG_head_mask")
            .map_or(0, i64::cast_unsigned),
    })
}

impl Scanner<'_> {
    fn chunk(&self, chunk: &Chunk<'_>) -> ChunkResult {
        let mut result = ChunkResult::default();
        let mut index = 0;
        while index < chunk.len() {
            let mut step = 1;
            match chunk.get(index) {
                None => result.missing += 1,
                Some(record) if self.is_slab_head(record) => {
                    let pfn = Pfn(chunk.start.0 + index as u64);
                    match self.slab(chunk, index, record, pfn) {
                        Some(slab) => {
                            step = 1 << slab.order;
                            result.slabs.push(slab);
                        }
                        // KFENCE marks its whole pool, whether or not an object was ever there.
                        None if self.kfence.contains(&pfn) => {}
                        None => result.strays += 1,
                    }
                }
                Some(_) => {}
            }
            index += step;
        }
        result
    }

    fn is_slab_head(&self, record: &[u8]) -> bool {
        // Only heads carry the mark (PF_NO_TAIL), so bit 0 of the word that would name a tail's
        // head is not asked: up to 6.1 the link of the partial list lies there, and a
        // broken one must not hide the slab.
        self.mark.holds(&self.page, record)
    }

    fn slab(&self, chunk: &Chunk<'_>, index: usize, record: &[u8], pfn: Pfn) -> Option<Slab> {
        let index_of_cache = *self.caches.get(&self.words.slab_cache.get(record))?;
        let cache = self.known.get(index_of_cache as usize)?;
        let order = if self.page.flags.get(record) & self.head_mask == 0 {
            0
        } else {
            let after = self.order_at.checked_sub(record.len())?;
            *chunk.get(index + 1)?.get(after)?
        };
        (u32::from(order) <= MAX_PAGE_ORDER).then(|| Slab {
            pfn,
            freelist: VirtAddr(self.words.freelist.get(record)),
            cache: index_of_cache,
            first: self.first_object(cache, record, pfn),
            objects: self
                .words
                .objects
                .as_ref()
                .map_or(cache.objects_per_slab as u16, |f| f.get(record) as u16),
            inuse: u16::try_from(self.words.inuse.get(record)).unwrap_or(u16::MAX),
            order,
            frozen: self.words.frozen.is_some_and(|f| f.get(record) == 1),
        })
    }

    /// With SLUB all slabs of a cache begin alike; classic SLAB shifts them against each other, to
    /// spread them over cache lines.
    fn first_object(&self, cache: &Cache, record: &[u8], pfn: Pfn) -> u32 {
        let (Some(s_mem), Some(classic)) = (self.words.s_mem, &cache.classic) else {
            return cache.red_left_pad;
        };
        let phys = pfn.start(self.kernel.dump().page_shift());
        let base = self.kernel.space.direct_map_address(phys);
        VirtAddr(s_mem.get(record))
            .plus(u64::from(classic.obj_offset))
            .offset_from(base)
            .and_then(|offset| u32::try_from(offset).ok())
            .unwrap_or(u32::MAX)
    }
}
