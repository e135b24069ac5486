//! Page structures as roots: some objects are held from nowhere else, such as the buffer
//! heads of cached blocks and the owners of slab objects.

use std::sync::{Mutex, PoisonError};

use super::targets::Targets;
use crate::addr::Pfn;
use crate::kernel::layout::{Field, layout};
use crate::kernel::memmap::Chunk;
use crate::kernel::page::allocator_home;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabHeap;

layout! {
    /// mm/slab.h: the word that leads to the owners of a slab's objects.
    struct OwnersLayout = "slab" in "mm/slub.c" | "mm/slab.c" {
        /// `memcg_data` up to 6.9, `obj_exts` since.
        maybe owners = "obj_exts" | "memcg_data",
    }
}

layout! {
    /// include/linux/mm_types.h, before 5.17.
    struct PageOwnersLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        /// `obj_cgroups` up to 5.10.
        maybe owners = "memcg_data" | "obj_cgroups",
    }
}

/// Words back among which one that repeats is looked for.
const RECENT: usize = 8;

/// The words of page structures that may point to objects.
pub(super) struct PageStructures {
    owners: Option<Field>,
    direct: u64,
    shift: u32,
    reach: u64,
    words: Mutex<Vec<Vec<u64>>>,
    /// Owners of objects that lie in the objects' own slab.
    own: Mutex<Vec<Vec<u64>>>,
}

impl PageStructures {
    pub(super) fn new(kernel: &Kernel, kinds: &PageKinds) -> Result<Self, KernelError> {
        // Commit d122019bf061 ("mm: Split slab into its own type", v5.17).
        let split = kernel
            .types
            .find_struct("slab", allocator_home(&kernel.types), false)?;
        let owners = match split {
            Some(_) => kernel.layout::<OwnersLayout>()?.owners,
            None => kernel.layout::<PageOwnersLayout>()?.owners,
        };
        let shift = kernel.dump().page_shift();
        Ok(Self {
            owners,
            direct: kernel.space.direct_map_zero().0,
            shift,
            reach: kinds.index().end().0 << shift,
            words: Mutex::default(),
            own: Mutex::default(),
        })
    }

    /// `each` gets every structure, as [`PageKinds::classify`] gives it.
    pub(super) fn read(
        &self,
        chunk: &Chunk<'_>,
        kinds: &PageKinds,
        each: impl Fn(&[u8], Pfn, u32, PageKind),
    ) {
        let (mut found, mut own) = (Vec::new(), Vec::new());
        let mut add = |word: u64| {
            // Neighbours in a file have the same mapping, and those of a group the same owner.
            let points = word.wrapping_sub(self.direct) < self.reach;
            if points && !found.iter().rev().take(RECENT).any(|one| *one == word) {
                found.push(word);
            }
        };
        kinds.classify(chunk, |record, pfn, order, kind| {
            each(record, pfn, order, kind);
            match kind {
                PageKind::Free | PageKind::Offline | PageKind::Poisoned | PageKind::Unknown => {}
                // The others are the allocator's own: lists and free objects.
                PageKind::Slab => {
                    let owners = self.owners.as_ref().map(|owners| owners.get(record) & !7);
                    match owners {
                        Some(word) if self.is_within(word, pfn, order) => own.push(word),
                        Some(word) => add(word),
                        None => {}
                    }
                }
                // The first word is flags.
                _ => {
                    let (words, _) = record.as_chunks::<8>();
                    let words = words.iter().skip(1);
                    words.for_each(|word| add(u64::from_le_bytes(*word)));
                }
            }
        });
        for (words, all) in [(found, &self.words), (own, &self.own)] {
            if !words.is_empty() {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(words);
            }
        }
    }

    /// Whether a word points into these pages.
    fn is_within(&self, word: u64, pfn: Pfn, order: u32) -> bool {
        let page = word.wrapping_sub(self.direct) >> self.shift;
        page.wrapping_sub(pfn.0) < 1 << order
    }

    /// The words found, with those that lead from slabs to what the allocator took for them.
    ///
    /// The owners of a slab's objects are an object of kmalloc, perhaps of that slab. Or, since
    /// 7.1, they lie behind each object of the slab (mm/slub.c, `alloc_slab_obj_exts_early`), and
    /// the word leads there: that keeps nothing.
    pub(super) fn take(self, heap: &SlabHeap<'_>, targets: &Targets) -> Vec<u64> {
        let is_object = |word: &u64| {
            let object = targets.object(*word);
            let start = object.and_then(|(object, _)| targets.address(object));
            start.is_some_and(|(start, _)| start.0 == *word)
        };
        let words = self.words.into_inner();
        let mut words = words.unwrap_or_else(PoisonError::into_inner).concat();
        let own = self.own.into_inner();
        let own = own.unwrap_or_else(PoisonError::into_inner).concat();
        words.extend(own.into_iter().filter(is_object));
        words.extend(heap.index_arrays().map(|array| array.0));
        words
    }
}
