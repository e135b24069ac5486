//! Real dumps against what drgn lists and what the guest itself said.

use std::collections::BTreeMap;

use crate::support::{RealDump, real_dumps, run, slabs_json, small_dumps};

const SUPPORTED: [&str; 5] = ["5.10", "6.1", "6.12", "7.2", "6.12-arm64"];

/// drgn lists every allocated object; what it says holds for every cache, without exception.
pub(crate) fn assert_equals_oracle(dump: &RealDump) {
    let (code, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
    assert_eq!(code, 0, "{}", dump.name);
    assert_eq!(document["complete"], true, "{}", dump.name);
    let caches = document["caches"].as_array().expect("caches");
    let ours: BTreeMap<&str, [u64; 4]> = caches
        .iter()
        .map(|cache| {
            let exact = |key: &str| cache["exact"][key].as_u64().expect("a number");
            let numbers = [
                exact("slabs"),
                exact("objects"),
                exact("allocated") + exact("pending_free"),
                cache["size"].as_u64().expect("a number"),
            ];
            (cache["address"].as_str().expect("an address"), numbers)
        })
        .collect();
    let oracle = dump.oracle();
    let theirs: BTreeMap<&str, [u64; 4]> = oracle["caches"]
        .as_array()
        .expect("caches")
        .iter()
        .map(|cache| {
            let numbers = ["slabs", "objects", "allocated", "size"]
                .map(|key| cache[key].as_u64().expect("a number"));
            (cache["address"].as_str().expect("an address"), numbers)
        })
        .collect();
    assert!(theirs.len() > 50, "{}: the oracle is empty", dump.name);
    assert_eq!(ours, theirs, "{}", dump.name);
}

#[test]
fn every_cache_equals_the_oracle() {
    for dump in real_dumps(&SUPPORTED) {
        assert_equals_oracle(&dump);
    }
}

/// CONFIG_SLUB_TINY has no counters of slabs: drgn knows of objects only.
#[test]
fn every_object_of_slub_tiny_equals_the_oracle() {
    for dump in small_dumps(&["small-6.12-tiny"]) {
        let (code, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
        assert_eq!((code, &document["complete"]), (0, &true.into()));
        let list = |document: &serde_json::Value| -> Vec<serde_json::Value> {
            document["caches"].as_array().expect("caches").clone()
        };
        let oracle = dump.oracle();
        let theirs: BTreeMap<String, Option<u64>> = list(&oracle)
            .iter()
            .map(|cache| (cache["address"].to_string(), cache["allocated"].as_u64()))
            .collect();
        let ours: BTreeMap<String, Option<u64>> = list(&document)
            .iter()
            .map(|cache| {
                let number = |key: &str| cache["exact"][key].as_u64();
                let sum = number("allocated").zip(number("pending_free"));
                (cache["address"].to_string(), sum.map(|(a, b)| a + b))
            })
            .collect();
        assert!(theirs.len() > 50 && theirs.values().all(Option::is_some));
        assert_eq!(ours, theirs);
    }
}

/// What still moved between the capture and the panic, and by how much at most. The guest wrote
/// its captures to a disk and started the panic in between; every other cache stood still.
const DRIFT: [(&str, u64); 11] = [
    // Block I/O of writing the captures. 5.10 merges the bio caches with skbuff_ext_cache.
    ("buffer_head", 512),
    ("bio-192", 256),
    ("bio-216", 256),
    ("biovec-64", 64),
    ("skbuff_ext_cache", 512),
    ("radix_tree_node", 64),
    // Reading files of /proc and /sys, and starting the programs that did it.
    ("vmap_area", 64),
    ("kernfs_iattrs_cache", 64),
    ("memdup_user-256", 64),
    ("vm_area_struct", 64),
    ("anon_vma_chain", 64),
];

/// The same with sheaves (7.0 and later). There an object given back goes into a sheaf and stays
/// active to the counters: 10 full sheaves in a node's barn and two of each CPU fill up first. And
/// one object taken fills a whole sheaf: all counts move by its capacity.
const SHEAF_DRIFT: [(&str, u64); 5] = [
    ("buffer_head", 12 * 60 + 60),
    ("bio-192", 12 * 60),
    ("biovec-max", 4),
    ("kmalloc-256", 32),
    ("kmalloc-512", 32),
];

/// What moved in the emulated guest of another machine: writing its captures.
const ARM64_DRIFT: [(&str, u64); 3] = [("buffer_head", 512), ("bio-192", 256), ("biovec-max", 16)];

fn may_drift(dump: &RealDump, name: &str) -> u64 {
    let table: &[(&str, u64)] = match dump.name.as_str() {
        "debian-7.2" => &SHEAF_DRIFT,
        "debian-6.12-arm64" => &ARM64_DRIFT,
        _ => &DRIFT,
    };
    let known = table.iter().find(|(known, _)| *known == name);
    known.map_or(0, |(_, bound)| *bound)
}

/// Name, the five columns that can't change, and the two counts.
pub(crate) fn rows(slabinfo: &str) -> Vec<(String, [u64; 3], [u64; 2])> {
    slabinfo
        .lines()
        .skip(2)
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |index: usize| fields[index].parse().expect("a number");
            (
                fields[0].to_owned(),
                [number(3), number(4), number(5)],
                [number(1), number(2)],
            )
        })
        .collect()
}

