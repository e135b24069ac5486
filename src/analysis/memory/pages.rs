//! Where the memory went: every page that the memmap describes, by what it is used for.

use serde::Serialize;

use super::super::accounting::share;
use super::{LargeKmalloc, Part};
use crate::graph::Unmarked;
use crate::kernel::page_kinds::PageKind;

/// Kernel memory that no other part explains is worth a look above this share of RAM.
const UNEXPLAINED: f64 = 0.10;

/// All memory by what its pages are used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Those that have any, largest first. None is part of another.
    pub parts: Vec<Part>,
    /// Pages that the kernel allocated for itself, and that no other part explains.
    pub unexplained_bytes: u64,
    /// Whether that is more than a tenth of RAM: then it is no slab leak.
    pub unexplained_is_large: bool,
    /// How much is large kmalloc, and how that is known.
    pub large_kmalloc: LargeKmalloc,
    /// Whether that is more than a tenth of RAM.
    pub large_kmalloc_is_large: bool,
    /// Page structures that were set aside at boot: outside of MemTotal, and of the parts.
    pub boot_memmap_bytes: u64,
}

/// What counters tell of pages that do not say themselves what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Large kmalloc.
    pub large_kmalloc: LargeKmalloc,
    /// Pages of per-CPU variables taken after boot; `None` if that can't be told.
    pub percpu: Option<u64>,
    /// Pages of page tables, which older kernels do not mark.
    pub page_tables: Option<u64>,
    /// Pages of compressed memory (zsmalloc).
    pub zspages: Option<u64>,
    /// Owners of the kernel's own pages, where they were searched for: then these are asked in
    /// place of the counters.
    pub owners: Option<Unmarked>,
}

/// Sums up pages of `page_size` bytes. Reserved pages, of which many are no RAM at all, are the
/// price of running, and left out of the sum.
pub fn by_pages(
    pages: &[(PageKind, u64)],
    counted: Counted,
    page_size: u64,
    memory_bytes: Option<u64>,
) -> Memory {
    let count = |kind: PageKind| {
        let found = pages.iter().find(|(of, _)| *of == kind);
        found.map_or(0, |(_, count)| count * page_size)
    };
    let mut parts: Vec<Part> = pages
        .iter()
        .filter_map(|(kind, count)| {
            let (code, name) = named(*kind)?;
            let bytes = count * page_size;
            Some(Part { code, name, bytes })
        })
        .collect();
    let marked = |kind| count(kind) > 0;
    let counted = Counted {
        page_tables: counted.page_tables.filter(|_| !marked(PageKind::Table)),
        zspages: counted.zspages.filter(|_| !marked(PageKind::Zsmalloc)),
        ..counted
    };
    let rest = take_counted(&mut parts, &counted, count(PageKind::Kernel), page_size);
    let large = counted.large_kmalloc;
    parts.retain(|part| part.bytes > 0);
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let is_large = |bytes: u64| share(bytes, memory_bytes.unwrap_or(u64::MAX)) > UNEXPLAINED;
    Memory {
        parts,
        unexplained_bytes: rest,
        unexplained_is_large: is_large(rest),
        large_kmalloc_is_large: large.bytes.is_some_and(is_large),
        large_kmalloc: large,
        boot_memmap_bytes: count(PageKind::BootMemmap),
    }
}

/// Takes what is known of the kernel's own pages from their bytes; gives what is left. Marked pages
/// of large kmalloc are a kind of their own.
fn take_counted(parts: &mut Vec<Part>, counted: &Counted, rest: u64, page_size: u64) -> u64 {
    match &counted.owners {
        Some(owners) => take_owned(parts, counted, owners, rest, page_size),
        None => take_by_counters(parts, counted, rest, page_size),
    }
}

