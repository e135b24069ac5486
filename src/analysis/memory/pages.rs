//! Where the memory went: every page that the memmap describes, by what it is used for.

use serde::Serialize;

use super::super::accounting::share;
use super::Part;
use crate::kernel::page_kinds::PageKind;

/// Kernel memory that no other part explains is worth a look above this share of RAM.
const UNEXPLAINED: f64 = 0.10;

/// All memory by what its pages are used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Those that have any, largest first.
    pub parts: Vec<Part>,
    /// Pages that the kernel allocated for itself, and that no other part explains.
    pub unexplained_bytes: u64,
    /// Whether that is more than a tenth of RAM: then it is no slab leak.
    pub unexplained_is_large: bool,
}

/// Sums up pages of `page_size` bytes. Reserved pages, of which many are no RAM at all, and the
/// memmap are the price of running, and left out of the sum.
pub fn by_pages(pages: &[(PageKind, u64)], page_size: u64, memory_bytes: Option<u64>) -> Memory {
    let parts = pages.iter().filter_map(|(kind, count)| {
        let (code, name) = match kind {
            PageKind::Free => ("free", "free"),
            PageKind::CpuFree => ("free_on_cpus", "free, kept by CPUs"),
            PageKind::Slab => ("slab", "slab caches"),
            PageKind::User => ("user", "of processes"),
            PageKind::Cache => ("page_cache", "page cache, tmpfs"),
            PageKind::Table => ("page_tables", "page tables"),
            PageKind::Huge => ("hugetlb", "set apart for huge pages"),
            PageKind::Offline => ("offline", "given back to the host"),
            PageKind::Stack => ("kernel_stacks", "kernel stacks"),
            PageKind::Vmalloc => ("vmalloc", "areas of vmalloc"),
            PageKind::Kernel => (
                "kernel",
                "other kernel pages: per-CPU, large kmalloc, drivers",
            ),
            PageKind::Memmap => ("memmap", "page structures"),
            PageKind::Reserved | PageKind::Code | PageKind::Unknown => return None,
        };
        Some(Part {
            code,
            name,
            bytes: count * page_size,
        })
    });
    let mut parts: Vec<Part> = parts.filter(|part| part.bytes > 0).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let kernel = parts.iter().find(|part| part.code == "kernel");
    let unexplained_bytes = kernel.map_or(0, |part| part.bytes);
    Memory {
        unexplained_is_large: share(unexplained_bytes, memory_bytes.unwrap_or(u64::MAX))
            > UNEXPLAINED,
        parts,
        unexplained_bytes,
    }
}
