//! The VM's counters: `vm_node_stat[]` and `vm_zone_stat[]` (mm/vmstat.c) by name; up to 4.7
//! `vm_stat[]` alone.
//!
//! What the entries are called depends on release and configuration; their numbers come from
//! the kernel's own enumerations. The arrays lag behind: each CPU keeps a small difference
//! per node and zone that only `--precise` adds, as the kernel adds it some time later.

use super::zones::Nodes;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

/// More entries than any kernel counts (7.2 has 90).
const MAX_ITEMS: i64 = 512;
const HOME: &str = "mm/vmstat.c";

layout! {
    /// include/linux/mmzone.h, 5.14 and later (commit 28f836b6777b).
    struct ZoneStatsLayout = "per_cpu_zonestat" in "mm/vmstat.c" {
        need diff = "vm_stat_diff",
    }
}

layout! {
    /// include/linux/mmzone.h, up to 5.13.
    struct PagesetLayout = "per_cpu_pageset" in "mm/vmstat.c" {
        need diff = "vm_stat_diff",
    }
}

layout! {
    /// include/linux/mmzone.h
    struct NodeStatsLayout = "per_cpu_nodestat" in "mm/vmstat.c" {
        need diff = "vm_node_stat_diff",
    }
}

/// One of the arrays.
#[derive(Clone, Debug)]
struct Items {
    names: Vec<(String, usize)>,
    values: Vec<i64>,
}

impl Items {
    fn read(
        kernel: &Kernel,
        array: &'static str,
        names: &str,
        last: &str,
    ) -> Result<Self, KernelError> {
        let all = kernel.types.enumeration(names, HOME)?;
        let all = all.ok_or(KernelError::NoSymbol(array))?;
        let count = all
            .iter()
            .find(|(name, _)| name == last)
            .map_or(0, |(_, value)| (*value).clamp(0, MAX_ITEMS)) as usize;
        let at = kernel.need_symbol(array)?;
        let bytes =
            kernel
                .space
                .read_bytes(at, count * 8)
                .map_err(|fault| KernelError::Memory {
                    what: "the counters of memory",
                    fault,
                })?;
        let names = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, usize::try_from(value).ok()?)))
            .filter(|(_, index)| *index < count)
            .collect();
        let values = (0..count)
            .filter_map(|index| u64_at(&bytes, index * 8))
            .map(u64::cast_signed)
            .collect();
        Ok(Self { names, values })
    }

    /// As the kernel prints it: races can push a counter below zero for a moment.
    fn get(&self, name: &str) -> Option<u64> {
        let (_, index) = self.names.iter().find(|(known, _)| known == name)?;
        let value = self.values.get(*index)?;
        Some(u64::try_from(*value).unwrap_or(0))
    }

    /// Adds an array of signed bytes.
    fn add(&mut self, kernel: &Kernel, at: VirtAddr) -> bool {
        let Ok(diff) = kernel.space.read_bytes(at, self.values.len()) else {
            return false;
        };
        for (value, diff) in self.values.iter_mut().zip(diff) {
            *value = value.saturating_add(i64::from(diff.cast_signed()));
        }
        true
    }
}

/// All arrays.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    /// Since 4.8 (commit 75ef71840539).
    node: Option<Items>,
    zone: Items,
}

impl Counters {
    pub(super) fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let of_zones =
            |array| Items::read(kernel, array, "zone_stat_item", "NR_VM_ZONE_STAT_ITEMS");
        if kernel.symbol("vm_node_stat").is_none() && kernel.symbol("vm_stat").is_some() {
            let (node, zone) = (None, of_zones("vm_stat")?);
            return Ok(Self { node, zone });
        }
        let node = Items::read(
            kernel,
            "vm_node_stat",
            "node_stat_item",
            "NR_VM_NODE_STAT_ITEMS",
        )?;
        Ok(Self {
            node: Some(node),
            zone: of_zones("vm_zone_stat")?,
        })
    }

    /// A counter by the first of its names that this kernel has, of nodes or of zones: several
    /// have moved from one to the other.
    pub(super) fn get(&self, names: &[&str]) -> Option<u64> {
        names
            .iter()
            .find_map(|name| self.of_node(name).or_else(|| self.zone.get(name)))
    }

    /// Whether nodes have a counter of this name.
    pub(super) fn of_nodes(&self, name: &str) -> bool {
        self.of_node(name).is_some()
    }

    fn of_node(&self, name: &str) -> Option<u64> {
        self.node.as_ref()?.get(name)
    }

    /// Whether zones have a counter of this name.
    pub(super) fn of_zones(&self, name: &str) -> bool {
        self.zone.get(name).is_some()
    }

    /// Adds what the CPUs have not handed over yet; how many CPUs' differences the dump lacks.
    pub(super) fn add_cpus(
        &mut self,
        kernel: &Kernel,
        cpus: &Cpus,
        nodes: &Nodes,
    ) -> Result<u64, KernelError> {
        let mut lost = 0;
        let zone_diff = match nodes.pageset_holds_stats() {
            false => kernel.layout::<ZoneStatsLayout>()?.diff,
            true => kernel.layout::<PagesetLayout>()?.diff,
        };
        for stats in nodes.zones().filter_map(|zone| zone.stats) {
            for (_, at) in cpus.instances(stats) {
                let at = at.plus(u64::from(zone_diff.offset));
                lost += u64::from(!self.zone.add(kernel, at));
            }
        }
        let Some(node) = &mut self.node else {
            return Ok(lost);
        };
        let node_diff = kernel.layout::<NodeStatsLayout>()?.diff;
        for stats in nodes.node_stats() {
            for (_, at) in cpus.instances(stats) {
                let at = at.plus(u64::from(node_diff.offset));
                lost += u64::from(!node.add(kernel, at));
            }
        }
        Ok(lost)
    }
}
