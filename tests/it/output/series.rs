//! `diff` of more and other things than two dumps: what tools saved, exported rows, sosreports.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{RealDump, files, json, number, run, small_dump};

fn series(paths: &[&Path], more: &[&str]) -> Value {
    let paths = paths.iter().map(|path| path.to_str().expect("UTF-8"));
    let args: Vec<&str> = ["diff", "--format", "json", "-q"]
        .into_iter()
        .chain(paths)
        .collect();
    let (code, stdout, stderr) = run(&[&args[..], more].concat());
    assert!(matches!(code, 0 | 4), "{code} {stderr}");
    json(&stdout)
}

fn row<'d>(document: &'d Value, part: &str, name: &str) -> &'d Value {
    let rows = document[part].as_array().expect("rows");
    let found = rows.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {part}"))
}

/// By hand: bytes of a cache's slabs in a /proc/slabinfo.
fn bytes_in(slabinfo: &str, name: &str) -> u64 {
    let line = slabinfo
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    let words: Vec<&str> = line.expect("a line").split_whitespace().collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    number(14) * number(5) * 4096
}

fn meminfo(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with(&format!("{name}:")));
    let words: Vec<&str> = line.expect("a line").split_whitespace().collect();
    words[1].parse::<u64>().expect("a number") * 1024
}

#[test]
fn an_archive_of_oswatcher_is_a_series_with_a_rate() {
    let dump = small_dump();
    let (slabs, memory) = (dump.captured("slabinfo"), dump.captured("meminfo"));
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("host_slabinfo_23.03.02.1200.dat");
    let was = bytes_in(&slabs, "dentry");
    // A page more of dentries an hour.
    let (lines, mut text) = (slabs.lines(), String::new());
    let lines: Vec<&str> = lines.collect();
    for hour in 0..4u64 {
        text.push_str(&format!("zzz ***Thu Mar 2 1{hour}:00:01 UTC 2023\n"));
        for line in &lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.first() {
                Some(&"dentry") => {
                    let more = (words[14].parse::<u64>().expect("slabs") + hour).to_string();
                    let changed = [&words[..13], &[more.as_str(), more.as_str(), "0"]].concat();
                    text.push_str(&changed.join(" "));
                }
                _ => text.push_str(line),
            }
            text.push('\n');
        }
    }
    fs::write(&archive, &text).expect("a file");
    let saved = folder.path().join("meminfo");
    fs::write(&saved, &memory).expect("a file");
    let document = series(&[&archive], &[]);
    assert_eq!(document["states"].as_array().expect("states").len(), 4);
    let dentry = row(&document, "caches", "dentry");
    let expected: Vec<u64> = (0..4).map(|hour| was + hour * 4096).collect();
    assert_eq!(dentry["bytes"], Value::from(expected));
    assert_eq!(dentry["bytes_per_hour"], 4096.0);
    // With another kind of text, which has no caches and no time.
    let document = series(&[&archive, &saved], &[]);
    assert_eq!(dentry["bytes"].as_array().expect("bytes").len(), 4);
    assert_eq!(row(&document, "caches", "dentry")["bytes"][4], Value::Null);
    let slab = &row(&document, "meminfo", "Slab")["bytes"][4];
    assert_eq!(number(slab), meminfo(&memory, "Slab"));
}

#[test]
fn what_a_guest_saved_stands_beside_its_dump() {
    let dump = small_dump();
    let cap = dump.folder.join("cap");
    let slabinfo = cap.join("slabinfo");
    let memory = cap.join("meminfo");
    let document = series(&[&slabinfo, &memory, &dump.vmcore, &dump.vmlinux], &[]);
    let kinds: Vec<&Value> = document["states"]
        .as_array()
        .expect("states")
        .iter()
        .map(|state| &state["kind"])
        .collect();
    assert_eq!(kinds, ["slabinfo", "meminfo", "dump"]);
    let total = &row(&document, "meminfo", "MemTotal")["bytes"];
    let expected = meminfo(&dump.captured("meminfo"), "MemTotal");
    assert_eq!((number(&total[1]), number(&total[2])), (expected, expected));
    let lost = row(&document, "caches", "leaky_session");
    assert_eq!(
        number(&lost["bytes"][0]),
        bytes_in(&dump.captured("slabinfo"), "leaky_session")
    );
    // Two texts need no dump.
    let document = series(&[&slabinfo, &slabinfo], &[]);
    assert_eq!(row(&document, "caches", "dentry")["change_bytes"], 0);
}

