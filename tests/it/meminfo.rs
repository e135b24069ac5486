//! `meminfo` of real dumps against what their guests said.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run};

const NOWHERE: &str = "--no-default-debug-directories";

/// What still moved between the capture and the panic, by at most so many KiB: the guest went on
/// to copy slabinfo and its captures to a disk, whose pages and buffers came and went, ended the
/// programs that had made them and started the shell that panicked. From 6.12 on a CPU keeps
/// megabytes of free pages on its own list, where MemFree does not count them. All other lines
/// must be equal.
const DRIFT: [(&str, u64); 23] = [
    ("MemFree", 12 << 10),
    ("MemAvailable", 12 << 10),
    ("Buffers", 64),
    ("Cached", 128),
    ("Active", 1024),
    ("Inactive", 1024),
    ("Active(anon)", 1024),
    ("Inactive(anon)", 1024),
    ("Active(file)", 128),
    ("Inactive(file)", 128),
    ("Dirty", 128),
    ("Writeback", 128),
    ("AnonPages", 256),
    ("Mapped", 128),
    ("Shmem", 128),
    ("KReclaimable", 128),
    ("Slab", 256),
    ("SReclaimable", 128),
    ("SUnreclaim", 256),
    ("KernelStack", 32),
    ("PageTables", 128),
    ("Committed_AS", 512),
    ("VmallocUsed", 32),
];

/// The emulated guest of another machine took longer from its capture to the panic: what moved
/// further.
const ARM64_DRIFT: [(&str, u64); 4] = [
    ("MemFree", 20 << 10),
    ("MemAvailable", 20 << 10),
    ("Slab", 512),
    ("Committed_AS", 2048),
];

/// How far a line may be from the captured one.
fn may_drift(dump: &RealDump, label: &str) -> u64 {
    let slower = ARM64_DRIFT
        .iter()
        .filter(|_| dump.name == "debian-6.12-arm64");
    let mut known = slower.chain(&DRIFT);
    known
        .find(|(known, _)| *known == label)
        .map_or(0, |(_, bound)| *bound)
}

fn proc_format(dump: &RealDump, own_types: bool) -> String {
    let vmcore = dump.vmcore.to_str().expect("UTF-8");
    let vmlinux = dump.vmlinux.to_str().expect("UTF-8");
    let second = if own_types { NOWHERE } else { vmlinux };
    let (code, stdout, stderr) = run(&["meminfo", "--format", "proc", vmcore, second]);
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

fn value(line: &str) -> u64 {
    let value = line.split_whitespace().nth(1).expect("a value");
    value.parse().expect("a number")
}

#[test]
fn every_line_is_as_the_guest_printed_it() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let printed = proc_format(&dump, false);
        let captured = dump.captured("meminfo");
        let labels = |text: &str| -> Vec<String> {
            let labels = text.lines().map(|line| line.split(':').next());
            labels
                .map(|label| label.expect("a label").to_owned())
                .collect()
        };
        assert_eq!(labels(&printed), labels(&captured), "{}", dump.name);
        for (ours, theirs) in printed.lines().zip(captured.lines()) {
            let label = theirs.split(':').next().expect("a label");
            let bound = may_drift(&dump, label);
            let (a, b) = (value(ours), value(theirs));
            assert!(
                a.abs_diff(b) <= bound,
                "{}: {label}: {a} at the crash, {b} captured",
                dump.name
            );
            // To the letter: the other number in our line is their line.
            assert_eq!(ours.len(), theirs.len(), "{}: {label}", dump.name);
            if a == b {
                assert_eq!(ours, theirs, "{}", dump.name);
            }
        }
    }
}

/// Free pages come and go, but what MemAvailable makes of them does not: reserves, watermarks
/// and reclaimable memory stand still but for some slab pages.
#[test]
fn available_is_as_far_from_free_as_captured() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let away = |text: &str| {
            let find = |label: &str| text.lines().find(|line| line.starts_with(label));
            let [free, available] = ["MemFree:", "MemAvailable:"]
                .map(|label| value(find(label).expect("the line")).cast_signed());
            free - available
        };
        let (ours, theirs) = (
            away(&proc_format(&dump, false)),
            away(&dump.captured("meminfo")),
        );
        assert!(theirs > 10_000, "{}: {theirs}", dump.name);
        assert!(
            ours.abs_diff(theirs) <= 128,
            "{}: {ours}, {theirs}",
            dump.name
        );
    }
}

