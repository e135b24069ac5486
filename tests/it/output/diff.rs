//! `diff` against what the guests said, and against two dumps of one kernel.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run, slabs_json, small_dump};

fn diff(files: &[&Path], more: &[&str]) -> (i32, Value, String) {
    let mut args = vec!["diff", "--format", "json"];
    args.extend(files.iter().map(|path| path.to_str().expect("UTF-8")));
    args.extend(more);
    let (code, stdout, stderr) = run(&args);
    (
        code,
        serde_json::from_str(&stdout).unwrap_or_default(),
        stderr,
    )
}

fn rows(document: &Value) -> &Vec<Value> {
    document["caches"].as_array().expect("caches")
}

fn row<'d>(document: &'d Value, name: &str) -> &'d Value {
    let found = rows(document).iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn a_dump_has_not_grown_since_itself() {
    let dump = small_dump();
    let (code, document, stderr) = diff(&[&dump.vmcore, &dump.vmcore, &dump.vmlinux], &[]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(document["compared"], "exact");
    assert_eq!(document["old_bytes"], document["new_bytes"]);
    assert!(rows(&document).len() > 100);
    for row in rows(&document) {
        assert_eq!((&row["objects"], &row["bytes"]), (&0.into(), &0.into()));
        assert_eq!(row["old"], row["new"]);
    }
}

/// Active objects and slabs of each line of a /proc/slabinfo whose names have no blanks.
fn by_hand(text: &str) -> BTreeMap<String, (i64, i64)> {
    let lines = text.lines().skip(2);
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = |word: &str| word.parse::<i64>().expect("a number");
    words
        .map(|words| {
            let slabs = number(words[14]) * number(words[5]) * 4096;
            (words[0].to_owned(), (number(words[1]), slabs))
        })
        .collect()
}

#[test]
fn growth_since_what_the_guest_saved_is_the_difference_of_the_numbers() {
    let dump = small_dump();
    let saved = dump.folder.join("cap/slabinfo");
    let (code, document, stderr) = diff(&[&saved, &dump.vmcore, &dump.vmlinux], &[]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(document["compared"], "slabinfo");
    let before = by_hand(&dump.captured("slabinfo"));
    let (_, slabs) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
    let caches = slabs["caches"].as_array().expect("caches");
    assert_eq!(before.len(), caches.len());
    for cache in caches {
        let name = cache["name"].as_str().expect("a name");
        let (active, bytes) = before[name];
        let now = |value: &Value| value.as_i64().expect("a number");
        let row = row(&document, name);
        let grown = now(&cache["slabinfo"]["active_objs"]) - active;
        assert_eq!(now(&row["objects"]), grown, "{name}");
        assert_eq!(
            now(&row["bytes"]),
            now(&cache["exact"]["bytes"]) - bytes,
            "{name}"
        );
    }
    // The other way round it has shrunk by as much.
    let (_, back, _) = diff(&[&dump.vmcore, &dump.vmlinux, &saved], &[]);
    for there in rows(&document) {
        let here = row(&back, there["name"].as_str().expect("a name"));
        assert_eq!(
            here["objects"].as_i64(),
            there["objects"].as_i64().map(|n| -n)
        );
    }
}

#[test]
fn what_leaked_between_two_dumps_comes_first() {
    for (quiet, leaky) in real_dumps(&["6.1-none"])
        .into_iter()
        .zip(real_dumps(&["6.1"]))
    {
        let (code, document, stderr) = diff(&[&quiet.vmcore, &leaky.vmcore, &leaky.vmlinux], &[]);
        assert_eq!(code, 0, "{stderr}");
        let lost = row(&document, "leaky_session");
        assert_eq!(
            (&lost["old"], &lost["objects"]),
            (&Value::Null, &3500.into())
        );
        let oracle = |dump: &crate::support::RealDump, name: &str| {
            let count = &slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]).1;
            let caches = count["caches"].as_array().expect("caches").clone();
            let cache = caches.into_iter().find(|cache| cache["name"] == name);
            cache.expect(name)["exact"]["allocated"]
                .as_i64()
                .expect("a number")
        };
        let grown = oracle(&leaky, "kmalloc-256") - oracle(&quiet, "kmalloc-256");
        assert!(grown > 5500, "{grown}");
        let buffers = row(&document, "kmalloc-256");
        assert_eq!(buffers["objects"].as_i64(), Some(grown));
        assert_eq!(rows(&document)[0]["name"], "kmalloc-256");
    }
}

