//! What the kernel itself counts of dentries and inodes.

use serde::Serialize;

use crate::kernel::cpus::Cpus;
use crate::kernel::{Kernel, KernelError};

/// What the kernel's own counters say, over all CPUs (`fs.dentry-state` and `fs.inode-nr`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DentryCounters {
    /// `nr_dentry`.
    pub dentries: Option<i64>,
    /// `nr_dentry_unused`.
    pub unused: Option<i64>,
    /// `nr_dentry_negative`, of those on an LRU: 5.0 and later.
    pub negative_unused: Option<i64>,
    /// `nr_inodes`, those of sockets and pipes too.
    pub inodes: Option<i64>,
    /// `nr_unused`.
    pub inodes_unused: Option<i64>,
}

impl DentryCounters {
    pub(super) fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let cpus = Cpus::read(kernel)?;
        let sum = |name: &str| {
            let at = kernel.symbol(name)?;
            let mut sum = 0i64;
            for (_, part) in cpus.instances(at) {
                // That it is missing has been recorded.
                sum = sum.wrapping_add(kernel.space.read_u64(part).ok()?.cast_signed());
            }
            Some(sum)
        };
        Ok(Self {
            dentries: sum("nr_dentry"),
            unused: sum("nr_dentry_unused"),
            negative_unused: sum("nr_dentry_negative"),
            inodes: sum("nr_inodes"),
            inodes_unused: sum("nr_unused"),
        })
    }
}
