//! `leaks` on real dumps, held to what their guests lost on purpose.
//!
//! In the shared dumps the module `leaky` lost 6,000 buffers of 200 bytes that begin with the
//! text `leaky-buf-`, and 3,000 of 3,500 sessions in a cache of its own; 500 are on its list.
//! Dumps of scripts/make-dump --scenario say in cap/scenario what was lost.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run, skip, small_dumps};

/// All but what was lost on purpose: the most objects of a dump that may look lost.
const OTHERS: u64 = 10;

pub(crate) fn leaks(vmcore: &Path, vmlinux: Option<&Path>, more: &[&str]) -> (i32, Value) {
    let mut args = vec!["leaks", "--format", "json"];
    args.push(vmcore.to_str().expect("UTF-8"));
    args.extend(vmlinux.map(|path| path.to_str().expect("UTF-8")));
    args.extend(more);
    let (code, stdout, stderr) = run(&args);
    let document = serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{error}: exit {code}, {stderr}"));
    (code, document)
}

fn cache<'d>(document: &'d Value, name: &str) -> &'d Value {
    let mut caches = document["caches"].as_array().expect("caches").iter();
    let found = caches.find(|cache| cache["name"] == name);
    found.unwrap_or_else(|| panic!("no cache {name}"))
}

pub(crate) fn lost(cache: &Value) -> u64 {
    cache["unreachable"]["objects"].as_u64().expect("a count")
}

fn level(cache: &Value) -> &str {
    cache["verdict"]["level"].as_str().expect("a level")
}

/// Caches other than `expected`: none has the verdict, and few objects look lost.
pub(crate) fn assert_others_clear(document: &Value, expected: &[&str], what: &str) {
    let caches = document["caches"].as_array().expect("caches");
    let others = caches
        .iter()
        .filter(|cache| !expected.contains(&cache["name"].as_str().expect("a name")));
    let mut sum = 0;
    for other in others {
        assert_ne!(level(other), "leak", "{what}: {}", other["name"]);
        sum += lost(other);
    }
    assert!(sum <= OTHERS, "{what}: {sum} other objects look lost");
}

#[test]
fn the_lost_are_found_and_the_kept_are_not() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let what = &dump.name;
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        assert_eq!(code, 0, "{what}");
        let buffers = cache(&document, "kmalloc-256");
        assert_eq!(lost(buffers), 6000, "{what}");
        assert_eq!(level(buffers), "leak", "{what}");
        let cluster = &buffers["unreachable"]["clusters"][0];
        assert_eq!(cluster["text"], "leaky-buf-", "{what}");
        assert_eq!(cluster["objects"], 6000, "{what}");
        // As the module's source has it.
        assert_eq!(cluster["format"]["format"], "leaky-buf-%06d", "{what}");
        assert_eq!(buffers["owners"][0]["module"], "leaky", "{what}");
        let sessions = cache(&document, "leaky_session");
        // 3,500 are in use: none of the 500 on the list is among them.
        assert_eq!(sessions["exact"]["allocated"], 3500, "{what}");
        assert_eq!(lost(sessions), 3000, "{what}");
        assert_eq!(level(sessions), "leak", "{what}");
        assert_eq!(sessions["owners"][0]["module"], "leaky", "{what}");
        assert_others_clear(&document, &["kmalloc-256", "leaky_session"], what);
        let findings = document["findings"].as_array().expect("findings");
        assert_eq!(findings.len(), 2, "{what}: {findings:?}");
    }
}

