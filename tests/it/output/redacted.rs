//! What `report --redact` takes out, in each form, and that it leaves everything else.

use serde_json::Value;

use super::report_page::{files, report};
use crate::support::small_dump;

/// Names and addresses that the small dump's guest was given (scripts/guest), and text that its
/// module wrote into its objects.
const PLANTED: [&str; 7] = [
    "leaky-buf-",
    "traffic",
    "/gateway",
    "203.0.113.",
    "192.168.1.",
    "libcrypto",
    "2001:db8",
];

#[test]
fn a_redacted_report_has_none_of_the_names_and_addresses() {
    let dump = small_dump();
    for format in ["html", "json", "md"] {
        let open = report(&dump, &["--format", format]);
        let redacted = report(&dump, &["--format", format, "--redact"]);
        let mut planted = 0;
        for secret in PLANTED {
            let plain = |text: &str| text.replace("&#x2f;", "/");
            planted += u32::from(plain(&open).contains(secret));
            assert!(!plain(&redacted).contains(secret), "{format}: {secret}");
        }
        assert!(planted >= 5, "{format}: {planted}");
        let path = files(&dump)[0];
        assert!(!redacted.contains(path), "{format}: the dump's path");
        // What was found is still there.
        assert!(redacted.contains("leaky_session"), "{format}");
        assert!(redacted.contains("240.0.0.1"), "{format}");
    }
}

/// All values with the keys that lead to them.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                leaves(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(rows) => rows.iter().for_each(|row| leaves(row, path, found)),
        other => found.push((path.to_owned(), other.to_string())),
    }
}

fn json(args: &[&str]) -> Vec<(String, String)> {
    let text = report(&small_dump(), &[&["--format", "json"], args].concat());
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut found = Vec::new();
    leaves(&document, "", &mut found);
    found.retain(|(path, _)| {
        // Sections that are left out, why another can't tell, and what they had to warn of.
        let left_out = ["log", "rules"];
        let of = |part: &str| {
            left_out
                .iter()
                .any(|one| path.starts_with(&format!("{part}.{one}")))
        };
        let framed = [".warnings", ".complete", ".assumptions"];
        let framed = framed.iter().any(|one| path.starts_with(one));
        !framed && !["", ".untold", ".incomplete", ".notes"].into_iter().any(of)
    });
    found
}

/// Fields that hold names, addresses, text out of memory, or sentences with any of these.
const HOLD_NAMES: [&str; 32] = [
    ".by",
    ".holder",
    ".caller",
    ".table",
    ".chain",
    ".reached.message",
    ".limits_reached",
    ".redacted",
    ".dump.host",
    ".dump.path",
    ".comm",
    ".cgroup",
    ".cgroups.name",
    ".devices.name",
    ".device",
    ".masquerade_device",
    ".path",
    ".mac",
    ".src",
    ".dst",
    ".external",
    ".remote",
    ".local",
    ".destination",
    ".gateway",
    ".held_by",
    ".text",
    ".format.format",
    ".line",
    ".name",
    ".root",
    ".address",
];

#[test]
fn what_is_no_name_stays_as_it_is() {
    let (open, redacted) = (json(&[]), json(&["--redact"]));
    assert_eq!(open.len(), redacted.len());
    let mut changed = 0;
    for ((path, before), (same, after)) in open.iter().zip(&redacted) {
        assert_eq!(path, same);
        if before == after {
            continue;
        }
        changed += 1;
        // A sentence on objects quotes what they begin with.
        let of_memory = before.contains("leaky-buf-") && after.contains(" characters)");
        let named = HOLD_NAMES.iter().any(|key| path.ends_with(key));
        assert!(named || of_memory, "{path}: {before} is {after}");
        let own = [
            ".sysctl_check",
            ".meminfo",
            ".zones",
            ".slabs",
            ".modules",
            ".info",
        ];
        let own = own.iter().any(|part| path.starts_with(part));
        assert!(!own, "{path}: {before} is {after}");
    }
    assert!(changed > 50, "{changed}");
}

#[test]
fn no_name_is_left_however_short() {
    let (open, redacted) = (json(&[]), json(&["--redact"]));
    let of = |ends: &str| {
        let all = open.iter().filter(|(path, _)| path.ends_with(ends));
        let names = all.map(|(_, name)| name.clone());
        names.collect::<std::collections::BTreeSet<String>>()
    };
    let mut names = of(".comm");
    names.extend(of(".nat.translations.masquerade_device"));
    names.extend(of(".sockets.sockets.device"));
    names.extend(of(".net.namespaces.devices.name"));
    for kept in ["\"lo\"", "null"] {
        names.remove(kept);
    }
    assert!(names.len() > 2, "{names:?}");
    for (path, value) in &redacted {
        let held = HOLD_NAMES.iter().any(|key| path.ends_with(key));
        assert!(!held || !names.contains(value), "{path}: {value}");
        for name in &names {
            let name = name.trim_matches('"');
            for form in [format!("{name} (pid "), format!("task {name}[")] {
                assert!(!value.contains(&form), "{path}: {value}");
            }
        }
    }
}

#[test]
fn tables_keep_their_columns_and_the_programs_words() {
    let text = report(&small_dump(), &["--redact", "--format", "md"]);
    let processes = text.split_once("\n## Processes\n").expect("a section").1;
    let mut rows = processes
        .lines()
        .skip_while(|line| !line.contains(" COMMAND "));
    let header = rows.next().expect("a header");
    let (command, cgroup) = (header.find("COMMAND"), header.find("CGROUP"));
    let (command, cgroup) = (command.expect("COMMAND"), cgroup.expect("CGROUP"));
    let rows: Vec<&str> = rows.take_while(|line| !line.starts_with("```")).collect();
    assert!(rows.len() > 3, "{rows:?}");
    for row in rows {
        let (name, group) = (&row[command..cgroup], &row[cgroup..]);
        assert!(
            name.starts_with("process-") && name.ends_with("  "),
            "{row}"
        );
        assert!(group == "/" || group.starts_with("cgroup-"), "{row}");
    }
    for words in [
        "/PROC/MEMINFO",
        "tmpfs and shared memory",
        "net.core.rmem_max",
    ] {
        assert!(text.contains(words), "{words}");
    }
    // One treatment of the host everywhere: it is named nowhere else.
    for line in text
        .lines()
        .filter(|line| line.trim_start().starts_with("host "))
    {
        let host = line.trim_start().trim_start_matches("host").trim();
        assert!(["(left out)", "(none)"].contains(&host), "{line}");
    }
}
