//! The command line as users and programs meet it, on the small dump.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{RealDump, run, slabs_json, small_dump};

fn files(dump: &RealDump) -> [&str; 2] {
    [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"))
}

#[test]
fn the_order_of_the_files_does_not_matter() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let one = run(&["slabs", vmcore, vmlinux]);
    let other = run(&["slabs", vmlinux, vmcore]);
    let by_option = run(&["slabs", vmcore, "-s", vmlinux]);
    assert_eq!(one.0, 0, "{}", one.2);
    assert_eq!(one, other);
    assert_eq!(one, by_option);
}

#[test]
fn the_document_has_what_the_contract_names() {
    let small = small_dump();
    let (code, document) = slabs_json(&[&small.vmcore, &small.vmlinux], &[]);
    assert_eq!(code, 0);
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["tool"]["name"], "vmleak");
    let has = |value: &Value, keys: &[&str]| {
        for key in keys {
            assert!(value.get(key).is_some(), "no {key} in {value}");
        }
    };
    let keys = "path format release build_id arch crash_time uptime_seconds panic nr_cpus \
                memory_bytes dump_level types_from symbols_from";
    has(
        &document["dump"],
        &keys.split_whitespace().collect::<Vec<_>>(),
    );
    has(
        &document,
        &["complete", "warnings", "assumptions", "totals", "caches"],
    );
    let keys = [
        "slab_bytes",
        "reclaimable_bytes",
        "unreclaimable_bytes",
        "memory_bytes",
    ];
    has(&document["totals"], &keys);
    for cache in document["caches"].as_array().expect("caches") {
        let keys = "name aliases address object_size size align objects_per_slab \
                    pages_per_slab flags slabinfo exact verdict";
        has(cache, &keys.split_whitespace().collect::<Vec<_>>());
        has(
            &cache["slabinfo"],
            &["active_objs", "num_objs", "active_slabs", "num_slabs"],
        );
        let keys = "slabs objects allocated free pending_free bytes allocated_bytes complete";
        has(
            &cache["exact"],
            &keys.split_whitespace().collect::<Vec<_>>(),
        );
        has(&cache["verdict"], &["level", "reasons"]);
        let exact = |key: &str| cache["exact"][key].as_u64().expect("a number");
        assert_eq!(
            exact("objects"),
            exact("allocated") + exact("free") + exact("pending_free")
        );
        assert_eq!(cache["address"].as_str().map(str::len), Some(18));
    }
}

#[test]
fn machine_formats_agree_with_the_document() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let (_, document) = slabs_json(&[&small.vmcore, &small.vmlinux], &[]);
    let caches = document["caches"].as_array().expect("caches");
    let (_, lines, _) = run(&["slabs", "--format", "jsonl", vmcore, vmlinux]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| {
            let mut row: Value = serde_json::from_str(line).expect("JSON");
            let members = row.as_object_mut().expect("an object");
            // What each row says of its dump: tests/it/opening/identity.rs.
            for name in ["dump_id", "host", "release", "crash_time"] {
                members.remove(name).expect(name);
            }
            row
        })
        .collect();
    assert_eq!(&lines, caches);
    let (_, csv, _) = run(&["slabs", "--format", "csv", vmcore, vmlinux]);
    let mut rows = csv.lines();
    let header: Vec<&str> = rows.next().expect("a header").split(',').collect();
    let column = header
        .iter()
        .position(|name| *name == "allocated")
        .expect("a column");
    for (row, cache) in rows.zip(caches) {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(fields[4], cache["name"]);
        assert_eq!(fields[column], cache["exact"]["allocated"].to_string());
    }
}

