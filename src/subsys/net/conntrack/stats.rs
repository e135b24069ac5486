//! Per-CPU statistics of a namespace (`struct ip_conntrack_stat`).

use serde::Serialize;

use super::layouts::StatLayout;
use super::netns::Namespace;
use crate::kernel::cpus::Cpus;
use crate::kernel::{Kernel, KernelError};

/// The counters of one CPU; `None` where this kernel has no such counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named as the kernel names them
pub struct CpuStats {
    pub cpu: u32,
    pub netns: u32,
    pub found: u32,
    pub invalid: u32,
    pub ignore: Option<u32>,
    pub insert: u32,
    pub insert_failed: u32,
    pub clash_resolve: Option<u32>,
    pub drop: u32,
    pub early_drop: u32,
    pub error: u32,
    pub expect_new: u32,
    pub expect_create: u32,
    pub expect_delete: u32,
    pub search_restart: u32,
    pub chaintoolong: Option<u32>,
}

/// The statistics of all possible CPUs in all namespaces.
pub(crate) fn read_all(
    kernel: &Kernel,
    namespaces: &[Namespace],
) -> Result<Vec<CpuStats>, KernelError> {
    let layout: StatLayout = kernel.layout()?;
    let cpus = Cpus::read(kernel)?;
    let mut rows = Vec::new();
    for namespace in namespaces {
        for (cpu, at) in namespace
            .stat
            .into_iter()
            .flat_map(|stat| cpus.instances(stat))
        {
            let Ok(record) = kernel.space.read_bytes(at, layout.len) else {
                kernel.diag.warn(
                    "conntrack-stats-lost",
                    "per-CPU statistics are not in the dump: their rows are missing",
                );
                continue;
            };
            let get = |field: &crate::kernel::layout::Field| field.get(&record) as u32;
            rows.push(CpuStats {
                cpu,
                netns: namespace.inum,
                found: get(&layout.found),
                invalid: get(&layout.invalid),
                ignore: layout.ignore.as_ref().map(get),
                insert: get(&layout.insert),
                insert_failed: get(&layout.insert_failed),
                clash_resolve: layout.clash_resolve.as_ref().map(get),
                drop: get(&layout.drop),
                early_drop: get(&layout.early_drop),
                error: get(&layout.error),
                expect_new: get(&layout.expect_new),
                expect_create: get(&layout.expect_create),
                expect_delete: get(&layout.expect_delete),
                search_restart: get(&layout.search_restart),
                chaintoolong: layout.chaintoolong.as_ref().map(get),
            });
        }
    }
    Ok(rows)
}
