//! What the kernel counted of its memory: all that /proc/meminfo is made of, and two things
//! that it leaves out (free pages on CPUs' own lists, per-CPU memory set aside at boot).
//!
//! Layer: subsys. Input: the counters of the VM and of those who keep their own. Output:
//! [`MeminfoFacts`], in pages. Invariants: a counter is `None` if this kernel has none of
//! that name, or if it can't be read; the second is a warning and clears `complete`. What a
//! kernel has is told by its enumerators and symbols (fs/proc/meminfo.c says what is printed).

mod buffers;
mod counters;
mod hugetlb;
mod old;
mod percpu;
mod reader;
mod swap;
mod vmalloc;
mod zones;

use serde::Serialize;

pub use self::hugetlb::HugePool;

use self::counters::Counters;
use self::old::{OldLines, anon_pages};
use self::reader::Reader;
use self::zones::Nodes;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::tasks::stack_bytes;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/sched.h
    struct TaskLayout = "task_struct" in "kernel/fork.c" {
        /// With CONFIG_VMAP_STACK.
        maybe stack_vm_area = "stack_vm_area",
    }
}

/// The counters, in pages unless said otherwise, under the kernel's names.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // named as in /proc/meminfo
#[non_exhaustive]
pub struct MeminfoFacts {
    pub total: Option<u64>,
    pub free: Option<u64>,
    pub available: Option<u64>,
    /// Free pages on the CPUs' own lists: in no line of /proc/meminfo.
    pub free_on_cpus: Option<u64>,
    pub buffers: Option<u64>,
    /// NR_FILE_PAGES: page cache with buffers, shmem and swap cache.
    pub file: Option<u64>,
    pub swap_cached: Option<u64>,
    pub active_anon: Option<u64>,
    pub inactive_anon: Option<u64>,
    pub active_file: Option<u64>,
    pub inactive_file: Option<u64>,
    pub unevictable: Option<u64>,
    pub mlocked: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
    /// What compressed swap takes.
    pub zswap: Option<u64>,
    /// What compressed swap holds.
    pub zswapped: Option<u64>,
    /// Whether the kernel prints lines for compressed swap.
    #[serde(skip)]
    pub has_zswap: bool,
    pub dirty: Option<u64>,
    pub writeback: Option<u64>,
    pub anon: Option<u64>,
    pub mapped: Option<u64>,
    pub shmem: Option<u64>,
    /// Reclaimable memory of the kernel outside the slab allocator.
    pub misc_reclaimable: Option<u64>,
    pub slab_reclaimable: Option<u64>,
    /// Large kmalloc, which no cache has, is in it since 5.4.
    pub slab_unreclaimable: Option<u64>,
    /// Both, with what the CPUs have not handed over yet, whatever `precise` says.
    #[serde(skip)]
    pub slab_with_cpus: Option<u64>,
    /// Whether large kmalloc is in it for certain (by the counter's name, 5.9 and later).
    #[serde(skip)]
    pub slab_counts_large: bool,
    /// In KiB: stacks need not be whole pages.
    pub kernel_stack_kb: Option<u64>,
    /// Whether stacks come from vmalloc, and `vmalloc_used` has them too.
    pub stacks_in_vmalloc: bool,
    pub page_tables: Option<u64>,
    pub secondary_page_tables: Option<u64>,
    /// Pages of zsmalloc, for zram and zswap; no line of /proc/meminfo.
    pub zspages: Option<u64>,
    pub nfs_unstable: Option<u64>,
    pub bounce: Option<u64>,
    pub writeback_temp: Option<u64>,
    pub commit_limit: Option<u64>,
    pub committed: Option<u64>,
    pub vmalloc_total: u64,
    pub vmalloc_used: Option<u64>,
    /// In KiB: the longest range of addresses between areas; 0 since 4.4 (commit a5ad88ce8c7f).
    #[serde(skip)]
    pub vmalloc_chunk_kb: u64,
    pub percpu: Option<u64>,
    /// Of `percpu`, set aside at boot, outside `total`.
    pub percpu_boot: Option<u64>,
    /// Taken after boot: by possible CPUs, where `percpu` counts units, of which there may be more.
    pub percpu_since_boot: Option<u64>,
    /// In KiB; `None` if nothing was tested at boot.
    pub early_memtest_bad_kb: Option<u64>,
    pub hardware_corrupted: Option<u64>,
    pub anon_huge: Option<u64>,
    pub shmem_huge: Option<u64>,
    pub shmem_pmd_mapped: Option<u64>,
    pub file_huge: Option<u64>,
    pub file_pmd_mapped: Option<u64>,
    pub cma_total: Option<u64>,
    pub cma_free: Option<u64>,
    pub unaccepted: Option<u64>,
    pub balloon: Option<u64>,
    pub gpu_active: Option<u64>,
    pub gpu_reclaim: Option<u64>,
    /// Pools of huge pages for hugetlbfs.
    pub hugetlb: Option<Vec<HugePool>>,
    /// Entries of the direct map by size: 4 KiB, 2 MiB, 1 GiB.
    pub direct_map: Option<[u64; 3]>,
    /// Whether the kernel prints the sum of all huge pages (4.16 and later).
    #[serde(skip)]
    pub has_hugetlb_line: bool,
    /// Whether the CPU can map 1 GiB at once: only then is its line printed.
    #[serde(skip)]
    pub has_gb_pages: bool,
    /// Whether the CPUs' differences are in.
    pub precise: bool,
    /// Whether all of it could be read.
    #[serde(skip)]
    pub complete: bool,
}

