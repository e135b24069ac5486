//! A kernel in which each memory cgroup has caches of its own: Ubuntu's 5.4, by the dump
//! `ubuntu-5.4-memcg`, which opens without a vmlinux. What the guest said stands in `console`.

use std::path::PathBuf;

use serde_json::Value;

use crate::leaks::real::leaks;
use crate::support::{dump_named, run, skip};

const NAME: &str = "ubuntu-5.4-memcg";

fn dump() -> Option<PathBuf> {
    let found = dump_named(NAME);
    if found.is_none() {
        skip(&format!("{NAME}: no such dump (VMLEAK_DUMPS)"));
    }
    found
}

fn rows(document: &Value, key: &str) -> Vec<Value> {
    document[key].as_array().expect("rows").clone()
}

/// Rows that were joined with another cache's would not have searched for as many objects as are
/// in use.
#[test]
fn every_cache_has_its_own_objects_and_holders() {
    let Some(vmcore) = dump() else { return };
    let (code, document) = leaks(&vmcore, None, &[]);
    assert_eq!(code, 0);
    assert_eq!(document["trust"]["reliable"], true);
    let caches = rows(&document, "caches");
    let copied = caches.iter().filter(|cache| cache["memcg_children"] != 0);
    assert!(copied.count() > 10);
    for cache in &caches {
        let what = &cache["name"];
        assert_eq!(
            cache["unreachable"]["judged"], cache["exact"]["allocated"],
            "{what}"
        );
        assert!(!what.as_str().expect("a name").contains('('), "{what}");
    }
    // By drgn: `dentry.d_parent`, `dentry.d_inode` and `socket_alloc.socket.sk` of this kernel.
    for (cache, holder) in [("dentry", "dentry+0x"), ("TCP", "sock_inode_cache+0x18")] {
        let mut found = caches.iter();
        let found = found.find(|one| one["name"] == cache).expect("a cache");
        let first = found["holders"][0]["holder"].as_str().expect("a holder");
        assert!(first.starts_with(holder), "{cache}: {first}");
        let folded = rows(found, "holders");
        let of_copies = folded.iter().filter(|holder| {
            let name = holder["holder"].as_str().expect("a holder");
            name.contains('(')
        });
        assert_eq!(of_copies.count(), 0, "{cache}: {folded:?}");
    }
}

/// The last section's page structures behind the end of RAM were never filled in.
#[test]
fn the_parts_of_memory_are_all_of_it() {
    let Some(vmcore) = dump() else { return };
    let (_, document) = leaks(&vmcore, None, &[]);
    let memory = document["totals"]["memory_bytes"].as_f64().expect("bytes");
    let parts = rows(&document["memory"], "parts");
    let bytes = |part: &Value| part["bytes"].as_f64().expect("bytes");
    let sum: f64 = parts.iter().map(bytes).sum();
    assert!((sum / memory - 1.0).abs() < 0.001, "{sum} of {memory}");
    let tables = parts.iter().find(|part| part["code"] == "page_tables");
    assert!(bytes(tables.expect("page tables")) > 0.0);
}

/// The kernel shows what CPUs handed over; we add what they had not.
#[test]
fn cgroups_of_5_4_are_charged_for_what_their_guest_said() {
    let Some(vmcore) = dump() else { return };
    let path = vmcore.to_str().expect("UTF-8");
    let (code, stdout, stderr) = run(&["memcg", path, "--format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    let memcgs = rows(&document, "memcgs");
    let big = memcgs.iter().find(|memcg| memcg["path"] == "/big");
    let big = big.expect("the cgroup with files and processes");
    assert_eq!(big["current"], 12_713_984);
    for (name, said) in [
        ("anon", 4_190_208),
        ("file", 8_380_416),
        ("shmem", 8_380_416),
    ] {
        let all = big["stat"][name].as_i64().expect("bytes");
        let unflushed = big["unflushed"][name].as_i64().unwrap_or(0);
        assert_eq!(all - unflushed, said, "{name}");
    }
    // This kernel has no obj_cgroups.
    assert_eq!(document["totals"]["objcg_charged_bytes"], Value::Null);
}

/// The guest made a file of 64 KiB in each of 150 cgroups and removed them; this kernel's counters
/// (`memory.usage`, without what CPUs charge in advance) say the same as its page structures.
#[test]
fn removed_cgroups_are_held_by_the_files_that_were_made_in_them() {
    let Some(vmcore) = dump() else { return };
    let vmcore = vmcore.to_str().expect("UTF-8");
    let (code, stdout, stderr) = run(&["memcg", "--dying", "--format", "json", vmcore]);
    assert_eq!(code, 0, "{stderr}");
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    let dying = rows(&document, "memcgs");
    assert_eq!(dying.len(), 150);
    for memcg in &dying {
        let (what, held) = (&memcg["path"], &memcg["held_by"]);
        let pages = ["anon_bytes", "file_bytes", "shmem_bytes", "kernel_bytes"];
        let sum: u64 = pages.iter().filter_map(|kind| held[kind].as_u64()).sum();
        assert_eq!(sum, memcg["current"].as_u64().expect("bytes"), "{what}");
        assert_eq!(held["shmem_bytes"], 64 << 10, "{what}");
        assert_eq!(held["files"], 1, "{what}");
        // Job 7 wrote /tmp/out.7.
        let job = what.as_str().and_then(|path| path.strip_prefix("/job"));
        let path = format!("/tmp/out.{}", job.expect("a job"));
        assert_eq!(held["largest"][0]["path"], path, "{what}");
    }
}
