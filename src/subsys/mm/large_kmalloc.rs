//! Blocks that kmalloc() took straight from the page allocator, because no cache has objects so
//! large: told by page structures, and what the counters of slabs are to be compared with.
//!
//! Layer: subsys. Input: one pass over the memmap. Output: [`KmallocPages`]. Invariant: what the
//! dump lacks makes a count unknown, never smaller.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::addr::Pfn;
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::{Progress, kfence_pool};

/// Pages of slabs and of large kmalloc, by the page structures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KmallocPages {
    /// Pages of slabs, but for KFENCE's, which no counter knows; `None` if the dump lacks page
    /// structures.
    pub slab: Option<u64>,
    /// Pages of large kmalloc; `None` if the kernel does not mark them (before 6.15), or page
    /// structures are lacking.
    pub marked: Option<u64>,
}

/// Counts them.
///
/// # Errors
/// If the memmap can't be found, or the types do not say how a page looks.
pub fn collect(kernel: &Kernel, progress: &dyn Progress) -> Result<KmallocPages, KernelError> {
    let memmap = Memmap::find(kernel)?;
    let kinds = PageKinds::new(kernel, &memmap)?;
    let missing = AtomicU64::new(0);
    progress.start("reading the memmap", memmap.pages());
    let step = |pages| progress.step(pages);
    memmap.scan(kernel, step, |chunk: &Chunk<'_>| {
        kinds.classify(chunk, |_, _, _, _| ());
        let lacking = (0..chunk.len()).filter(|index| chunk.get(*index).is_none());
        missing.fetch_add(lacking.count() as u64, Ordering::Relaxed);
    });
    let pool = kfence_pool(kernel)?;
    for pfn in pool.start.0..pool.end.0 {
        if kinds.get(Pfn(pfn)) == PageKind::Slab {
            kinds.set(Pfn(pfn), 0, PageKind::Kernel);
        }
    }
    let whole = missing.into_inner() == 0;
    Ok(KmallocPages::of(
        &kinds.counts(),
        kinds.large_kmalloc().is_some(),
        whole,
    ))
}

impl KmallocPages {
    /// From pages counted by kind. `marks` says whether the kernel marks large kmalloc, `whole`
    /// whether all page structures were seen.
    pub fn of(pages: &[(PageKind, u64)], marks: bool, whole: bool) -> Self {
        let count = |kind: PageKind| {
            let found = pages.iter().find(|(of, _)| *of == kind);
            found.map_or(0, |(_, count)| *count)
        };
        Self {
            slab: whole.then(|| count(PageKind::Slab)),
            marked: (marks && whole).then(|| count(PageKind::LargeKmalloc)),
        }
    }
}
