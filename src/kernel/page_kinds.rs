//! What every page of RAM is used for, by its `struct page`.
//!
//! Layer: kernel. Input: the chunks of one pass over the memmap. Output: one [`PageKind`]
//! per page. Invariant: a page whose structure does not say what it is counts as the
//! kernel's own; nothing that may hold pointers is ever taken for free.

mod blocks;
mod cpu_lists;
mod kind;

pub use blocks::PageBlock;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::kind::PageKind;
use super::layout::{Field, layout};
use super::memmap::{Chunk, Memmap, PageIndex};
use super::page::{
    MAX_FOLIO_ORDER, MAX_PAGE_ORDER, PageLayout, PageMark, TailMark, allocator_home, is_unfilled,
    order_offset,
};
use super::zones::CpuList;
use super::{Kernel, KernelError, pointerless};
use crate::addr::{Pfn, VirtAddr};
use rustc_hash::FxHashMap;

layout! {
    /// include/linux/mm_types.h
    struct UseLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need mapping = "mapping",
        need private = "private",
        need refcount = "_refcount.counter" | "_refcount" | "_count.counter",
        need lru = "lru",
        /// In the first tail page, up to 6.5.
        maybe compound_dtor = "compound_dtor",
    }
}

/// PAGE_MAPPING_ANON, `FOLIO_MAPPING_ANON` since 6.17.
const ANON: u64 = 1;
/// PAGE_MAPPING_MOVABLE, up to 6.16.
const MOVABLE: u64 = 2;
/// PAGE_MAPPING_FLAGS.
const MAPPING_FLAGS: u64 = 3;

/// A block of pages that one structure at its head speaks for.
type Block = (Pfn, u32, PageKind);

/// Tells what pages are used for.
pub struct PageKinds {
    index: PageIndex,
    kinds: Vec<AtomicU8>,
    page: PageLayout,
    usage: UseLayout,
    tail: TailMark,
    order_at: usize,
    marks: Vec<(PageMark, PageKind)>,
    reserved: u64,
    head: u64,
    /// What swap could take: of pages of files, those of tmpfs.
    swap_backed: u64,
    /// Taken out of use as broken: 0 without CONFIG_MEMORY_FAILURE.
    poisoned: u64,
    huge_dtor: Option<(Field, u64)>,
    /// Free blocks that reach beyond their chunk.
    crossing: Mutex<Vec<Block>>,
    /// Where pages that nobody has a reference to are linked to.
    links: Mutex<FxHashMap<Pfn, VirtAddr>>,
    /// Whether large kmalloc is marked.
    marks_large: bool,
    /// Its blocks: first page and order.
    large: Mutex<Vec<(Pfn, u32)>>,
}

impl std::fmt::Debug for PageKinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageKinds({} pages)", self.kinds.len())
    }
}

