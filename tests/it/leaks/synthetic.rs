//! `leaks` on synthetic kernels of all eras: what the writer lost is found, object by object and
//! area by area, and nothing else.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::leaks::{LeaksTruth, LostOf};
use vmleak_synth::machine::depot::Depot;
use vmleak_synth::write::elf;
use vmleak_synth::{Era, Machine, Options, PagingLevels, Scenario};

use crate::opening::no_vmlinux::document;
use crate::support::run;

/// Tasks that nobody counts: eight are allowed to each of four CPUs.
const UNCOUNTED: u64 = 32;

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file writes");
    path
}

fn addresses(values: &Value) -> Vec<u64> {
    let values = values.as_array().expect("addresses").iter();
    values
        .map(|value| address(value.as_str().expect("text")))
        .collect()
}

fn address(text: &str) -> u64 {
    let digits = text.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("an address")
}

fn assert_cache(got: &Value, want: &LostOf, what: &str) {
    let unreachable = &got["unreachable"];
    let lost = want.objects.len() as u64;
    assert_eq!(unreachable["objects"], lost, "{what}");
    assert_eq!(unreachable["sources"], want.sources, "{what}");
    let mut owners = got["owners"].as_array().expect("owners").iter();
    let module = owners.find(|owner| owner["module"] != "vmlinux");
    let module = module.map(|owner| owner["module"].as_str().expect("a name"));
    assert_eq!(module, want.module, "{what}: {}", got["owners"]);
    assert_ages(unreachable, want, what);
}

/// The times that were written, and no other word.
fn assert_ages(unreachable: &Value, want: &LostOf, what: &str) {
    let ages = unreachable["ages"].as_array().expect("ages").iter();
    let found: Vec<(u64, &str)> = ages
        .clone()
        .map(|field| {
            let unit = field["unit"].as_str().expect("a unit");
            (field["offset"].as_u64().expect("a number"), unit)
        })
        .collect();
    assert_eq!(found, want.times, "{what}");
    for field in ages {
        assert_eq!(field["basis"], "heuristic", "{what}");
        assert_eq!(field["shape"], "steady", "{what}: {field}");
        let oldest = field["oldest_seconds"].as_f64().expect("seconds");
        let youngest = field["youngest_seconds"].as_f64().expect("seconds");
        assert!((835.0..=842.0).contains(&oldest), "{what}: {field}");
        assert!((4.0..=9.0).contains(&youngest), "{what}: {field}");
    }
}

pub(crate) fn assert_truth(document: &Value, truth: &LeaksTruth, page_size: u64, what: &str) {
    assert_eq!(document["complete"], true, "{what}");
    assert_eq!(
        document["trust"]["reliable"], true,
        "{what}: {}",
        document["trust"]
    );
    let caches = document["caches"].as_array().expect("caches");
    assert_eq!(caches.len(), truth.caches.len(), "{what}");
    for got in caches {
        let name = got["name"].as_str().expect("a name");
        assert_cache(got, &truth.caches[name], &format!("{what}: {name}"));
    }
    let coverage = &document["coverage"];
    let free = coverage["free_objects_pointed_to"]
        .as_u64()
        .expect("a count");
    assert!(free >= truth.free_pointed_to, "{what}: {free}");
    let mut counters = document["counters"].as_array().expect("counters").iter();
    let tasks = counters.find(|bound| bound["caches"][0] == "task_struct");
    let limit = &tasks.expect("a counter of tasks")["limit"];
    assert_eq!(*limit, truth.threads + UNCOUNTED, "{what}");
    let areas = &document["vmalloc"];
    assert_eq!(areas["judged"], truth.areas, "{what}");
    assert_eq!(addresses(&areas["areas"]), truth.lost_areas, "{what}");
    assert_eq!(areas["benign"], truth.cached_stacks, "{what}");
    let lost = truth.lost_areas.len() as u64 + truth.cached_stacks;
    assert_eq!(areas["unreachable"], lost, "{what}");
    assert_blocks(document, truth, page_size, what);
}

