//! The statistics of a memory cgroup, as memory.stat tells them (mm/memcontrol.c).
//!
//! Each CPU counts by itself. Up to 5.12 it hands its part over to the cgroup and all above it
//! when it grows large; since 5.13 (commit 2d146aa3aa84) reading memory.stat has all parts handed
//! over, each cgroup's to the one above. What was not handed over at the crash is in the dump too.

use super::layouts::{MemcgCpuStatsLayout, MemcgLayout, MemcgStatsLayout};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::{Kernel, KernelError};

/// No kernel counts more.
const MAX_ITEMS: usize = 512;

/// What is told of memory.stat: its name there, and the kernel's.
///
/// Up to 5.7 cgroups had counters of their own beside the nodes' (commits be5d0a74c62d,
/// 0d1c20722ab3), which are there but not counted by cgroup: the cgroups' come first.
const ITEMS: [(&str, &str); 18] = [
    ("anon", "MEMCG_RSS"),
    ("anon", "NR_ANON_MAPPED"),
    ("file", "MEMCG_CACHE"),
    ("file", "NR_FILE_PAGES"),
    // 5.18 and later (commit a8c49af3be5f).
    ("kernel", "MEMCG_KMEM"),
    ("kernel_stack", "NR_KERNEL_STACK_KB"),
    // Up to 5.8; the zones count as well.
    ("kernel_stack", "MEMCG_KERNEL_STACK_KB"),
    ("pagetables", "NR_PAGETABLE"),
    ("percpu", "MEMCG_PERCPU_B"),
    ("sock", "MEMCG_SOCK"),
    // 7.1 and later; MEMCG_VMALLOC from 5.17 on.
    ("vmalloc", "NR_VMALLOC"),
    ("vmalloc", "MEMCG_VMALLOC"),
    ("shmem", "NR_SHMEM"),
    ("slab_reclaimable", "NR_SLAB_RECLAIMABLE_B"),
    ("slab_unreclaimable", "NR_SLAB_UNRECLAIMABLE_B"),
    // Up to 5.8 (commit d42f3245c7e2), in pages.
    ("slab_reclaimable", "NR_SLAB_RECLAIMABLE"),
    ("slab_unreclaimable", "NR_SLAB_UNRECLAIMABLE"),
    ("file_mapped", "NR_FILE_MAPPED"),
];

/// Where one item is counted, and in what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its name in memory.stat.
    pub(super) name: &'static str,
    /// In the arrays of counters.
    index: usize,
    /// Bytes of one.
    unit: i64,
}

/// Bytes of each of [`Stats::items`]: what was handed over, and what was not yet.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// Of the cgroup and those below it.
    pub(super) state: Vec<i64>,
    /// To be added to this cgroup and to each above it.
    pub(super) unflushed: Vec<i64>,
}

/// Reads statistics.
#[derive(Debug)]
pub(super) struct Stats<'k> {
    kernel: &'k Kernel,
    cpus: Cpus,
    /// `None` up to 6.0: in the cgroup itself.
    apart: Option<MemcgStatsLayout>,
    percpu: MemcgCpuStatsLayout,
    /// Those that this kernel counts.
    pub(super) items: Vec<Item>,
}

impl<'k> Stats<'k> {
    pub(super) fn new(kernel: &'k Kernel, memcg: &MemcgLayout) -> Result<Self, KernelError> {
        let apart = match memcg.vmstats.size {
            8 => Some(kernel.layout()?),
            _ => None,
        };
        Ok(Self {
            kernel,
            cpus: Cpus::read(kernel)?,
            apart,
            percpu: kernel.layout()?,
            items: items(kernel)?,
        })
    }

    /// `None` if some of it can't be read. `record` are the bytes of the cgroup.
    pub(super) fn read(&self, memcg: &MemcgLayout, record: &[u8]) -> Option<Counted> {
        let (state, pending) = match &self.apart {
            Some(layout) => {
                let at = VirtAddr(memcg.vmstats.get(record));
                let record = self.kernel.space.read_bytes(at, layout.struct_size).ok()?;
                (
                    self.array(&record, &layout.state)?,
                    Some(self.array(&record, &layout.pending)?),
                )
            }
            None => (
                self.array(record, memcg.state.as_ref().unwrap_or(&memcg.vmstats))?,
                match &memcg.pending {
                    Some(field) => Some(self.array(record, field)?),
                    None => None,
                },
            ),
        };
        let mut unflushed = pending.unwrap_or_else(|| vec![0; self.items.len()]);
        let percpu = VirtAddr(memcg.percpu.get(record));
        for (_, at) in self.cpus.instances(percpu) {
            let layout = &self.percpu;
            let record = self.kernel.space.read_bytes(at, layout.struct_size).ok()?;
            add(&mut unflushed, &self.array(&record, &layout.state)?, 1);
            if let Some(previous) = &layout.previous {
                add(&mut unflushed, &self.array(&record, previous)?, -1);
            }
        }
        Some(Counted { state, unflushed })
    }

    /// Bytes of each item in an array of longs.
    fn array(&self, record: &[u8], field: &Field) -> Option<Vec<i64>> {
        let values = self.items.iter().map(|item| {
            let within = item.index * 8;
            if within + 8 > field.size as usize {
                return None;
            }
            let value = u64_at(record, field.offset as usize + within)?;
            Some(value.cast_signed().wrapping_mul(item.unit))
        });
        values.collect()
    }
}

/// Adds `sign` times each of `values` to `sums`.
pub(super) fn add(sums: &mut [i64], values: &[i64], sign: i64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(value.wrapping_mul(sign));
    }
}

/// Where this kernel counts the items that it knows.
fn items(kernel: &Kernel) -> Result<Vec<Item>, KernelError> {
    let types = &kernel.types;
    let of_nodes = types.enumeration("node_stat_item", "mm/memcontrol.c");
    let of_nodes = of_nodes.map_err(LayoutError::from)?.unwrap_or_default();
    let own = types.enumeration("memcg_stat_item", "mm/memcontrol.c");
    let own = own.map_err(LayoutError::from)?.unwrap_or_default();
    let page = kernel.dump().page_size() as i64;
    let map = index_map(kernel)?;
    let mut items = Vec::new();
    for (name, counter) in ITEMS {
        let mut all = of_nodes.iter().chain(&own);
        if items.iter().any(|item: &Item| item.name == name) {
            continue;
        }
        let Some((_, value)) = all.find(|(known, _)| known == counter) else {
            continue;
        };
        let Ok(mut index) = usize::try_from(*value) else {
            continue;
        };
        if let Some(map) = &map {
            match map.get(index) {
                Some(&place) if place != u8::MAX => index = usize::from(place),
                // Not counted by cgroup.
                _ => continue,
            }
        }
        let unit = match counter {
            _ if counter.ends_with("_B") => 1,
            _ if counter.ends_with("_KB") => 1024,
            _ => page,
        };
        items.push(Item { name, index, unit });
    }
    Ok(items)
}

/// Since 6.11 (commit 59142d87ab03) only what is counted has a place: a byte tells which.
fn index_map(kernel: &Kernel) -> Result<Option<Vec<u8>>, KernelError> {
    let Some(at) = kernel.symbol("mem_cgroup_stats_index") else {
        return Ok(None);
    };
    let room = kernel.symbol_room("mem_cgroup_stats_index").unwrap_or(0) as usize;
    let map = kernel.space.read_bytes(at, room.min(MAX_ITEMS));
    map.map(Some).map_err(|fault| KernelError::Memory {
        what: "the places of the memory cgroups' statistics",
        fault,
    })
}
