//! /proc/vmstat (`vmstat_start()`, mm/vmstat.c): the counters of zones, NUMA events, nodes, the
//! limits of dirty pages, and what every CPU counts of events.

use super::items::{Names, NamesOf};
use super::{Counter, ZonesFacts};
use crate::bytes::u64_at;
use crate::kernel::literals::{self, Literal};
use crate::kernel::{Kernel, KernelError, cpus};

/// All lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VmstatFacts {
    /// In the order of the file.
    pub counters: Vec<Counter>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads all counters; those of NUMA are added up already in `zones`.
///
/// # Errors
/// If the kernel's types, symbols or memory lack them.
pub fn vmstat(kernel: &Kernel, zones: &ZonesFacts) -> Result<VmstatFacts, KernelError> {
    let names = Names::read(kernel)?;
    let (limits, event_names) = names.others(kernel)?;
    // One array up to 4.7 (commit 75ef71840539).
    let by_node = kernel.symbol("vm_node_stat").is_some();
    let of_zones = if by_node { "vm_zone_stat" } else { "vm_stat" };
    let zone = global(kernel, of_zones, &names.zone)?;
    let node = match by_node {
        true => global(kernel, "vm_node_stat", &names.node)?,
        false => Vec::new(),
    };
    let mut counters = zone.clone();
    counters.extend(numa(kernel, zones, &names.numa)?);
    counters.extend(node.iter().cloned());
    let of = |name: &str| {
        let found = zone.iter().chain(&node).find(|one| one.name == name);
        found.map_or(0, |counter| counter.value)
    };
    let files = of("nr_inactive_file") + of("nr_active_file");
    let dirtyable = dirtyable(kernel, of("nr_free_pages"), files)?;
    let dirty = DirtyLimits::of(kernel, dirtyable)?;
    for name in limits {
        let value = match name.as_str() {
            "nr_dirty_threshold" => dirty.limit,
            "nr_dirty_background_threshold" => dirty.background,
            "nr_memmap_pages" => variable(kernel, "nr_memmap_pages")?,
            _ => variable(kernel, "nr_memmap_boot_pages")?,
        };
        counters.push(Counter { name, value });
    }
    counters.extend(events(kernel, &event_names)?);
    // 5.8 and later print what is counted no more (commit 8d92890bd6b8).
    let (unstable, told) = match literals::find(kernel, ["nr_unstable 0"]) {
        [Literal::Found(_)] => (true, true),
        [Literal::Absent] => (false, true),
        [Literal::Unknown] => (false, false),
    };
    if unstable {
        counters.push(Counter {
            name: "nr_unstable".to_owned(),
            value: 0,
        });
    }
    if !told {
        kernel.diag.warn(
            "vmstat-end-unknown",
            "whether this kernel prints nr_unstable can't be read from its constants: take the dump with kernel pages included",
        );
    }
    Ok(VmstatFacts {
        counters,
        complete: zones.complete && told,
    })
}

/// An array of the kernel's sums over all zones or nodes.
fn global(
    kernel: &Kernel,
    array: &'static str,
    names: &NamesOf,
) -> Result<Vec<Counter>, KernelError> {
    let at = kernel.need_symbol(array)?;
    let bytes = kernel.space.read_bytes(at, names.len() * 8);
    let bytes = bytes.map_err(|fault| KernelError::Memory { what: array, fault })?;
    Ok(names.values(&bytes, 0))
}

/// From 5.14 on the file has what CPUs keep handed over first (`fold_vm_numa_events()`), and each
/// zone has its part of the sum; before, it shows the sum as it is.
fn numa(kernel: &Kernel, zones: &ZonesFacts, names: &NamesOf) -> Result<Vec<Counter>, KernelError> {
    const BEFORE: &str = "vm_numa_stat";
    if names.len() > 0 && kernel.symbol(BEFORE).is_some() {
        return global(kernel, BEFORE, names);
    }
    let mut sums = names.values(&[], 0);
    let all = zones.nodes.iter().flat_map(|node| &node.zones);
    for zone in all {
        for (sum, event) in sums.iter_mut().zip(&zone.numa_events) {
            sum.value = sum.value.wrapping_add(event.value);
        }
    }
    Ok(sums)
}

