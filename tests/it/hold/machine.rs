//! `meminfo`, `log`, `vmalloc`, `modules`, `memcg`, `kmemleak` and `allocinfo` of dumps that are
//! cut short: they end in time, without a panic, and say that something is missing.

use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

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

/// A vmlinux that has the types of a few units only.
#[test]
fn what_the_types_lack_is_said() {
    let machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [vmcore, debug] = ["vmcore", "vmlinux"].map(|name| folder.path().join(name));
    let dump = kdump::kdump(&machine, kdump::Options::new(Codec::Zlib));
    std::fs::write(&vmcore, dump).expect("a file writes");
    let types = vmlinux(&machine, VmlinuxOptions::new(5));
    std::fs::write(&debug, types).expect("a file writes");
    let files = [&vmcore, &debug].map(|path| path.to_str().expect("UTF-8"));
    let (code, _, stderr) = run(&["meminfo", "--format", "proc", files[0], files[1]]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("is left out: no struct"), "{stderr}");
    let small = small_dump();
    let files = [&small.vmcore, &small.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    for command in ["log", "vmalloc", "modules"] {
        let (code, _, stderr) = run(&[command, files[0], files[1]]);
        assert_eq!(code, 0, "{command}: {stderr}");
    }
}
