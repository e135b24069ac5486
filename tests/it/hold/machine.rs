//! `meminfo`, `log`, `vmalloc`, `modules`, `memcg`, `kmemleak` and `allocinfo` of dumps that are
//! cut short: they end in time, without a panic, and say that something is missing.

use crate::support::{RealDump, real_dumps, run, small_dump, small_variant};

#[test]
fn a_cut_dump_costs_what_is_behind_the_cut() {
    for dump in real_dumps(&["6.1"]) {
        cut(&dump, &["meminfo", "log", "vmalloc", "modules"]);
    }
    for dump in real_dumps(&["6.1-busy"]) {
        cut(&dump, &["memcg"]);
    }
    if let Some(dump) = small_variant("small-6.12-debug") {
        cut(&dump, &["kmemleak", "allocinfo"]);
    }
}

fn cut(dump: &RealDump, commands: &[&str]) {
    let whole = std::fs::read(&dump.vmcore).expect("the dump reads");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("vmcore");
    let mut partial = 0;
    for part in 1..12 {
        std::fs::write(&path, &whole[..whole.len() * part / 12]).expect("a file writes");
        for command in commands {
            let files = [&path, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
            let (code, stdout, stderr) = run(&[command, "--format", "json", files[0], files[1]]);
            let what = format!("{command} of {part}/12: {code}, {stderr}");
            assert!(code == 3 || code == 4, "{what}");
            assert!(!stderr.contains("panicked"), "{what}");
            assert!(!stderr.is_empty(), "{what}");
            if code == 4 {
                partial += 1;
                assert!(stdout.contains("\"complete\": false"), "{what}");
            }
        }
    }
    assert!(partial > 0, "nothing at all could be read");
}

/// A vmlinux whose BTF lacks one structure, for it is called otherwise there.
#[test]
fn what_the_types_lack_is_said() {
    let small = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let vmlinux = folder.path().join("vmlinux");
    let whole = std::fs::read(&small.vmlinux).expect("the small vmlinux");
    let name = b"\0pcpu_chunk\0";
    let mut lacking = whole.clone();
    for at in memchr::memmem::find_iter(&whole, name) {
        lacking[at + 1] = b'x';
    }
    assert_ne!(lacking, whole, "there is no such structure");
    std::fs::write(&vmlinux, lacking).expect("a file writes");
    let files = [&small.vmcore, &vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let asked = ["meminfo", "--types", "btf", "--format", "proc"];
    let (code, stdout, stderr) = run(&[&asked[..], &files].concat());
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("no struct pcpu_chunk"), "{stderr}");
    assert!(stdout.contains("MemAvailable:"), "{stdout}");
    for command in ["log", "vmalloc", "modules"] {
        let (code, _, stderr) = run(&[command, files[0], files[1]]);
        assert_eq!(code, 0, "{command}: {stderr}");
    }
}
