//! Arguments in any order, names with wildcards or slips, words that nothing can be.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{run, small_dump};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_name_or_address_may_stand_before_or_behind_the_files() {
    let small = small_dump();
    let (vmcore, vmlinux) = (text(&small.vmcore), text(&small.vmlinux));
    for command in [
        ["objects", "leaky_session"],
        ["whatis", "0xffff999dcca6b000"],
    ] {
        let [command, word] = command;
        let before = run(&[command, word, vmcore, vmlinux]);
        assert_eq!(before.0, 0, "{}", before.2);
        assert_eq!(before, run(&[command, vmcore, word, vmlinux]));
        assert_eq!(before, run(&[command, vmcore, vmlinux, word]));
    }
}

#[test]
fn a_symbol_stands_for_its_address() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    // As /proc/kallsyms of the guest had it.
    let packed = std::fs::read(small.folder.join("cap/kallsyms.gz")).expect("captured");
    let mut kallsyms = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(packed.as_slice());
    unpacked.read_to_string(&mut kallsyms).expect("gzip");
    let line = |name: &str| {
        let mut lines = kallsyms.lines().map(|line| line.split_whitespace());
        let found = lines.find(|words| words.clone().nth(2) == Some(name));
        found
            .and_then(|mut words| words.next())
            .expect(name)
            .to_owned()
    };
    let whatis = |place: &str| {
        let (_, stdout, stderr) = run(&["whatis", place, files[0], files[1], "--format", "json"]);
        let document: serde_json::Value = serde_json::from_str(&stdout).expect(&stderr);
        document["address"].clone()
    };
    for name in ["init_task", "session_cache"] {
        assert_eq!(whatis(name), format!("0x{}", line(name)), "{name}");
    }
    let start = u64::from_str_radix(&line("init_task"), 16).expect("hexadecimal");
    assert_eq!(whatis("init_task+0x10"), format!("{:#018x}", start + 0x10));
    // A page that no header names is no answer that lacks something.
    for place in ["pfn:99999999", "phys:0xffffffffff"] {
        let (code, _, stderr) = run(&["whatis", place, files[0], files[1]]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("is behind the last page"), "{stderr}");
    }
    let (code, _, stderr) = run(&["whatis", "no_such_symbol", files[0], files[1]]);
    assert_eq!(code, 2);
    assert!(stderr.contains("neither an address"), "{stderr}");
    let long = ["whatis", "0xffff88800000000000001", files[0], files[1]];
    let (code, _, stderr) = run(&long);
    assert_eq!(code, 2);
    assert!(stderr.contains("more than the 64 bits"), "{stderr}");
}

#[test]
fn caches_by_wildcard_and_with_a_slip() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    let slabs = |name: &str| {
        run(&[
            "slabs", "--cache", name, "--format", "csv", files[0], files[1],
        ])
    };
    let (code, csv, stderr) = slabs("kmalloc-?k");
    assert_eq!(code, 0, "{stderr}");
    let names: Vec<&str> = csv
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').nth(4))
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["kmalloc-1k", "kmalloc-2k", "kmalloc-4k", "kmalloc-8k"]
    );
    let (code, _, stderr) = slabs("leaky_sesion");
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean leaky_session?"), "{stderr}");

    let objects = |name: &str| run(&["objects", name, "--limit", "1", files[0], files[1]]);
    assert_eq!(objects("leaky_*"), objects("leaky_session"));
    let (code, _, stderr) = objects("kmalloc-?k");
    assert_eq!(code, 2);
    assert!(
        stderr.contains("4 caches") && stderr.contains("kmalloc-8k"),
        "{stderr}"
    );
    let (code, _, stderr) = objects("dentyr");
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean dentry?"), "{stderr}");
}

#[test]
fn words_that_no_connection_has_are_usage_errors() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    for (option, known) in [("--state", "TIME_WAIT"), ("--status", "SRC_NAT")] {
        for command in ["conntrack", "nat"] {
            let (code, stdout, stderr) = run(&[command, option, "FOO", files[0], files[1]]);
            assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
            assert!(stderr.contains(known), "{stderr}");
        }
    }
    let (code, stdout, _) = run(&["conntrack", "--state", "established", files[0], files[1]]);
    assert_eq!(code, 0);
    assert!(stdout.contains("ESTABLISHED"));
}

/// Every form that may be piped into `head`.
#[test]
fn a_reader_that_goes_away_is_no_error_in_any_form() {
    let small = small_dump();
    let files = [text(&small.vmcore), text(&small.vmlinux)];
    let commands: &[&[&str]] = &[
        &["slabs", "--format", "csv"],
        &["slabs", "--format", "json"],
        &["slabs", "--format", "jsonl"],
        &["objects", "kmalloc-64", "--format", "csv"],
        &["conntrack", "--format", "csv"],
        &["conntrack", "--format", "json"],
        &["nat", "--format", "jsonl"],
        &["vmalloc", "--format", "csv"],
        &["modules", "--format", "csv"],
        &["ps", "--format", "csv"],
        &["sysctl", "--format", "csv"],
        &["log"],
        &["leaks", "--format", "jsonl"],
        &["report"],
    ];
    for command in commands {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vmleak"))
            .args(*command)
            .args(files)
            .arg("--quiet")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vmleak starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("vmleak ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "", "{command:?}");
        assert_eq!(output.status.code(), Some(0), "{command:?}");
    }
}
