//! Counters that the kernel keeps of its objects, and the caches whose objects they count.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, KernelError};

/// How a counter is kept.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An `int`.
    Int,
    /// A `long` on every CPU.
    PerCpuLong,
    /// A `struct percpu_counter`.
    Percpu,
}

/// What counts the objects of a cache.
struct Counter {
    cache: &'static str,
    symbol: &'static str,
    kind: Kind,
    /// Objects of the cache that each CPU has and nobody counts, idle tasks for one.
    per_cpu: u64,
}

/// To add one: the cache, the variable that counts its objects, and how it is kept.
const COUNTERS: &[Counter] = &[
    // fs/file_table.c: alloc_empty_file, file_free
    Counter {
        cache: "filp",
        symbol: "nr_files",
        kind: Kind::Percpu,
        per_cpu: 0,
    },
    // kernel/fork.c: copy_process, free_task after a grace period; idle tasks are not counted
    Counter {
        cache: "task_struct",
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    // fs/dcache.c: __d_alloc, dentry_free
    Counter {
        cache: "dentry",
        symbol: "nr_dentry",
        kind: Kind::PerCpuLong,
        per_cpu: 0,
    },
];

/// A counter's value, and the cache that it bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The cache.
    pub cache: &'static str,
    /// The counter.
    pub counter: &'static str,
    /// Objects that it accounts for.
    pub limit: u64,
}

/// Reads the counters of the table that this kernel has.
///
/// # Errors
/// If the kernel's CPUs can't be told.
pub fn collect(kernel: &Kernel) -> Result<Vec<Bound>, KernelError> {
    let cpus = Cpus::read(kernel)?;
    let bounds = COUNTERS.iter().filter_map(|counter| {
        let at = kernel.symbol(counter.symbol)?;
        let value = match counter.kind {
            Kind::Int => i64::from(kernel.space.read_u32(at).ok()?.cast_signed()),
            Kind::PerCpuLong => per_cpu_long(kernel, &cpus, at)?,
            Kind::Percpu => {
                let layout: PercpuCounter = kernel.layout().ok()?;
                layout.sum(kernel, &cpus, at).ok()?
            }
        };
        Some(Bound {
            cache: counter.cache,
            counter: counter.symbol,
            limit: u64::try_from(value).ok()? + counter.per_cpu * cpus.len() as u64,
        })
    });
    Ok(bounds.collect())
}

fn per_cpu_long(kernel: &Kernel, cpus: &Cpus, at: VirtAddr) -> Option<i64> {
    let mut sum = 0i64;
    for (_, at) in cpus.instances(at) {
        sum = sum.wrapping_add(kernel.space.read_u64(at).ok()?.cast_signed());
    }
    Some(sum)
}
