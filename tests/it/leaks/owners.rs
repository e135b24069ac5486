//! Who allocated what, held to what the kernel itself printed of slub_debug's tracks just before
//! the crash (alloc_traces, alloc_calls).
//!
//! Between the capture and the crash the guest still ran: some objects moved, and all grew
//! older by the same time. How many may have moved is bounded in each test.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::leaks::real::leaks;
use crate::support::{RealDump, real_dumps, run, small_dumps};

/// A place: its caller, the waste of each object, its stack.
type Key = (String, String, Vec<String>);

/// What is said of a place besides.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    objects: u64,
    ages: Vec<i64>,
    /// ` pid=… cpus=…`
    rest: String,
}

/// Places by key; those of one key are left out, as nothing tells them apart.
fn places(text: &str) -> BTreeMap<Key, Place> {
    let mut all: Vec<(Key, Place)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once(" age=") {
            None => {
                if let Some((key, _)) = all.last_mut() {
                    key.2.push(line.trim().to_owned());
                }
            }
            Some((what, rest)) => {
                let (objects, caller) = what.trim().split_once(' ').expect("a caller");
                let (caller, waste) = caller.split_once(" waste=").unwrap_or((caller, ""));
                let each = waste.rsplit('/').next().expect("one");
                let (ages, rest) = rest.split_once(' ').expect("a pid");
                let place = Place {
                    objects: objects.parse().expect("a number"),
                    ages: ages
                        .split('/')
                        .map(|a| a.parse().expect("an age"))
                        .collect(),
                    rest: rest.to_owned(),
                };
                all.push(((caller.to_owned(), each.to_owned(), Vec::new()), place));
            }
        }
    }
    let count = |key: &Key| all.iter().filter(|(other, _)| other == key).count();
    let unique = all.iter().filter(|(key, _)| count(key) == 1);
    unique.cloned().collect()
}

fn traces(dump: &RealDump, cache: &str, of: &str, vmlinux: bool) -> String {
    let of = format!("--traces={of}");
    let mut args = vec!["objects", cache, "--format", "proc", &of];
    args.push(dump.vmcore.to_str().expect("UTF-8"));
    match vmlinux {
        true => args.push(dump.vmlinux.to_str().expect("UTF-8")),
        false => args.push("--no-default-debug-directories"),
    }
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{} {cache}: {stderr}", dump.name);
    stdout
}

/// Jiffies that the kernel may have taken to go through one cache.
const SCAN: i64 = 25;

/// Compares, and returns by how many jiffies everything is older. `cut` is of a file that ends
/// after a page, as those in sysfs do.
fn compare(what: &str, theirs: &str, ours: &str, cut: bool) -> Option<i64> {
    let (theirs, ours) = (places(theirs), places(ours));
    let all: u64 = theirs.values().map(|place| place.objects).sum();
    let mut moved = 0;
    let (mut older, mut same) = (Vec::new(), Vec::new());
    for (key, place) in &theirs {
        match ours.get(key) {
            Some(own) if own.objects == place.objects => {
                same.push((place, own));
                let pairs = place.ages.iter().zip(&own.ages);
                older.extend(pairs.map(|(then, now)| now - then));
            }
            own => moved += own.map_or(0, |own| own.objects).abs_diff(place.objects),
        }
    }
    if !cut {
        let new = ours.iter().filter(|(key, _)| !theirs.contains_key(*key));
        moved += new.map(|(_, place)| place.objects).sum::<u64>();
    }
    assert!(moved <= 10 + all / 20, "{what}: {moved} of {all} moved");
    if theirs.is_empty() {
        return None;
    }
    // A place may have lost and got the same number, so a few differ in age.
    older.sort_unstable();
    let usual = older.get(older.len() / 2).copied();
    let Some(usual) = usual else {
        // All of its places have moved on.
        assert!(theirs.len() <= 3, "{what}");
        return None;
    };
    // Such a place has younger objects in place of those that went, never older ones.
    let ages = |place: &Place, own: &Place| -> Vec<i64> {
        let pairs = place.ages.iter().zip(&own.ages);
        pairs.map(|(then, now)| now - then - usual).collect()
    };
    let mut odd = Vec::new();
    for (place, own) in &same {
        let off = ages(place, own);
        assert!(
            off.iter().all(|by| *by <= SCAN),
            "{what}: {place:?} {own:?}"
        );
        let as_was = off.iter().all(|by| *by >= -SCAN) && place.ages.len() == own.ages.len();
        if !as_was || place.rest != own.rest {
            odd.push((place, own));
        }
    }
    assert!(
        odd.len() <= 2 + same.len() / 20,
        "{what}: {usual}: {odd:#?}"
    );
    Some(usual)
}

