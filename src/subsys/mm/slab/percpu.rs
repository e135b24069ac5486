//! What CPUs hold of a cache: the current slab with its own chain of free objects, and
//! the list of partial slabs (`struct kmem_cache_cpu`, up to 6.19).

use super::cache::Cache;
use super::layouts::{CpuSlabLayout, SlabWords};
use super::pages::SlabScan;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError};

/// What the CPUs hold of one cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuFacts {
    /// The current slab of each CPU that has one: index into the scan, head of the CPU's chain.
    pub(crate) current: Vec<(u32, usize, VirtAddr)>,
    /// Slabs on the CPUs' partial lists: indices into the scan.
    pub(crate) partial: Vec<usize>,
    /// Where the heads of the CPUs' own chains are kept.
    pub(crate) heads: Vec<VirtAddr>,
    /// Structures that could not be read, or slabs that the scan does not know.
    pub(crate) lost: u64,
}

/// Reads the per-CPU part of caches.
#[derive(Debug)]
pub(crate) struct CpuReader<'k> {
    kernel: &'k Kernel,
    memmap: &'k Memmap,
    scan: &'k SlabScan,
    cpus: Cpus,
    layout: CpuSlabLayout,
    next: Option<u64>,
}

impl<'k> CpuReader<'k> {
    pub(crate) fn new(
        kernel: &'k Kernel,
        memmap: &'k Memmap,
        scan: &'k SlabScan,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            cpus: Cpus::read(kernel)?,
            layout: kernel.layout()?,
            next: SlabWords::resolve(kernel)?
                .next
                .map(|field| u64::from(field.offset)),
            kernel,
            memmap,
            scan,
        })
    }

    pub(crate) fn read(&self, cache: &Cache) -> CpuFacts {
        let mut facts = CpuFacts::default();
        for (cpu, at) in self.cpus.instances(cache.cpu_slab) {
            let Ok(record) = self.kernel.space.read_bytes(at, self.layout.len) else {
                facts.lost += 1;
                continue;
            };
            let head = u64::from(self.layout.freelist.offset);
            facts.heads.push(at.plus(head));
            let slab = VirtAddr(self.layout.slab.get(&record));
            let freelist = VirtAddr(self.layout.freelist.get(&record));
            if !slab.is_null() {
                match self.index_of(slab) {
                    Some(index) => facts.current.push((cpu, index, freelist)),
                    None => facts.lost += 1,
                }
            }
            if let Some(partial) = self.layout.partial {
                self.follow(VirtAddr(partial.get(&record)), &mut facts);
            }
        }
        facts
    }

    fn index_of(&self, slab: VirtAddr) -> Option<usize> {
        self.scan.find(self.memmap.pfn_of(slab)?)
    }

    /// The list is linked by `slab->next`; a slab can be on one such list only, so it is never
    /// longer than there are slabs.
    fn follow(&self, first: VirtAddr, facts: &mut CpuFacts) {
        let Some(next) = self.next else { return };
        let mut slab = first;
        let bound = facts.partial.len() + self.scan.slabs.len();
        while !slab.is_null() {
            let index = self.index_of(slab);
            let link = self.kernel.space.read_bytes(slab.plus(next), 8);
            let (Some(index), Ok(link), true) = (index, link, facts.partial.len() < bound) else {
                facts.lost += 1;
                return;
            };
            facts.partial.push(index);
            slab = VirtAddr(u64_at(&link, 0).unwrap_or(0));
        }
    }
}
