//! What users hand over by mistake: one line that names the file and the remedy, exit 3.

use std::path::Path;
use std::process::Command;

use crate::support::{run, small_dump};

/// One line on stderr with all of `parts`, nothing on stdout, exit 3.
fn assert_refused(args: &[&str], parts: &[&str]) {
    assert_ends(args, 3, parts);
}

/// With one line on stderr, and nothing else.
fn assert_ends(args: &[&str], wanted: i32, parts: &[&str]) {
    let (code, stdout, stderr) = run(args);
    assert_eq!(code, wanted, "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn files_that_are_no_dump() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file writes");
        path
    };
    let notes = file("notes.txt", b"the machine died again");
    assert_refused(&["slabs", text(&notes)], &["notes.txt", "not a crash dump"]);
    let empty = file("empty", b"");
    assert_refused(&["slabs", text(&empty)], &["empty", "never written"]);
    let packed = file("vmcore.gz", b"\x1f\x8b\x08\0rest of it");
    assert_refused(
        &["slabs", text(&packed)],
        &["gzip", "gunzip -k", "vmcore.gz"],
    );
    let missing = folder.path().join("missing");
    assert_refused(&["info", text(&missing)], &["missing", "check the path"]);
    assert_refused(&["slabs", text(folder.path())], &["no complete dump"]);
    let short = file("short", b"KDUMP   \x06\0\0\0");
    assert_refused(
        &["slabs", text(&short)],
        &["short", "offset 0xc", "inside its header"],
    );
    let elf = file("elf", b"\x7fELF\x02\x01\x01");
    assert_refused(&["slabs", text(&elf)], &["only a debug file"]);
}

/// A dump of another architecture is refused by its name, before anything is looked for.
#[test]
fn dumps_of_other_architectures_are_named() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let machine = vmleak_synth::Machine::build(
        vmleak_synth::Era::V6_12,
        vmleak_synth::PagingLevels::Four,
        &vmleak_synth::Scenario::standard(),
    );
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file writes");
        path
    };
    let codec = vmleak_synth::write::codec::Codec::Zlib;
    let options = vmleak_synth::write::kdump::Options::new(codec);
    let mut bytes = vmleak_synth::write::kdump::kdump(&machine, options);
    for name in [
        "s390x",
        "ppc64le",
        "riscv64",
        "loongarch64",
        "i686",
        "armv7l",
    ] {
        // `uname -m` in struct disk_dump_header.
        bytes[272..337].fill(0);
        bytes[272..272 + name.len()].copy_from_slice(name.as_bytes());
        let path = file("vmcore-other", &bytes);
        assert_refused(
            &["slabs", text(&path)],
            &["vmcore-other", name, "x86_64, aarch64", "crash"],
        );
    }
    let mut bytes = vmleak_synth::write::elf::elf(&machine, Default::default());
    for (number, name) in [
        (21u16, "PPC64"),
        (22, "S390"),
        (243, "RISCV"),
        (258, "LOONGARCH"),
    ] {
        bytes[18..20].copy_from_slice(&number.to_le_bytes());
        let path = file("vmcore-elf", &bytes);
        assert_refused(&["info", text(&path)], &["vmcore-elf", name, "x86_64"]);
    }
    // One whose header names a machine, and its note is of another.
    bytes[18..20].copy_from_slice(&183u16.to_le_bytes());
    let path = file("vmcore-elf", &bytes);
    assert_refused(
        &["info", text(&path)],
        &["vmcore-elf", "aarch64", "kimage_voffset"],
    );
    // A big-endian core is taken for a dump, not for a debug file.
    bytes[5] = 2;
    bytes[16..20].copy_from_slice(&[0, 4, 0, 22]);
    let path = file("vmcore-be", &bytes);
    assert_refused(&["info", text(&path)], &["vmcore-be", "big-endian", "S390"]);
}

#[test]
fn pipes_and_devices_are_not_waited_for() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    assert_refused(&["slabs", text(&pipe)], &["not a regular file"]);
    assert_refused(
        &["slabs", "/dev/zero"],
        &["/dev/zero", "not a regular file"],
    );
}

#[test]
fn an_incomplete_dump_in_a_directory_is_named() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let stamp = folder.path().join("202611230533");
    std::fs::create_dir(&stamp).expect("a directory");
    std::fs::write(stamp.join("dump-incomplete"), b"KDUMP   ").expect("a file writes");
    assert_refused(
        &["slabs", text(folder.path())],
        &["dump-incomplete", "incomplete"],
    );
}

#[test]
fn the_newest_complete_dump_of_a_directory_is_taken() {
    let small = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    for stamp in ["202601010000", "202601020000"] {
        let crash = folder.path().join(stamp);
        std::fs::create_dir(&crash).expect("a directory");
        std::fs::copy(&small.vmcore, crash.join(format!("dump.{stamp}"))).expect("copied");
    }
    let args = [
        "info",
        "--format",
        "json",
        text(folder.path()),
        text(&small.vmlinux),
    ];
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("dump.202601"), "{stdout}");
}

#[test]
fn another_kernels_vmlinux_is_refused_with_both_ids() {
    let small = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let machine = vmleak_synth::Machine::build(
        vmleak_synth::Era::V6_12,
        vmleak_synth::PagingLevels::Four,
        &vmleak_synth::Scenario::standard(),
    );
    let options = vmleak_synth::debuginfo::VmlinuxOptions::new(5);
    let other = folder.path().join("vmlinux-other");
    let bytes = vmleak_synth::debuginfo::vmlinux(&machine, options);
    std::fs::write(&other, bytes).expect("a file writes");
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let (_, document, _) = run(&[
        "info",
        "--format",
        "json",
        text(&small.vmcore),
        text(&small.vmlinux),
    ]);
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let wanted = document["dump"]["build_id"].as_str().expect("a build-id");
    assert_refused(
        &["slabs", text(&small.vmcore), text(&other)],
        &[
            "vmlinux-other",
            wanted,
            &hex(&machine.build_id()),
            "--force",
        ],
    );
}

#[test]
fn no_vmlinux_says_what_to_install() {
    let small = small_dump();
    let args = [
        "slabs",
        text(&small.vmcore),
        "--no-default-debug-directories",
    ];
    assert_refused(&args, &["no vmlinux", "give the file"]);
}

#[test]
fn a_name_that_no_cache_has_is_a_usage_error() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    for command in [&["slabs", "--cache"][..], &["objects"]] {
        let args = [command, &["nonesuch"], &files[..]].concat();
        assert_ends(&args, 2, &["nonesuch", "--all"]);
    }
    // Nobody knows what the list of caches had where it is cut short.
    let memory = std::fs::read(&small.vmcore).expect("the dump");
    let cut = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(cut.path(), &memory[..memory.len() / 2]).expect("written");
    let args = ["objects", "nonesuch", text(cut.path()), files[1]];
    assert_refused(&args, &[]);
}

/// Where it is shown, root alone may read it, and it is no bad input.
#[test]
fn a_kernel_that_does_not_show_its_memory_is_named() {
    if Path::new("/proc/kcore").exists() {
        return;
    }
    for args in [&["slabs", "--live"][..], &["slabs", "/proc/kcore"]] {
        assert_refused(args, &["/proc/kcore", "CONFIG_PROC_KCORE"]);
    }
}

#[test]
fn usage_errors_exit_with_two() {
    for args in [
        &["slabs"][..],
        &["nonesuch"],
        &["slabs", "x", "--format", "xml"],
    ] {
        let (code, _, stderr) = run(args);
        assert_eq!(code, 2, "{stderr}");
    }
}
