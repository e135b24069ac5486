//! The part of `meminfo`: the lines of that kernel's /proc/meminfo, and what they add up to.

use serde::Serialize;

use crate::analysis::memory::{Accounting, FreeSummary, LargeKmalloc};
use crate::subsys::mm::large_kmalloc::KmallocPages;
use crate::subsys::mm::meminfo::MeminfoFacts;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MeminfoLine {
    /// Its label, without the colon.
    pub name: &'static str,
    /// As printed.
    pub value: u64,
    /// `kB`, or `None` for a count.
    pub unit: Option<&'static str>,
}

/// The part of `meminfo`.
#[derive(Clone, Debug, Serialize)]
pub struct MeminfoReport {
    /// /proc/meminfo, in its order. A line is left out if the dump does not tell its value.
    pub meminfo: Vec<MeminfoLine>,
    /// What `free` shows.
    pub free: Option<FreeSummary>,
    /// Where the memory went.
    pub accounting: Option<Accounting>,
    /// How much of it is large kmalloc; `None` if the pages were not looked at.
    pub large_kmalloc: Option<LargeKmalloc>,
    /// Bytes in a page.
    pub page_size: u64,
    /// The counters themselves, in pages.
    pub counters: MeminfoFacts,
}

impl MeminfoReport {
    /// Puts the counters into lines. Without `pages` nothing is said of large kmalloc.
    pub fn new(facts: MeminfoFacts, pages: Option<KmallocPages>, page_size: u64) -> Self {
        let large = pages.map(|pages| LargeKmalloc::of(pages, &facts, page_size));
        let unknown = LargeKmalloc::default();
        Self {
            meminfo: lines(&facts, page_size),
            free: FreeSummary::of(&facts, page_size),
            accounting: Accounting::of(&facts, large.as_ref().unwrap_or(&unknown), page_size),
            large_kmalloc: large,
            page_size,
            counters: facts,
        }
    }
}

/// Collects lines whose value is known.
struct Lines {
    all: Vec<MeminfoLine>,
    page_kb: u64,
}

impl Lines {
    fn kb(&mut self, name: &'static str, value: Option<u64>) {
        self.all.extend(value.map(|value| MeminfoLine {
            name,
            value,
            unit: Some("kB"),
        }));
    }

    fn pages(&mut self, name: &'static str, pages: Option<u64>) {
        let page_kb = self.page_kb;
        self.kb(name, pages.map(|pages| pages.saturating_mul(page_kb)));
    }

    fn count(&mut self, name: &'static str, value: u64) {
        self.all.push(MeminfoLine {
            name,
            value,
            unit: None,
        });
    }

    fn sum(&mut self, name: &'static str, one: Option<u64>, other: Option<u64>) {
        let sum = one.zip(other).map(|(one, other)| one.saturating_add(other));
        self.pages(name, sum);
    }
}

/// The order of `meminfo_proc_show` (fs/proc/meminfo.c). Lines that depend on the release or the
/// configuration depend on whether the kernel has the counter.
fn lines(facts: &MeminfoFacts, page_size: u64) -> Vec<MeminfoLine> {
    let mut lines = Lines {
        all: Vec::with_capacity(64),
        page_kb: page_size / 1024,
    };
    general(&mut lines, facts);
    kernel(&mut lines, facts);
    special(&mut lines, facts);
    hugetlb(&mut lines, facts);
    if let Some([small, middle, large]) = facts.direct_map {
        lines.kb("DirectMap4k", Some(small << 2));
        lines.kb("DirectMap2M", Some(middle << 11));
        lines.kb(
            "DirectMap1G",
            Some(large << 20).filter(|_| facts.has_gb_pages),
        );
    }
    lines.all
}

