//! Words that hold stale pointers by design, and must not keep anything alive.

use rustc_hash::FxHashMap;

use super::cached_skbs::CachedSkbs;
use super::kmemleak::KmemleakObjects;
use super::targets::Targets;
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::stack_depot::StackDepot;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabHeap;
use crate::subsys::mm::slab::cache::Cache;

/// What single skbs come from, on all tested kernels unmerged: part of it may be copied to users.
const SKBS: &str = "skbuff_head_cache";

/// Ranges within pages that are not looked at.
#[derive(Debug, Default)]
pub(crate) struct OmittedRanges {
    by_page: FxHashMap<u64, Vec<(u32, u32)>>,
    /// The page that was asked for last, and which one it is: neighbours come in turn.
    last: Option<(u64, Pfn)>,
    /// Places that can't be told since the dump lacks what they hang on.
    pub(crate) gaps: u64,
}

impl OmittedRanges {
    /// The heads of CPUs' free chains and classic SLAB's arrays of free objects, and the pages in which kfree_rcu() gathers what is freed:
    /// those in use hold what nobody has any more, the spare ones what nobody had long ago.
    /// The slots of skbs that were taken out. What kmemleak has of objects before the allocator
    /// works. Stack traces.
    pub(crate) fn of(
        kernel: &Kernel,
        heap: &SlabHeap<'_>,
        objects: &SeenObjects,
        skbs: &CachedSkbs,
    ) -> Self {
        let mut omitted = Self::default();
        for (words, len) in heap.allocator_words().chain(skbs.spare.iter().copied()) {
            omitted.add(kernel, words, len);
        }
        let bulk = heap.bulk_pages();
        for page in bulk.in_use.iter().chain(&bulk.spare) {
            omitted.add(kernel, *page, kernel.dump().page_size() as u64);
        }
        if let Some(kmemleak) = &objects.kmemleak {
            let (unread, gaps) = kmemleak.in_pool(kernel);
            omitted.gaps += gaps;
            for (words, len) in unread {
                omitted.add(kernel, words, len);
            }
        }
        omitted.add_stack_traces(kernel);
        omitted
    }

    /// Return addresses, and what an unwinder took for some; the records lead to each other only.
    fn add_stack_traces(&mut self, kernel: &Kernel) {
        match StackDepot::open(kernel) {
            Ok(Some(depot)) => {
                for pool in depot.pools() {
                    self.add(kernel, pool, depot.pool_size());
                }
            }
            Err(KernelError::Memory { .. }) => self.gaps += 1,
            // None, or one of a shape that is not known.
            Ok(None) | Err(_) => {}
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
            if let Some(pfn) = self.page_of(kernel, at.plus(done)) {
                let ranges = self.by_page.entry(pfn.0).or_default();
                ranges.push((within as u32, (within + step) as u32));
            }
            done += step;
        }
    }

    fn page_of(&mut self, kernel: &Kernel, at: VirtAddr) -> Option<Pfn> {
        let shift = kernel.dump().page_shift();
        let number = at.0 >> shift;
        match self.last {
            Some((last, pfn)) if last == number => Some(pfn),
            _ => {
                let mapping = kernel.space.translate(at);
                if let Err(fault) = &mapping {
                    self.gaps += u64::from(fault.page_fault().is_some());
                }
                let pfn = Pfn::containing(mapping.ok()?.phys, shift);
                self.last = Some((number, pfn));
                Some(pfn)
            }
        }
    }

    /// Clears what is left out of a page.
    pub(crate) fn clear(&self, pfn: Pfn, page: &mut [u8]) {
        for (start, end) in self.by_page.get(&pfn.0).into_iter().flatten() {
            if let Some(range) = page.get_mut(*start as usize..*end as usize) {
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
    /// A word among them that is not its user's but the allocator's.
    pub(crate) hole: Option<usize>,
}

impl Shape {
    fn of(heap: &SlabHeap<'_>, cache: &Cache) -> Self {
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

/// What of objects is looked at.
#[derive(Debug)]
pub(crate) struct SeenObjects {
    /// By the number of their cache.
    pub(crate) shapes: Vec<Shape>,
    pub(crate) short: ShortObjects,
    /// Where kmemleak is built in.
    pub(crate) kmemleak: Option<KmemleakObjects>,
}

impl SeenObjects {
    pub(crate) fn of(
        kernel: &Kernel,
        heap: &SlabHeap<'_>,
        targets: &Targets,
        skbs: &CachedSkbs,
    ) -> Self {
        let shapes = heap.caches().iter().map(|cache| Shape::of(heap, cache));
        Self {
            shapes: shapes.collect(),
            short: ShortObjects::of(heap, targets, skbs),
            kmemleak: KmemleakObjects::of(kernel, heap),
        }
    }
}

/// Objects of which only the start is looked at: for each slab, by number, the objects'
/// indices and bytes.
#[derive(Debug, Default)]
pub(crate) struct ShortObjects(FxHashMap<u32, Vec<(u32, usize)>>);

impl ShortObjects {
    /// Sheaves: the slots behind the last used one are stale, and the others hold what is free.
    /// Classic SLAB's arrays of indices hold no addresses at all, and skbs that wait for the next
    /// packet nothing.
    fn of(heap: &SlabHeap<'_>, targets: &Targets, skbs: &CachedSkbs) -> Self {
        let mut short = Self::default();
        let indices = heap.index_arrays().map(|array| (array, 0));
        for (sheaf, header) in heap.sheaves().chain(indices) {
            if let Some((object, _)) = targets.object(sheaf.0) {
                short.add(targets, object, header as usize);
            }
        }
        let cache = heap.find(SKBS).map(|number| number as u32);
        for skb in &skbs.kept {
            let found = targets.object(skb.0);
            let found = found.filter(|(_, of)| Some(*of) == cache);
            // Anything else is no skb, whatever the slot says.
            if let Some((object, _)) = found
                && targets
                    .address(object)
                    .is_some_and(|(start, _)| start == *skb)
            {
                short.add(targets, object, 0);
            }
        }
        short
    }

    fn add(&mut self, targets: &Targets, object: u32, len: usize) {
        if let Some((slab, index)) = targets.place(object) {
            self.0.entry(slab).or_default().push((index, len));
        }
    }

    pub(crate) fn in_slab(&self, slab: u32) -> &[(u32, usize)] {
        self.0.get(&slab).map_or(&[], Vec::as_slice)
    }
}
