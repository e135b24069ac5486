//! The small real dump that comes with the project, held to what the big ones are.

use crate::slab::real::{
    assert_aliases_as_captured, assert_equals_oracle, assert_slabinfo_as_captured,
};
use crate::support::{run, small_dump};

#[test]
fn the_small_dump_equals_its_oracle() {
    assert_equals_oracle(&small_dump());
}

#[test]
fn the_small_dump_prints_the_guests_slabinfo() {
    assert_slabinfo_as_captured(&small_dump());
}

#[test]
fn the_small_dump_has_the_guests_aliases() {
    assert_aliases_as_captured(&small_dump());
}

#[test]
fn the_small_dump_shows_its_leaks() {
    let dump = small_dump();
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) = run(&["leaks", files[0], files[1], "--format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let document: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    // scripts/guest/leaky.c: 600 buffers and 300 of 350 sessions are lost.
    for (name, lost) in [("kmalloc-256", 600), ("leaky_session", 300)] {
        let mut caches = document["caches"].as_array().expect("caches").iter();
        let found = caches.find(|cache| cache["name"] == name).expect(name);
        assert_eq!(found["verdict"]["level"], "leak", "{name}");
        assert_eq!(found["unreachable"]["objects"], lost, "{name}");
    }
    let (_, text, _) = run(&["leaks", files[0], files[1]]);
    assert!(text.contains("module leaky: its variable session_cache holds the cache"));
    let (code, ..) = run(&["leaks", files[0], files[1], "--fail-on", "leak"]);
    assert_eq!(code, 1);
}

/// The README's first command, and those that it leads to: nothing of the project's own dump is
/// missing.
#[test]
fn nothing_is_missing_of_the_small_dump() {
    let dump = small_dump();
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    for command in ["leaks", "meminfo", "report", "slabs", "info"] {
        let (code, _, stderr) = run(&[command, files[0], files[1]]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
    }
}