/// Up to Shmem.
fn general(lines: &mut Lines, facts: &MeminfoFacts) {
    lines.pages("MemTotal", facts.total);
    lines.pages("MemFree", facts.free);
    lines.pages("MemAvailable", facts.available);
    lines.pages("Buffers", facts.buffers);
    let cached = || {
        let file = facts.file?.saturating_sub(facts.swap_cached?);
        Some(file.saturating_sub(facts.buffers?))
    };
    lines.pages("Cached", cached());
    lines.pages("SwapCached", facts.swap_cached);
    lines.sum("Active", facts.active_anon, facts.active_file);
    lines.sum("Inactive", facts.inactive_anon, facts.inactive_file);
    lines.pages("Active(anon)", facts.active_anon);
    lines.pages("Inactive(anon)", facts.inactive_anon);
    lines.pages("Active(file)", facts.active_file);
    lines.pages("Inactive(file)", facts.inactive_file);
    lines.pages("Unevictable", facts.unevictable);
    lines.pages("Mlocked", facts.mlocked);
    lines.pages("SwapTotal", facts.swap_total);
    lines.pages("SwapFree", facts.swap_free);
    if facts.has_zswap {
        lines.pages("Zswap", facts.zswap);
        lines.pages("Zswapped", facts.zswapped);
    }
    lines.pages("Dirty", facts.dirty);
    lines.pages("Writeback", facts.writeback);
    lines.pages("AnonPages", facts.anon);
    lines.pages("Mapped", facts.mapped);
    lines.pages("Shmem", facts.shmem);
}

/// From KReclaimable to Percpu.
fn kernel(lines: &mut Lines, facts: &MeminfoFacts) {
    let reclaimable = facts.slab_reclaimable;
    if facts.misc_reclaimable.is_some() {
        lines.sum("KReclaimable", reclaimable, facts.misc_reclaimable);
    }
    lines.pages("Slab", facts.slab());
    lines.pages("SReclaimable", reclaimable);
    lines.pages("SUnreclaim", facts.slab_unreclaimable);
    lines.kb("KernelStack", facts.kernel_stack_kb);
    lines.pages("PageTables", facts.page_tables);
    lines.pages("SecPageTables", facts.secondary_page_tables);
    // These lines outlived their counters.
    lines.pages("NFS_Unstable", facts.nfs_unstable.or(Some(0)));
    lines.pages("Bounce", facts.bounce.or(Some(0)));
    lines.pages("WritebackTmp", facts.writeback_temp.or(Some(0)));
    lines.pages("CommitLimit", facts.commit_limit);
    lines.pages("Committed_AS", facts.committed);
    lines.kb("VmallocTotal", Some(facts.vmalloc_total));
    lines.pages("VmallocUsed", facts.vmalloc_used);
    lines.kb("VmallocChunk", Some(facts.vmalloc_chunk_kb));
    lines.pages("Percpu", facts.percpu);
}

/// What only some configurations have.
fn special(lines: &mut Lines, facts: &MeminfoFacts) {
    lines.kb("EarlyMemtestBad", facts.early_memtest_bad_kb);
    lines.pages("HardwareCorrupted", facts.hardware_corrupted);
    lines.pages("AnonHugePages", facts.anon_huge);
    lines.pages("ShmemHugePages", facts.shmem_huge);
    lines.pages("ShmemPmdMapped", facts.shmem_pmd_mapped);
    lines.pages("FileHugePages", facts.file_huge);
    lines.pages("FilePmdMapped", facts.file_pmd_mapped);
    if facts.cma_total.is_some() {
        lines.pages("CmaTotal", facts.cma_total);
        lines.pages("CmaFree", facts.cma_free);
    }
    lines.pages("Unaccepted", facts.unaccepted);
    lines.pages("Balloon", facts.balloon);
    lines.pages("GPUActive", facts.gpu_active);
    lines.pages("GPUReclaim", facts.gpu_reclaim);
}

/// `hugetlb_report_meminfo`: counts of the default size, the sum of all.
fn hugetlb(lines: &mut Lines, facts: &MeminfoFacts) {
    let pools = facts.hugetlb.as_deref().unwrap_or_default();
    let Some(default) = pools.iter().find(|pool| pool.default) else {
        return;
    };
    lines.count("HugePages_Total", default.total);
    lines.count("HugePages_Free", default.free);
    lines.count("HugePages_Rsvd", default.reserved);
    lines.count("HugePages_Surp", default.surplus);
    lines.pages("Hugepagesize", Some(default.pages_each));
    if facts.has_hugetlb_line {
        lines.pages("Hugetlb", Some(facts.hugetlb_pages()));
    }
}
