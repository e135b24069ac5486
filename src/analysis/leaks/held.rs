//! What something holds, and should not have to: objects behind a grace period of RCU that does not
//! end, removed names and inodes that nobody has open, elements of a BPF map that only grows.
//!
//! All of it can be reached, so that no search finds it: each has its own bound.

use super::super::accounting::{Level, SlabTotals, share};
use super::super::finding::Finding;
use crate::addr::VirtAddr;
use crate::graph::Removed;
use crate::subsys::bpf::MapFacts;
use crate::subsys::mm::slab::CacheFacts;
use crate::subsys::rcu::GracePeriod;
use crate::subsys::system::RunningTask;

/// What waits for RCU is worth a word from so much on.
const WAITING_OBJECTS: u64 = 1000;
const WAITING_BYTES: u64 = 1 << 20;
/// A grace period takes some ticks on an idle machine and some hundred on a busy one. The kernel
/// itself complains after 21 or 60 s (CONFIG_RCU_CPU_STALL_TIMEOUT).
const LONG: f64 = 10.0;
/// So long, it tells something only beside so large a share of the unreclaimable slab.
const LONG_FOR_MUCH: f64 = 1.0;
const MUCH: f64 = 0.1;
/// Removed names and inodes beyond what may be open.
const REMOVED: u64 = 1000;
/// Elements of a map that are many.
pub const ELEMENTS: u64 = 10_000;

/// What is held.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The grace period that had not ended.
    pub grace_period: Option<GracePeriod>,
    /// Files that are open, each of which may have a removed name (`nr_files`), and two directories
    /// of each task; `None` where that can't be told.
    pub open: Option<u64>,
    /// BPF maps; empty where there are none, or they can't be read.
    pub maps: Vec<MapFacts>,
}

/// All findings.
pub fn findings(
    held: &Held,
    caches: &[CacheFacts],
    removed: &[Removed],
    totals: &SlabTotals,
) -> Vec<Finding> {
    let waiting = held.grace_period.iter();
    let waiting = waiting.flat_map(|period| waiting_for(period, caches, totals));
    let of = |at: VirtAddr| caches.iter().find(|cache| cache.address == at);
    let removed = removed.iter().filter_map(|removed| {
        let cache = of(removed.cache)?;
        still_in_use(removed, cache, held.open)
    });
    let maps = held.maps.iter().filter_map(|map| grown(map, totals));
    waiting.chain(removed).chain(maps).collect()
}

/// Caches whose freed objects wait for a grace period that does not end.
fn waiting_for<'a>(
    period: &'a GracePeriod,
    caches: &'a [CacheFacts],
    totals: &'a SlabTotals,
) -> impl Iterator<Item = Finding> + 'a {
    caches.iter().filter_map(move |cache| {
        let objects = cache.exact.pending_free;
        let bytes = objects.saturating_mul(u64::from(cache.size));
        let much = share(bytes, totals.unreclaimable_bytes) >= MUCH;
        let long = period.seconds >= LONG || much && period.seconds >= LONG_FOR_MUCH;
        let many = objects >= WAITING_OBJECTS && bytes >= WAITING_BYTES;
        (many && long && cache.exact.complete).then(|| {
            let text = format!(
                "{objects} freed objects wait for a grace period of RCU that has run for {:.1} s{}",
                period.seconds,
                waits_for(period)
            );
            Finding {
                cache: Some(cache.name.clone()),
                bytes,
                objects: Some(objects),
                ..Finding::new("waits-for-rcu", Level::Suspect, &cache.name, text)
                    .on_its_message("accounting")
                    .check_with(&["crash> p rcu_state.gp_seq", "crash> bt -a", "vmleak log"])
            }
        })
    })
}

/// Whom a grace period waits for: `, for incident_reader (pid 79) on CPU 1`.
fn waits_for(period: &GracePeriod) -> String {
    let name = |task: &RunningTask| {
        let place = match task.cpu {
            Some(cpu) => format!(" on CPU {cpu}"),
            None => ", which does not run".to_owned(),
        };
        match task.pid {
            0 => format!("what CPU {} did", task.cpu.unwrap_or(0)),
            pid => format!("{} (pid {pid}){place}", task.comm),
        }
    };
    // Who was preempted in the middle says more than what came to run in his place.
    let tasks = match period.preempted.is_empty() {
        false => &period.preempted,
        true => &period.running,
    };
    match tasks.as_slice() {
        [] => String::new(),
        [first] => format!(", for {}", name(first)),
        [first, others @ ..] => format!(", for {} and {} more", name(first), others.len()),
    }
}

