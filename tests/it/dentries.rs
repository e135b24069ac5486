//! `dentries` against what drgn counted over the objects of the same dumps, and against what the
//! kernel and its guests counted.

use serde_json::Value;

use crate::support::{json, number, printed, real_dumps};

fn document(dump: &crate::support::RealDump, more: &[&str]) -> Value {
    let args = [&["--format", "json"], more].concat();
    json(&printed(dump, "dentries", &args))
}

/// Each of the cache's objects, by its members: all, negative, on a list by `d_lru`, with a
/// reference, without `d_hash.pprev`; and the chains of `dentry_hashtable`.
#[test]
fn dentries_are_those_of_their_cache() {
    const NAMES: [&str; 6] = [
        "dentries", "negative", "unused", "in_use", "unhashed", "hashed",
    ];
    for (name, counts) in [
        ("5.10", [15_276, 0, 4_047, 11_418, 1_319, 13_957]),
        ("6.1", [17_638, 18, 4_698, 13_152, 1_320, 16_318]),
        ("6.12", [7_839, 14, 5_451, 2_633, 1_322, 6_517]),
        ("7.2", [8_261, 14, 5_838, 2_685, 1_323, 6_938]),
    ] {
        for dump in real_dumps(&[name]) {
            let document = document(&dump, &[]);
            let found = NAMES.map(|name| number(&document["totals"][name]));
            assert_eq!(found, counts, "{name}");
            assert_eq!(document["complete"], true, "{name}");
            // And as the kernel counts them: `nr_dentry`, `nr_dentry_unused`.
            let counters = &document["counters"];
            assert_eq!(number(&counters["dentries"]), counts[0], "{name}");
            assert_eq!(number(&counters["unused"]), counts[2], "{name}");
            assert_eq!(
                counters["negative_unused"], document["totals"]["negative_unused"],
                "{name}"
            );
        }
    }
}

/// The kernel's own three counters, where CPUs were stopped with freed objects in hand.
#[test]
fn dentries_are_as_many_as_the_kernel_counts() {
    for dump in real_dumps(&["6.12-arm64", "5.10-owners", "6.1-owners", "7.2-owners"]) {
        let document = document(&dump, &[]);
        for name in ["dentries", "unused", "negative_unused"] {
            let found = (&document["totals"][name], &document["counters"][name]);
            assert_eq!(found.0, found.1, "{}: {name}", dump.name);
        }
        assert_eq!(document["complete"], true, "{}", dump.name);
    }
}

/// By file system and by directory, as drgn groups them by `d_sb` and by `d_parent`; names by
/// `dentry_path()`.
#[test]
fn dentries_are_where_their_members_say() {
    for (name, sockets, proc_inodes, directories) in [
        (
            "5.10",
            1_295,
            1_203,
            [
                ("events/syscalls", 674),
                ("/bin", 270),
                ("/sys/kernel/slab", 246),
            ],
        ),
        (
            "7.2",
            1_295,
            1_314,
            [
                ("/sys/kernel/slab", 338),
                ("/bin", 270),
                ("/proc/sys/net/ipv4", 152),
            ],
        ),
    ] {
        for dump in real_dumps(&[name]) {
            let document = document(&dump, &["--top", "3"]);
            let mounts = document["mounts"].as_array().expect("mounts");
            let of = |kind: &str| {
                let mount = mounts.iter().find(|mount| mount["kind"] == kind);
                mount.unwrap_or_else(|| panic!("{name}: no {kind}"))
            };
            let sockfs = of("sockfs");
            for member in ["dentries", "in_use", "unhashed"] {
                assert_eq!(number(&sockfs[member]), sockets, "{name}: {member}");
            }
            assert_eq!(number(&of("proc")["inodes"]), proc_inodes, "{name}");
            let found = document["directories"].as_array().expect("directories");
            assert_eq!(found.len(), 3, "{name}");
            for (directory, (path, names)) in found.iter().zip(directories) {
                let own = directory["path"].as_str().expect("a path");
                assert!(own.ends_with(path), "{name}: {own}");
                assert_eq!(number(&directory["dentries"]), names, "{name}: {path}");
            }
        }
    }
}

/// What the guest's `fs.dentry-state` said before; it went on opening files.
#[test]
fn dentries_are_as_many_as_the_guest_said() {
    for dump in real_dumps(&["5.10-owners", "6.1-owners", "7.2-owners"]) {
        let told = dump.captured("dentry-state");
        let told: Vec<u64> = told
            .split_whitespace()
            .map(|word| word.parse().expect("a number"))
            .collect();
        let document = document(&dump, &[]);
        for (name, told) in [("dentries", told[0]), ("unused", told[1])] {
            let found = number(&document["totals"][name]);
            assert!(
                found.abs_diff(told) < 400,
                "{}: {name}: {found} for {told}",
                dump.name
            );
        }
    }
}
