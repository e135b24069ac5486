//! Kernels that really died in bad places (scripts/make-dump --scenario double-free and others):
//! what the module `wound` hurt is said to be hurt, everything else is complete and right.
//!
//! cap/scenario.objects names what was done to which object; cap/slabinfo.last is what the guest
//! wrote to its log just before the panic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::hold::damage_matrix::{COMMANDS, honest};
use crate::leaks::real::{assert_others_clear, leaks};
use crate::slab::real::rows;
use crate::support::{
    RealDump, file_name, read_json, real_dumps, run, skip, slabs_json, without_form,
};

const BOXES: [&str; 3] = ["6.1-double-free", "6.1-corrupt-freelist", SHEAVES];
const SHEAVES: &str = "7.2-double-free";
const IN_ALLOCATOR: &str = "6.1-in-allocator";
const IN_CONNTRACK: &str = "6.1-in-conntrack";

fn all() -> Vec<RealDump> {
    let mut all = real_dumps(&BOXES);
    all.extend(real_dumps(&[IN_ALLOCATOR, IN_CONNTRACK]));
    all
}

/// Addresses of the objects of one kind.
fn hurt(dump: &RealDump, kind: &str) -> BTreeSet<String> {
    let lines = dump.captured("scenario.objects");
    let found: BTreeSet<String> = lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(known, _)| *known == kind)
        .map(|(_, address)| address.to_owned())
        .collect();
    assert!(!found.is_empty(), "{}: no {kind}", dump.name);
    found
}

/// Caches that the scenario names, with the fewest and the most objects that they have in use.
fn hurt_caches(dump: &RealDump) -> BTreeMap<String, (u64, u64)> {
    let said = read_json(&dump.folder.join("cap/scenario"));
    let damaged = said["damaged"].as_array().expect("a list").iter();
    damaged
        .filter_map(|one| {
            let exact = one["in_use"].as_u64().map(|count| (count, count));
            let most = one["in_use_at_most"].as_u64().map(|most| (0, most));
            Some((one["cache"].as_str()?.to_owned(), exact.or(most)?))
        })
        .collect()
}

fn codes(document: &Value) -> BTreeMap<&str, u64> {
    let mut found = BTreeMap::new();
    for warning in document["warnings"].as_array().expect("warnings") {
        let code = warning["code"].as_str().expect("a code");
        *found.entry(code).or_default() += warning["count"].as_u64().expect("a count");
    }
    found
}

fn cache<'d>(document: &'d Value, name: &str) -> &'d Value {
    let mut caches = document["caches"].as_array().expect("caches").iter();
    caches
        .find(|cache| cache["name"] == name)
        .unwrap_or_else(|| panic!("no cache {name}"))
}

fn slabs(dump: &RealDump) -> (i32, Value) {
    slabs_json(&[&dump.vmcore, &dump.vmlinux], &[])
}

#[test]
fn every_command_ends_and_says_what_it_lacks() {
    for dump in all() {
        for command in COMMANDS {
            honest(command, [&dump.vmcore, &dump.vmlinux], &dump.name);
        }
    }
}

#[test]
fn what_was_not_hurt_is_complete_and_as_the_guest_counted() {
    for dump in all() {
        let (_, document) = slabs(&dump);
        let hurt = hurt_caches(&dump);
        for cache in document["caches"].as_array().expect("caches") {
            let name = cache["name"].as_str().expect("a name");
            let boxes = name.starts_with("wound_");
            if !boxes {
                assert_eq!(cache["exact"]["complete"], true, "{}: {name}", dump.name);
            }
            let Some((fewest, most)) = hurt.get(name) else {
                continue;
            };
            let exact = |key: &str| cache["exact"][key].as_u64().expect("a number");
            let range = exact("allocated_min")..=exact("allocated_max");
            let fits = if fewest == most {
                range.contains(most)
            } else {
                range.end() <= most
            };
            assert!(fits, "{}: {name}: {range:?} for {most}", dump.name);
        }
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (_, printed, _) = run(&[&["slabs", "--format", "slabinfo"], &files[..]].concat());
        let captured = dump.captured("slabinfo.last");
        let (ours, theirs) = (rows(&printed), rows(&captured));
        assert_eq!(ours.len(), theirs.len(), "{}", dump.name);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            if !ours.0.starts_with("wound_") {
                assert_eq!(ours, theirs, "{}", dump.name);
            }
        }
    }
}