/// The caches of which a guest told the traces, in the order in which it did.
const TOLD: [&str; 8] = [
    "kmalloc-64",
    "kmalloc-256",
    "kmalloc-1k",
    "leaky_session",
    "nf_conntrack",
    "skbuff_head_cache",
    "dentry",
    "task_struct",
];

fn compare_all(dump: &RealDump, file: &str, cut: bool, caches: &[&str]) {
    let mut older = Vec::new();
    for cache in caches {
        for of in ["alloc", "free"] {
            let what = format!("{of}_{file}.{cache}");
            let theirs = dump.captured(&what);
            let ours = traces(dump, cache, of, true);
            if theirs == "No data\n" {
                assert_eq!(ours, theirs, "{}: {what}", dump.name);
            }
            let what = format!("{}: {what}", dump.name);
            older.extend(compare(&what, &theirs, &ours, cut && theirs.len() > 3000));
        }
    }
    // What was captured earlier is older by more.
    assert!(older.len() > 8, "{older:?}");
    let in_order = older.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    assert!(in_order + 3 >= older.len(), "{}: {older:?}", dump.name);
    assert!(older.iter().all(|by| (1..10_000).contains(by)), "{older:?}");
}

#[test]
fn traces_equal_the_kernels() {
    let small = small_dumps(&["small-6.12-debug", "small-7.2-debug"]).into_iter();
    for dump in small.chain(real_dumps(&["7.2-user"])) {
        compare_all(&dump, "traces", false, &TOLD);
    }
}

/// Before 5.19 tracks hold their frames themselves, and the kernel prints no stacks.
#[test]
fn calls_of_the_old_layout_equal_the_kernels() {
    for dump in small_dumps(&["small-5.10-debug"]) {
        // Writing its files down makes dentries: it told of 908, and had 1,161 at last.
        let still: Vec<&str> = TOLD
            .into_iter()
            .filter(|cache| *cache != "dentry")
            .collect();
        compare_all(&dump, "calls", true, &still);
    }
    for dump in real_dumps(&["5.10-user"]) {
        compare_all(&dump, "calls", true, &TOLD);
        let text = traces(&dump, "leaky_session", "alloc", true);
        assert!(!text.contains("\n   "), "{text}");
        let args = ["objects", "leaky_session", "--traces", "--format", "json"];
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (_, stdout, _) = run(&[&args[..], &files[..]].concat());
        let document: Value = serde_json::from_str(&stdout).expect("JSON");
        let stack = document["sites"][0]["stack"].as_array().expect("a stack");
        let frames: Vec<&str> = stack.iter().filter_map(Value::as_str).collect();
        let has = |name: &str| frames.iter().any(|frame| frame.starts_with(name));
        assert!(
            has("leak_sessions+") && has("do_init_module+"),
            "{frames:?}"
        );
    }
}

/// With red zones and poison too, so that tracks lie elsewhere; every cache, with and without
/// debug files.
#[test]
fn traces_of_all_caches_equal_the_kernels() {
    for dump in real_dumps(&["6.1-fzpu"]) {
        let text = dump.captured("alloc_traces");
        let mut caches: BTreeMap<&str, String> = BTreeMap::new();
        for line in text.lines() {
            let (path, line) = line.split_once("/alloc_traces:").expect("a path");
            let name = path.rsplit('/').next().expect("a name");
            let text = caches.entry(name).or_default();
            text.push_str(line);
            text.push('\n');
        }
        assert!(caches.len() > 200);
        let mut compared = 0;
        // Those of which names are told: the others have IDs for names. To print the traces took
        // the guest long, so what came and went with it is left out.
        let busy = [
            "names_cache",
            "seq_file",
            "filp",
            "lsm_file_cache",
            "vm_area_struct",
        ];
        let mut large: Vec<_> = caches
            .iter()
            .filter(|(name, _)| !name.contains(':'))
            .collect();
        large.retain(|(name, text)| !busy.contains(name) && text.len() > 4000);
        for (name, theirs) in large.into_iter().step_by(4) {
            for vmlinux in [true, false] {
                let ours = traces(&dump, name, "alloc", vmlinux);
                let what = format!("{}: {name}", dump.name);
                compared += u32::from(compare(&what, theirs, &ours, false).is_some());
            }
        }
        assert!(compared >= 10, "{compared}");
    }
}

