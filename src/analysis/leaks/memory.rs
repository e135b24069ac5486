//! Where the memory went: every page that the memmap describes, by what it is used for.

use serde::Serialize;

use super::super::accounting::share;
use crate::kernel::page_kinds::PageKind;

/// Kernel memory that no class explains is worth a look above this share of RAM.
const UNEXPLAINED: f64 = 0.10;

/// One class of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryClass {
    /// `free`, `user`, `cache`, `slab`, ….
    pub class: &'static str,
    /// In words.
    pub what: &'static str,
    /// Bytes.
    pub bytes: u64,
}

/// All memory by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The classes that have any, largest first.
    pub classes: Vec<MemoryClass>,
    /// Pages that the kernel allocated for itself, and that no class explains.
    pub unexplained_bytes: u64,
    /// Whether that is more than a tenth of RAM: then it is no slab leak.
    pub unexplained_is_large: bool,
}

/// Sums up pages of `page_size` bytes. Reserved pages, of which many are no RAM at all, and the
/// memmap are the price of running, and left out of the sum.
pub fn account(pages: &[(PageKind, u64)], page_size: u64, memory_bytes: Option<u64>) -> Memory {
    let classes = pages.iter().filter_map(|(kind, count)| {
        let (class, what) = match kind {
            PageKind::Free => ("free", "free"),
            PageKind::CpuFree => ("cpu_free", "free, kept by CPUs"),
            PageKind::Slab => ("slab", "slab caches"),
            PageKind::User => ("user", "of processes"),
            PageKind::Cache => ("cache", "page cache, tmpfs"),
            PageKind::Table => ("page_tables", "page tables"),
            PageKind::Huge => ("huge", "set apart for huge pages"),
            PageKind::Offline => ("offline", "given back to the host"),
            PageKind::Stack => ("stacks", "kernel stacks"),
            PageKind::Vmalloc => ("vmalloc", "areas of vmalloc"),
            PageKind::Kernel => (
                "kernel",
                "other kernel pages: per-CPU, large kmalloc, drivers",
            ),
            PageKind::Memmap => ("memmap", "page structures"),
            PageKind::Reserved | PageKind::Unknown => return None,
        };
        Some(MemoryClass {
            class,
            what,
            bytes: count * page_size,
        })
    });
    let mut classes: Vec<MemoryClass> = classes.filter(|class| class.bytes > 0).collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.bytes));
    let kernel = classes.iter().find(|class| class.class == "kernel");
    let unexplained_bytes = kernel.map_or(0, |class| class.bytes);
    Memory {
        unexplained_is_large: share(unexplained_bytes, memory_bytes.unwrap_or(u64::MAX))
            > UNEXPLAINED,
        classes,
        unexplained_bytes,
    }
}