/// By who owns the pages.
fn take_owned(
    parts: &mut Vec<Part>,
    counted: &Counted,
    owners: &Unmarked,
    mut rest: u64,
    page_size: u64,
) -> u64 {
    let mut take = |code, name, bytes: u64| {
        let bytes = bytes.min(rest);
        rest -= bytes;
        match parts.iter_mut().find(|part| part.code == code) {
            Some(part) => part.bytes += bytes,
            None => parts.push(Part { code, name, bytes }),
        }
    };
    for (kind, pages) in &owners.owned {
        take(kind, owner_name(kind), pages.saturating_mul(page_size));
    }
    // What an object points to is large kmalloc first.
    let pointed_to = owners.pointed_to.saturating_mul(page_size);
    let large = &counted.large_kmalloc;
    let unmarked = large.bytes.filter(|_| large.marked_bytes.is_none());
    let unmarked = unmarked.unwrap_or(0).min(pointed_to);
    take("large_kmalloc", "large kmalloc", unmarked);
    let name = "other kernel pages that something points to";
    take("kernel_pointed_to", name, pointed_to - unmarked);
    let (code, bytes) = ("kernel", rest);
    let name = "kernel pages that nothing explains";
    parts.push(Part { code, name, bytes });
    rest
}

/// What an owner's pages are called among parts of memory.
pub fn owner_name(kind: &str) -> &'static str {
    match kind {
        "page_tables" => "page tables",
        "percpu" => "per-CPU variables, since boot",
        "pipe" => "pipes",
        "socket_buffers" => "socket buffers",
        "packet_ring" => "rings of packet sockets",
        "io_uring" => "io_uring",
        "perf_buffer" => "buffers of perf",
        "bpf_map" => "BPF maps",
        "block_requests" => "requests of block devices",
        "page_pool" => "page pools",
        "kfree_rcu" => "pages of kfree_rcu",
        "vmcoreinfo" => "VMCOREINFO",
        "function_tracing" => "function tracing",
        _ => "other known owners",
    }
}

/// By counters: of the others they only tell how many.
fn take_by_counters(
    parts: &mut Vec<Part>,
    counted: &Counted,
    mut rest: u64,
    page_size: u64,
) -> u64 {
    let mut take = |code, name, bytes: Option<u64>| {
        let bytes = bytes.unwrap_or(0).min(rest);
        rest -= bytes;
        parts.push(Part { code, name, bytes });
    };
    let large = &counted.large_kmalloc;
    let unmarked = large.bytes.filter(|_| large.marked_bytes.is_none());
    take("large_kmalloc", "large kmalloc", unmarked);
    let in_bytes = |pages: Option<u64>| pages.map(|pages| pages.saturating_mul(page_size));
    let percpu = in_bytes(counted.percpu);
    take("percpu", "per-CPU variables, since boot", percpu);
    take("page_tables", "page tables", in_bytes(counted.page_tables));
    let zspages = in_bytes(counted.zspages);
    take("zsmalloc", "compressed memory (zram, zswap)", zspages);
    let name = match (large.bytes, percpu) {
        (Some(_), Some(_)) => "other kernel pages: drivers, network buffers",
        (None, Some(_)) => "other kernel pages: large kmalloc, drivers, network buffers",
        (Some(_), None) => "other kernel pages: per-CPU, drivers, network buffers",
        (None, None) => "other kernel pages: per-CPU, large kmalloc, drivers",
    };
    let (code, bytes) = ("kernel", rest);
    parts.push(Part { code, name, bytes });
    rest
}