/// What nothing points to has an owner with the place that allocated it.
#[test]
fn lost_objects_say_who_allocated_them() {
    let dumps = small_dumps(&["small-5.10-debug", "small-6.12-debug", "small-7.2-debug"]);
    let dumps = dumps.into_iter();
    for dump in dumps.chain(real_dumps(&["5.10-user", "6.1-fzpu", "7.2-user"])) {
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        assert_eq!(code, 0, "{}", dump.name);
        let findings = document["findings"].as_array().expect("findings");
        for (cache, place) in [
            ("kmalloc-256", "leak_buffers+"),
            ("leaky_session", "leak_sessions+"),
        ] {
            let finding = findings.iter().find(|one| one["cache"] == cache);
            let finding = finding.unwrap_or_else(|| panic!("{}: no {cache}", dump.name));
            let owner = &finding["owners"][0];
            assert_eq!(owner["module"], "leaky", "{}: {owner}", dump.name);
            let site = &owner["sites"][0];
            // On 7.2 the kernel records a helper that the compiler did not inline.
            let how = owner["how"].as_str().expect("how");
            let at = how.split_once("most of them at ").expect("a place").1;
            assert!(at.starts_with(place), "{}: {how}", dump.name);
            check_loss(&dump, &document, cache, site);
        }
    }
}

/// The number and the time that the module told in the log: `leaky: 600 kmalloc-256, 300 named …`.
fn check_loss(dump: &RealDump, document: &Value, cache: &str, site: &Value) {
    let log = dump.captured("dmesg");
    let told = log
        .lines()
        .find(|line| line.contains("] leaky: ") && line.contains(" kept"));
    let (time, told) = told.expect("it tells").split_once("] leaky: ").expect("so");
    let mut numbers = told.split(|c: char| !c.is_ascii_digit());
    let mut number = || {
        numbers
            .by_ref()
            .find(|n| !n.is_empty())?
            .parse::<u64>()
            .ok()
    };
    let (buffers, _, sessions) = (number(), number(), number());
    let wanted = if cache == "kmalloc-256" {
        buffers
    } else {
        sessions
    };
    let (wanted, objects) = (wanted.expect("so many"), site["objects"].as_u64());
    // A stale pointer may hide some.
    let near = wanted - wanted / 100..=wanted;
    let what = format!("{}: {cache}: {objects:?} of {wanted}", dump.name);
    assert!(
        objects.is_some_and(|objects| near.contains(&objects)),
        "{what}"
    );
    let time: f64 = time
        .trim_start_matches('[')
        .trim()
        .parse()
        .expect("seconds");
    let uptime = document["dump"]["uptime_seconds"]
        .as_f64()
        .expect("an uptime");
    let age = site["age"]["mean_seconds"].as_f64().expect("an age");
    assert!(
        (uptime - age - time).abs() < 1.5,
        "{uptime} - {age}: {time}"
    );
}

/// A kernel that recorded nothing is told from one whose records are lost.
#[test]
fn a_kernel_without_owners_says_so() {
    let dump = crate::support::small_dump();
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) = run(&["pageowner", files[0], files[1]]);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("page_owner=on"), "{stderr}");
    let (code, _, stderr) = run(&["objects", "dentry", "--traces", files[0], files[1]]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("slub_debug=U,dentry"), "{stderr}");
    let (code, _, stderr) = run(&["objects", "dentry", "--format", "proc", files[0]]);
    assert_eq!(code, 2, "{stderr}");
}
