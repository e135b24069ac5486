//! `zones` against what the guests printed some seconds before they died.

use crate::support::{json, number, printed, real_dumps};

/// What does not change while a machine runs as these guests did.
const FIXED: [&str; 11] = [
    "boost",
    "min",
    "low",
    "promo",
    "spanned",
    "present",
    "managed",
    "cma",
    "start_pfn",
    "batch",
    "high_min",
];

/// Every line of the capture in its order: labels to the letter, and the numbers that can't have
/// moved.
#[test]
fn zoneinfo_is_what_the_kernel_printed() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let ours = printed(&dump, "zones", &["--format", "zoneinfo"]);
        let theirs = dump.captured("zoneinfo");
        let shape = |line: &str| {
            let digits = |c: char| c.is_ascii_digit();
            let text = line.trim_end_matches(digits);
            (
                text.trim_end().to_owned(),
                line.trim().split([':', ' ']).next().map(str::to_owned),
            )
        };
        let mut fixed = 0;
        for (number, (one, other)) in ours.lines().zip(theirs.lines()).enumerate() {
            let ((text, label), (wanted, _)) = (shape(one), shape(other));
            let what = format!("{} line {}: {one:?} for {other:?}", dump.name, number + 1);
            assert_eq!(text, wanted, "{what}");
            let is_fixed = label.is_some_and(|label| FIXED.contains(&label.as_str()))
                || one.contains("protection")
                || one.contains("threshold")
                || one.starts_with("Node");
            if is_fixed {
                assert_eq!(one, other, "{what}");
                fixed += 1;
            }
        }
        assert_eq!(
            ours.lines().count(),
            theirs.lines().count(),
            "{}",
            dump.name
        );
        assert!(fixed > 30, "{}: {fixed}", dump.name);
    }
}

/// include/linux/mmzone.h: the counter of free pages is what lies in the free areas.
#[test]
fn free_blocks_make_up_the_free_pages() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = json(&printed(&dump, "zones", &["--format", "json"]));
        let buddyinfo = printed(&dump, "zones", &["--format", "buddyinfo"]);
        let mut rows = buddyinfo.lines();
        let nodes = document["nodes"].as_array().expect("nodes").iter();
        let zones = nodes.flat_map(|node| node["zones"].as_array().expect("zones"));
        for zone in zones.filter(|zone| zone["present"] != 0) {
            let row = rows.next().expect("a row of buddyinfo");
            let counts = row
                .split_whitespace()
                .skip(4)
                .map(|count| count.parse::<u64>());
            let pages: u64 = (0..)
                .zip(counts)
                .map(|(order, count)| count.expect(row) << order)
                .sum();
            // CPUs keep small differences of the counter for themselves.
            assert!(
                pages.abs_diff(number(&zone["free"])) < 512,
                "{}: {row}",
                dump.name
            );
        }
        assert_eq!(rows.next(), None, "{}", dump.name);
    }
}

/// What drgn adds up over all possible CPUs: `per_cpu_zonestat.vm_numa_event` with that of the zone,
/// and `per_cpu_pages.count`. On arm64 the CPU that panics has stopped the other.
#[test]
fn what_cpus_keep_is_added_up() {
    const KEPT: [(&str, &str, [u64; 6], u64); 3] = [
        ("6.1", "DMA32", [195_736, 0, 0, 606, 195_736, 0], 6_012),
        ("7.2", "DMA32", [542_582, 0, 0, 64, 542_582, 0], 9_161),
        ("6.12-arm64", "DMA", [367_860, 0, 0, 805, 367_860, 0], 8_620),
    ];
    const EVENTS: [&str; 6] = [
        "numa_hit",
        "numa_miss",
        "numa_foreign",
        "numa_interleave",
        "numa_local",
        "numa_other",
    ];
    for (name, zone, events, kept) in KEPT {
        for dump in real_dumps(&[name]) {
            let document = json(&printed(&dump, "zones", &["--format", "json"]));
            let zones = document["nodes"][0]["zones"].as_array().expect("zones");
            let found = zones.iter().find(|one| one["name"] == zone);
            let found = found.expect("the zone");
            let counted = found["numa_events"].as_array().expect("events").iter();
            let counted: Vec<_> = counted
                .map(|event| {
                    (
                        event["name"].as_str().expect("a name"),
                        number(&event["value"]),
                    )
                })
                .collect();
            assert_eq!(
                counted,
                EVENTS.into_iter().zip(events).collect::<Vec<_>>(),
                "{name}"
            );
            let pagesets = found["pagesets"].as_array().expect("pagesets").iter();
            let sum: u64 = pagesets.map(|set| number(&set["count"])).sum();
            assert_eq!(sum, kept, "{name}");
        }
    }
}
