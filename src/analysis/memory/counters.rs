//! Where the memory went by the kernel's own counters: parts that do not overlap, and what is
//! left when all are taken from the total.

use serde::Serialize;

use super::{LargeKmalloc, Part};
use crate::subsys::mm::meminfo::MeminfoFacts;

/// All of them.
#[derive(Clone, Debug, Serialize)]
pub struct Accounting {
    /// MemTotal.
    pub total_bytes: u64,
    /// Largest first; none is part of another.
    pub parts: Vec<Part>,
    /// What no counter explains: pages that drivers and others took straight from the page
    /// allocator. Below zero if counters lag behind (`--precise` helps) or overlap.
    pub unexplained_bytes: i64,
}

/// What `free` shows, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)] // named as the columns of free
pub struct FreeSummary {
    pub total: u64,
    pub used: u64,
    pub free: u64,
    pub shared: u64,
    pub buff_cache: u64,
    pub available: u64,
    pub swap_total: u64,
    pub swap_used: u64,
    pub swap_free: u64,
}

impl FreeSummary {
    /// `None` if a counter is missing that it needs. Used is what is not available, as in
    /// procps 4.
    pub fn of(facts: &MeminfoFacts, page_size: u64) -> Option<Self> {
        let bytes = |pages: Option<u64>| Some(pages?.saturating_mul(page_size));
        let total = bytes(facts.total)?;
        let available = bytes(facts.available)?;
        let swap_total = bytes(facts.swap_total)?;
        let swap_free = bytes(facts.swap_free)?;
        // Cached of procps has the reclaimable slabs too, and not the swap cache.
        let cache = facts.file?.saturating_sub(facts.swap_cached.unwrap_or(0));
        let cache = cache.saturating_add(facts.slab_reclaimable?);
        Some(Self {
            total,
            used: total.saturating_sub(available),
            free: bytes(facts.free)?,
            shared: bytes(facts.shmem)?,
            buff_cache: bytes(Some(cache))?,
            available,
            swap_total,
            swap_used: swap_total.saturating_sub(swap_free),
            swap_free,
        })
    }
}

impl Accounting {
    /// `None` if the total or one of the large parts is not known: then nothing can be said of
    /// the rest. Large kmalloc is taken from the slabs that it is counted with.
    pub fn of(facts: &MeminfoFacts, large: &LargeKmalloc, page_size: u64) -> Option<Self> {
        let total = facts.total?;
        let stacks = facts.kernel_stacks(page_size)?;
        let parts = [
            of_processes(facts)?,
            of_slabs(facts, large, page_size),
            of_kernel(facts, stacks)?,
        ];
        // Without these the rest means nothing.
        let known = [facts.free, facts.anon, facts.slab_unreclaimable];
        if known.iter().any(Option::is_none) || facts.slab_reclaimable.is_none() {
            return None;
        }
        let pages = parts.into_iter().flatten();
        let mut parts: Vec<Part> = pages
            .filter_map(|(code, name, pages)| {
                let bytes = pages?.saturating_mul(page_size);
                Some(Part { code, name, bytes })
            })
            .collect();
        let sum = parts
            .iter()
            .map(|part| i128::from(part.bytes))
            .sum::<i128>();
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        let total_bytes = total.saturating_mul(page_size);
        Some(Self {
            total_bytes,
            parts,
            unexplained_bytes: i64::try_from(i128::from(total_bytes) - sum).unwrap_or(i64::MIN),
        })
    }
}

/// Code, name and pages.
type Pages = (&'static str, &'static str, Option<u64>);

/// Free pages, and those of processes and files.
fn of_processes(facts: &MeminfoFacts) -> Option<Vec<Pages>> {
    let shmem = facts.shmem?;
    let cache = facts.file?.saturating_sub(shmem);
    Some(vec![
        ("free", "free", facts.free),
        ("free_on_cpus", "free, on lists of CPUs", facts.free_on_cpus),
        ("anon", "anonymous memory of processes", facts.anon),
        (
            "page_cache",
            "page cache (files, block devices, swap)",
            Some(cache),
        ),
        ("shmem", "tmpfs and shared memory", Some(shmem)),
        (
            "hugetlb",
            "huge pages set aside",
            Some(facts.hugetlb_pages()),
        ),
        ("zswap", "compressed swap", facts.zswap),
    ])
}