pub(crate) fn assert_slabinfo_as_captured(dump: &RealDump) {
    let captured = dump.captured("slabinfo");
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, printed, _) = run(&[&["slabs", "--format", "slabinfo"], &files[..]].concat());
    assert_eq!(code, 0, "{}", dump.name);

    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (lines(&printed), lines(&captured));
    assert_eq!(ours[..2], theirs[..2], "{}: header", dump.name);
    let same = ours.iter().filter(|line| theirs.contains(line)).count();
    assert!(
        same * 100 >= theirs.len() * 95,
        "{}: only {same} of {} lines equal to the letter",
        dump.name,
        theirs.len()
    );
    let (ours, theirs) = (rows(&printed), rows(&captured));
    let fixed = |rows: &[(String, [u64; 3], [u64; 2])]| {
        rows.iter()
            .map(|(name, sizes, _)| (name.clone(), *sizes))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fixed(&ours),
        fixed(&theirs),
        "{}: names, sizes, order",
        dump.name
    );
    for ((name, _, ours), (_, _, theirs)) in ours.iter().zip(&theirs) {
        for (a, b) in ours.iter().zip(theirs) {
            assert!(
                a.abs_diff(*b) <= may_drift(dump, name),
                "{}: {name}: {a} at the crash, {b} captured",
                dump.name
            );
        }
    }
}

#[test]
fn slabinfo_is_as_the_guest_printed_it() {
    for dump in real_dumps(&SUPPORTED) {
        assert_slabinfo_as_captured(&dump);
    }
}

/// `ls -l /sys/kernel/slab`: each symbolic link that leads to a cache's directory.
pub(crate) fn assert_aliases_as_captured(dump: &RealDump) {
    let captured = dump.captured("slab_aliases");
    let mut by_target: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in captured.lines() {
        if let Some((left, target)) = line.split_once(" -> ") {
            let name = left.split_whitespace().next_back().expect("a name");
            let target = target.trim_start_matches("../slab/");
            by_target.entry(target).or_default().push(name);
        }
    }
    let (_, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
    let mut merged = 0;
    for cache in document["caches"].as_array().expect("caches") {
        let name = cache["name"].as_str().expect("a name");
        let aliases: Vec<&str> = cache["aliases"]
            .as_array()
            .expect("aliases")
            .iter()
            .map(|alias| alias.as_str().expect("a name"))
            .collect();
        let links = by_target.values().find(|names| names.contains(&name));
        let mut others: Vec<&str> = links
            .into_iter()
            .flatten()
            .copied()
            .filter(|other| *other != name)
            .collect();
        others.sort_unstable();
        assert_eq!(aliases, others, "{}: {name}", dump.name);
        merged += usize::from(!aliases.is_empty());
    }
    assert!(merged > 0, "{}: no merged cache", dump.name);
}

#[test]
fn aliases_are_those_of_sysfs() {
    for dump in real_dumps(&SUPPORTED) {
        assert_aliases_as_captured(&dump);
    }
}

/// The kmalloc caches that drgn lists, added up by the size at the end of their names.
#[test]
fn kmalloc_caches_add_up_by_size() {
    for dump in real_dumps(&SUPPORTED) {
        let mut theirs: BTreeMap<String, (u64, Vec<String>)> = BTreeMap::new();
        let oracle = dump.oracle();
        for cache in oracle["caches"].as_array().expect("caches") {
            let name = cache["name"].as_str().expect("a name");
            if name.contains("kmalloc-") {
                let size = name.rsplit('-').next().expect("a size");
                let family = theirs.entry(format!("kmalloc-{size}")).or_default();
                family.0 += cache["allocated"].as_u64().expect("a number");
                family.1.push(name.to_owned());
            }
        }
        let (_, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
        let families = document["families"].as_array().expect("families");
        assert_eq!(families.len(), theirs.len(), "{}", dump.name);
        for family in families {
            let name = family["name"].as_str().expect("a name");
            let exact = |key: &str| family["exact"][key].as_u64().expect("a number");
            let (allocated, members) = &theirs[name];
            let sum = exact("allocated") + exact("pending_free");
            assert_eq!(sum, *allocated, "{}: {name}", dump.name);
            let mut members = members.clone();
            members.sort();
            let caches = family["caches"].as_array().expect("names");
            let mut ours: Vec<&str> = caches.iter().filter_map(|c| c.as_str()).collect();
            ours.sort_unstable();
            assert_eq!(ours, members, "{}: {name}", dump.name);
        }
    }
}

/// Of an undamaged dump there is nothing to warn, whatever is read of it.
#[test]
fn undamaged_dumps_give_no_warning() {
    let common = [
        "info",
        "slabs",
        "leaks",
        "conntrack",
        "nat",
        "meminfo",
        "log",
        "vmalloc",
        "modules",
        "sysctl",
        "memcg",
        "ps",
        "zones",
        "sockets",
        "net",
        "files",
        "dentries",
        "report",
    ];
    let debug = [
        "slabs",
        "leaks",
        "kmemleak",
        "allocinfo",
        "pageowner",
        "memcg",
    ];
    let cases = [
        (real_dumps(&SUPPORTED), &common[..]),
        (
            small_dumps(&["small-6.12-debug", "small-7.2-debug"]),
            &debug[..],
        ),
    ];
    for (dumps, commands) in cases {
        for (dump, command) in dumps
            .iter()
            .flat_map(|d| commands.iter().map(move |c| (d, c)))
        {
            let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
            let (_, text, stderr) = run(&[command, "--format", "json", files[0], files[1]]);
            let document: serde_json::Value = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {command}: {error}: {stderr}", dump.name));
            let warnings = document["warnings"].as_array().expect("warnings");
            // Connections that had run out, held by what that guest still sent: a note.
            let is_held = |warning: &&serde_json::Value| {
                warning["code"] == "conntrack-unlinked" && dump.name == "debian-6.12-arm64"
            };
            let warnings: Vec<_> = warnings.iter().filter(|one| !is_held(one)).collect();
            assert!(
                warnings.is_empty(),
                "{}: {command}: {warnings:?}",
                dump.name
            );
        }
    }
}