/// The one that waits in kfree_rcu's batch is not judged.
fn assert_blocks(document: &Value, truth: &LeaksTruth, page_size: u64, what: &str) {
    let blocks = &document["large_kmalloc"];
    let bytes = &document["memory"]["large_kmalloc"]["marked_bytes"];
    if truth.blocks == 0 {
        assert_eq!(blocks["judged"], Value::Null, "{what}");
        assert_eq!(*bytes, Value::Null, "{what}");
        let unchecked = &blocks["verdict"]["not_checked"][0]["code"];
        assert_eq!(unchecked, "blocks-not-marked", "{what}");
        return;
    }
    assert_eq!(blocks["judged"], truth.blocks - 1, "{what}");
    assert_eq!(addresses(&blocks["blocks"]), truth.lost_blocks, "{what}");
    assert_eq!(blocks["unreachable"], truth.lost_blocks.len(), "{what}");
    assert_eq!(blocks["verdict"]["level"], "leak", "{what}: {blocks}");
    let codes = blocks["verdict"]["for"].as_array().expect("reasons").iter();
    let codes: Vec<&Value> = codes.map(|reason| &reason["code"]).collect();
    assert_eq!(codes, ["unreachable", "alike"], "{what}");
    assert_eq!(*bytes, truth.block_pages * page_size, "{what}");
}

/// Synthetic kernels have no table of symbols of their own; nothing else may be missing.
pub(crate) fn assert_warnings(document: &Value, what: &str) {
    let warnings = document["warnings"].as_array().expect("warnings").iter();
    let others = warnings.filter(|warning| warning["code"] != "no-kernel-names");
    let others: Vec<&Value> = others.collect();
    assert!(others.is_empty(), "{what}: {others:?}");
}

/// Each lost object at its address, and no other.
pub(crate) fn assert_addresses(files: [&Path; 2], truth: &LeaksTruth, what: &str) {
    let files = files.map(|path| path.to_str().expect("UTF-8"));
    for (name, want) in &truth.caches {
        let args = ["objects", name, "--unreachable", "--format", "addrs"];
        let (code, stdout, stderr) = run(&[&args[..], &files].concat());
        assert_eq!(code, 0, "{what}: {name}: {stderr}");
        let mut listed: Vec<u64> = stdout.lines().map(address).collect();
        listed.sort_unstable();
        assert_eq!(listed, want.objects, "{what}: {name}");
    }
}

/// A store of stack traces, in some of the shapes that it has had.
fn depot(era: Era) -> Option<Depot> {
    match era {
        Era::V6_1 => Some(Depot::V6_1),
        Era::V6_12 => Some(Depot::V6_9),
        Era::V7_2 => Some(Depot::V7_2),
        _ => None,
    }
}

#[test]
fn what_was_lost_is_found_in_every_era_and_nothing_else() {
    for era in Era::ALLOCATORS {
        for paging in [PagingLevels::Four, PagingLevels::Five] {
            if paging == PagingLevels::Five && !era.has_five_levels() {
                continue;
            }
            let what = format!("{} {paging:?}", era.name());
            let folder = tempfile::tempdir().expect("a temporary directory");
            let options = Options {
                depot: depot(era),
                ..Options::new(era, paging)
            };
            let machine = Machine::with(options, &Scenario::leaks(era));
            let truth = machine.leaks_truth();
            let dump = elf::elf(&machine, elf::Options::default());
            let dump = write(folder.path(), "dump", &dump);
            let dwarf = vmlinux(&machine, VmlinuxOptions::new(5));
            let dwarf = write(folder.path(), "vmlinux", &dwarf);
            let (by_dwarf, _) = document("leaks", &[&dump, &dwarf], &[]);
            assert_truth(&by_dwarf, truth, 4096, &what);
            assert_warnings(&by_dwarf, &what);

            let options = VmlinuxOptions {
                dwarf: false,
                ..VmlinuxOptions::new(5)
            };
            let btf = write(folder.path(), "vmlinux-btf", &vmlinux(&machine, options));
            let (by_btf, from) = document("leaks", &[&dump, &btf], &["--types", "btf"]);
            assert_eq!(from, ["btf", "vmlinux"], "{what}");
            assert!(by_btf == by_dwarf, "{what}: another report");
            if paging == PagingLevels::Four {
                assert_addresses([&dump, &dwarf], truth, &what);
            }
            assert_areas([&dump, &dwarf], truth, &what);
        }
    }
}

/// Each area is listed once, wherever its kernel keeps those that were freed.
pub(crate) fn assert_areas(files: [&Path; 2], truth: &LeaksTruth, what: &str) {
    let files = files.map(|path| path.to_str().expect("UTF-8"));
    let args = [&["vmalloc", "--format", "json"], &files[..]].concat();
    let (code, stdout, stderr) = run(&args);
    // Without names of functions it is not complete.
    assert_eq!(code, 4, "{what}: {stderr}");
    let listed: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_warnings(&listed, what);
    assert_eq!(listed["totals"]["unpurged"], truth.unpurged, "{what}");
    assert_eq!(listed["totals"]["areas"], truth.listed_areas, "{what}");
}
