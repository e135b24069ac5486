//! `files` against what drgn summed up over the inodes of the same dumps.

use serde_json::Value;

use crate::support::{json, number, printed, real_dumps};

fn files(document: &Value) -> &Vec<Value> {
    document["files"].as_array().expect("files")
}

/// Pages of all inodes are the pages of files that the page structures tell, as counted by drgn.
#[test]
fn pages_of_all_inodes_are_those_that_are_cached() {
    for (name, pages) in [
        ("5.10", 11_133),
        ("6.1", 11_877),
        ("6.12", 5_925),
        ("7.2", 6_334),
    ] {
        for dump in real_dumps(&[name]) {
            let document = json(&printed(
                &dump,
                "files",
                &["--format", "json", "--top", "100000"],
            ));
            let bytes = number(&document["totals"]["cached_bytes"]);
            assert_eq!(bytes, pages << 12, "{}", dump.name);
            let of_files: u64 = files(&document)
                .iter()
                .map(|file| number(&file["cached_bytes"]))
                .sum();
            assert_eq!(of_files, bytes, "{}: by file", dump.name);
        }
    }
}

/// The guests' own programs lie in the root file system, under the names that scripts/guest gives
/// them.
#[test]
fn files_have_the_paths_that_the_guest_gave_them() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = json(&printed(
            &dump,
            "files",
            &["--format", "json", "--top", "100000"],
        ));
        let paths: Vec<&str> = files(&document)
            .iter()
            .filter_map(|file| file["path"].as_str())
            .collect();
        for wanted in ["/init", "/usr/bin/nft", "/crash/vmlinuz"] {
            assert!(
                paths.contains(&wanted),
                "{}: no {wanted} in {paths:?}",
                dump.name
            );
        }
    }
}