impl PageKinds {
    /// Prepares for a pass over `memmap`.
    ///
    /// # Errors
    /// If the kernel's types do not say how a page looks, or the memmap describes far more than
    /// the dump says there is.
    pub fn new(kernel: &Kernel, memmap: &Memmap) -> Result<Self, KernelError> {
        let ram = kernel.dump().facts().ram_pages;
        // Sections are 128 MiB and may be mostly holes, but not by the terabyte.
        if memmap.pages() > ram.saturating_mul(64).max(1 << 24) {
            return Err(KernelError::Unsupported(format!(
                "the table of memory sections describes {} pages, the dump has {ram}: one of the two is damaged (copy the dump again)",
                memmap.pages()
            )));
        }
        let page: PageLayout = kernel.layout()?;
        let usage: UseLayout = kernel.layout()?;
        let home = allocator_home(&kernel.types);
        let flag = |name: &str| -> Result<u64, KernelError> {
            let bit = kernel.types.enumerator("pageflags", home, name)?;
            Ok(bit
                .filter(|bit| (0..64).contains(bit))
                .map_or(0, |bit| 1 << bit))
        };
        let mut marks = vec![(PageMark::of_slabs(kernel)?, PageKind::Slab)];
        for (key, kind) in [
            ("PAGE_BUDDY_MAPCOUNT_VALUE", PageKind::Free),
            ("PAGE_OFFLINE_MAPCOUNT_VALUE", PageKind::Offline),
            ("PAGE_HUGETLB_MAPCOUNT_VALUE", PageKind::Huge),
        ] {
            marks.extend(PageMark::stated(kernel, key).map(|mark| (mark, kind)));
        }
        // Large kmalloc: 6.15 and later (commit a6687c8ff613).
        let large = kernel
            .types
            .enumerator("pagetype", home, "PGTY_large_kmalloc")?;
        let zsmalloc = kernel.types.enumerator("pagetype", home, "PGTY_zsmalloc")?;
        for (value, kind) in [
            (large, PageKind::LargeKmalloc),
            (zsmalloc, PageKind::Zsmalloc),
        ] {
            marks.extend(value.map(|value| (PageMark::TypeByte(value as u8), kind)));
        }
        let table = PageMark::of_tables(kernel)?;
        marks.extend(table.map(|mark| (mark, PageKind::Table)));
        let huge_dtor = usage.compound_dtor.zip(
            kernel
                .vmcoreinfo()
                .number("HUGETLB_PAGE_DTOR")
                .map(i64::cast_unsigned),
        );
        let index = memmap.index();
        Ok(Self {
            kinds: (0..index.len()).map(|_| AtomicU8::new(0)).collect(),
            index,
            order_at: order_offset(kernel, &page, memmap.struct_page_size())?,
            reserved: flag("PG_reserved")?,
            head: flag("PG_head")?,
            swap_backed: flag("PG_swapbacked")?,
            poisoned: flag("PG_hwpoison")?,
            tail: TailMark::find(kernel)?,
            page,
            usage,
            marks,
            huge_dtor,
            crossing: Mutex::default(),
            links: Mutex::default(),
            marks_large: large.is_some(),
            large: Mutex::default(),
        })
    }

    /// The numbering of pages.
    pub fn index(&self) -> &PageIndex {
        &self.index
    }

    /// What the page is used for.
    pub fn get(&self, pfn: Pfn) -> PageKind {
        self.index
            .get(pfn)
            .map_or(PageKind::Unknown, |at| self.at(at))
    }

    /// As [`get`](Self::get), by the page's number.
    pub fn at(&self, number: usize) -> PageKind {
        let byte = self.kinds.get(number);
        byte.map_or(PageKind::Unknown, |byte| {
            PageKind::from_byte(byte.load(Ordering::Relaxed))
        })
    }

    /// Says what `1 << order` pages from `pfn` on are used for.
    pub fn set(&self, pfn: Pfn, order: u32, kind: PageKind) {
        for page in pfn.0..pfn.0.saturating_add(1 << order) {
            let slot = self.index.get(Pfn(page)).and_then(|at| self.kinds.get(at));
            if let Some(slot) = slot {
                slot.store(kind as u8, Ordering::Relaxed);
            }
        }
    }

    /// How many pages there are of each kind, in the order of the kinds.
    pub fn counts(&self) -> Vec<(PageKind, u64)> {
        let mut counts = [0u64; 256];
        for byte in &self.kinds {
            if let Some(count) = counts.get_mut(usize::from(byte.load(Ordering::Relaxed))) {
                *count += 1;
            }
        }
        let counts = PageKind::ALL.into_iter().zip(counts);
        counts.collect()
    }

    /// Classifies the pages of one chunk; `visit` gets each structure that may hold pointers,
    /// with the first of its pages, the logarithm of how many there are, and what they are.
    pub fn classify(&self, chunk: &Chunk<'_>, mut visit: impl FnMut(&[u8], Pfn, u32, PageKind)) {
        let mut crossing = Vec::new();
        let mut links = Vec::new();
        let mut large = Vec::new();
        let mut at = 0;
        while at < chunk.len() {
            let mut step = 1;
            if let Some(record) = chunk.get(at)
                && !self.is_tail(record)
            {
                let pfn = Pfn(chunk.start.0 + at as u64);
                let tail = chunk.get(at + 1);
                let (kind, order) = self.kind_of(record, tail);
                self.set(pfn, order, kind);
                visit(record, pfn, order, kind);
                if kind == PageKind::LargeKmalloc {
                    large.push((pfn, order));
                }
                // What lies behind the head of a free block or of a slab means nothing.
                if matches!(kind, PageKind::Free | PageKind::Slab) {
                    step = 1 << order;
                    if at + step > chunk.len() {
                        crossing.push((pfn, order, kind));
                    }
                } else if kind == PageKind::Kernel && self.usage.refcount.get(record) == 0 {
                    links.push((pfn, VirtAddr(self.usage.lru.get(record))));
                }
            }
            at += step;
        }
        crossing.extend(chunk.holding().map(|pfn| (pfn, 0, PageKind::Memmap)));
        lock(&self.crossing).extend(crossing);
        lock(&self.links).extend(links);
        lock(&self.large).extend(large);
    }