#[test]
fn objects_in_every_format() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let objects = |more: &[&str]| {
        let args = [&["objects", "leaky_session", vmcore, vmlinux][..], more].concat();
        let (code, stdout, stderr) = run(&args);
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let json: Value = serde_json::from_str(&objects(&["--format", "json"])).expect("JSON");
    let all = json["objects"].as_array().expect("objects");
    let allocated: Vec<&str> = all
        .iter()
        .filter(|object| object["state"] == "allocated")
        .map(|object| object["address"].as_str().expect("an address"))
        .collect();
    assert_eq!(json["counts"]["allocated"], allocated.len());
    let addrs = objects(&["--format", "addrs", "--state", "allocated"]);
    let addrs: Vec<String> = addrs.lines().map(|line| format!("0x{line}")).collect();
    assert_eq!(addrs, allocated);
    assert_eq!(
        objects(&["--format", "addrs", "--limit", "3"])
            .lines()
            .count(),
        3
    );
    let crash = objects(&["--format", "crash", "--state", "allocated", "--limit", "1"]);
    assert!(
        crash.contains(&format!("kmem -s {}", &allocated[0][2..])),
        "{crash}"
    );
    let hexdump = objects(&["--hexdump", "--state", "allocated", "--limit", "1"]);
    assert!(hexdump.contains("  0000  "), "{hexdump}");
    assert_eq!(objects(&["--format", "jsonl"]).lines().count(), all.len());
    assert_eq!(objects(&["--format", "csv"]).lines().count(), all.len() + 1);
}

#[test]
fn info_names_the_crash_and_the_layouts() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let (code, text, _) = run(&["info", "--layouts", vmcore, vmlinux]);
    assert_eq!(code, 0);
    for part in [
        "sysrq triggered crash",
        "build-id",
        "struct kmem_cache",
        "cpu_slab",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // Threads resolve layouts in any order.
    for threads in 1..12 {
        let threads = threads.to_string();
        let args = ["info", "--layouts", "--threads", &threads, vmcore, vmlinux];
        assert_eq!(run(&args).1, text, "{threads} threads");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let mut child = Command::new(env!("CARGO_BIN_EXE_vmleak"))
        .args(["objects", "kmalloc-64", vmcore, vmlinux])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vmleak starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("vmleak ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_result_goes_to_a_file_and_nothing_beside_the_dump() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let listing = || {
        let entries = std::fs::read_dir(&small.folder).expect("the folder lists");
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("result");
    let path = file.to_str().expect("UTF-8");
    let (code, stdout, _) = run(&["slabs", vmcore, vmlinux, "-o", path]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    let (_, printed, _) = run(&["slabs", vmcore, vmlinux]);
    assert_eq!(
        std::fs::read_to_string(&file).expect("the result reads"),
        printed
    );
    assert_eq!(listing(), before);
}

#[test]
fn colour_only_where_it_is_wanted() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let escape = |args: &[&str]| {
        run(&[&["slabs", vmcore, vmlinux], args].concat())
            .1
            .contains('\x1b')
    };
    assert!(!escape(&[]));
    assert!(escape(&["--color", "always"]));
    assert!(!escape(&["--color", "never"]));
}

#[test]
fn fail_on_a_verdict() {
    let small = small_dump();
    let [vmcore, vmlinux] = files(&small);
    let (_, document) = slabs_json(&[&small.vmcore, &small.vmlinux], &[]);
    let caches = document["caches"].as_array().expect("caches");
    let suspect = caches.iter().any(|c| c["verdict"]["level"] == "suspect");
    let (code, ..) = run(&["slabs", "--fail-on", "suspect", vmcore, vmlinux]);
    assert_eq!(code, i32::from(suspect));
    // Sizes alone never say leak: nor may the exit status say that there is none.
    let (code, _, stderr) = run(&["slabs", "--fail-on", "leak", vmcore, vmlinux]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("vmleak leaks --fail-on leak"), "{stderr}");
    assert!(
        caches
            .iter()
            .all(|cache| cache["verdict"]["level"] != "clean")
    );
    let reasons = |cache: &Value| {
        cache["verdict"]["reasons"]
            .as_array()
            .expect("some")
            .clone()
    };
    let unsearched = |cache: &Value| {
        reasons(cache)
            .iter()
            .any(|one| one["code"] == "not-searched")
    };
    assert!(caches.iter().all(unsearched));
}