fn exported(dump: &RealDump, folder: &Path, form: &str) {
    let folder = folder.to_str().expect("UTF-8");
    let more = [
        "--format",
        form,
        "--tables",
        "caches,findings,sysctls,dumps",
    ];
    let (code, _, stderr) = run(&[&["export", "-o", folder], &files(dump)[..], &more].concat());
    assert!(matches!(code, 0 | 4), "{stderr}");
}

#[test]
fn rows_are_states_whatever_their_form() {
    let dump = small_dump();
    let [lines, parquet] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    exported(&dump, lines.path(), "jsonl");
    exported(&dump, parquet.path(), "parquet");
    let document = series(
        &[lines.path(), parquet.path(), &dump.vmcore, &dump.vmlinux],
        &[],
    );
    assert_eq!(document["same_boot"], true);
    let rows = document["caches"].as_array().expect("caches");
    assert!(rows.len() > 100);
    for row in rows {
        let bytes = row["bytes"].as_array().expect("bytes");
        assert!(bytes.iter().all(|one| *one == bytes[0]), "{row}");
        let objects = row["objects"].as_array().expect("objects");
        assert!(objects.iter().all(|one| *one == objects[0]), "{row}");
    }
    let findings = document["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 2);
    for finding in findings {
        assert_eq!(finding["levels"], Value::from(vec!["leak", "leak", "leak"]));
        let bytes = finding["bytes"].as_array().expect("bytes");
        assert!(bytes.iter().all(|one| *one == bytes[0]), "{finding}");
    }
    // Where nobody looked, nothing is said to be gone.
    let document = series(
        &[lines.path(), &dump.vmcore, &dump.vmlinux],
        &["--with", "sysctls"],
    );
    assert_eq!(document["searched"], Value::from(vec![true, false]));
    let findings = document["findings"].as_array().expect("findings");
    let levels = Value::from(vec![Some("leak"), None]);
    assert!(findings.iter().all(|one| one["levels"] == levels));
    assert_eq!(document["sysctls"], Value::Array(Vec::new()));
    // One file of it.
    let file = lines.path().join("findings.jsonl");
    let document = series(&[&file, lines.path()], &[]);
    assert_eq!(document["findings"].as_array().expect("findings").len(), 2);
}

#[test]
fn a_sosreport_is_a_state_with_its_modules_and_sysctls() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let put = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    put("proc/meminfo", &dump.captured("meminfo"));
    put("proc/slabinfo", &dump.captured("slabinfo"));
    put(
        "proc/modules",
        "not_there 16384 0 - Live 0x0000000000000000\n",
    );
    put("sos_commands/kernel/sysctl_-a", "vm.swappiness = 99\n");
    put("proc/sys/kernel/osrelease", "6.12.117\n");
    put("date", "Thu Mar  2 12:00:01 UTC 2023\n");
    let document = series(&[folder.path(), &dump.vmcore, &dump.vmlinux], &[]);
    assert_eq!(document["states"][0]["kind"], "sosreport");
    assert_eq!(document["states"][0]["time"], 1_677_758_401);
    assert_eq!(document["same_release"], true);
    let swappiness = row(&document, "sysctls", "vm.swappiness");
    assert_eq!(swappiness["values"][0], "99");
    assert_ne!(swappiness["values"][1], "99");
    let module = row(&document, "modules", "not_there");
    assert_eq!(module["values"], Value::from(vec![Some("loaded"), None]));
}

#[test]
fn what_is_no_state_is_said() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("meminfo");
    fs::write(&bad, "MemTotal: 3 kB\nSlab\n").expect("a file");
    let [vmcore, vmlinux] = files(&dump);
    let path = bad.to_str().expect("UTF-8");
    let (code, _, stderr) = run(&["diff", path, vmcore, vmlinux]);
    assert!(code == 3 && stderr.contains("line 2"), "{stderr}");
    let (code, _, stderr) = run(&["diff", path]);
    assert!(code != 0, "{stderr}");
}