    /// After the pass: what chunks knew of each other's pages, and the free pages that CPUs keep
    /// on their `lists`.
    pub fn finish(&self, kernel: &Kernel, memmap: &Memmap, lists: &[CpuList]) {
        for (pfn, order, kind) in lock(&self.crossing).drain(..) {
            let kind = match (kind, self.get(pfn)) {
                (PageKind::Memmap, PageKind::Reserved) => PageKind::BootMemmap,
                _ => kind,
            };
            self.set(pfn, order, kind);
        }
        self.mark_cpu_lists(kernel, memmap, lists);
    }

    /// Tells the parts of the kernel image that hold no pointers to objects.
    pub fn tell_code(&self, kernel: &Kernel) {
        for pfn in pointerless::pages(kernel) {
            if self.get(pfn) == PageKind::Reserved {
                self.set(pfn, 0, PageKind::Code);
            }
        }
    }

    /// The blocks of large kmalloc, by first page, with the logarithm of their pages; `None` in
    /// kernels that do not mark them. They are known after the pass.
    pub fn large_kmalloc(&self) -> Option<Vec<(Pfn, u32)>> {
        let mut blocks = lock(&self.large).clone();
        blocks.sort_unstable();
        self.marks_large.then_some(blocks)
    }

    fn is_tail(&self, record: &[u8]) -> bool {
        self.tail.holds(&self.page, record)
    }

    fn kind_of(&self, record: &[u8], tail: Option<&[u8]>) -> (PageKind, u32) {
        let flags = self.page.flags.get(record);
        if is_unfilled(flags, record) {
            return (PageKind::Unknown, 0);
        }
        let order = match tail {
            Some(tail) if flags & self.head != 0 => {
                let after = self.order_at.checked_sub(record.len());
                let order = after.and_then(|at| tail.get(at)).copied().unwrap_or(0);
                u32::from(order).min(MAX_FOLIO_ORDER)
            }
            _ => 0,
        };
        // A count of mappings otherwise, or none: so it is with nearly all pages.
        let word = self.page.mapcount.get(record) as u32;
        let typed = word >> 31 == 1 && word != u32::MAX;
        let marked = |(mark, _): &&(PageMark, PageKind)| {
            (typed || matches!(mark, PageMark::FlagBit(_))) && mark.holds(&self.page, record)
        };
        if let Some((_, kind)) = self.marks.iter().find(marked) {
            let order = match kind {
                PageKind::Free => self.usage.private.get(record).min(MAX_PAGE_ORDER.into()) as u32,
                _ => order,
            };
            return (*kind, order);
        }
        if flags & self.poisoned != 0 {
            return (PageKind::Poisoned, 0);
        }
        if flags & self.reserved != 0 {
            return (PageKind::Reserved, order);
        }
        let mapping = self.usage.mapping.get(record);
        let by_dtor = |(field, value): &(Field, u64)| {
            flags & self.head != 0 && tail.is_some_and(|tail| field.get(tail) == *value)
        };
        let kind = match mapping & MAPPING_FLAGS {
            _ if self.huge_dtor.as_ref().is_some_and(by_dtor) => PageKind::Huge,
            // An address_space is in kernel memory; other users of the word keep other things there.
            0 if mapping >> 63 == 1 => match flags & self.swap_backed {
                0 => PageKind::Cache,
                _ => PageKind::Shmem,
            },
            // Pages that their user can move: of zsmalloc where they are not typed, for those of
            // balloons are.
            MOVABLE if mapping >> 63 == 1 => PageKind::Zsmalloc,
            bits if bits & ANON != 0 && mapping >> 63 == 1 => PageKind::User,
            _ => PageKind::Kernel,
        };
        (kind, order)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