/// Slabs and what is counted with them.
fn of_slabs(facts: &MeminfoFacts, large: &LargeKmalloc, page_size: u64) -> Vec<Pages> {
    let large_pages = large.pages(page_size);
    let counted_as_slab =
        facts.slab_counts_large || large.counted_bytes.is_some_and(|bytes| bytes > 0);
    let unreclaimable = facts.slab_unreclaimable.map(|pages| match counted_as_slab {
        true => pages.saturating_sub(large_pages),
        false => pages,
    });
    vec![
        ("slab_unreclaimable", "slab, unreclaimable", unreclaimable),
        (
            "large_kmalloc",
            "large kmalloc",
            large.bytes.map(|_| large_pages),
        ),
        (
            "slab_reclaimable",
            "slab, reclaimable",
            facts.slab_reclaimable,
        ),
        (
            "misc_reclaimable",
            "other reclaimable kernel memory",
            facts.misc_reclaimable,
        ),
    ]
}

/// What else the kernel has.
fn of_kernel(facts: &MeminfoFacts, stacks: u64) -> Option<Vec<Pages>> {
    let vmalloc = facts.vmalloc_used?;
    let without_stacks = match facts.stacks_in_vmalloc {
        true => vmalloc.saturating_sub(stacks),
        false => vmalloc,
    };
    Some(vec![
        ("kernel_stacks", "kernel stacks", Some(stacks)),
        ("page_tables", "page tables", facts.page_tables),
        (
            "secondary_page_tables",
            "page tables of guests and devices",
            facts.secondary_page_tables,
        ),
        ("zsmalloc", "compressed memory of zram", zram(facts)),
        ("vmalloc", "vmalloc, without stacks", Some(without_stacks)),
        ("percpu", "per-CPU variables", facts.percpu_since_boot),
        ("gpu", "graphics memory", gpu(facts)),
        (
            "corrupted",
            "taken out of use as broken",
            facts.hardware_corrupted,
        ),
    ])
}

/// Pages of zsmalloc that are not zswap's, which are a part of their own.
pub(super) fn zram(facts: &MeminfoFacts) -> Option<u64> {
    Some(facts.zspages?.saturating_sub(facts.zswap.unwrap_or(0)))
}

fn gpu(facts: &MeminfoFacts) -> Option<u64> {
    Some(facts.gpu_active?.saturating_add(facts.gpu_reclaim?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> MeminfoFacts {
        MeminfoFacts {
            total: Some(1000),
            free: Some(400),
            available: Some(600),
            free_on_cpus: Some(10),
            file: Some(200),
            shmem: Some(50),
            anon: Some(100),
            slab_reclaimable: Some(20),
            slab_unreclaimable: Some(80),
            kernel_stack_kb: Some(40),
            stacks_in_vmalloc: true,
            page_tables: Some(5),
            vmalloc_used: Some(30),
            percpu: Some(40),
            percpu_boot: Some(25),
            percpu_since_boot: Some(15),
            swap_total: Some(0),
            swap_free: Some(0),
            ..MeminfoFacts::default()
        }
    }

    fn large() -> LargeKmalloc {
        LargeKmalloc {
            bytes: Some(30 * 4096),
            counted_bytes: Some(30 * 4096),
            ..LargeKmalloc::default()
        }
    }

    #[test]
    fn the_parts_and_the_rest_are_the_total() {
        let accounting = Accounting::of(&facts(), &large(), 4096).unwrap();
        let pages = |code: &str| {
            let part = accounting.parts.iter().find(|part| part.code == code);
            part.map(|part| part.bytes / 4096)
        };
        assert_eq!(pages("vmalloc"), Some(20));
        assert_eq!(pages("kernel_stacks"), Some(10));
        assert_eq!(pages("page_cache"), Some(150));
        assert_eq!(pages("percpu"), Some(15));
        assert_eq!(pages("slab_unreclaimable"), Some(50));
        assert_eq!(pages("large_kmalloc"), Some(30));
        assert_eq!(pages("gpu"), None);
        assert_eq!(accounting.parts[0].code, "free");
        let rest = 1000 - (400 + 10 + 100 + 200 + 100 + 5 + 30 + 15);
        assert_eq!(accounting.unexplained_bytes, rest * 4096);
    }

    #[test]
    fn nothing_is_said_of_the_rest_where_a_large_part_is_unknown() {
        let unknown = MeminfoFacts {
            anon: None,
            ..facts()
        };
        assert!(Accounting::of(&unknown, &large(), 4096).is_none());
        let overlap = MeminfoFacts {
            anon: Some(900),
            ..facts()
        };
        let accounting = Accounting::of(&overlap, &large(), 4096).unwrap();
        assert!(accounting.unexplained_bytes < 0);
    }

    #[test]
    fn used_is_what_is_not_available() {
        let free = FreeSummary::of(&facts(), 1).unwrap();
        assert_eq!((free.used, free.buff_cache), (400, 220));
    }
}
