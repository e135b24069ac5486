//! What `leaks` and `meminfo` say of memory outside of the caches, of counters and of ages, on
//! real dumps: held to drgn, and to what the guests did.

use serde_json::Value;

use crate::leaks::real::leaks;
use crate::support::{real_dumps, run};

const PAGE: u64 = 4096;

/// By drgn: pages of large kmalloc (the node's two counters of slabs with what the CPUs had not
/// handed over, less the pages of all slabs; on 7.2 the pages of that type too), the blocks of
/// that type, and pages of per-CPU chunks after the first that the page tables map.
const BY_DRGN: [(&str, u64, Option<u64>, u64); 4] = [
    ("5.10", 196, None, 20),
    ("6.1", 384, None, 12),
    ("6.12", 384, None, 12),
    ("7.2", 544, Some(37), 12),
];

fn part(parts: &Value, code: &str) -> u64 {
    let mut parts = parts.as_array().expect("parts").iter();
    let found = parts.find(|part| part["code"] == code);
    let found = found.unwrap_or_else(|| panic!("no part {code}"));
    found["bytes"].as_u64().expect("bytes")
}

fn sum(parts: &Value) -> u64 {
    let parts = parts.as_array().expect("parts").iter();
    parts
        .map(|part| part["bytes"].as_u64().expect("bytes"))
        .sum()
}

#[test]
fn large_kmalloc_and_percpu_are_as_drgn_counts_them() {
    for (name, large, blocks, percpu) in BY_DRGN {
        for dump in real_dumps(&[name]) {
            let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
            assert_eq!(code, 0, "{name}");
            let memory = &document["memory"];
            assert_eq!(
                part(&memory["parts"], "large_kmalloc"),
                large * PAGE,
                "{name}"
            );
            assert_eq!(part(&memory["parts"], "percpu"), percpu * PAGE, "{name}");
            let found = &memory["large_kmalloc"];
            assert_eq!(found["counted_bytes"], large * PAGE, "{name}: {found}");
            assert_eq!(found["note"], Value::Null, "{name}");
            // Some pages of the image are given back after the kernel has counted.
            let total = document["totals"]["memory_bytes"]
                .as_u64()
                .expect("a total");
            let parts = sum(&memory["parts"]);
            assert!(
                parts.abs_diff(total) <= 8 * PAGE,
                "{name}: {parts} of {total}"
            );
            let judged = &document["large_kmalloc"];
            assert_eq!(judged["judged"], Value::from(blocks), "{name}");
            assert_eq!(
                judged["unreachable"],
                Value::from(blocks.map(|_| 0)),
                "{name}"
            );
            assert_eq!(judged["verdict"]["level"], "clean", "{name}");

            let (_, meminfo) = meminfo(dump.vmcore.to_str().expect("UTF-8"));
            let parts = &meminfo["accounting"]["parts"];
            assert_eq!(part(parts, "large_kmalloc"), large * PAGE, "{name}");
            let slab = ["slab_unreclaimable", "slab_reclaimable", "large_kmalloc"];
            let slab: u64 = slab.iter().map(|code| part(parts, code)).sum();
            let lines = meminfo["meminfo"].as_array().expect("lines").iter();
            let line = lines.clone().find(|line| line["name"] == "Slab");
            assert_eq!(line.expect("Slab")["value"], slab / 1024, "{name}");
        }
    }
}

fn meminfo(vmcore: &str) -> (i32, Value) {
    let (code, stdout, stderr) = run(&["meminfo", "--format", "json", vmcore]);
    let document = serde_json::from_str(&stdout);
    (
        code,
        document.unwrap_or_else(|error| panic!("{error}: {stderr}")),
    )
}

#[test]
fn no_block_is_lost_where_none_was() {
    for dump in real_dumps(&["7.2-none", "7.2-busy", "7.2-slow"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let blocks = &document["large_kmalloc"];
        assert!(
            blocks["judged"].as_u64() > Some(20),
            "{}: {blocks}",
            dump.name
        );
        assert_eq!(blocks["unreachable"], 0, "{}: {blocks}", dump.name);
    }
}

fn bound<'d>(document: &'d Value, cache: &str) -> &'d Value {
    let mut bounds = document["counters"].as_array().expect("counters").iter();
    let found = bounds.find(|bound| bound["caches"][0] == cache);
    found.unwrap_or_else(|| panic!("no counter of {cache}"))
}

