//! Members that are times, of structures that have a cache of their own name.

use super::units::{Times, Unit};
use super::{AgeField, Sample, field};
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// include/linux/sched.h
    struct TaskAge = "task_struct" in "kernel/fork.c" {
        maybe start = "start_time",
    }
}

layout! {
    /// include/linux/fs.h: when it was last changed.
    struct InodeAge = "inode" in "fs/inode.c" {
        /// Renamed in 6.6, and again in 6.11.
        maybe ctime = "i_ctime_sec" | "__i_ctime.tv_sec" | "i_ctime.tv_sec",
    }
}

/// Where a known time lies in the objects of a cache.
pub(super) struct Known {
    pub(super) offset: u32,
    member: &'static str,
    unit: Unit,
}

impl Known {
    /// To add one: the cache's name, the member, and its clock.
    pub(super) fn of(kernel: &Kernel, cache: &str) -> Option<Self> {
        let (offset, member, unit) = match cache {
            "task_struct" => {
                let task: TaskAge = kernel.layout().ok()?;
                let offset = task.start?.offset;
                (offset, "task_struct.start_time", Unit::SinceBoot)
            }
            "inode_cache" => {
                let inode: InodeAge = kernel.layout().ok()?;
                let offset = inode.ctime?.offset;
                (offset, "inode.i_ctime", Unit::EpochSeconds)
            }
            _ => return None,
        };
        Some(Self {
            offset,
            member,
            unit,
        })
    }

    /// Of those that have it set; `None` if that is not even half of them.
    pub(super) fn field(&self, samples: &[Sample], times: &Times) -> Option<AgeField> {
        let offset = self.offset as usize;
        let values = samples
            .iter()
            .filter_map(|sample| u64_at(&sample.bytes, offset));
        let values = values.filter(|value| times.is_known(self.unit, *value));
        let values: Vec<u64> = values.collect();
        if values.len() * 2 < samples.len() {
            return None;
        }
        let found = field(offset, self.unit, &values, samples.len(), times)?;
        Some(AgeField {
            member: Some(self.member),
            basis: "known-type",
            ..found
        })
    }
}
