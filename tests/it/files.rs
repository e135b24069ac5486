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

/// What the guests wrote down of themselves lies in their root file system, as long as it came out
/// of there.
#[test]
fn files_have_the_paths_and_lengths_that_the_guest_gave_them() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let args = ["--format", "json", "--top", "100000"];
        let document = json(&printed(&dump, "files", &args));
        for name in ["conntrack_L", "nf_conntrack", "sysctl", "vmallocinfo"] {
            let path = format!("/cap/{name}");
            let file = files(&document).iter().find(|file| file["path"] == *path);
            let file = file.unwrap_or_else(|| panic!("{}: no {path}", dump.name));
            let wanted = dump.captured(name).len() as u64;
            assert_eq!(number(&file["size"]), wanted, "{}: {path}", dump.name);
            assert!(
                number(&file["cached_bytes"]) >= wanted,
                "{}: {path}",
                dump.name
            );
        }
    }
}

/// Each line of the guest's own /proc/sysvipc/shm, in all that does not tell times of use.
#[test]
fn segments_are_those_that_the_guest_listed() {
    for dump in real_dumps(&["5.10-owners", "6.1-owners", "7.2-owners"]) {
        let what = &dump.name;
        let told = dump.captured("sysvipc_shm");
        let mut lines = told.lines();
        let names: Vec<&str> = lines.next().expect("a head").split_whitespace().collect();
        let document = json(&printed(&dump, "files", &["--format", "json"]));
        let segments = document["segments"].as_array().expect("segments");
        assert_eq!(segments.len(), lines.clone().count(), "{what}");
        assert!(!segments.is_empty(), "{what}");
        for (line, segment) in lines.zip(segments) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let of = |name: &str| {
                let at = names.iter().position(|one| *one == name).expect(name);
                words[at].parse::<u64>().expect(name)
            };
            assert_eq!(segment["key"], format!("{:#010x}", of("key")), "{what}");
            assert_eq!(segment["permissions"], of("perms").to_string(), "{what}");
            for (ours, theirs) in [
                ("shmid", "shmid"),
                ("size", "size"),
                ("creator_pid", "cpid"),
                ("last_pid", "lpid"),
                ("attached", "nattch"),
                ("uid", "uid"),
                ("changed", "ctime"),
                ("cached_bytes", "rss"),
                ("swapped_bytes", "swap"),
            ] {
                assert_eq!(number(&segment[ours]), of(theirs), "{what}: {ours}");
            }
        }
    }
}

/// What has no name in any directory is called by its file system: memfd_create() gives the rest.
#[test]
fn files_without_a_directory_have_the_name_of_their_file_system() {
    for dump in real_dumps(&["5.10-owners", "6.1-owners", "7.2-owners"]) {
        let document = json(&printed(&dump, "files", &["--format", "json"]));
        let of_keeper = |file: &&Value| file["openers"][0]["comm"] == "keep-memfd";
        let file = files(&document).iter().find(of_keeper).expect("a file");
        assert_eq!(file["path"], "tmpfs:memfd:keep-memfd", "{}", dump.name);
        assert_eq!(number(&file["cached_bytes"]), 8 << 20, "{}", dump.name);
    }
}