#[test]
fn what_can_not_be_compared_is_said() {
    let dump = small_dump();
    let broken = tempfile::NamedTempFile::new().expect("a file");
    let text = dump.captured("slabinfo").replacen("slabdata", "slabd", 3);
    std::fs::write(broken.path(), text).expect("written");
    for (files, code, words) in [
        (
            vec![&*dump.vmcore, &dump.vmlinux],
            2,
            "two dumps or saved slabinfos are compared, and 1 given",
        ),
        (
            vec![broken.path(), &dump.vmcore, &dump.vmlinux],
            3,
            "line 3 is not a line of /proc/slabinfo",
        ),
    ] {
        let (found, _, stderr) = diff(&files, &[]);
        assert_eq!(found, code, "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn two_boots_are_said_and_no_time_between_them() {
    let dumps = real_dumps(&["5.10", "6.1"]);
    let [old, new] = dumps.as_slice() else { return };
    let files: [&Path; 4] = [&old.vmcore, &new.vmcore, &old.vmlinux, &new.vmlinux];
    let (_, document, stderr) = diff(&files, &[]);
    assert_eq!(document["same_boot"], false, "{stderr}");
    assert!(stderr.contains("two boots"), "{stderr}");
    let mut args = vec!["diff", "-q"];
    args.extend(files.iter().map(|path| path.to_str().expect("UTF-8")));
    let (_, text, _) = run(&args);
    assert!(
        text.contains("between two boots") && !text.contains(" in 1"),
        "{text}"
    );
    // A dump is of its own boot.
    let (_, document, _) = diff(&[&new.vmcore, &new.vmcore, &new.vmlinux], &[]);
    assert_eq!(document["same_boot"], true);
}

fn names(document: &Value, part: &str) -> Vec<String> {
    let rows = document[part].as_array().expect("rows");
    let names = rows.iter().map(|row| row["name"].as_str().expect("a name"));
    names.map(str::to_owned).collect()
}

#[test]
fn of_one_dump_twice_nothing_differs_and_all_is_told() {
    let dump = small_dump();
    let (code, document, stderr) = diff(&[&dump.vmcore, &dump.vmcore, &dump.vmlinux], &[]);
    assert_eq!(code, 0, "{stderr}");
    for part in ["ledger", "meminfo"] {
        let rows = document[part].as_array().expect("rows");
        assert!(rows.len() > 10, "{part}");
        for row in rows {
            assert_eq!(row["change_bytes"], 0, "{row}");
            assert_eq!(row["bytes"][0], row["bytes"][1]);
        }
    }
    assert_eq!(names(&document, "sysctls"), Vec::<String>::new());
    assert_eq!(names(&document, "modules"), Vec::<String>::new());
    assert_eq!(document["searched"], Value::from(vec![true, true]));
    let (_, leaks, _) = run(&[
        "leaks",
        "--format",
        "json",
        dump.vmcore.to_str().expect("UTF-8"),
        dump.vmlinux.to_str().expect("UTF-8"),
    ]);
    let leaks: Value = serde_json::from_str(&leaks).expect("a document");
    let told = document["findings"].as_array().expect("findings");
    for finding in leaks["findings"].as_array().expect("findings") {
        let same = |row: &&Value| row["fingerprint"] == finding["fingerprint"];
        let row = told.iter().find(same).expect("told");
        let level = &finding["level"];
        assert_eq!(
            row["levels"],
            Value::from(vec![level.clone(), level.clone()])
        );
    }
    // Whoever wants caches alone waits for no search.
    let (_, document, _) = diff(
        &[&dump.vmcore, &dump.vmcore, &dump.vmlinux],
        &["--with", "none"],
    );
    assert_eq!(document["searched"], Value::from(vec![false, false]));
    assert_eq!(names(&document, "ledger"), Vec::<String>::new());
    assert!(rows(&document).len() > 100);
}

/// The time of a crash stands in a note as text.
fn earlier(dump: &RealDump, seconds: i64) -> tempfile::NamedTempFile {
    let mut bytes = std::fs::read(&dump.vmcore).expect("a dump");
    let mark = b"CRASHTIME=";
    let places: Vec<usize> = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, window)| *window == mark)
        .map(|(at, _)| at + mark.len())
        .collect();
    assert!(!places.is_empty());
    for at in places {
        let text = std::str::from_utf8(&bytes[at..at + 10]).expect("digits");
        let time: i64 = text.parse().expect("a time");
        let text = (time - seconds).to_string();
        bytes[at..at + 10].copy_from_slice(text.as_bytes());
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    file
}

#[test]
fn two_dumps_of_one_boot_are_compared_in_the_order_of_time() {
    let dump = small_dump();
    let old = earlier(&dump, 36);
    for files in [
        [old.path(), &*dump.vmcore, &dump.vmlinux],
        [&*dump.vmcore, old.path(), &dump.vmlinux],
    ] {
        let (code, document, stderr) = diff(&files, &["--with", "none"]);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(document["same_boot"], true, "{stderr}");
        assert_eq!(document["seconds_between"], 36.0);
        let path = old.path().to_str().expect("UTF-8");
        assert_eq!(document["old"]["path"], path);
        let turned = files[0] != old.path();
        assert_eq!(stderr.contains("in the order of time"), turned, "{stderr}");
    }
}

#[test]
fn what_was_planted_between_two_dumps_is_told_in_every_part() {
    for (quiet, leaky) in real_dumps(&["6.1-none"])
        .into_iter()
        .zip(real_dumps(&["6.1"]))
    {
        let (_, document, stderr) = diff(&[&quiet.vmcore, &leaky.vmcore, &leaky.vmlinux], &[]);
        let found = document["findings"].as_array().expect("findings");
        let lost = found.iter().find(|row| row["subject"] == "leaky_session");
        let levels = &lost.expect(&stderr)["levels"];
        assert_eq!((&levels[0], &levels[1]), (&Value::Null, &"leak".into()));
        let loaded = names(&document, "modules");
        assert!(loaded.contains(&"leaky".to_owned()), "{loaded:?}");
        // As sysctl -a of either guest said it.
        let was = quiet.captured("sysctl");
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(" = "))
                .map(|(_, value)| value.to_owned())
        };
        let is = leaky.captured("sysctl");
        let name = "kernel.tainted";
        let row = document["sysctls"].as_array().expect("sysctls").iter();
        let row = row.clone().find(|row| row["name"] == name).expect(name);
        let both = [value(&was, name), value(&is, name)].map(|value| value.expect(name));
        assert_eq!(row["values"], Value::from(both.to_vec()));
    }
}

