//! The statistics of a memory cgroup, as memory.stat tells them (mm/memcontrol.c).
//!
//! Each CPU counts by itself. Up to 4.15 nothing else is kept; up to 5.1 a CPU hands its part over
//! to its cgroup when it grows large, and what is above is summed up by who reads (commit
//! 42a300353577); up to 5.12 it hands it over to the cgroup and all above it; since 5.13 (commit 2d146aa3aa84) reading memory.stat has all parts handed
//! over, each cgroup's to the one above. What was not handed over at the crash is in the dump too.

use super::layouts::{MemcgCpuCountLayout, MemcgCpuStatsLayout, MemcgLayout, MemcgStatsLayout};
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
const ITEMS: [(&str, &str); 21] = [
    ("anon", "MEMCG_RSS"),
    // Up to 4.11, with a list of their own.
    ("anon", "MEM_CGROUP_STAT_RSS"),
    ("file", "MEM_CGROUP_STAT_CACHE"),
    ("file_mapped", "MEM_CGROUP_STAT_FILE_MAPPED"),
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
    /// Of the cgroup and, but for [`Stats::own`], those below it.
    pub(super) state: Vec<i64>,
    /// To be added to this cgroup and to each above it.
    pub(super) unflushed: Vec<i64>,
}

/// Where a cgroup keeps what CPUs handed over.
#[derive(Debug)]
enum Sums {
    /// In a structure of its own, since 6.1.
    Apart(Field, MemcgStatsLayout),
    /// In the cgroup, with what cgroups below handed over to it.
    Within(Field, Option<Field>),
    /// Nowhere, up to 4.15; up to 3.18 CPUs that went leave theirs in the cgroup.
    Nowhere(Option<Field>),
}

/// What each CPU has of a cgroup.
#[derive(Debug)]
struct OnCpu {
    /// Of the cgroup: the pointer to it.
    at: Field,
    size: usize,
    state: Field,
    previous: Option<Field>,
}

/// Reads statistics.
#[derive(Debug)]
pub(super) struct Stats<'k> {
    kernel: &'k Kernel,
    cpus: Cpus,
    sums: Sums,
    on_cpu: OnCpu,
    /// Whether a cgroup's counters are without those below it: up to 5.1.
    pub(super) own: bool,
    /// Those that this kernel counts.
    pub(super) items: Vec<Item>,
}

impl<'k> Stats<'k> {
    pub(super) fn new(kernel: &'k Kernel, memcg: &MemcgLayout) -> Result<Self, KernelError> {
        let (sums, at) = match (memcg.vmstats, memcg.stat) {
            (Some(at), _) if at.size == 8 => (Sums::Apart(at, kernel.layout()?), memcg.percpu),
            (Some(all), _) => {
                let state = memcg.state.unwrap_or(all);
                (Sums::Within(state, memcg.pending), memcg.percpu)
            }
            (None, Some(at)) if at.size == 8 => (Sums::Nowhere(memcg.nocpu), Some(at)),
            (None, Some(all)) => (Sums::Within(all, None), memcg.percpu),
            (None, None) => return Err(unknown("vmstats or stat")),
        };
        let at = at.ok_or_else(|| unknown("vmstats_percpu or stat_cpu"))?;
        Ok(Self {
            kernel,
            cpus: Cpus::read(kernel)?,
            sums,
            on_cpu: match memcg.vmstats {
                Some(_) => OnCpu::new(kernel, at)?,
                None => OnCpu::counted(kernel, at)?,
            },
            own: memcg.vmstats.is_none(),
            items: items(kernel)?,
        })
    }

    /// `None` if some of it can't be read. `record` are the bytes of the cgroup.
    pub(super) fn read(&self, record: &[u8]) -> Option<Counted> {
        let (state, pending) = match &self.sums {
            Sums::Apart(at, layout) => {
                let at = VirtAddr(at.get(record));
                let record = self.kernel.space.read_bytes(at, layout.struct_size).ok()?;
                let pending = self.array(&record, &layout.pending)?;
                (self.array(&record, &layout.state)?, pending)
            }
            Sums::Within(state, pending) => {
                let pending = match pending {
                    Some(field) => self.array(record, field)?,
                    None => self.zeros(),
                };
                (self.array(record, state)?, pending)
            }
            Sums::Nowhere(nocpu) => {
                let gone = match nocpu {
                    Some(nocpu) => {
                        let bytes = record.get(nocpu.offset as usize..)?;
                        self.array(bytes, &self.on_cpu.state)?
                    }
                    None => self.zeros(),
                };
                let state = self.of_cpus(record, gone)?;
                let unflushed = self.zeros();
                return Some(Counted { state, unflushed });
            }
        };
        let unflushed = self.of_cpus(record, pending)?;
        Some(Counted { state, unflushed })
    }

    fn zeros(&self) -> Vec<i64> {
        vec![0; self.items.len()]
    }

    /// Adds what CPUs have to `sums`.
    fn of_cpus(&self, record: &[u8], mut sums: Vec<i64>) -> Option<Vec<i64>> {
        let percpu = VirtAddr(self.on_cpu.at.get(record));
        for (_, at) in self.cpus.instances(percpu) {
            let record = self.kernel.space.read_bytes(at, self.on_cpu.size).ok()?;
            add(&mut sums, &self.array(&record, &self.on_cpu.state)?, 1);
            if let Some(previous) = &self.on_cpu.previous {
                add(&mut sums, &self.array(&record, previous)?, -1);
            }
        }
        Some(sums)
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

impl OnCpu {
    fn new(kernel: &Kernel, at: Field) -> Result<Self, KernelError> {
        let layout: MemcgCpuStatsLayout = kernel.layout()?;
        Ok(Self {
            at,
            size: layout.struct_size,
            state: layout.state,
            previous: layout.previous,
        })
    }

    fn counted(kernel: &Kernel, at: Field) -> Result<Self, KernelError> {
        let layout: MemcgCpuCountLayout = kernel.layout()?;
        Ok(Self {
            at,
            size: layout.struct_size,
            state: layout.state,
            previous: None,
        })
    }
}

fn unknown(members: &'static str) -> KernelError {
    KernelError::Layout(LayoutError::NoMember {
        structure: "mem_cgroup",
        member: members,
    })
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
    let mut own = own.map_err(LayoutError::from)?.unwrap_or_default();
    if own.is_empty() {
        let before = types.enumeration("mem_cgroup_stat_index", "mm/memcontrol.c");
        own = before.map_err(LayoutError::from)?.unwrap_or_default();
    }
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