/// By drgn, over the mounts of all file systems: those with a namespace, and the objects.
#[test]
fn mounts_connections_and_cgroups_are_bounded() {
    for (name, attached, objects) in [("6.1", 77, 86), ("6.12", 79, 88), ("6.1-busy", 112, 121)] {
        for dump in real_dumps(&[name]) {
            let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
            let mounts = bound(&document, "mnt_cache");
            assert_eq!(mounts["objects"], objects, "{name}: {mounts}");
            assert_eq!(mounts["limit"], attached, "{name}: {mounts}");
            assert_eq!(mounts["strict"], true, "{name}");
            let table = bound(&document, "nf_conntrack");
            assert_eq!(table["limit"], table["objects"], "{name}: {table}");
        }
    }
    for dump in real_dumps(&["6.1-busy"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let memcgs = &document["memcgs"];
        assert_eq!(
            (&memcgs["online"], &memcgs["dying"]),
            (&7.into(), &12.into())
        );
        // Too few to be a finding.
        assert_eq!(document["findings"], Value::Array(Vec::new()));
    }
    for dump in real_dumps(&["6.1-conntrack"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let table = bound(&document, "nf_conntrack");
        let count = |key: &str| table[key].as_u64().expect("a count");
        // The guest took 600 off the table and kept a reference.
        assert_eq!(count("objects") - count("limit"), 600, "{table}");
        let caches = document["caches"].as_array().expect("caches").iter();
        let cache = caches.clone().find(|cache| cache["name"] == "nf_conntrack");
        let reasons = &cache.expect("the cache")["verdict"]["for"];
        let codes = reasons.as_array().expect("reasons").iter();
        let codes: Vec<&Value> = codes.map(|reason| &reason["code"]).collect();
        assert!(codes.contains(&&"beyond-counter".into()), "{codes:?}");
    }
}

fn ages<'d>(document: &'d Value, cache: &str) -> &'d [Value] {
    let mut caches = document["caches"].as_array().expect("caches").iter();
    let found = caches.find(|of| of["name"] == cache).expect("the cache");
    let ages = found["unreachable"]["ages"].as_array();
    ages.expect("ages")
}

#[test]
fn lost_objects_tell_when_they_were_made() {
    // drip.c: `born`, in jiffies, is the first word; one is lost at a time.
    for (name, cache) in [("6.1-slow", "kmalloc-192"), ("7.2-slow", "kmalloc-192")] {
        for dump in real_dumps(&[name]) {
            let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
            let [born] = ages(&document, cache) else {
                panic!("{name}: {:?}", ages(&document, cache));
            };
            assert_eq!(born["offset"], 0, "{name}");
            assert_eq!(born["unit"], "jiffies", "{name}");
            assert_eq!(born["objects"], 300, "{name}");
            assert_eq!(born["shape"], "steady", "{name}: {born}");
            assert_eq!(born["basis"], "heuristic", "{name}");
        }
    }
    // nf_conn's extension of time stamps (net.netfilter.nf_conntrack_timestamp): when it was made,
    // and when it was given up; by then the guest had taken them off the table in one go.
    for dump in real_dumps(&["6.1-conntrack"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let found = ages(&document, "kmalloc-128");
        let [start, stop] = found else {
            panic!("{found:?}");
        };
        for field in [start, stop] {
            assert_eq!(
                (&field["unit"], &field["objects"]),
                (&"epoch_ns".into(), &600.into())
            );
        }
        assert_eq!(stop["shape"], "burst", "{stop}");
        let offset = |field: &Value| field["offset"].as_u64().expect("a number");
        assert_eq!(offset(stop), offset(start) + 8);
        let oldest = |field: &Value| field["oldest_seconds"].as_f64().expect("seconds");
        assert!(oldest(start) > oldest(stop), "{start} {stop}");
    }
}

/// The lost buffers are text, and the lost sessions were made within a tick or two.
#[test]
fn no_age_is_made_up() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        for cache in document["caches"].as_array().expect("caches") {
            let ages = &cache["unreachable"]["ages"];
            let none = Value::Array(Vec::new());
            assert_eq!(*ages, none, "{}: {}", dump.name, cache["name"]);
        }
    }
}