impl MeminfoFacts {
    /// Pages of the slab allocator.
    pub fn slab(&self) -> Option<u64> {
        Some(
            self.slab_reclaimable?
                .saturating_add(self.slab_unreclaimable?),
        )
    }

    /// Pages of kernel stacks.
    pub fn kernel_stacks(&self, page_size: u64) -> Option<u64> {
        Some(self.kernel_stack_kb?.saturating_mul(1024) / page_size.max(1))
    }

    /// Pages of all huge pages for hugetlbfs.
    pub fn hugetlb_pages(&self) -> u64 {
        let pools = self.hugetlb.iter().flatten();
        pools.fold(0, |sum, pool| sum.saturating_add(pool.pages()))
    }
}

/// Reads the counters. With `precise`, what each CPU has not handed over yet is added to those
/// of nodes and zones.
///
/// # Errors
/// If the kernel has no such counters, or the dump lacks their memory.
pub fn collect(kernel: &Kernel, precise: bool) -> Result<MeminfoFacts, KernelError> {
    let reader = Reader::new(kernel);
    let cpus = Cpus::read(kernel)?;
    let nodes = Nodes::read(kernel)?;
    if nodes.lost() > 0 {
        reader.lose("a NUMA node");
    }
    let mut counters = Counters::read(kernel)?;
    let mut with_cpus = counters.clone();
    let lost = with_cpus.add_cpus(kernel, &cpus, &nodes);
    let slabs = of_counters(&with_cpus, kernel).slab();
    let slab_with_cpus = slabs.filter(|_| matches!(lost, Ok(0)));
    if precise {
        if lost? > 0 {
            reader.lose("differences that CPUs keep to the counters");
        }
        counters = with_cpus;
    }
    let mut facts = of_counters(&counters, kernel);
    facts.precise = precise;
    facts.slab_with_cpus = slab_with_cpus;
    // `totalram_pages` before 5.0.
    facts.total = reader
        .count("_totalram_pages")
        .or_else(|| reader.count("totalram_pages"));
    let lines = OldLines::find(kernel);
    facts.has_hugetlb_line = lines.hugetlb;
    if lines.available {
        facts.available = available(&facts, &nodes, reader.count("totalreserve_pages"));
    }
    facts.free_on_cpus = nodes.pages_of_cpus(kernel, &cpus)?;
    if facts.free_on_cpus.is_none() {
        reader.lose("the CPUs' lists of free pages");
    }
    facts.buffers = buffers::pages(&reader)?;
    if facts.swap_cached.is_none() {
        // Without swap there is none.
        facts.swap_cached = match kernel.symbol("swapper_spaces") {
            Some(_) => swap::cached_pages(&reader)?,
            None => Some(0),
        };
    }
    let swap = swap::read(&reader)?;
    facts.swap_total = swap.map(|swap| swap.total);
    facts.swap_free = swap.map(|swap| swap.free);
    let zswap = swap::zswap(&reader)?;
    facts.has_zswap = zswap.is_some();
    facts.zswapped = zswap.map(|zswap| zswap.stored);
    facts.zswap = zswap.and_then(|zswap| zswap.pool);
    facts.hugetlb = hugetlb::read(&reader)?;
    facts.commit_limit = commit_limit(&reader, &facts);
    facts.committed = percpu::counter(&reader, "vm_committed_as", &cpus)?;
    let percpu = percpu::pages(&reader, &cpus)?;
    facts.percpu = percpu.map(|percpu| percpu.all);
    facts.percpu_boot = percpu.and_then(|percpu| percpu.boot);
    facts.percpu_since_boot = percpu.and_then(|percpu| percpu.later);
    let task = reader.layout::<TaskLayout>("whether stacks come from vmalloc")?;
    facts.stacks_in_vmalloc = task.is_some_and(|task| task.stack_vm_area.is_some());
    rest(&mut facts, &reader);
    if let Some((used, chunk)) = vmalloc::by_areas(&reader)? {
        facts.vmalloc_used = Some(used / kernel.dump().page_size() as u64);
        facts.vmalloc_chunk_kb = chunk >> 10;
    }
    if facts.kernel_stack_kb.is_none() {
        // Stacks are counted, not their memory, up to 4.8 (commit d30dd8be06a9).
        let each = stack_bytes(kernel)? / 1024;
        facts.kernel_stack_kb = counters
            .get(&["NR_KERNEL_STACK"])
            .map(|stacks| stacks.saturating_mul(each));
    }
    facts.complete = !reader.has_lost();
    Ok(facts)
}

