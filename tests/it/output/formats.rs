//! Every command in every form that the contract promises: table, json, jsonl and csv.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::{files, json, real_dumps, run};

/// What each row says first.
const LEAD: [&str; 4] = ["dump_id", "host", "release", "crash_time"];

/// With the list of the document that a row is an item of, where there is one that is it.
const COMMANDS: &[(&str, &[&str], Option<&str>)] = &[
    ("info", &[], None),
    ("slabs", &[], Some("caches")),
    ("objects", &["kmalloc-256"], Some("objects")),
    ("leaks", &[], Some("caches")),
    ("conntrack", &["--netns", "all"], Some("entries")),
    ("nat", &[], Some("translations")),
    ("meminfo", &[], Some("meminfo")),
    ("sysctl", &["--netns", "all"], Some("sysctls")),
    ("vmalloc", &[], Some("areas")),
    ("memcg", &[], Some("memcgs")),
    ("log", &[], Some("records")),
    ("modules", &[], Some("modules")),
    ("pages", &[], None),
    ("ps", &[], Some("processes")),
    ("files", &[], Some("files")),
    ("dentries", &[], Some("directories")),
    ("zones", &[], None),
    ("bpf", &[], None),
    ("retained", &[], Some("owners")),
    ("rules", &["--netns", "all"], None),
    ("sockets", &[], Some("sockets")),
    ("net", &[], None),
];

#[test]
fn each_command_has_rows_that_say_whose_they_are() {
    for dump in real_dumps(&["6.1"]) {
        for (command, more, list) in COMMANDS {
            let printed = |form: &str| {
                let last = ["--format", form, "-q"];
                let args = [&[*command], *more, &files(&dump)[..], &last].concat();
                let (code, stdout, stderr) = run(&args);
                assert!(matches!(code, 0 | 4), "{command} {form}: {code} {stderr}");
                stdout
            };
            let lines = printed("jsonl");
            let rows: Vec<Value> = lines.lines().map(json).collect();
            for row in &rows {
                assert!(
                    LEAD.iter().all(|name| row.get(name).is_some()),
                    "{command}: {row}"
                );
            }
            if let Some(list) = list {
                let document = json(&printed("json"));
                let items = document[list].as_array().map(Vec::len);
                assert_eq!(items, Some(rows.len()), "{command}: {list}");
            }
            let table = printed("csv");
            let mut reader = csv_lines(&table);
            let head = reader.next().unwrap_or_default();
            assert_eq!(head[..4], LEAD, "{command}");
            let names: HashSet<&String> = head.iter().collect();
            assert_eq!(names.len(), head.len(), "{command}: columns of one name");
            let mut rows_of_table = 0;
            for row in reader {
                rows_of_table += 1;
                assert_eq!(row.len(), head.len(), "{command}: {row:?}");
                assert_eq!(
                    row[0],
                    rows[0]["dump_id"].as_str().expect("text"),
                    "{command}"
                );
            }
            assert!(rows_of_table > 0 || rows.is_empty(), "{command}");
        }
    }
}

/// Records of csv: fields in quotes may hold commas, quotes twice, and lines.
fn csv_lines(text: &str) -> impl Iterator<Item = Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quoted) {
            ('"', true) if rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => record.push(std::mem::take(&mut field)),
            ('\n', false) => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(c),
        }
    }
    records.into_iter()
}

/// Programs get all rows, people the first ones.
#[test]
fn all_files_and_directories_are_rows() {
    for dump in real_dumps(&["6.1"]) {
        let document = |command: &str| {
            let args = [&[command], &files(&dump)[..], &["--format", "json"]].concat();
            json(&run(&args).1)
        };
        let all = document("files");
        let counted = all["mounts"].as_array().expect("mounts").iter();
        let counted: u64 = counted
            .map(|mount| mount["files"].as_u64().expect("a number"))
            .sum();
        assert_eq!(
            all["files"].as_array().map(|all| all.len() as u64),
            Some(counted)
        );
        assert!(counted > 20);
        let first = [
            &["files"],
            &files(&dump)[..],
            &["--format", "json", "--top", "3"],
        ]
        .concat();
        let first = json(&run(&first).1);
        assert_eq!(first["files"].as_array().map(Vec::len), Some(3));
        let directories = document("dentries")["directories"].as_array().map(Vec::len);
        assert!(directories > Some(20), "{directories:?}");
    }
}

/// Whoever ends with 4 says why, also where memory was all that lacked.
#[test]
fn too_little_memory_is_a_reason_that_is_said() {
    for dump in real_dumps(&["6.1"]) {
        for command in ["retained", "pages", "leaks"] {
            let more = ["--format", "json", "--max-memory", "64K"];
            let (code, stdout, stderr) = run(&[&[command], &files(&dump)[..], &more].concat());
            assert_eq!(code, 4, "{command}: {stderr}");
            let document = json(&stdout);
            let warnings = document["warnings"].as_array().expect("warnings");
            let said = |warning: &Value| warning["message"].to_string().contains("--max-memory");
            assert!(warnings.iter().any(said), "{command}: {warnings:?}");
            if command == "retained" {
                assert_eq!(document["unreachable_bytes"], Value::Null);
            }
        }
    }
}