#[test]
fn all_connections_of_both_are_counted() {
    let dumps = real_dumps(&["5.10", "6.1"]);
    let [old, new] = dumps.as_slice() else { return };
    let files: [&Path; 4] = [&old.vmcore, &new.vmcore, &old.vmlinux, &new.vmlinux];
    let (_, document, _) = diff(&files, &["--with", "connections"]);
    let counted = [old, new].map(|dump| {
        dump.oracle()["conntrack"]["entries"]
            .as_array()
            .map(Vec::len)
    });
    assert_eq!(document["connections"], serde_json::json!(counted));
}

/// A bundle holds what one command read.
#[test]
fn what_a_bundle_was_not_made_for_is_not_compared_and_that_is_said() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("bundle");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let made = [
        "bundle".to_owned(),
        "--for".to_owned(),
        "slabs".to_owned(),
        "-o".to_owned(),
        text(&bundle),
        text(&dump.vmcore),
        text(&dump.vmlinux),
    ];
    let (code, _, stderr) = run(&made);
    assert_eq!(code, 0, "{stderr}");
    let (code, document, stderr) = diff(&[&dump.vmcore, &bundle, &dump.vmlinux], &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("connections are not compared"), "{stderr}");
    assert_eq!(document["searched"], Value::from(vec![true, false]));
    assert_eq!(document["connections"][1], Value::Null);
    assert_eq!(document["old_bytes"], document["new_bytes"]);
    // Whoever asks for it by name does not get it.
    let (code, document, stderr) = diff(
        &[&dump.vmcore, &bundle, &dump.vmlinux],
        &["--with", "connections"],
    );
    assert_eq!(
        (code, &document["complete"]),
        (4, &false.into()),
        "{stderr}"
    );
    let (code, _, stderr) = diff(&[&dump.vmcore, &bundle], &["--with", "none,meminfo"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("stands alone"), "{stderr}");
}