#[test]
fn without_a_vmlinux_it_is_the_same() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        assert_eq!(
            proc_format(&dump, false),
            proc_format(&dump, true),
            "{}",
            dump.name
        );
    }
}

fn document(dump: &RealDump, more: &[&str]) -> Value {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) =
        run(&[&["meminfo", "--format", "json"], &files[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    serde_json::from_str(&stdout).expect("JSON")
}

/// /proc/vmstat folds the CPUs' differences before it prints, meminfo does not: only with
/// `--precise` do they agree.
#[test]
fn precise_counts_are_those_of_vmstat() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let vmstat = dump.captured("vmstat");
        let vmstat: BTreeMap<&str, u64> = vmstat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, value)| (name, value.trim().parse().expect("a number")))
            .collect();
        let document = document(&dump, &["--precise"]);
        let counter = |name: &str| document["counters"][name].as_u64().expect("a number");
        // What is mapped is the one program of the guest, which ran through to the end.
        assert_eq!(counter("mapped"), vmstat["nr_mapped"], "{}", dump.name);
        let anon = counter("anon").abs_diff(vmstat["nr_anon_pages"]);
        let bound = if dump.name == "debian-6.12-arm64" {
            16
        } else {
            8
        };
        assert!(anon <= bound, "{}: anon differs by {anon}", dump.name);
        // A stack has 16 KiB, and shared memory is part of the page cache.
        assert_eq!(counter("kernel_stack_kb") % 16, 0, "{}", dump.name);
        assert!(counter("file") >= counter("shmem"), "{}", dump.name);
    }
}

#[test]
fn the_parts_add_up() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let document = document(&dump, &["--precise"]);
        let accounting = &document["accounting"];
        let parts = accounting["parts"].as_array().expect("parts");
        let sum: u64 = parts.iter().filter_map(|part| part["bytes"].as_u64()).sum();
        let total = accounting["total_bytes"].as_u64().expect("a number");
        let rest = accounting["unexplained_bytes"].as_i64().expect("a number");
        assert_eq!(
            sum.cast_signed() + rest,
            total.cast_signed(),
            "{}",
            dump.name
        );
        // The guests do nothing that takes pages without a counter, but for what drivers hold.
        assert!(
            (0..total.cast_signed() / 20).contains(&rest),
            "{}: {rest} of {total} unexplained",
            dump.name
        );
    }
}

/// The node's structure in a page whose descriptor says nothing (makedumpfile: `page_desc`, one
/// for each bit of the second bitmap).
#[test]
fn a_node_that_the_dump_lacks_is_said() {
    for dump in real_dumps(&["6.1"]) {
        let (kernel, _) = crate::modules::open(&dump);
        let nodes = kernel.symbol("node_data").expect("a kernel with NUMA");
        let node = kernel.space.read_ptr(nodes).expect("the first node");
        let mapping = kernel.space.translate(node).expect("it is mapped");
        let pfn = (mapping.phys.0 >> 12) as usize;
        let mut bytes = std::fs::read(&dump.vmcore).expect("the dump reads");
        let number = |at: usize| {
            let field = bytes[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(field) as usize
        };
        // include/linux/kdump: block_size, sub_hdr_size, bitmap_blocks of disk_dump_header.
        let [block, sub_header, bitmaps] = [428, 432, 436].map(number);
        let second = (1 + sub_header + bitmaps / 2) * block;
        let set = |pfn: usize| bytes[second + pfn / 8] >> (pfn % 8) & 1 == 1;
        assert!(set(pfn), "the page is in the dump");
        let index = (0..pfn).filter(|pfn| set(*pfn)).count();
        let descriptor = (1 + sub_header + bitmaps) * block + index * 24;
        bytes[descriptor..descriptor + 24].fill(0);
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("vmcore");
        std::fs::write(&path, bytes).expect("a file writes");
        let files = [&path, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (code, _, stderr) = run(&["meminfo", files[0], files[1]]);
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("a NUMA node"), "{stderr}");
    }
}
