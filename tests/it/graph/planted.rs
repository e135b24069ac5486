//! What the guests' modules keep, against what the guests said of it and what drgn counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::support::{RealDump, files, json, number, read_json, real_dumps, run, small_dump};

/// The dump, with types from where they are read fastest: its own, if it has some.
fn arguments(dump: &RealDump) -> Vec<&str> {
    let [vmcore, vmlinux] = files(dump);
    match dump.name.as_str() {
        "small-6.12" | "debian-5.10" => vec![vmcore, vmlinux],
        _ => vec![vmcore, "--types", "btf"],
    }
}

fn asked(dump: &RealDump, command: &[&str]) -> String {
    let args = [command, &arguments(dump)[..], &["-q"]].concat();
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{} {command:?}: {stderr}", dump.name);
    stdout
}

/// All of `retained`: each dump is searched once for all tests.
fn whole(dump: &RealDump) -> Value {
    static SEEN: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let ask = || json(&asked(dump, &["retained", "--format", "json"]));
    seen.entry(dump.name.clone()).or_insert_with(ask).clone()
}

fn only(dump: &RealDump, root: &str) -> Value {
    json(&asked(
        dump,
        &["retained", "--root", root, "--format", "json"],
    ))
}

fn whatis(dump: &RealDump, address: &str) -> Value {
    json(&asked(
        dump,
        &["whatis", address, "--path", "--format", "json"],
    ))
}

fn rows<'a>(document: &'a Value, name: &str) -> &'a Vec<Value> {
    document[name].as_array().expect("rows")
}

/// The row of a list or table in which things of this cache are held.
fn pile<'a>(document: &'a Value, kind: &str, cache: &str, holder: &str) -> &'a Value {
    let mut piles = rows(document, "containers").iter();
    let found =
        piles.find(|one| one["kind"] == kind && one["cache"] == cache && one["holder"] == holder);
    found.unwrap_or_else(|| panic!("no {kind} of {cache} in {holder}"))
}

/// How many sessions the module said that it keeps: `leaky: 6000 kmalloc-256, 3000 named leaked,
/// 500 kept`.
fn kept(dump: &RealDump) -> u64 {
    let log = dump.captured("dmesg");
    let line = log.lines().find(|line| line.contains(" named leaked, "));
    let words: Vec<&str> = line.expect("leaky's line").split_whitespace().collect();
    let [.., kept, "kept"] = words[..] else {
        panic!("{words:?}");
    };
    kept.parse().expect("a number")
}

fn dumps() -> Vec<RealDump> {
    let mut dumps = vec![small_dump()];
    dumps.extend(real_dumps(&["5.10", "6.1", "6.12", "7.2"]));
    dumps
}

#[test]
fn a_modules_list_retains_what_is_on_it() {
    for dump in dumps() {
        let what = &dump.name;
        let kept = kept(&dump);
        let oracle = dump.oracle();
        let caches = oracle["caches"].as_array().expect("caches");
        let cache = caches.iter().find(|cache| cache["name"] == "leaky_session");
        let size = number(&cache.expect("leaky_session")["size"]);
        let found = only(&dump, "live_sessions");
        let [owner] = &rows(&found, "owners")[..] else {
            panic!("{what}: {:?}", found["owners"]);
        };
        assert_eq!(owner["root"], "live_sessions [leaky]", "{what}");
        assert_eq!(number(&owner["retained_objects"]), kept, "{what}");
        assert_eq!(number(&owner["retained_bytes"]), kept * size, "{what}");
        let list = pile(&found, "list", "leaky_session", "live_sessions [leaky]");
        assert_eq!(
            (number(&list["objects"]), &list["module"]),
            (kept, &"leaky".into()),
            "{what}"
        );
    }
}

/// By both tuples, which lie in two places of each entry.
#[test]
fn the_table_of_connections_has_each_twice() {
    for dump in dumps() {
        let what = &dump.name;
        let oracle = dump.oracle();
        let entries = match &oracle["conntrack"]["entries"] {
            Value::Array(entries) => entries.len() as u64,
            count => number(count),
        };
        let found = whole(&dump);
        let tables = rows(&found, "containers").iter();
        let tables = tables.filter(|one| one["kind"] == "table" && one["cache"] == "nf_conntrack");
        let sizes: Vec<u64> = tables.map(|one| number(&one["objects"])).collect();
        let whole = sizes.iter().filter(|size| **size == entries).count();
        assert!(whole >= 2, "{what}: {sizes:?} of {entries}");
    }
}