#[test]
fn no_leak_is_seen_in_what_is_hurt() {
    for dump in all() {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        if document["trust"]["reliable"] == true {
            assert_others_clear(&document, &[], &dump.name);
            continue;
        }
        // Where something is broken no count of unreachable objects is given.
        for cache in document["caches"].as_array().expect("caches") {
            assert_ne!(
                cache["verdict"]["level"], "leak",
                "{}: {}",
                dump.name, cache["name"]
            );
        }
    }
}

#[test]
fn a_double_free_is_found_in_both_places() {
    for dump in real_dumps(&["6.1-double-free"]) {
        let (code, document) = slabs(&dump);
        assert_eq!((code, &document["complete"]), (4, &false.into()));
        assert_eq!(cache(&document, "wound_box")["exact"]["complete"], false);
        let codes = codes(&document);
        // One chain of a slab and one of a CPU.
        assert_eq!(codes.get("freelist-circular"), Some(&2), "{codes:?}");
        assert_states(&dump, &["twice", "once"], "free");
    }
}

/// There the objects are twice in the CPU's sheaf; no chain is hurt.
#[test]
fn a_double_free_into_a_sheaf_is_found() {
    for dump in real_dumps(&[SHEAVES]) {
        let (_, document) = slabs(&dump);
        let codes = codes(&document);
        assert_eq!(codes.get("doubly-free"), Some(&2), "{codes:?}");
        assert_states(&dump, &["twice", "once"], "free");
    }
}

/// `objects` gives these the state.
fn assert_states(dump: &RealDump, kinds: &[&str], state: &str) {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let args = [
        "objects",
        "wound_box",
        "--format",
        "addrs",
        "--state",
        state,
    ];
    let (_, printed, stderr) = run(&[&args[..], &files[..]].concat());
    let listed: BTreeSet<String> = printed.lines().map(|line| format!("0x{line}")).collect();
    for kind in kinds {
        let missing: Vec<String> = hurt(dump, kind).difference(&listed).cloned().collect();
        assert!(
            missing.is_empty(),
            "{}: {kind} {missing:?} not {state}: {stderr}",
            dump.name
        );
    }
}

#[test]
fn overwritten_pointers_cost_their_chains_alone() {
    for dump in real_dumps(&["6.1-corrupt-freelist"]) {
        let (code, document) = slabs(&dump);
        assert_eq!((code, &document["complete"]), (4, &false.into()));
        assert_eq!(cache(&document, "wound_box")["exact"]["complete"], false);
        let codes = codes(&document);
        assert_eq!(codes.get("freelist-broken"), Some(&2), "{codes:?}");
        assert_eq!(codes.get("freelist-circular"), None, "{codes:?}");
        // The forged pointer makes a chain longer than its slab's counters say.
        assert_eq!(codes.get("freelist-counter"), Some(&1), "{codes:?}");
        assert_states(&dump, &["garbage", "forged"], "free");
    }
}

#[test]
fn an_allocation_cut_short_costs_its_cache_alone() {
    for dump in real_dumps(&[IN_ALLOCATOR]) {
        let (code, document) = slabs(&dump);
        assert_eq!((code, &document["complete"]), (4, &false.into()));
        let codes = codes(&document);
        let complete = |name: &str| cache(&document, name)["exact"]["complete"].clone();
        // Those counted before are all in use, or no slab had to be made. Being made, it is not
        // counted by its node yet.
        let captured = rows(&dump.captured("slabinfo.last"));
        let row = captured.iter().find(|row| row.0 == "wound_ctor");
        let (_, _, [_, before]) = row.expect("in the guest's slabinfo");
        let made = &cache(&document, "wound_ctor")["exact"];
        assert_eq!(made["allocated"], *before);
        let in_a_slab = cache(&document, "wound_ctor")["objects_per_slab"].as_u64();
        assert_eq!(
            made["objects"].as_u64(),
            in_a_slab.map(|more| before + more)
        );
        assert_eq!(complete("wound_ctor"), false);
        assert_eq!(codes.get("slab-count"), Some(&1), "{codes:?}");
        // Off its list, but counted: every slab is found all the same.
        assert_eq!(complete("wound_box"), true);
        assert_eq!(codes.get("partial-list-broken"), Some(&1), "{codes:?}");
    }
}

