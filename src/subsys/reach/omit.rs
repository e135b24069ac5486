//! Words that hold stale pointers by design, and must not keep anything alive.

use rustc_hash::FxHashMap;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::Kernel;
use crate::subsys::slab::SlabHeap;
use crate::subsys::slab::cache::Cache;

/// Ranges within pages that are not looked at.
#[derive(Debug, Default)]
pub(crate) struct OmittedRanges {
    by_page: FxHashMap<u64, Vec<(u16, u16)>>,
}

impl OmittedRanges {
    /// The heads of CPUs' free chains, and the pages in which kfree_rcu() gathers what is freed:
    /// those in use hold what nobody has any more, the spare ones what nobody had long ago.
    pub(crate) fn of(kernel: &Kernel, heap: &SlabHeap<'_>) -> Self {
        let mut omitted = Self::default();
        for word in heap.allocator_words() {
            omitted.add(kernel, word, 8);
        }
        let bulk = heap.bulk_pages();
        for page in bulk.in_use.iter().chain(&bulk.spare) {
            omitted.add(kernel, *page, kernel.dump().page_size() as u64);
        }
        omitted
    }

    /// Leaves out `len` bytes at an address, as far as they are mapped.
    pub(crate) fn add(&mut self, kernel: &Kernel, at: VirtAddr, len: u64) {
        let shift = kernel.dump().page_shift();
        let page = 1u64 << shift;
        let mut done = 0;
        while done < len {
            let within = at.plus(done).0 & (page - 1);
            let step = (page - within).min(len - done);
            if let Ok(mapping) = kernel.space.translate(at.plus(done)) {
                let pfn = Pfn::containing(mapping.phys, shift);
                let ranges = self.by_page.entry(pfn.0).or_default();
                ranges.push((within as u16, (within + step) as u16));
            }
            done += step;
        }
    }

    /// Clears what is left out of a page.
    pub(crate) fn clear(&self, pfn: Pfn, page: &mut [u8]) {
        for (start, end) in self.by_page.get(&pfn.0).into_iter().flatten() {
            if let Some(range) = page.get_mut(usize::from(*start)..usize::from(*end)) {
                range.fill(0);
            }
        }
    }
}

/// Which bytes of an object its user can keep pointers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes from the start of the object.
    pub(crate) len: usize,
    /// A word among them that is the allocator's.
    pub(crate) free_pointer: Option<usize>,
}

impl Shape {
    pub(crate) fn of(heap: &SlabHeap<'_>, cache: &Cache) -> Self {
        let object = cache.object_size.next_multiple_of(8) as usize;
        let free_pointer = cache.free_pointer as usize;
        if heap.is_debugged(cache) {
            // Red zone, free pointer and tracks follow the object.
            return Self {
                len: object.min(cache.size as usize),
                free_pointer: None,
            };
        }
        Self {
            // What lies behind the object may be the memory controller's (7.1 and later).
            len: cache.size as usize,
            // Behind the object it is not overwritten by its user, and so is stale.
            free_pointer: (free_pointer >= object).then_some(free_pointer),
        }
    }
}

/// Objects of which only the start is looked at: for each slab, by number, the objects'
/// indices and bytes.
#[derive(Debug, Default)]
pub(crate) struct ShortObjects(FxHashMap<u32, Vec<(u32, usize)>>);

impl ShortObjects {
    /// Sheaves: the slots behind the last used one are stale, and the others hold what is free.
    pub(crate) fn of(heap: &SlabHeap<'_>, place: impl Fn(u64) -> Option<(u32, u32)>) -> Self {
        let mut short = Self::default();
        for (sheaf, header) in heap.sheaves() {
            if let Some((slab, index)) = place(sheaf.0) {
                let objects = short.0.entry(slab).or_default();
                objects.push((index, header as usize));
            }
        }
        short
    }

    pub(crate) fn in_slab(&self, slab: u32) -> &[(u32, usize)] {
        self.0.get(&slab).map_or(&[], Vec::as_slice)
    }
}
