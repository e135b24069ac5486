//! Socket buffers that a CPU keeps for the next packet: in use by the allocator's count, and empty.
//!
//! Input: `napi_alloc_cache` of each CPU (net/core/skbuff.c). Output: where the buffers lie that
//! are kept, and the slots behind them. Invariants: a kept buffer counts as an object that holds
//! nothing, for it was given up with all that it had, or never filled; a slot behind the last kept
//! one holds what was taken out of it. A count that can't be is not believed, and then the CPU's
//! slots count as any memory.

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;

layout! {
    /// net/core/skbuff.c. From 4.5 to 5.12 what is in it waits to be freed; later
    /// (commit f450d539c05a) it is used again.
    struct NapiCacheLayout = "napi_alloc_cache" in "net/core/skbuff.c" {
        need count = "skb_count",
        need slots = "skb_cache",
    }
}

/// What CPUs keep.
#[derive(Debug, Default)]
pub(crate) struct CachedSkbs {
    /// Where the words of slots begin that nothing is in, and how many bytes they are.
    pub(crate) spare: Vec<(VirtAddr, u64)>,
    /// Buffers that are kept.
    pub(crate) kept: Vec<VirtAddr>,
    /// CPUs of which that can't be read.
    pub(crate) gaps: u64,
}

impl CachedSkbs {
    /// Nothing where the kernel has no such cache.
    pub(crate) fn read(kernel: &Kernel) -> Self {
        let mut cached = Self::default();
        let (Some(percpu), Ok(layout)) = (
            kernel.symbol("napi_alloc_cache"),
            kernel.layout::<NapiCacheLayout>(),
        ) else {
            return cached;
        };
        let Ok(cpus) = Cpus::read(kernel) else {
            return cached;
        };
        for (_, at) in cpus.instances(percpu) {
            cached.add(kernel, &layout, at);
        }
        cached
    }

    /// Those of one CPU.
    fn add(&mut self, kernel: &Kernel, layout: &NapiCacheLayout, at: VirtAddr) {
        let mut record = vec![0; layout.struct_size];
        if kernel.space.read(at, &mut record).is_err() {
            self.gaps += 1;
            return;
        }
        let (first, bytes) = (layout.slots.offset, u64::from(layout.slots.size));
        let kept = layout.count.get(&record).saturating_mul(8);
        if kept > bytes {
            return;
        }
        let slots = (0..kept as usize).step_by(8);
        let slots = slots.filter_map(|slot| u64_at(&record, first as usize + slot));
        self.kept.extend(slots.map(VirtAddr));
        let spare = at.plus(u64::from(first) + kept);
        self.spare.push((spare, bytes - kept));
    }
}
