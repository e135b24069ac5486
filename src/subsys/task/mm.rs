//! The memory of a process, by the counters of its `mm_struct`.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/mm_types.h
    struct MmLayout = "mm_struct" in "kernel/fork.c" {
        need total_vm = "total_vm",
        need locked_vm = "locked_vm",
        /// 4.5 and later (commit 846383359222).
        maybe data_vm = "data_vm",
        need stack_vm = "stack_vm",
        /// An atomic counter since 5.1 (commit 70f8a3ca68d3).
        maybe pinned_vm = "pinned_vm",
        need hiwater_rss = "hiwater_rss",
        /// One number each up to 6.1, a `percpu_counter` each since (commit f1a7941243c1).
        maybe counts = "rss_stat.count",
        need rss = "rss_stat",
        /// 4.15 and later (commit af5b0f6a09e4); before, pages of the lowest level alone.
        maybe page_tables = "pgtables_bytes",
        maybe nr_ptes = "nr_ptes",
    }
}

/// MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES (include/linux/mm_types_task.h); the
/// last since 4.5 (commit eca56ff906bd).
const COUNTERS: usize = 4;

/// The memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MmFacts {
    /// Anonymous memory in RAM.
    pub rss_anon_bytes: u64,
    /// Pages of files.
    pub rss_file_bytes: u64,
    /// Shared memory and tmpfs.
    pub rss_shmem_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// Page tables, but for the topmost.
    pub page_table_bytes: u64,
    /// Addresses.
    pub virtual_bytes: u64,
    /// mlock.
    pub locked_bytes: u64,
    /// Pinned for devices.
    pub pinned_bytes: u64,
    /// The most that it ever had in RAM, as far as the kernel took note.
    pub peak_rss_bytes: u64,
}

impl MmFacts {
    /// What it has in RAM.
    pub fn rss_bytes(&self) -> u64 {
        self.rss_anon_bytes + self.rss_file_bytes + self.rss_shmem_bytes
    }
}

pub(super) struct MmReader<'k> {
    kernel: &'k Kernel,
    layout: MmLayout,
    percpu: Option<(PercpuCounter, Cpus)>,
    page: u64,
    /// RAM and swap in pages, by which the out-of-memory killer weighs.
    total_pages: Option<i64>,
}

impl<'k> MmReader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let layout: MmLayout = kernel.layout()?;
        let percpu = match layout.counts {
            Some(_) => None,
            None => Some((kernel.layout()?, Cpus::read(kernel)?)),
        };
        let ram = kernel.u64_of("_totalram_pages");
        let ram = ram.or_else(|| kernel.u64_of("totalram_pages")).value();
        // A kernel without CONFIG_SWAP has no swap.
        let swap = kernel.u64_of("total_swap_pages").value().unwrap_or(0);
        Ok(Self {
            page: kernel.dump().page_size() as u64,
            total_pages: ram.map(|ram| ram.saturating_add(swap).cast_signed()),
            kernel,
            layout,
            percpu,
        })
    }

    /// `None` if it can't be read. The exact counts, with what `threads` have not handed over.
    pub(super) fn read(
        &self,
        mm: VirtAddr,
        deltas: Option<&Field>,
        threads: &[VirtAddr],
    ) -> Option<MmFacts> {
        let (space, layout) = (&self.kernel.space, &self.layout);
        let record = space.read_bytes(mm, layout.len).ok()?;
        let mut counts = [0i64; COUNTERS];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = self.count(mm, index)?;
        }
        if let Some(deltas) = deltas.filter(|_| layout.counts.is_some()) {
            for thread in threads {
                let at = thread.plus(u64::from(deltas.offset));
                let record = space.read_bytes(at, deltas.size as usize).ok()?;
                for (count, part) in counts.iter_mut().zip(record.as_chunks::<4>().0) {
                    *count += i64::from(i32::from_le_bytes(*part));
                }
            }
        }
        let pages = |count: i64| count.max(0).cast_unsigned().saturating_mul(self.page);
        let of = |field: &Field| field.get(&record).saturating_mul(self.page);
        let [file, anon, swap, shmem] = counts;
        let tables = layout.page_tables.map(|field| field.get(&record));
        let ptes = || layout.nr_ptes.as_ref().map_or(0, of);
        Some(MmFacts {
            rss_anon_bytes: pages(anon),
            rss_file_bytes: pages(file),
            rss_shmem_bytes: pages(shmem),
            swap_bytes: pages(swap),
            page_table_bytes: tables.unwrap_or_else(ptes),
            virtual_bytes: of(&layout.total_vm),
            locked_bytes: of(&layout.locked_vm),
            pinned_bytes: layout.pinned_vm.as_ref().map_or(0, of),
            // Taken when memory is given back: it may lag behind.
            peak_rss_bytes: of(&layout.hiwater_rss).max(pages(file) + pages(anon) + pages(shmem)),
        })
    }

    fn count(&self, mm: VirtAddr, index: usize) -> Option<i64> {
        let Some((counter, cpus)) = &self.percpu else {
            let counts = self.layout.counts.as_ref()?;
            // Kernels before 4.5 had one less.
            if (index + 1) * 8 > counts.size as usize {
                return Some(0);
            }
            let at = mm.plus(u64::from(counts.offset) + index as u64 * 8);
            return Some(self.kernel.space.read_u64(at).ok()?.cast_signed());
        };
        let at = u64::from(self.layout.rss.offset) + (index * counter.struct_size) as u64;
        counter.sum(self.kernel, cpus, mm.plus(at)).ok()
    }

    /// oom_badness() of mm/oom_kill.c; `None` for what is never killed.
    pub(super) fn badness(&self, memory: &MmFacts, adj: i16) -> Option<i64> {
        let used = memory.rss_bytes() + memory.swap_bytes + memory.page_table_bytes;
        let weight = i64::from(adj) * (self.total_pages? / 1000);
        (adj > -1000).then(|| (used / self.page).cast_signed() + weight)
    }
}
