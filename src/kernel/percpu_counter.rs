//! Counters of which every CPU keeps a part (lib/percpu_counter.c).

use super::Kernel;
use super::cpus::Cpus;
use super::layout::layout;
use crate::addr::VirtAddr;
use crate::space::MemFault;

layout! {
    /// include/linux/percpu_counter.h
    pub(crate) struct PercpuCounter = "percpu_counter" in "lib/percpu_counter.c" | "mm/util.c" {
        need count = "count",
        /// Not in kernels for one CPU.
        maybe counters = "counters",
    }
}

impl PercpuCounter {
    /// What the CPUs have handed over of the counter at `at`.
    ///
    /// # Errors
    /// If its memory can't be read.
    pub(crate) fn handed_over(&self, kernel: &Kernel, at: VirtAddr) -> Result<i64, MemFault> {
        let count = kernel
            .space
            .read_u64(at.plus(u64::from(self.count.offset)))?;
        Ok(count.cast_signed())
    }

    /// The exact sum, as percpu_counter_sum() makes it. What CPUs that went away had counted is
    /// in `count`.
    ///
    /// # Errors
    /// If its memory or that of a CPU's part can't be read.
    pub(crate) fn sum(&self, kernel: &Kernel, cpus: &Cpus, at: VirtAddr) -> Result<i64, MemFault> {
        let mut sum = self.handed_over(kernel, at)?;
        let Some(counters) = &self.counters else {
            return Ok(sum);
        };
        let parts = kernel.space.read_ptr(at.plus(u64::from(counters.offset)))?;
        if !parts.is_null() {
            for (_, part) in cpus.instances(parts) {
                let part = kernel.space.read_u32(part)?.cast_signed();
                sum = sum.wrapping_add(i64::from(part));
            }
        }
        Ok(sum)
    }
}