/// Reads only what is needed to tell what the kernel's own pages are: what nodes and zones count,
/// `slab_with_cpus` and `percpu_since_boot`.
///
/// # Errors
/// As [`collect`].
pub fn of_kernel(kernel: &Kernel) -> Result<MeminfoFacts, KernelError> {
    let reader = Reader::new(kernel);
    let cpus = Cpus::read(kernel)?;
    let mut counters = Counters::read(kernel)?;
    let lost = counters.add_cpus(kernel, &cpus, &Nodes::read(kernel)?);
    let counted = of_counters(&counters, kernel);
    Ok(MeminfoFacts {
        slab_with_cpus: counted.slab().filter(|_| matches!(lost, Ok(0))),
        percpu_since_boot: percpu::pages(&reader, &cpus)?.and_then(|percpu| percpu.later),
        ..counted
    })
}

/// Looks whether the lists of per-CPU chunks are whole, and says so if they are not: their areas of
/// vmalloc hang on them.
///
/// # Errors
/// If the type information is damaged.
pub fn look_at_percpu_chunks(kernel: &Kernel) -> Result<(), KernelError> {
    percpu::grown(&Reader::new(kernel)).map(|_| ())
}

/// What nodes and zones count.
fn of_counters(counters: &Counters, kernel: &Kernel) -> MeminfoFacts {
    let get = |name: &str| counters.get(&[name]);
    // Huge pages were counted as such up to 5.11 (commit 69473e5de873, with that of NR_SWAPCACHE).
    // Without CONFIG_SWAP the move of NR_PAGETABLE to the nodes, one release before, tells.
    let in_base_pages = match kernel.symbol("nr_swap_pages") {
        Some(_) => counters.of_nodes("NR_SWAPCACHE"),
        None => !counters.of_zones("NR_PAGETABLE"),
    };
    let huge_pages = kernel.symbol("transparent_hugepage_flags").is_some();
    // A huge page is as much as one table of entries of 8 bytes maps (HPAGE_PMD_NR).
    let pmd_pages = kernel.dump().page_size() as u64 / 8;
    let huge = |name: &str| {
        let count = get(name).filter(|_| huge_pages)?;
        Some(count.saturating_mul(if in_base_pages { 1 } else { pmd_pages }))
    };
    MeminfoFacts {
        free: get("NR_FREE_PAGES"),
        file: get("NR_FILE_PAGES"),
        swap_cached: get("NR_SWAPCACHE"),
        active_anon: get("NR_ACTIVE_ANON"),
        inactive_anon: get("NR_INACTIVE_ANON"),
        active_file: get("NR_ACTIVE_FILE"),
        inactive_file: get("NR_INACTIVE_FILE"),
        unevictable: get("NR_UNEVICTABLE"),
        mlocked: get("NR_MLOCK"),
        dirty: get("NR_FILE_DIRTY"),
        writeback: get("NR_WRITEBACK"),
        anon: anon_pages(counters, kernel, pmd_pages),
        mapped: get("NR_FILE_MAPPED"),
        shmem: get("NR_SHMEM"),
        // NR_INDIRECTLY_RECLAIMABLE_BYTES before 4.20 has no line.
        misc_reclaimable: get("NR_KERNEL_MISC_RECLAIMABLE"),
        // The global counters are in pages under either name.
        slab_reclaimable: counters.get(&["NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE"]),
        slab_unreclaimable: counters.get(&["NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"]),
        slab_counts_large: get("NR_SLAB_UNRECLAIMABLE_B").is_some(),
        kernel_stack_kb: get("NR_KERNEL_STACK_KB"),
        page_tables: get("NR_PAGETABLE"),
        secondary_page_tables: get("NR_SECONDARY_PAGETABLE"),
        zspages: get("NR_ZSPAGES"),
        nfs_unstable: get("NR_UNSTABLE_NFS"),
        bounce: get("NR_BOUNCE"),
        writeback_temp: get("NR_WRITEBACK_TEMP"),
        vmalloc_used: get("NR_VMALLOC"),
        anon_huge: huge("NR_ANON_THPS").or_else(|| huge("NR_ANON_TRANSPARENT_HUGEPAGES")),
        shmem_huge: huge("NR_SHMEM_THPS"),
        shmem_pmd_mapped: huge("NR_SHMEM_PMDMAPPED"),
        file_huge: huge("NR_FILE_THPS"),
        file_pmd_mapped: huge("NR_FILE_PMDMAPPED"),
        cma_free: get("NR_FREE_CMA_PAGES"),
        unaccepted: get("NR_UNACCEPTED"),
        balloon: get("NR_BALLOON_PAGES"),
        gpu_active: get("NR_GPU_ACTIVE"),
        gpu_reclaim: get("NR_GPU_RECLAIM"),
        ..MeminfoFacts::default()
    }
}