/// Removed names or inodes that cannot all be open.
fn still_in_use(removed: &Removed, cache: &CacheFacts, open: Option<u64>) -> Option<Finding> {
    let objects = removed.objects;
    // An inode without a name can't be open: a file has both.
    let (beyond, text) = match removed.names {
        true => {
            let open = open?;
            let text = format!(
                "{objects} removed names are in use, and at most {open} files and directories are open: references that were never put"
            );
            (objects.saturating_sub(open), text)
        }
        false => {
            let text = format!(
                "{objects} inodes without a link or a name are in use: references that were never put"
            );
            (objects, text)
        }
    };
    if beyond < REMOVED {
        return None;
    }
    let whatis = format!("vmleak whatis {} --path", removed.example);
    Some(Finding {
        cache: Some(cache.name.clone()),
        bytes: objects.saturating_mul(u64::from(cache.size)),
        objects: Some(objects),
        ..Finding::new("removed-in-use", Level::Suspect, &cache.name, text)
            .on_its_message("accounting")
            .check_with(&["vmleak dentries", &whatis])
    })
}

/// A map whose elements, made one by one, are much of the slab.
fn grown(map: &MapFacts, totals: &SlabTotals) -> Option<Finding> {
    let (elements, bytes) = (map.elements?, map.element_bytes?);
    let much = share(bytes, totals.unreclaimable_bytes) >= MUCH;
    if elements < ELEMENTS || !much {
        return None;
    }
    let whose = match &map.open_by {
        Some(holder) => format!(" of {} (pid {})", holder.comm, holder.pid),
        None => String::new(),
    };
    let text = format!(
        "BPF map {:?} ({}, id {}){whose} has {elements} elements, and room for {}",
        map.name, map.kind, map.id, map.max_entries
    );
    let subject = format!("BPF map {}", map.name);
    Some(Finding {
        bytes,
        objects: Some(elements),
        ..Finding::new("map-grown", Level::Suspect, &subject, text)
            .on_its_message("accounting")
            .check_with(&["vmleak bpf"])
    })
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::cache;
    use super::*;

    /// Of an unreclaimable slab of 11 MiB.
    fn totals() -> SlabTotals {
        SlabTotals {
            unreclaimable_bytes: 11 << 20,
            ..SlabTotals::of(&[], Some(1 << 30))
        }
    }

    fn codes(held: &Held, cache: &CacheFacts, removed: &[Removed]) -> Vec<&'static str> {
        let caches = std::slice::from_ref(cache);
        let found = findings(held, caches, removed, &totals());
        assert!(found.iter().all(|one| one.level == Level::Suspect));
        found.iter().map(|one| one.code).collect()
    }

    #[test]
    fn freed_objects_are_a_finding_behind_a_grace_period_that_is_long() {
        let of = |pending: u64, size: u32, seconds: f64| {
            let mut cache = cache("kmalloc-64", 0);
            cache.size = size;
            cache.exact.pending_free = pending;
            let held = Held {
                grace_period: Some(GracePeriod {
                    seconds,
                    ..GracePeriod::default()
                }),
                ..Held::default()
            };
            codes(&held, &cache, &[])
        };
        // 1.28 MB, more than a tenth of the slab.
        assert_eq!(of(20_000, 64, 1.0), ["waits-for-rcu"]);
        assert!(of(20_000, 64, 0.9).is_empty());
        // 1.05 MB, a little less than a tenth.
        assert!(of(16_384, 64, 9.9).is_empty());
        assert_eq!(of(16_384, 64, 10.0), ["waits-for-rcu"]);
        assert!(of(16_383, 64, 99.0).is_empty(), "less than 1 MiB");
        assert!(of(999, 4096, 99.0).is_empty());
    }

    #[test]
    fn who_was_preempted_is_named_before_what_runs() {
        let task = |pid, comm: &str, cpu| RunningTask {
            pid,
            comm: comm.to_owned(),
            cpu,
        };
        let mut period = GracePeriod {
            running: vec![task(79, "reader", Some(1)), task(0, "swapper/2", Some(2))],
            ..GracePeriod::default()
        };
        assert_eq!(
            waits_for(&period),
            ", for reader (pid 79) on CPU 1 and 1 more"
        );
        period.running.remove(0);
        assert_eq!(waits_for(&period), ", for what CPU 2 did");
        period.preempted.push(task(80, "put_off", None));
        assert_eq!(
            waits_for(&period),
            ", for put_off (pid 80), which does not run"
        );
        assert_eq!(waits_for(&GracePeriod::default()), "");
    }

    #[test]
    fn removed_names_are_a_finding_beyond_what_may_be_open_and_inodes_by_themselves() {
        let cache = cache("dentry", 5000);
        let of = |objects, names, open| {
            let removed = Removed {
                cache: cache.address,
                objects,
                example: VirtAddr(64),
                names,
            };
            let held = Held {
                open,
                ..Held::default()
            };
            codes(&held, &cache, &[removed])
        };
        assert_eq!(of(1300, true, Some(300)), ["removed-in-use"]);
        assert!(of(1299, true, Some(300)).is_empty());
        assert!(
            of(1300, true, None).is_empty(),
            "how many are open is unknown"
        );
        assert_eq!(of(1000, false, None), ["removed-in-use"]);
        assert!(of(999, false, Some(0)).is_empty());
    }
}
