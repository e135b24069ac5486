//! `zones` against what the guests printed some seconds before they died.

use crate::support::{dump_named, json, number, printed, real_dumps, run};

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

/// The guests' own files, zone by zone: every line in its order, the zone of which nothing was taken
/// or given back to the letter, and as many blocks.
#[test]
fn pagetypeinfo_is_what_the_kernel_printed() {
    for dump in real_dumps(&["5.10-owners", "6.1-owners", "7.2-owners"]) {
        let what = &dump.name;
        let ours = printed(&dump, "zones", &["--format", "pagetypeinfo"]);
        let theirs = dump.captured("pagetypeinfo");
        assert_eq!(ours.lines().count(), theirs.lines().count(), "{what}");
        for (one, other) in ours.lines().zip(theirs.lines()) {
            if !other.contains("zone    DMA32") {
                assert_eq!(one, other, "{what}");
                continue;
            }
            // `Node    0, zone    DMA32, type      Movable ` or `Node 0, zone    DMA32 `
            let at = other
                .find("type")
                .map_or("Node 0, zone    DMA32 ".len(), |at| at + 18);
            assert_eq!(one.get(..at), other.get(..at), "{what}");
            assert_eq!(one.len(), other.len(), "{what}: {one}");
            let sum = |line: &str| -> u64 {
                let numbers = line[at..].split_whitespace();
                numbers.map(|word| word.parse::<u64>().expect(word)).sum()
            };
            if !other.contains("type") {
                assert_eq!(sum(one), sum(other), "{what}: {one}");
            }
        }
    }
}

/// include/linux/mmzone.h: `nr_free` of an order counts what is on its lists.
#[test]
fn lists_of_all_kinds_make_up_the_free_blocks() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let what = &dump.name;
        let lists = printed(&dump, "zones", &["--format", "pagetypeinfo"]);
        let buddyinfo = printed(&dump, "zones", &["--format", "buddyinfo"]);
        let numbers = |words: &str| -> Vec<u64> {
            let words = words.split_whitespace();
            words.map(|word| word.parse().expect(word)).collect()
        };
        for row in buddyinfo.lines() {
            let (zone, counts) = row.split_at(row.find("zone").expect("a zone") + 14);
            let zone = zone.split_whitespace().last().expect("a name");
            let of_zone = |line: &&str| line.contains(&format!(" {zone}, type "));
            let mut sums = vec![0; numbers(counts).len()];
            for line in lists.lines().filter(of_zone) {
                let (_, kind) = line.split_once(", type").expect("a kind");
                for (sum, count) in sums.iter_mut().zip(numbers(&kind[14..])) {
                    *sum += count;
                }
            }
            assert_eq!(sums, numbers(counts), "{what}: {zone}");
        }
    }
}

/// Every name in its place; events only become more; what no machine changes is equal.
#[test]
fn vmstat_is_what_the_kernel_printed() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let what = &dump.name;
        let lines = |text: &str| -> Vec<(String, u64)> {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            let value = |text: &str| text.parse().expect(text);
            lines
                .map(|(name, text)| (name.to_owned(), value(text)))
                .collect()
        };
        let ours = lines(&printed(&dump, "zones", &["--format", "vmstat"]));
        let theirs = lines(&dump.captured("vmstat"));
        let names = |lines: &[(String, u64)]| -> Vec<String> {
            lines.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&ours), names(&theirs), "{what}");
        let first_event = names(&ours).iter().position(|name| name == "pgpgin");
        let first_event = first_event.expect("events");
        let mut equal = 0;
        for (number, ((name, one), (_, other))) in ours.iter().zip(&theirs).enumerate() {
            let counts_up = number >= first_event || name.starts_with("numa_");
            assert!(
                !counts_up || one >= other,
                "{what}: {name} {one} for {other}"
            );
            // Dumps are taken some seconds later, of machines that only copied files since.
            assert!(
                !counts_up || *one <= other * 2 + 500_000,
                "{what}: {name} {one} for {other}"
            );
            equal += u64::from(one == other && *one > 0);
            if name.starts_with("nr_memmap") || name == "nr_unstable" {
                assert_eq!(one, other, "{what}: {name}");
            }
        }
        // Those that count what these guests did once, or not at all.
        assert!(equal >= 3, "{what}: {equal} counters stood still");
        limits_are_worked_out(&ours, &theirs, what);
    }
}

/// mm/page-writeback.c: a fifth of what can be dirty, which is what is free or in files, less a
/// reserve that does not change.
fn limits_are_worked_out(ours: &[(String, u64)], theirs: &[(String, u64)], what: &str) {
    let reserve = |lines: &[(String, u64)]| {
        let of = |wanted: &str| {
            let line = lines.iter().find(|(name, _)| name == wanted);
            line.map(|(_, value)| *value).expect(wanted)
        };
        let files = of("nr_inactive_file") + of("nr_active_file");
        let dirtyable = of("nr_dirty_threshold") * 4096 / 819;
        (of("nr_free_pages") + files).saturating_sub(dirtyable)
    };
    let (one, other) = (reserve(ours), reserve(theirs));
    assert!(one.abs_diff(other) <= 16, "{what}: {one} for {other}");
}

/// mm/page_alloc.c: what is free in blocks of pages as a whole lies on the list of their kind; also
/// up to 5.8, where blocks are noted from the other end of a word.
#[test]
fn whole_blocks_that_are_free_are_of_their_kind() {
    let mut dumps: Vec<(String, Vec<String>)> = Vec::new();
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.display().to_string());
        dumps.push((dump.name, files.to_vec()));
    }
    if let Some(dump) = dump_named("ubuntu-5.4-memcg") {
        dumps.push(("5.4".to_owned(), vec![dump.display().to_string()]));
    }
    for (what, files) in dumps {
        let mut args = vec!["zones", "--format", "pagetypeinfo"];
        args.extend(files.iter().map(String::as_str));
        let (code, text, stderr) = run(&args);
        assert_eq!(code, 0, "{what}: {stderr}");
        let (lists, blocks) = text
            .split_once("Number of blocks type")
            .expect("both parts");
        let (kinds, zones) = blocks.split_once('\n').expect("zones");
        let mut whole = 0;
        for line in zones.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let of_zone = |line: &&str| line.contains(&format!(" {}, type ", words[3]));
            let lists = lists.lines().filter(of_zone);
            for ((list, kind), count) in lists.zip(kinds.split_whitespace()).zip(&words[4..]) {
                let numbers = list.split_whitespace().skip(6);
                assert!(list.contains(kind), "{what}: {list}");
                let free = numbers.map(|word| word.parse::<u64>().expect(word));
                let free: u64 = free
                    .skip(9)
                    .zip(0..)
                    .map(|(count, order)| count << order)
                    .sum();
                let count: u64 = count.parse().expect("a number");
                assert!(free <= count, "{what}: {free} of {count} {kind}");
                whole += free;
            }
        }
        assert!(whole > 100, "{what}");
    }
}