/// The code and name of the kinds that are a part by themselves.
fn named(kind: PageKind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        PageKind::Free => ("free", "free"),
        PageKind::CpuFree => ("free_on_cpus", "free, kept by CPUs"),
        PageKind::Slab => ("slab", "slab caches"),
        PageKind::User => ("user", "of processes"),
        PageKind::Cache => ("page_cache", "page cache"),
        PageKind::Shmem => ("shmem", "tmpfs and shared memory"),
        PageKind::Zsmalloc => ("zsmalloc", "compressed memory (zram, zswap)"),
        PageKind::Table => ("page_tables", "page tables"),
        PageKind::Huge => ("hugetlb", "set apart for huge pages"),
        PageKind::Offline => ("offline", "given back to the host"),
        PageKind::Poisoned => ("corrupted", "taken out of use as broken"),
        PageKind::Stack => ("kernel_stacks", "kernel stacks"),
        PageKind::Vmalloc => ("vmalloc", "areas of vmalloc"),
        PageKind::LargeKmalloc => ("large_kmalloc", "large kmalloc"),
        PageKind::Memmap => ("memmap", "page structures"),
        PageKind::Kernel
        | PageKind::BootMemmap
        | PageKind::Reserved
        | PageKind::Code
        | PageKind::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [(PageKind, u64); 4] = [
        (PageKind::Free, 50),
        (PageKind::Kernel, 30),
        (PageKind::BootMemmap, 9),
        (PageKind::Reserved, 100),
    ];

    fn large(bytes: Option<u64>, marked_bytes: Option<u64>) -> LargeKmalloc {
        LargeKmalloc {
            bytes,
            marked_bytes,
            ..LargeKmalloc::default()
        }
    }

    fn bytes(memory: &Memory, code: &str) -> Option<u64> {
        let part = memory.parts.iter().find(|part| part.code == code);
        part.map(|part| part.bytes)
    }

    fn sum(memory: &Memory) -> u64 {
        memory.parts.iter().map(|part| part.bytes).sum()
    }

    #[test]
    fn what_counters_tell_is_taken_from_the_rest() {
        let counted = Counted {
            large_kmalloc: large(Some(12), None),
            percpu: Some(8),
            ..Counted::default()
        };
        let memory = by_pages(&PAGES, counted, 1, Some(80));
        assert_eq!(bytes(&memory, "large_kmalloc"), Some(12));
        assert_eq!(bytes(&memory, "percpu"), Some(8));
        assert_eq!((memory.unexplained_bytes, sum(&memory)), (10, 80));
        assert_eq!(memory.boot_memmap_bytes, 9);
        assert!(memory.large_kmalloc_is_large && memory.unexplained_is_large);
    }

    #[test]
    fn marked_pages_are_not_taken_twice() {
        let pages = [&PAGES[..], &[(PageKind::LargeKmalloc, 5)]].concat();
        let counted = Counted {
            large_kmalloc: large(Some(5), Some(5)),
            ..Counted::default()
        };
        let memory = by_pages(&pages, counted, 1, Some(85));
        assert_eq!(bytes(&memory, "large_kmalloc"), Some(5));
        assert_eq!((memory.unexplained_bytes, sum(&memory)), (30, 85));
        assert_eq!(bytes(&memory, "percpu"), None);
    }

    #[test]
    fn page_tables_and_compressed_memory_are_counted_where_they_are_not_marked() {
        let counted = || Counted {
            page_tables: Some(7),
            zspages: Some(4),
            ..Counted::default()
        };
        let memory = by_pages(&PAGES, counted(), 1, Some(80));
        assert_eq!(bytes(&memory, "page_tables"), Some(7));
        assert_eq!(bytes(&memory, "zsmalloc"), Some(4));
        assert_eq!((memory.unexplained_bytes, sum(&memory)), (19, 80));
        // By marks and by counters, but once.
        let pages = [&PAGES[..], &[(PageKind::Table, 6)]].concat();
        let memory = by_pages(&pages, counted(), 1, Some(86));
        assert_eq!(bytes(&memory, "page_tables"), Some(6));
        assert_eq!((memory.unexplained_bytes, sum(&memory)), (26, 86));
    }

    #[test]
    fn a_counter_is_not_believed_beyond_the_pages_there_are() {
        let counted = Counted {
            large_kmalloc: large(Some(29), None),
            percpu: Some(8),
            ..Counted::default()
        };
        let memory = by_pages(&PAGES, counted, 1, None);
        assert_eq!((memory.unexplained_bytes, sum(&memory)), (0, 80));
    }
}
