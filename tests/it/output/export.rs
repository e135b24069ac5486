//! `export`: rows of what the commands say, in three forms, by the schemas that `schema` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{RealDump, files, json, printed, real_dumps, run, skip, small_dump};

const LEAD: [&str; 4] = ["dump_id", "host", "release", "crash_time"];

fn exported(dump: &RealDump, folder: &Path, more: &[&str]) -> String {
    let folder = folder.to_str().expect("UTF-8");
    let args = [&["export", "-o", folder], &files(dump)[..], more].concat();
    let (code, stdout, stderr) = run(&args);
    assert!(matches!(code, 0 | 4), "{code} {stderr}");
    stdout
}

fn rows(folder: &Path, table: &str) -> Vec<Value> {
    let path = folder.join(format!("{table}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(json).collect()
}

fn schema(more: &[&str]) -> Value {
    let (code, stdout, stderr) = run(&[&["schema"], more].concat());
    assert_eq!(code, 0, "{stderr}");
    json(&stdout)
}

/// What a schema lets a value be.
fn fits(value: &Value, property: &Value) -> bool {
    let kinds = property["type"].as_array().expect("types");
    kinds.iter().any(|kind| match kind.as_str() {
        Some("null") => value.is_null(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => false,
    })
}

#[test]
fn rows_are_what_the_commands_say_and_as_the_schema_has_them() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let said = exported(&dump, folder.path(), &["--format", "jsonl"]);
    let all = schema(&[]);
    let tables = all["$defs"].as_object().expect("tables");
    // The small vmlinux does not describe sockets: then there is no such table. Nor nf_tables, so that
    // the table of rules has only others'.
    let dumps = rows(folder.path(), "dumps");
    assert_eq!(dumps[0]["absent_tables"], "sockets");
    assert_eq!(dumps[0]["incomplete_tables"], "rules sockets");
    for (table, schema) in tables.iter().filter(|(table, _)| *table != "sockets") {
        let properties = schema["properties"].as_object().expect("properties");
        let rows = rows(folder.path(), table);
        assert!(said.contains(&format!("{} {table}", rows.len())), "{said}");
        for row in &rows {
            let row = row.as_object().expect("an object");
            assert!(row.keys().eq(properties.keys()), "{table}: {row:?}");
            for (name, value) in row {
                assert!(fits(value, &properties[name]), "{table}.{name}: {value}");
            }
        }
    }
    let leaks = json(&printed(&dump, "leaks", &["--format", "json"]));
    let prints = |rows: &[Value]| -> Vec<Value> {
        rows.iter().map(|row| row["fingerprint"].clone()).collect()
    };
    let findings = leaks["findings"].as_array().expect("findings");
    assert_eq!(prints(&rows(folder.path(), "findings")), prints(findings));
    // The module lost 600 of one and 300 of the other.
    let caches: BTreeMap<String, u64> = rows(folder.path(), "caches")
        .iter()
        .filter(|row| row["verdict"] == "leak")
        .map(|row| {
            (
                row["name"].to_string(),
                row["unreachable_objects"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(caches.values().sum::<u64>(), 900, "{caches:?}");
    let clusters = rows(folder.path(), "clusters");
    let of_module = clusters.iter().filter(|row| row["modules"] == "leaky");
    assert!(of_module.count() > 0, "{clusters:?}");
    let lines = |command: &str, more: &[&str]| printed(&dump, command, more).lines().count();
    for (table, command, more) in [
        ("connections", "conntrack", vec!["--format", "jsonl"]),
        ("translations", "nat", vec!["--format", "jsonl"]),
        ("processes", "ps", vec!["--format", "jsonl"]),
        (
            "sysctls",
            "sysctl",
            vec!["--netns", "all", "--format", "jsonl"],
        ),
        ("log", "log", vec!["--format", "jsonl"]),
    ] {
        assert_eq!(
            rows(folder.path(), table).len(),
            lines(command, &more),
            "{table}"
        );
    }
    let pages: u64 = rows(folder.path(), "ledger")
        .iter()
        .filter(|row| row["how"] == "line")
        .map(|row| row["pages"].as_u64().expect("a number"))
        .sum();
    let ledger = json(&printed(&dump, "pages", &["--format", "json"]));
    assert_eq!(Some(pages), ledger["sums"]["pages"].as_u64());
    let names: BTreeSet<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), tables.len() - 1, "no half files: {names:?}");
}

#[test]
fn csv_has_the_columns_of_the_schema_and_the_rows_of_jsonl() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let tables = ["--tables", "processes,sysctls,dumps"];
    exported(
        &dump,
        folder.path(),
        &[&["--format", "csv"], &tables[..]].concat(),
    );
    exported(
        &dump,
        folder.path(),
        &[&["--format", "jsonl"], &tables[..]].concat(),
    );
    let path = folder.path().join("processes.csv");
    let mut csv = csv::Reader::from_path(path).expect("csv");
    let head: Vec<String> = csv
        .headers()
        .expect("a head")
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(head[..4], LEAD);
    let jsonl = rows(folder.path(), "processes");
    let records: Vec<csv::StringRecord> = csv.records().map(|one| one.expect("a row")).collect();
    assert_eq!(records.len(), jsonl.len());
    for (record, row) in records.iter().zip(&jsonl) {
        for (name, cell) in head.iter().zip(record) {
            let want = match &row[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell, want, "{name}");
        }
    }
    assert!(!folder.path().join("log.csv").exists());
}

/// pyarrow reads the files, by the schema that was printed, with the values of jsonl.
const READ: &str = r#"
import json, os, sys
try:
    import pyarrow as pa, pyarrow.parquet as pq
except ImportError:
    sys.exit(77)
folder, schema = sys.argv[1], json.load(open(sys.argv[2]))
names = {'utf8': 'string', 'bool': 'bool', 'floatingpoint': 'double', 'timestamp': 'timestamp[us, tz=UTC]'}
files = {t: w for t, w in schema.items() if os.path.exists(f'{folder}/{t}.parquet')}
for table, want in files.items():
    read = pq.read_table(f'{folder}/{table}.parquet')
    types = [(f.name, str(f.type)) for f in read.schema]
    wanted = [(f['name'], names.get(f['type']['name']) or ('int64' if f['type']['isSigned'] else 'uint64'))
              for f in want['fields']]
    assert types == wanted, (table, types, wanted)
    rows = [json.loads(line) for line in open(f'{folder}/{table}.jsonl')]
    assert read.num_rows == len(rows), table
    for got, row in zip(read.to_pylist(), rows):
        for name, value in row.items():
            have = got[name]
            if hasattr(have, 'timestamp'):
                have = have.isoformat().replace('+00:00', 'Z')[:19]
                value = value[:19]
            assert have == value, (table, name, have, value)
print(len(files))
"#;

#[test]
fn parquet_is_read_by_pyarrow_as_arrows_schema_says() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    exported(&dump, folder.path(), &[]);
    exported(&dump, folder.path(), &["--format", "jsonl"]);
    let arrow = folder.path().join("schema.json");
    std::fs::write(&arrow, schema(&["--arrow"]).to_string()).expect("a file");
    let python = Command::new("python3")
        .args(["-c", READ])
        .args([folder.path(), &arrow])
        .output();
    match python {
        Ok(done) if done.status.success() => {
            assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "12");
        }
        Ok(done) if done.status.code() != Some(77) => {
            panic!("{}", String::from_utf8_lossy(&done.stderr))
        }
        _ => skip("no python3 with pyarrow"),
    }
}

/// One planted fault, four kernels: rows of the same fingerprint.
#[test]
fn a_fault_on_four_kernels_is_one_fingerprint_in_their_rows() {
    let mut prints: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let dumps = real_dumps(&["5.10", "6.1", "6.12", "7.2"]);
    for dump in &dumps {
        let folder = tempfile::tempdir().expect("a folder");
        exported(
            dump,
            folder.path(),
            &["--format", "jsonl", "--tables", "findings"],
        );
        for row in rows(folder.path(), "findings") {
            let print = row["fingerprint"].as_str().expect("text").to_owned();
            prints
                .entry(print)
                .or_default()
                .insert(row["dump_id"].to_string());
        }
    }
    let everywhere = prints.values().filter(|of| of.len() == dumps.len()).count();
    assert!(dumps.is_empty() || everywhere == 2, "{prints:?}");
}

#[test]
fn what_can_not_be_written_is_said_and_leaves_no_file() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let into = file.join("rows");
    let into = into.to_str().expect("UTF-8");
    let [vmcore, vmlinux] = files(&dump);
    let (code, _, stderr) = run(&["export", vmcore, vmlinux, "-o", into]);
    assert!(
        code == 3 && stderr.contains("can't make the folder"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["export", vmcore, vmlinux]);
    assert!(code == 2 && stderr.contains("-o DIR"), "{stderr}");
    let (code, ..) = run(&["export", vmcore, "-o", into, "--tables", "nothing"]);
    assert_eq!(code, 2);
}
