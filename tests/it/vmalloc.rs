//! `vmalloc` of real dumps against /proc/vmallocinfo of their guests, and against the counter of
//! vmalloc's pages.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run};

const ALL: [&str; 5] = ["5.10", "6.1", "6.12", "7.2", "6.12-arm64"];
const NOWHERE: &str = "--no-default-debug-directories";

fn vmleak(dump: &RealDump, command: &str, more: &[&str]) -> String {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) = run(&[&[command], &files[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

fn is_unpurged(line: &str) -> bool {
    line.ends_with(" unpurged vm_area")
}

/// Every line with its (hashed) addresses, caller, offset and size, module, pages, nodes. Only
/// stacks of tasks that ended or began since differ: some four a shell and what it runs.
#[test]
fn areas_are_as_the_guest_printed_them() {
    for dump in real_dumps(&ALL) {
        let printed = vmleak(&dump, "vmalloc", &["--format", "proc"]);
        let captured = dump.captured("vmallocinfo");
        let ours: Vec<&str> = printed.lines().filter(|line| !is_unpurged(line)).collect();
        let theirs: Vec<&str> = captured.lines().filter(|line| !is_unpurged(line)).collect();
        assert!(theirs.len() > 100, "{}", dump.name);
        let others = |from: &[&str], other: &[&str]| {
            let other: BTreeSet<&str> = other.iter().copied().collect();
            let lone = from.iter().filter(|line| !other.contains(*line));
            let lone: Vec<&str> = lone.copied().collect();
            for line in &lone {
                let stack =
                    line.contains(" kernel_clone+") && line.ends_with(" pages=4 vmalloc N0=4");
                assert!(stack, "{}: {line}", dump.name);
            }
            lone.len()
        };
        let (new, gone) = (others(&ours, &theirs), others(&theirs, &ours));
        assert!(
            new <= 6 && gone <= 6,
            "{}: {new} new, {gone} gone",
            dump.name
        );
        // What both have stands in one order.
        let common = |from: &[&str], other: &[&str]| {
            let other: BTreeSet<&str> = other.iter().copied().collect();
            let both = from.iter().filter(|line| other.contains(*line));
            both.map(|line| (*line).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            common(&ours, &theirs),
            common(&theirs, &ours),
            "{}",
            dump.name
        );
        // Nothing purged them since: a thousand stacks more only wait for it.
        let ours: BTreeSet<&str> = printed.lines().filter(|line| is_unpurged(line)).collect();
        let mut waiting = captured.lines().filter(|line| is_unpurged(line));
        assert!(waiting.clone().count() > 0, "{}", dump.name);
        assert!(waiting.all(|line| ours.contains(line)), "{}", dump.name);
    }
}

/// The counter of vmalloc's pages and the areas are two routes to one number.
#[test]
fn pages_are_those_of_the_counter() {
    for dump in real_dumps(&ALL) {
        let json = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
        let areas = json(vmleak(&dump, "vmalloc", &["--format", "json"]));
        let meminfo = json(vmleak(&dump, "meminfo", &["--format", "json", "--precise"]));
        let areas = areas["areas"].as_array().expect("areas").clone();
        let is_vmalloc = |area: &&Value| {
            let flags = area["flags"].as_array().expect("flags");
            flags.iter().any(|flag| flag == "vmalloc")
        };
        let pages = areas
            .iter()
            .filter(is_vmalloc)
            .map(|area| area["pages"].as_u64());
        let pages: u64 = pages.map(|pages| pages.expect("a number")).sum();
        assert_eq!(meminfo["counters"]["vmalloc_used"], pages, "{}", dump.name);
    }
}

#[test]
fn without_a_vmlinux_they_are_the_same() {
    for dump in real_dumps(&ALL) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        for command in ["vmalloc", "modules"] {
            let (code, own, stderr) = run(&[command, "--format", "proc", vmcore, NOWHERE]);
            assert_eq!(code, 0, "{}: {stderr}", dump.name);
            let with = vmleak(&dump, command, &["--format", "proc"]);
            assert!(own == with, "{}: {command}", dump.name);
        }
    }
}

#[test]
fn modules_are_as_the_guest_printed_them() {
    for dump in real_dumps(&ALL) {
        let printed = vmleak(&dump, "modules", &["--format", "proc"]);
        assert_eq!(printed, dump.captured("modules"), "{}", dump.name);
    }
}

#[test]
fn real_addresses_are_those_of_the_document() {
    for dump in real_dumps(&["6.12"]) {
        let lines = vmleak(&dump, "vmalloc", &["--format", "proc", "--real-addresses"]);
        let document = vmleak(&dump, "vmalloc", &["--format", "json"]);
        let document: Value = serde_json::from_str(&document).expect("JSON");
        let areas = document["areas"].as_array().expect("areas");
        assert_eq!(lines.lines().count(), areas.len());
        for (line, area) in lines.lines().zip(areas) {
            let range = line.split(' ').next().expect("a range");
            let (start, end) = range.split_once('-').expect("two addresses");
            assert_eq!((&area["start"], &area["end"]), (&start.into(), &end.into()));
            // 4 levels: vmalloc and modules, above the direct map.
            assert!(start > "0xffff888000000000", "{line}");
        }
    }
}
