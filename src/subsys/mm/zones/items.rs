//! The names under which the kernel prints its counters: `vmstat_text` (mm/vmstat.c), an array of
//! strings, first those of zones, then of NUMA events, then of nodes.

use super::Counter;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError};

const HOME: &str = "mm/vmstat.c";
/// More of one kind than any kernel counts.
const MAX_ITEMS: i64 = 512;
const MAX_NAME: usize = 64;

/// Names of one kind of counter.
#[derive(Clone, Debug, Default)]
pub(super) struct NamesOf {
    names: Vec<String>,
    /// Of these, by number, what is counted in small pages and printed in huge ones: 5.11 and
    /// later (commit 69473e5de873).
    huge: Vec<usize>,
    /// Small pages of a huge one.
    per_huge: u64,
}

/// Names of all that /proc/zoneinfo prints.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) zone: NamesOf,
    pub(super) numa: NamesOf,
    pub(super) node: NamesOf,
}

impl Names {
    pub(super) fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let count = |list: &str, last: &[&str]| {
            let all = kernel.types.enumeration(list, HOME)?.unwrap_or_default();
            let found = all.iter().find(|(name, _)| last.contains(&name.as_str()));
            Ok::<_, KernelError>(found.map_or(0, |(_, value)| (*value).clamp(0, MAX_ITEMS)))
        };
        let zone = count("zone_stat_item", &["NR_VM_ZONE_STAT_ITEMS"])?;
        let numa = count(
            "numa_stat_item",
            &["NR_VM_NUMA_EVENT_ITEMS", "NR_VM_NUMA_STAT_ITEMS"],
        )?;
        let node = count("node_stat_item", &["NR_VM_NODE_STAT_ITEMS"])?;
        let at = kernel.need_symbol("vmstat_text")?;
        let of = |first: i64, count: i64| {
            let names = (first..first + count).map(|index| name(kernel, at, index));
            names.collect::<Result<Vec<_>, _>>()
        };
        let huge = kernel.types.enumeration("node_stat_item", HOME)?;
        let huge = huge.unwrap_or_default();
        // Page tables are counted by node from the same release on.
        let in_small = huge.iter().any(|(name, _)| name == "NR_PAGETABLE");
        let huge = huge
            .into_iter()
            .filter(|(name, _)| in_small && is_huge(name));
        let plain = |names| NamesOf {
            names,
            ..NamesOf::default()
        };
        Ok(Self {
            zone: plain(of(0, zone)?),
            numa: plain(of(zone, numa)?),
            node: NamesOf {
                names: of(zone + numa, node)?,
                huge: huge
                    .filter_map(|(_, value)| usize::try_from(value).ok())
                    .collect(),
                per_huge: kernel.dump().page_size() as u64 / 8,
            },
        })
    }
}

/// The limits that are worked out when /proc/vmstat is read; the last two in 6.11 and later.
const LIMITS: [&str; 4] = [
    "nr_dirty_threshold",
    "nr_dirty_background_threshold",
    "nr_memmap_pages",
    "nr_memmap_boot_pages",
];

impl Names {
    /// What /proc/vmstat has behind them: limits, then events, of which there are none without
    /// CONFIG_VM_EVENT_COUNTERS.
    pub(super) fn others(&self, kernel: &Kernel) -> Result<(Vec<String>, NamesOf), KernelError> {
        let at = kernel.need_symbol("vmstat_text")?;
        let events = kernel
            .types
            .enumerator("vm_event_item", HOME, "NR_VM_EVENT_ITEMS")?;
        let events = match kernel.symbol("vm_event_states") {
            Some(_) => events.unwrap_or(0).clamp(0, MAX_ITEMS),
            None => 0,
        };
        let first = self.zone.len() + self.numa.len() + self.node.len();
        let mut index = first as i64;
        let mut limits = Vec::new();
        while limits.len() < LIMITS.len() {
            let limit = match events {
                // The array may end here: what follows it is no name then, and nothing is lost.
                0 => name_if_any(kernel, at, index),
                _ => Some(name(kernel, at, index)?),
            };
            let Some(limit) = limit.filter(|limit| LIMITS.contains(&limit.as_str())) else {
                break;
            };
            limits.push(limit);
            index += 1;
        }
        let names = (index..index + events).map(|index| name(kernel, at, index));
        let events = NamesOf {
            names: names.collect::<Result<_, _>>()?,
            ..NamesOf::default()
        };
        Ok((limits, events))
    }
}

