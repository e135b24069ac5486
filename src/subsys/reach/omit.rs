//! Words that hold stale pointers by design, and must not keep anything alive.

use rustc_hash::FxHashMap;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::Kernel;
use crate::kernel::layout::layout;
use crate::subsys::slab::SlabHeap;
use crate::subsys::slab::cache::Cache;

/// Ranges within pages that are not looked at.
#[derive(Debug, Default)]
pub(crate) struct OmittedRanges {
    by_page: FxHashMap<u64, Vec<(u16, u16)>>,
}

impl OmittedRanges {
    /// The heads of CPUs' free chains and classic SLAB's arrays of free objects, and the pages in which kfree_rcu() gathers what is freed:
    /// those in use hold what nobody has any more, the spare ones what nobody had long ago.
    pub(crate) fn of(kernel: &Kernel, heap: &SlabHeap<'_>) -> Self {
        let mut omitted = Self::default();
        for (words, len) in heap.allocator_words() {
            omitted.add(kernel, words, len);
        }
        let bulk = heap.bulk_pages();
        for page in bulk.in_use.iter().chain(&bulk.spare) {
            omitted.add(kernel, *page, kernel.dump().page_size() as u64);
        }
        omitted.add_kmemleak_pool(kernel, heap);
        omitted
    }

    /// What kmemleak itself points to is everything.
    fn add_kmemleak_pool(&mut self, kernel: &Kernel, heap: &SlabHeap<'_>) {
        let (Some(_), Some(pool)) = (heap.find("kmemleak_object"), kernel.symbol(KMEMLEAK_POOL))
        else {
            return;
        };
        let Ok(layout) = kernel.layout::<KmemleakLayout>() else {
            return;
        };
        let size = layout.struct_size as u64;
        let pointer = u64::from(layout.pointer.offset);
        for index in 0..pool_len(kernel, pool, size) {
            self.add(kernel, pool.plus(index * size + pointer), 8);
        }
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
    /// A word among them that is not its user's: the allocator's or kmemleak's.
    pub(crate) hole: Option<usize>,
}

layout! {
    /// mm/kmemleak.c: one for every object that kmemleak watches over, leaked or not.
    struct KmemleakLayout = "kmemleak_object" in "mm/kmemleak.c" {
        need pointer = "pointer",
    }
}

/// The objects that kmemleak has before the allocator works.
const KMEMLEAK_POOL: &str = "mem_pool";
/// More than CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE can be.
const MAX_POOL: u64 = 1 << 20;

impl Shape {
    pub(crate) fn of(kernel: &Kernel, heap: &SlabHeap<'_>, cache: &Cache) -> Self {
        let own = Self::of_any(heap, cache);
        if cache.name != "kmemleak_object" {
            return own;
        }
        let layout = kernel.layout::<KmemleakLayout>();
        let hole = layout.map(|layout| layout.pointer.offset as usize);
        Self {
            hole: hole.ok(),
            ..own
        }
    }

    fn of_any(heap: &SlabHeap<'_>, cache: &Cache) -> Self {
        let object = cache.object_size.next_multiple_of(8) as usize;
        let free_pointer = cache.free_pointer as usize;
        if heap.is_debugged(cache) {
            // Red zone, free pointer and tracks follow the object.
            return Self {
                len: object.min(cache.size as usize),
                hole: None,
            };
        }
        Self {
            // What lies behind the object may be the memory controller's (7.1 and later).
            len: cache.size as usize,
            // Behind the object it is not overwritten by its user, and so is stale.
            hole: (free_pointer >= object).then_some(free_pointer),
        }
    }
}

/// Objects of which only the start is looked at: for each slab, by number, the objects'
/// indices and bytes.
#[derive(Debug, Default)]
pub(crate) struct ShortObjects(FxHashMap<u32, Vec<(u32, usize)>>);

impl ShortObjects {
    /// Sheaves: the slots behind the last used one are stale, and the others hold what is free.
    /// Classic SLAB's arrays of indices hold no addresses at all.
    pub(crate) fn of(heap: &SlabHeap<'_>, place: impl Fn(u64) -> Option<(u32, u32)>) -> Self {
        let mut short = Self::default();
        let indices = heap.index_arrays().map(|array| (array, 0));
        for (sheaf, header) in heap.sheaves().chain(indices) {
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

/// How many objects the pool has room for: up to the next variable.
fn pool_len(kernel: &Kernel, pool: VirtAddr, size: u64) -> u64 {
    let room = kernel.symbol_room(KMEMLEAK_POOL).unwrap_or(0);
    let end = kernel.symbol("_end").and_then(|end| end.offset_from(pool));
    (room.min(end.unwrap_or(room)) / size.max(1)).min(MAX_POOL)
}