/// `all_vm_events()`: of all CPUs; one that goes hands over what it counted.
fn events(kernel: &Kernel, names: &NamesOf) -> Result<Vec<Counter>, KernelError> {
    const ARRAY: &str = "vm_event_states";
    if names.len() == 0 {
        return Ok(Vec::new());
    }
    let at = kernel.need_symbol(ARRAY)?;
    let up = cpus::up(kernel)?;
    let mut sums = names.values(&[], 0);
    for (cpu, at) in cpus::Cpus::read(kernel)?.instances(at) {
        if !up.contains(&cpu) {
            continue;
        }
        let bytes = kernel.space.read_bytes(at, names.len() * 8);
        let bytes = bytes.map_err(|fault| KernelError::Memory { what: ARRAY, fault })?;
        for (index, sum) in sums.iter_mut().enumerate() {
            let one = u64_at(&bytes, index * 8).unwrap_or(0);
            sum.value = sum.value.wrapping_add(one);
        }
    }
    // Sectors are printed as KiB.
    for sum in &mut sums {
        if matches!(sum.name.as_str(), "pgpgin" | "pgpgout") {
            sum.value /= 2;
        }
    }
    Ok(sums)
}

fn variable(kernel: &Kernel, name: &'static str) -> Result<u64, KernelError> {
    let value = kernel.u64_of(name).there(name)?;
    value.ok_or(KernelError::NoSymbol(name))
}

/// Pages that may be dirty (`global_dirtyable_memory()`, mm/page-writeback.c).
fn dirtyable(kernel: &Kernel, free: u64, files: u64) -> Result<u64, KernelError> {
    // Up to 4.4 (commit a8d0143730d7); 3.11 took what is kept free off once more.
    const BEFORE: &str = "dirty_balance_reserve";
    if kernel.symbol(BEFORE).is_none() {
        let reserve = variable(kernel, "totalreserve_pages")?;
        return Ok(free.saturating_sub(reserve) + files + 1);
    }
    let reserve = variable(kernel, BEFORE)?;
    let kept = kernel.u32_of("min_free_kbytes").there("min_free_kbytes")?;
    let kept = u64::from(kept.unwrap_or(0)) * 1024 / kernel.dump().page_size() as u64;
    Ok((free.saturating_sub(reserve) + files).saturating_sub(kept) + 1)
}

/// From how many dirty pages on they are written back, and writers wait
/// (`domain_dirty_limits()`, mm/page-writeback.c), for a task that is no real-time one.
struct DirtyLimits {
    limit: u64,
    background: u64,
}

impl DirtyLimits {
    fn of(kernel: &Kernel, dirtyable: u64) -> Result<Self, KernelError> {
        let page = kernel.dump().page_size() as u64;
        let one = |bytes: &'static str, ratio: &'static str| {
            let bytes = variable(kernel, bytes)?;
            let percent = kernel.u32_of(ratio).there(ratio)?;
            let percent = percent.ok_or(KernelError::NoSymbol(ratio))?;
            // The ratio of a page, in bytes.
            let ratio = u64::from(percent).saturating_mul(page) / 100;
            Ok::<_, KernelError>(match bytes {
                0 => ratio.saturating_mul(dirtyable) / page,
                _ => bytes.div_ceil(page),
            })
        };
        let limit = one("vm_dirty_bytes", "vm_dirty_ratio")?;
        let background = one("dirty_background_bytes", "dirty_background_ratio")?;
        Ok(Self {
            background: match background >= limit {
                true => limit / 2,
                false => background,
            },
            limit,
        })
    }
}
