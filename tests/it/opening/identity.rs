//! Which dump a result is of: in the document, in the head of texts, in every row.

use std::path::Path;

use serde_json::Value;

use crate::support::{real_dumps, run, small_dump};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn dump_of(files: &[&str]) -> Value {
    let args = [&["info", "--format", "json"], files].concat();
    let (_, stdout, stderr) = run(&args);
    let mut document: Value = serde_json::from_str(&stdout).expect(&stderr);
    document["dump"].take()
}

/// As drgn reads `init_uts_ns`, `avenrun`, `nr_threads`, `panic_cpu` and the task of that CPU from
/// the same dumps; load as /proc/loadavg rounds it.
#[test]
fn who_ran_at_the_crash_is_what_drgn_reads() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let (load, tasks, cpu) = match dump.name.as_str() {
            "debian-5.10" => ([0.41, 0.11, 0.04], 54, 0),
            "debian-6.1" => ([0.66, 0.18, 0.06], 62, 0),
            "debian-6.12" => ([0.79, 0.26, 0.1], 80, 1),
            "debian-6.12-arm64" => ([1.58, 0.87, 0.35], 71, 0),
            _ => ([1.0, 0.33, 0.12], 69, 1),
        };
        let found = dump_of(&[text(&dump.vmcore), text(&dump.vmlinux)]);
        assert_eq!(found["host"], "(none)", "{}", dump.name);
        assert_eq!(found["load"], serde_json::json!(load), "{}", dump.name);
        assert_eq!(found["tasks"], tasks, "{}", dump.name);
        let task = serde_json::json!({ "pid": 1, "comm": "init", "cpu": cpu });
        assert_eq!(found["panic_task"], task, "{}", dump.name);
        assert_eq!(found["source"], "kdump", "{}", dump.name);
    }
}

#[test]
fn every_row_starts_with_the_dump() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    let dump = dump_of(&files);
    let id = dump["id"].as_str().expect("an id");
    assert_eq!(id.len(), 16);
    let columns = "dump_id,host,release,crash_time,";
    let lead = format!("{id},(none),6.12.117,2026-11-23T06:53:28Z,");
    let json = format!(
        r#"{{"dump_id":"{id}","host":"(none)","release":"6.12.117","crash_time":"2026-11-23T06:53:28Z","#
    );
    let commands: &[&[&str]] = &[
        &["slabs"],
        &["objects", "leaky_session"],
        &["conntrack"],
        &["vmalloc"],
        &["modules"],
        &["ps"],
        &["files"],
        &["dentries"],
        &["sysctl", "vm"],
        &["sysctl", "--check"],
    ];
    for command in commands {
        let rows = |format: &str| {
            let (_, stdout, stderr) = run(&[command, &files[..], &["--format", format]].concat());
            assert!(!stdout.is_empty(), "{command:?}: {stderr}");
            stdout
        };
        let csv = rows("csv");
        let (head, rest) = csv.split_once('\n').expect("a header");
        assert!(head.starts_with(columns), "{command:?}: {head}");
        for row in rest.lines().take(5) {
            assert!(row.starts_with(&lead), "{command:?}: {row}");
        }
        for row in rows("jsonl").lines().take(5) {
            assert!(row.starts_with(&json), "{command:?}: {row}");
            let item: Value = serde_json::from_str(row).expect("JSON");
            assert!(item.as_object().is_some_and(|item| item.len() > 4));
        }
    }
}

/// A copy under another name is the same dump, another dump is not.
#[test]
fn the_id_is_of_the_dump_and_not_of_the_file() {
    let small = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let copy = folder.path().join("copied");
    std::fs::copy(&small.vmcore, &copy).expect("it copies");
    let vmlinux = text(&small.vmlinux);
    let id = |vmcore: &Path, vmlinux: &str| dump_of(&[text(vmcore), vmlinux])["id"].clone();
    assert_eq!(id(&small.vmcore, vmlinux), id(&copy, vmlinux));
    let mut seen = vec![id(&small.vmcore, vmlinux)];
    for dump in real_dumps(&["6.1", "7.2"]) {
        let id = id(&dump.vmcore, text(&dump.vmlinux));
        assert!(!seen.contains(&id), "{}", dump.name);
        seen.push(id);
    }
}

#[test]
fn the_head_says_who_ran_and_which_dump_it_is() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    let dump = dump_of(&files);
    let (_, stdout, _) = run(&["slabs", files[0], files[1]]);
    let task = &dump["panic_task"];
    let line = stdout.lines().nth(2).expect("a third line");
    let comm = task["comm"].as_str().expect("a name");
    assert!(line.starts_with(&format!(
        "in {comm} (pid {}) on CPU {}, ",
        task["pid"], task["cpu"]
    )));
    assert!(line.ends_with(&format!(", dump {}", dump["id"].as_str().expect("an id"))));
    assert!(line.contains(" tasks, load "), "{line}");
}