#[test]
fn the_kept_sessions_are_those_on_the_list() {
    for dump in real_dumps(&["6.1", "7.2"]) {
        let list = |more: &[&str]| {
            let mut args = vec!["objects", "leaky_session", "--format", "addrs"];
            args.extend(more);
            args.extend([
                dump.vmcore.to_str().expect("UTF-8"),
                dump.vmlinux.to_str().expect("UTF-8"),
            ]);
            let (code, stdout, stderr) = run(&args);
            assert_eq!(code, 0, "{stderr}");
            let lines: HashSet<String> = stdout.lines().map(str::to_owned).collect();
            lines
        };
        let all = list(&["--state", "allocated"]);
        let lost = list(&["--unreachable"]);
        let cluster = list(&["--cluster", "1"]);
        assert_eq!((all.len(), lost.len()), (3500, 3000), "{}", dump.name);
        assert!(lost.is_subset(&all));
        assert_eq!(cluster, lost, "{}", dump.name);
        let ask = |address: &str| {
            let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
            let (code, stdout, _) =
                run(&["whatis", address, files[0], files[1], "--format", "json"]);
            assert_eq!(code, 0);
            serde_json::from_str::<Value>(&stdout).expect("JSON")
        };
        let one = lost.iter().next().expect("some");
        let found = ask(one);
        assert_eq!(found["object"]["cache"], "leaky_session");
        assert_eq!(found["object"]["reachable"], false);
        // Only its own list head points to it.
        let referrers = found["referrers"].as_array().expect("referrers");
        let itself = |at: &Value| {
            at["holder"]
                .as_str()
                .is_some_and(|h| h.starts_with("leaky_session+"))
        };
        assert!(
            !referrers.is_empty() && referrers.iter().all(itself),
            "{referrers:?}"
        );
        let kept = all.difference(&lost).next().expect("some");
        let found = ask(kept);
        assert_eq!(found["object"]["reachable"], true);
        assert!(found["referrers"].as_array().expect("referrers").len() >= 2);
    }
}

#[test]
fn without_a_vmlinux_the_verdicts_are_the_same() {
    for dump in real_dumps(&["6.1", "6.12", "7.2", "6.12-arm64"]) {
        let short = |document: &Value| -> Vec<(String, String, Value)> {
            let caches = document["caches"].as_array().expect("caches").iter();
            let one = |cache: &Value| {
                let name = cache["name"].as_str().expect("a name").to_owned();
                (name, level(cache).to_owned(), cache["unreachable"].clone())
            };
            caches.map(one).collect()
        };
        let (_, with) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let (code, without) = leaks(&dump.vmcore, None, &["--no-default-debug-directories"]);
        assert_eq!(code, 0, "{}", dump.name);
        assert_eq!(short(&with), short(&without), "{}", dump.name);
    }
}

#[test]
fn one_thread_and_many_find_the_same() {
    for dump in real_dumps(&["6.12"]) {
        let one = leaks(&dump.vmcore, Some(&dump.vmlinux), &["--threads", "1"]);
        let many = leaks(&dump.vmcore, Some(&dump.vmlinux), &["--threads", "8"]);
        assert!(one == many, "{}", dump.name);
    }
}

#[test]
fn a_spent_budget_is_said_and_no_verdict_rests_on_the_search() {
    for dump in real_dumps(&["6.1"]) {
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &["--budget", "0s"]);
        assert_eq!(code, 4);
        assert_eq!(document["trust"]["reliable"], false);
        assert_eq!(document["trust"]["reasons"][0]["code"], "out-of-time");
        for cache in document["caches"].as_array().expect("caches") {
            assert!(cache["unreachable"]["objects"].is_null());
            assert_ne!(level(cache), "leak", "{}", cache["name"]);
        }
    }
}

#[test]
fn what_memory_can_t_hold_is_said_and_no_verdict_rests_on_the_search() {
    for dump in real_dumps(&["6.1"]) {
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &["--max-memory", "4k"]);
        assert_eq!(code, 4);
        assert_eq!(document["trust"]["reasons"][0]["code"], "out-of-memory");
        let dropped = document["coverage"]["references_dropped"].as_u64();
        assert!(dropped > Some(0), "{dropped:?}");
        for cache in document["caches"].as_array().expect("caches") {
            assert!(cache["unreachable"]["objects"].is_null());
            assert_ne!(level(cache), "leak", "{}", cache["name"]);
        }
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &["--max-memory", "64M"]);
        assert_eq!(code, 0);
        assert_eq!(lost(cache(&document, "leaky_session")), 3000);
    }
}

/// Counters that go up and down with objects of their own cache, on guests that leaked none of
/// them: as many as there are, but for those that wait for RCU.
#[test]
fn counters_are_what_their_caches_hold() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.1-busy", "7.2-busy"]) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let counters = document["counters"].as_array().expect("counters");
        let of = |name: &str| {
            let mut all = counters.iter();
            let has = |bound: &&Value| {
                let caches = bound["caches"].as_array().expect("caches");
                caches.iter().any(|cache| cache == name)
            };
            let bound = all
                .find(has)
                .unwrap_or_else(|| panic!("{}: no {name}", dump.name));
            (
                bound["objects"].as_u64().expect("a count"),
                bound["limit"].as_u64().expect("a limit"),
            )
        };
        for (name, off) in [
            ("TCP", 0),
            ("vm_area_struct", 50),
            ("sock_inode_cache", 500),
            ("dentry", 50),
        ] {
            let (objects, limit) = of(name);
            assert!(
                objects.abs_diff(limit) <= off,
                "{} {name}: {objects}, {limit}",
                dump.name
            );
        }
    }
}