#[test]
fn the_way_to_what_is_kept_begins_at_its_module() {
    for dump in std::iter::once(small_dump()).chain(real_dumps(&["7.2"])) {
        let what = &dump.name;
        let kept = kept(&dump);
        let list = |more: &[&str]| {
            let command = ["objects", "leaky_session", "--format", "addrs"];
            let text = asked(&dump, &[&command, more].concat());
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let lost = list(&["--unreachable"]);
        let all = list(&["--state", "allocated"]);
        let reached: Vec<&String> = all.iter().filter(|one| !lost.contains(one)).collect();
        assert_eq!(reached.len() as u64, kept, "{what}");
        for address in reached.iter().step_by(reached.len().div_ceil(2)) {
            let path = &whatis(&dump, address)["path"];
            let steps = rows(path, "steps");
            let names: Vec<&str> = steps
                .iter()
                .filter_map(|step| step["name"].as_str())
                .collect();
            let expected = ["module leaky", "live_sessions [leaky]", "leaky_session"];
            assert_eq!(names, expected, "{what} {address}");
            assert_eq!(path["owned"], true, "{what} {address}");
            assert_eq!(path["root_named"], true, "{what} {address}");
            // Appended at the end: its place is one of the list's.
            let place = steps[1]["listed"].as_array().expect("a list");
            assert_eq!(number(&place[1]), kept, "{what} {address}");
            assert!((1..=kept).contains(&number(&place[0])), "{what} {address}");
        }
        // Nothing leads to what is lost.
        let path = &whatis(&dump, &lost[0])["path"];
        assert_eq!(rows(path, "steps").len(), 0, "{what} {}", lost[0]);
    }
}

/// The scenario `refcount`: socket buffers with their heads on a queue of the module's, and files in
/// an array of it.
#[test]
fn hoarded_buffers_and_files_are_their_modules() {
    for dump in real_dumps(&["6.1-refcount", "7.2-refcount"]) {
        let what = &dump.name;
        let said = read_json(&dump.folder.join("cap/scenario"));
        let of = |kind: &str| {
            let rows = said["reachable"].as_array().expect("rows");
            let row = rows.iter().find(|row| row["kind"] == kind).expect("a row");
            number(&row["objects"])
        };
        let (skbs, hoarded) = (of("skb"), of("file"));
        let found = only(&dump, "hoard_queue");
        let owner = &rows(&found, "owners")[0];
        // An skb of 256 bytes and a head of 1,024.
        let planted = (skbs * (256 + 1024)) as f64;
        let told = number(&owner["retained_bytes"]) as f64;
        assert!(
            (told / planted - 1.0).abs() < 0.02,
            "{what}: {told} of {planted}"
        );
        let queue = pile(&found, "list", "skbuff_head_cache", "hoard_queue [hoard]");
        assert_eq!(number(&queue["objects"]), skbs, "{what}");
        let all = whole(&dump);
        let array = rows(&all, "containers").iter().find(|one| {
            one["kind"] == "array" && one["cache"] == "filp" && number(&one["objects"]) == hoarded
        });
        assert!(array.is_some(), "{what}: no array of {hoarded} files");
        assert_eq!(rows(&all, "owners")[0]["root"], "module hoard", "{what}");
    }
}

#[test]
fn most_objects_of_the_largest_caches_have_a_root_with_a_name() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let found = whole(&dump);
        let leaked = ["kmalloc-256", "leaky_session"];
        for paths in rows(&found, "paths") {
            let cache = paths["cache"].as_str().expect("a name");
            if leaked.contains(&cache) {
                continue;
            }
            let (objects, named) = (number(&paths["objects"]), number(&paths["named"]));
            assert!(
                named * 100 >= objects * 85,
                "{} {cache}: {named} of {objects}",
                dump.name
            );
        }
    }
}