/// vmstat_item_print_in_thp() of include/linux/vmstat.h.
fn is_huge(name: &str) -> bool {
    matches!(
        name,
        "NR_ANON_THPS"
            | "NR_FILE_THPS"
            | "NR_SHMEM_THPS"
            | "NR_SHMEM_PMDMAPPED"
            | "NR_FILE_PMDMAPPED"
    )
}

fn name(kernel: &Kernel, table: VirtAddr, index: i64) -> Result<String, KernelError> {
    let at = table.plus(index.unsigned_abs() * 8);
    let text = kernel.space.read_ptr(at);
    let text = text.and_then(|at| kernel.space.read_c_string(at, MAX_NAME));
    text.map_err(|fault| KernelError::Memory {
        what: "the names of the kernel's counters (vmstat_text)",
        fault,
    })
}

/// As [`name`], but what lies there may be anything.
fn name_if_any(kernel: &Kernel, table: VirtAddr, index: i64) -> Option<String> {
    let space = kernel.space.quiet();
    let at = space.read_ptr(table.plus(index.unsigned_abs() * 8)).ok()?;
    space.read_c_string(at, MAX_NAME).ok()
}

impl NamesOf {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The counters at `offset` of a record: as the kernel prints them, from zero up.
    pub(super) fn values(&self, record: &[u8], offset: usize) -> Vec<Counter> {
        let value = |index: usize| {
            let value = u64_at(record, offset + index * 8)
                .unwrap_or(0)
                .cast_signed()
                .max(0);
            let value = value.cast_unsigned();
            match self.huge.contains(&index) {
                true => value / self.per_huge.max(1),
                false => value,
            }
        };
        let all = self.names.iter().enumerate();
        all.map(|(index, name)| Counter {
            name: name.clone(),
            value: value(index),
        })
        .collect()
    }
}

/// Numbers in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Items(Vec<u64>);

impl Items {
    pub(super) fn add(&mut self, more: &[u64]) {
        self.0.resize(self.0.len().max(more.len()), 0);
        for (sum, one) in self.0.iter_mut().zip(more) {
            *sum = sum.wrapping_add(*one);
        }
    }

    pub(super) fn add_to(&self, counters: &mut [Counter]) {
        for (counter, more) in counters.iter_mut().zip(&self.0) {
            counter.value = counter.value.wrapping_add(*more);
        }
    }
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    const TYPES: &str = "enum zone_stat_item 4 {
    NR_FREE_PAGES 0
    NR_VM_ZONE_STAT_ITEMS 1
}
enum numa_stat_item 4 {
    NR_VM_NUMA_EVENT_ITEMS 0
}
enum node_stat_item 4 {
    NR_LRU_BASE 0
    NR_VM_NODE_STAT_ITEMS 1
}
enum vm_event_item 4 {
    PGPGIN 0
    NR_VM_EVENT_ITEMS 1
}";

    /// What follows the names where the kernel counts no events: nothing, or no pointer.
    #[test]
    fn names_end_with_the_limits_without_events() {
        for behind in [0, 17, u64::MAX] {
            let (limits, events) = names(behind, &[]);
            assert_eq!(limits, ["nr_dirty_threshold"], "{behind:#x}");
            assert!(events.is_empty(), "{behind:#x}");
        }
    }

    #[test]
    fn events_follow_the_limits() {
        let (limits, events) = names(0, &["pgpgin"]);
        assert_eq!(limits, ["nr_dirty_threshold"]);
        assert_eq!(events, ["pgpgin"]);
    }

    fn names(behind: u64, events: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut m = Machine::build(Era::V5_10, PagingLevels::Four, &Scenario::standard());
        m.kernel.types.parse(TYPES);
        m.kernel.vmlinux_types.parse(TYPES);
        let table = m.kernel.alloc(64, 8);
        let known = ["nr_free_pages", "nr_inactive_anon", "nr_dirty_threshold"];
        let all = known.iter().chain(events);
        let mut at = table;
        for text in all {
            let text = m.kernel.alloc_string(text);
            m.kernel.write_u64(at, text);
            at += 8;
        }
        m.kernel.write_u64(at, behind);
        let counted = [("vmstat_text", table), ("vm_event_states", table)];
        let symbols = if events.is_empty() {
            &counted[..1]
        } else {
            &counted[..]
        };
        let kernel = synthetic::kernel_with(&m, symbols);
        let names = Names::read(&kernel).expect("names");
        let (limits, events) = names.others(&kernel).expect("others");
        (limits, events.names)
    }
}