/// Dumps of other scenarios: the caches whose objects were lost are leaks with just as many, and
/// nothing else is.
#[test]
fn other_scenarios_get_the_verdicts_that_they_deserve() {
    const SCENARIOS: [&str; 9] = [
        "6.1-none",
        "6.1-busy",
        "6.1-dentries",
        "6.1-refcount",
        "6.1-conntrack",
        "6.1-slow",
        "7.2-none",
        "7.2-busy",
        "7.2-slow",
    ];
    let dumps = real_dumps(&SCENARIOS);
    if dumps.is_empty() {
        skip("no dump of scripts/make-dump --scenario");
    }
    for dump in dumps {
        let what = &dump.name;
        let scenario: Value = serde_json::from_str(&dump.captured("scenario")).expect("JSON");
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        assert_eq!(code, 0, "{what}");
        let mut expected = Vec::new();
        for lost_here in scenario["lost"].as_array().expect("a list") {
            let Some(name) = lost_here["cache"].as_str() else {
                continue;
            };
            expected.push(name);
            let count = lost_here["objects"].as_u64().expect("a count");
            let found = cache(&document, name);
            let benign = found["unreachable"]["benign"].as_u64().expect("a count");
            assert_eq!(lost(found) - benign, count, "{what}: {name}");
            assert_eq!(level(found), "leak", "{what}: {name}");
        }
        assert_others_clear(&document, &expected, what);
        // Where the module told the addresses, it is those.
        if !expected.is_empty() {
            let kinds: Vec<&str> = scenario["lost"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|lost| lost["kind"].as_str().expect("a kind"))
                .collect();
            let told = dump.captured("scenario.objects");
            let told: HashSet<String> = told
                .lines()
                .filter_map(|line| line.split_once(" 0x"))
                .filter(|(kind, _)| kinds.contains(kind))
                .map(|(_, address)| address.trim().to_owned())
                .collect();
            assert!(told.len() >= 300, "{what}: {} told", told.len());
            let found = all_lost(&dump, &document);
            assert!(told.is_subset(&found), "{what}");
        }
        // What a module hoards can be reached: no leak, but no clean either.
        let hoarded = scenario["reachable"].as_array().expect("a list");
        for held in hoarded.iter().filter(|held| held["kind"] == "skb") {
            let name = held["cache"].as_str().expect("a cache");
            assert_eq!(level(cache(&document, name)), "suspect", "{what}: {name}");
        }
    }
}

/// The addresses of everything that nothing points to, in bare hexadecimal.
fn all_lost(dump: &RealDump, document: &Value) -> HashSet<String> {
    let mut found = HashSet::new();
    for cache in document["caches"].as_array().expect("caches") {
        if lost(cache) > 0 {
            let name = cache["name"].as_str().expect("a name");
            let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
            let mut args = vec!["objects", name, "--unreachable", "--format", "addrs"];
            args.extend(files);
            let (_, stdout, _) = run(&args);
            found.extend(stdout.lines().map(str::to_owned));
        }
    }
    found
}

/// Kernels with CONFIG_DEBUG_KMEMLEAK (scripts/guest/debug.config): all that kmemleak itself
/// listed is among what vmleak finds, also where its own records and stack traces point to it.
#[test]
fn what_kmemleak_listed_is_unreachable() {
    let kernels = ["small-5.10-debug", "small-6.12-debug", "small-7.2-debug"];
    for dump in kernels.into_iter().flat_map(|name| small_dumps(&[name])) {
        let listed: HashSet<String> = dump
            .captured("kmemleak")
            .lines()
            .filter_map(|line| line.strip_prefix("unreferenced object 0x"))
            .filter_map(|rest| rest.split(' ').next())
            .map(str::to_owned)
            .collect();
        assert!(listed.len() > 800, "{} listed", listed.len());
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        assert_eq!(code, 0);
        let found = all_lost(&dump, &document);
        let missed: Vec<_> = listed.difference(&found).collect();
        assert!(missed.is_empty(), "{}: {missed:?}", dump.name);
        let more = found.difference(&listed).count() as u64;
        assert!(more <= OTHERS, "{more} more than kmemleak");
    }
}
