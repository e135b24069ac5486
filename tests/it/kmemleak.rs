//! `kmemleak` against the file that the guest printed.

use std::collections::BTreeMap;

use crate::support::{RealDump, json, number, printed, small_dumps, small_variant};

/// The guest had it scan and read the file just before: nothing moved. Kernels from 6.8 on print
/// no ages.
#[test]
fn kmemleak_lists_what_the_kernel_listed() {
    for dump in small_dumps(&["small-6.12-debug", "small-7.2-debug"]) {
        let printed = printed(&dump, "kmemleak", &["--format", "proc"]);
        let captured = dump.captured("kmemleak");
        assert!(captured.lines().count() > 10_000, "{}", dump.name);
        let pairs = printed.lines().zip(captured.lines());
        for (at, (ours, theirs)) in pairs.enumerate() {
            assert_eq!(ours, theirs, "{}: line {}", dump.name, at + 1);
        }
        assert_eq!(printed.len(), captured.len(), "{}", dump.name);
    }
}

/// `…, jiffies 4294895030 (age 19.676s)` without the age, and the age in milliseconds.
fn without_age(line: &str) -> (&str, Option<u64>) {
    let Some((rest, age)) = line.split_once(" (age ") else {
        return (line, None);
    };
    let age = age.trim_end_matches("s)").replace('.', "");
    (rest, Some(age.parse().expect("an age")))
}

/// Older kernels print ages, which grow until the crash: by less from line to line, as printing
/// took its time.
#[test]
fn kmemleak_lists_what_an_older_kernel_listed() {
    let Some(dump) = small_variant("small-5.10-debug") else {
        return;
    };
    let printed = printed(&dump, "kmemleak", &["--format", "proc"]);
    let captured = dump.captured("kmemleak");
    assert!(captured.lines().count() > 10_000);
    assert_eq!(printed.lines().count(), captured.lines().count());
    let mut grown = Vec::new();
    for (at, (ours, theirs)) in printed.lines().zip(captured.lines()).enumerate() {
        let (ours, theirs) = (without_age(ours), without_age(theirs));
        assert_eq!(ours.0, theirs.0, "line {}", at + 1);
        assert_eq!(ours.1.is_some(), theirs.1.is_some(), "line {}", at + 1);
        grown.extend(ours.1.zip(theirs.1).map(|(ours, theirs)| ours - theirs));
    }
    assert!(grown.len() > 800, "{}", grown.len());
    assert!(grown.iter().all(|by| (1..15_000).contains(by)), "{grown:?}");
    assert!(grown.is_sorted_by(|one, next| one >= next), "{grown:?}");
}

#[test]
fn kmemleak_sums_up_what_it_lists() {
    for dump in small_dumps(&["small-5.10-debug", "small-6.12-debug", "small-7.2-debug"]) {
        assert_sums(&dump);
    }
}

fn assert_sums(dump: &RealDump) {
    let captured = dump.captured("kmemleak");
    let heads = captured.lines().filter_map(|line| {
        let rest = line.strip_prefix("unreferenced object ")?;
        let (address, size) = rest.split_once(" (size ")?;
        Some((address, size.trim_end_matches("):").parse::<u64>().ok()?))
    });
    let heads: Vec<(&str, u64)> = heads.collect();
    let document = json(&printed(dump, "kmemleak", &["--format", "json"]));
    let totals = &document["totals"];
    assert_eq!(number(&totals["objects"]), heads.len() as u64);
    let bytes: u64 = heads.iter().map(|(_, size)| size).sum();
    assert_eq!(number(&totals["bytes"]), bytes);
    let listed = document["unreferenced"].as_array().expect("objects");
    let stacks = document["stacks"].as_array().expect("stacks");
    let mut by_stack: BTreeMap<u64, u64> = BTreeMap::new();
    for (object, (address, size)) in listed.iter().zip(&heads) {
        assert_eq!(
            (&object["address"], number(&object["size"])),
            (&(*address).into(), *size)
        );
        *by_stack.entry(number(&object["stack"])).or_default() += size;
    }
    for (place, bytes) in by_stack {
        assert_eq!(number(&stacks[place as usize]["bytes"]), bytes);
    }
    let state = &document["state"];
    assert_eq!(state["enabled"], true);
    assert_eq!(state["stopped_by_error"], false);
    // SECS_SCAN_WAIT and MSECS_MIN_AGE of mm/kmemleak.c.
    assert_eq!(state["scan_interval_seconds"], 600.0);
    assert_eq!(state["min_age_seconds"], 5.0);
    // The guest ran it a moment before the crash.
    let age = state["last_scan_age_seconds"].as_f64().expect("it scanned");
    assert!((0.0..15.0).contains(&age), "{age}");
    for object in listed {
        let object_age = object["age_seconds"].as_f64().expect("a clock");
        assert!(object_age >= age + 5.0, "{object}");
    }
    assert!(number(&document["tracked"]["objects"]) > 10_000);
}