/// `si_mem_available` (mm/show_mem.c).
fn available(facts: &MeminfoFacts, nodes: &Nodes, reserve: Option<u64>) -> Option<u64> {
    let low = nodes.low_watermarks();
    let cache = facts.active_file?.saturating_add(facts.inactive_file?);
    let cache = cache - (cache / 2).min(low);
    let reclaimable = facts
        .slab_reclaimable?
        .saturating_add(facts.misc_reclaimable.unwrap_or(0));
    let reclaimable = reclaimable - (reclaimable / 2).min(low);
    let usable = facts
        .free?
        .saturating_add(cache)
        .saturating_add(reclaimable);
    Some(usable.saturating_sub(reserve?))
}

/// `vm_commit_limit` (mm/util.c).
fn commit_limit(reader: &Reader<'_>, facts: &MeminfoFacts) -> Option<u64> {
    // 3.14 and later.
    const KBYTES: &str = "sysctl_overcommit_kbytes";
    let page_kb = reader.kernel.dump().page_size() as u64 / 1024;
    let kbytes = match reader.kernel.symbol(KBYTES) {
        Some(_) => reader.long(KBYTES)?,
        None => 0,
    };
    let allowed = match kbytes {
        0 => {
            let ratio = u64::from(reader.int("sysctl_overcommit_ratio")?);
            let pages = facts.total?.saturating_sub(facts.hugetlb_pages());
            pages.saturating_mul(ratio) / 100
        }
        kbytes => kbytes / page_kb.max(1),
    };
    // Not what is being taken out of use: that is in SwapTotal only.
    let swap = match reader.kernel.symbol("total_swap_pages") {
        Some(_) => reader.count("total_swap_pages")?,
        None => 0,
    };
    Some(allowed.saturating_add(swap))
}

/// What has a variable of its own.
fn rest(facts: &mut MeminfoFacts, reader: &Reader<'_>) {
    let kernel = reader.kernel;
    let boot = kernel.space.boot();
    facts.vmalloc_total = boot.arch.vmalloc_total(boot) >> 10;
    if facts.vmalloc_used.is_none() {
        // A variable from 5.3 to 6.19; before, the line always says 0.
        facts.vmalloc_used = match kernel.symbol("nr_vmalloc_pages") {
            Some(_) => reader.count("nr_vmalloc_pages"),
            None => Some(0),
        };
    }
    // With CONFIG_MEMTEST, once it has run (6.4 and later, commit bd23024b5d4b).
    if reader.flag("early_memtest_done") == Some(true) {
        let bytes = reader.long("early_memtest_bad_size");
        facts.early_memtest_bad_kb = bytes.map(|bytes| match bytes >> 10 {
            0 if bytes > 0 => 1,
            kb => kb,
        });
    }
    facts.hardware_corrupted = reader.count("num_poisoned_pages");
    // Every kernel has the totals; only with CONFIG_CMA are there areas.
    if kernel.symbol("cma_area_count").is_some() {
        facts.cma_total = reader.count("totalcma_pages");
    }
    facts.has_gb_pages = reader.int("direct_gbpages").is_some_and(|flag| flag != 0);
    // By `enum pg_level`, which starts with none.
    facts.direct_map = kernel.symbol("direct_pages_count").and_then(|at| {
        let read = |level: u64| {
            let count = kernel.space.read_u64(at.plus(level * 8));
            reader.keep("the counts of the direct map", count)
        };
        Some([read(1)?, read(2)?, read(3)?])
    });
}
