//! Findings: the same ones in the document, the text, the page and the exit status.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::leaks::real::leaks;
use crate::support::{real_dumps, run, skip, small_dump};

fn findings(document: &Value) -> &Vec<Value> {
    document["findings"].as_array().expect("findings")
}

/// What the contract names.
fn assert_whole(finding: &Value) {
    for key in ["code", "level", "subject", "message", "fingerprint"] {
        let text = finding[key].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{key}: {finding}");
    }
    for key in ["for", "against", "not_checked"] {
        assert!(finding["evidence"][key].is_array(), "{key}: {finding}");
    }
    assert!(
        finding["bytes"].is_u64() && finding["check_with"].is_array(),
        "{finding}"
    );
    assert!(
        finding.get("objects").is_some() && finding.get("owner").is_some(),
        "{finding}"
    );
}

#[test]
fn text_page_and_document_tell_the_same() {
    let dump = small_dump();
    let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
    assert_eq!(findings(&document).len(), 2);
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (_, text, _) = run(&["leaks", files[0], files[1]]);
    let (_, page, _) = run(&["report", files[0], files[1]]);
    for finding in findings(&document) {
        assert_whole(finding);
        let [subject, message] = ["subject", "message"].map(|key| finding[key].as_str());
        let (subject, message) = (subject.expect("text"), message.expect("text"));
        assert!(
            text.contains(subject) && text.contains(message),
            "{finding}: {text}"
        );
        assert!(
            page.contains(subject) && page.contains(message),
            "{finding}"
        );
    }
    // The module lost 600 of one and 300 of the other, in the nine seconds since boot.
    let objects: Vec<&Value> = findings(&document)
        .iter()
        .map(|one| &one["objects"])
        .collect();
    assert_eq!(objects, [600, 300]);
    assert!(text.contains("unknown when: at most "), "{text}");
}

/// The same module lost the same things on four kernels.
#[test]
fn the_same_fault_has_the_same_fingerprint() {
    let dumps = real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]);
    let mut prints = BTreeSet::new();
    for dump in &dumps {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        for finding in findings(&document) {
            assert_whole(finding);
            let print = finding["fingerprint"].as_str().expect("text").to_owned();
            prints.insert((finding["subject"].to_string(), print));
        }
    }
    assert!(dumps.is_empty() || prints.len() == 2, "{prints:?}");
}

/// 150 cgroups were removed in the guest, and something holds them: no cache shows it.
#[test]
fn what_no_cache_shows_is_told_and_fails_too() {
    let folders = std::env::var_os("VMLEAK_DUMPS").unwrap_or_default();
    let mut places = std::env::split_paths(&folders)
        .map(|folder| folder.join("ubuntu-5.4-memcg/vmcore"))
        .filter(|path: &PathBuf| path.is_file());
    let Some(dump) = places.next() else {
        return skip("ubuntu-5.4-memcg: no such dump (VMLEAK_DUMPS)");
    };
    let path = dump.to_str().expect("UTF-8");
    let home = std::env::var("HOME").unwrap_or_default();
    let debug = format!("{home}/.cache/vmleak/debug");
    let ask = |more: &[&str]| {
        let args = [&["leaks", path, "--debug-directory", &debug], more].concat();
        run(&args)
    };
    let (code, text, stderr) = ask(&["--fail-on", "suspect"]);
    if code == 3 {
        return skip(&format!("ubuntu-5.4-memcg: {stderr}"));
    }
    assert_eq!(code, 1, "{stderr}");
    let line = text
        .lines()
        .find(|line| line.contains("removed memory cgroups"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.starts_with("SUSPECT") && line.ends_with(", 150 cgroups"),
        "{line}"
    );
    assert!(!text.contains("No cache looks like a leak"), "{text}");
    let (_, json, _) = ask(&["--format", "json"]);
    let document: Value = serde_json::from_str(&json).expect("JSON");
    let mut dying = findings(&document)
        .iter()
        .filter(|one| one["code"] == "dying-memcgs");
    let dying = dying.next().expect("a finding");
    assert_whole(dying);
    assert_eq!(
        (&dying["level"], &dying["objects"]),
        (&"suspect".into(), &150.into())
    );
    assert_eq!(ask(&["--fail-on", "leak"]).0, 0);
}
