//! `diff` against what the guests said, and against two dumps of one kernel.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{real_dumps, run, slabs_json, small_dump};

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