/// The same dump filtered again at other levels, by scripts/dump-refilter: `level-N` beside it.
fn levels(dump: &RealDump) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&dump.folder).expect("the folder reads");
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| file_name(path).starts_with("level-"))
        .collect();
    found.sort();
    if found.is_empty() {
        skip(&format!(
            "{}: no level-N beside it (scripts/dump-refilter)",
            dump.name
        ));
    }
    found
}

/// Slab pages stay at every level: free and zero pages, caches and processes have no say.
#[test]
fn every_dump_level_gives_the_same() {
    for dump in all() {
        for other in levels(&dump) {
            let read = |vmcore: &Path, command: &str| {
                let (code, document) = honest(&[command], [vmcore, &dump.vmlinux], &dump.name);
                (code, document.map(without_form))
            };
            for command in ["slabs", "conntrack"] {
                let (first, second) = (read(&dump.vmcore, command), read(&other, command));
                assert!(first.1.is_some(), "{}: {command}", dump.name);
                assert!(first == second, "{}: {command}", other.display());
            }
        }
    }
}

/// What no packet and no second changes of a line of /proc/net/nf_conntrack.
fn identity(line: &str) -> String {
    const PARTS: [&str; 11] = [
        "src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey", "mark", "zone",
    ];
    let words = line.split_whitespace().enumerate();
    let kept = words.filter(|(at, word)| {
        let name = word.split_once('=').map(|(name, _)| name);
        *at < 4 || name.is_some_and(|name| PARTS.contains(&name))
    });
    kept.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_table_torn_in_the_middle_of_changes() {
    for dump in real_dumps(&[IN_CONNTRACK]) {
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (code, printed, _) = run(&[&["conntrack", "--format", "json"], &files[..]].concat());
        let document: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!((code, &document["complete"]), (4, &false.into()));
        // One leads to garbage, one back to its start.
        assert_eq!(codes(&document).get("conntrack-chain"), Some(&2));
        let entries = document["entries"].as_array().expect("entries");
        let list_of: BTreeMap<&str, &str> = entries
            .iter()
            .map(|entry| {
                let word = |key: &str| entry[key].as_str().expect("a string");
                (word("address"), word("list"))
            })
            .collect();
        assert_eq!(list_of.len(), entries.len(), "each once");
        let (mut gone, behind) = (hurt(&dump, "half-deleted"), hurt(&dump, "behind"));
        gone.extend(behind);
        let unlinked: BTreeSet<String> = list_of
            .iter()
            .filter(|(_, list)| **list == "unlinked")
            .map(|(address, _)| (*address).to_owned())
            .collect();
        assert_eq!(unlinked, gone);
        for kind in ["before-garbage", "cycle", "half-inserted"] {
            for address in hurt(&dump, kind) {
                assert_eq!(list_of.get(&*address), Some(&"hash"), "{kind}");
            }
        }
        let (_, lines, _) = run(&[&["conntrack", "--format", "proc"], &files[..]].concat());
        let captured = dump.captured("nf_conntrack");
        let [ours, theirs] = [&lines, &captured].map(|text| {
            let all: BTreeSet<String> = text.lines().map(identity).collect();
            assert!(all.len() > 1000);
            all
        });
        assert!(ours.is_subset(&theirs), "{:?}", ours.difference(&theirs));
        // The file is that of the initial namespace; the table holds those of all.
        let mut namespaces = document["namespaces"].as_array().expect("a list").iter();
        let initial = namespaces.find(|ns| ns["initial"] == true).expect("one");
        let of_it = |entry: &&Value| {
            let address = entry["address"].as_str().expect("an address");
            gone.contains(address) && entry["netns"] == initial["inum"]
        };
        let missing = entries.iter().filter(of_it).count();
        assert_eq!(ours.len() + missing, theirs.len());
    }
}
