//! `bundle`: a small dump that answers the same, and what is not in it.

use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;
use vmleak::addr::Pfn;
use vmleak::dump::Dump;

use crate::support::{RealDump, dump_named, files, json, real_dumps, run, skip, small_dump};

/// Commands that a bundle answers unless it is told others.
const COMMANDS: &[&[&str]] = &[
    &["info", "--layouts"],
    &["slabs"],
    &["objects", "kmalloc-256"],
    &["objects", "dentry"],
    &["conntrack"],
    &["conntrack", "--summary"],
    &["conntrack", "--expect"],
    &["conntrack", "--stats"],
    &["nat"],
    &["sockets"],
    &["sockets", "--skbs"],
    &["net"],
    &["rules"],
    &["meminfo"],
    &["log"],
    &["vmalloc"],
    &["memcg"],
    &["modules"],
    &["sysctl"],
    &["sysctl", "--check"],
    &["ps"],
    &["files"],
    &["zones"],
    &["bpf"],
];

struct Bundle {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn bundled(vmcore: &[&str], more: &[&str]) -> Bundle {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bundle");
    let to = path.to_str().expect("UTF-8");
    let args = [&["bundle", "-q", "-o", to], vmcore, more].concat();
    let (code, _, stderr) = run(&args);
    assert!(matches!(code, 0 | 4), "{code} {stderr}");
    Bundle {
        _folder: folder,
        path,
    }
}

/// Without what names the file, and what of the file is written otherwise.
fn answer(command: &[&str], file: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = run(&[command, file, &["--format", "json", "-q"]].concat());
    if stdout.is_empty() {
        return (code, Value::String(stderr.replace(file[0], "")));
    }
    let mut document = json(&stdout);
    // That a bundle names its remedy is no other answer.
    let warnings = document["warnings"].as_array_mut().expect("warnings");
    warnings.retain(|warning| warning["code"] != "bundle");
    let dump = document["dump"].as_object_mut().expect("a dump");
    for key in ["path", "format", "dump_level", "source", "boot_facts_from"] {
        dump.remove(key);
    }
    if let Some(coverage) = document["coverage"].as_object_mut() {
        for key in ["format", "source", "dump_level", "dumped_pages", "files"] {
            coverage.remove(key);
        }
    }
    (code, document)
}

fn same_answers(dump: &RealDump, bundle: &Path) {
    let [vmcore, vmlinux] = files(dump);
    let bundle = bundle.to_str().expect("UTF-8");
    for command in COMMANDS {
        let whole = answer(command, &[vmcore, vmlinux]);
        let small = answer(command, &[bundle, vmlinux]);
        assert_eq!(
            whole.0, small.0,
            "{} {command:?}: {}",
            dump.name, small.1["warnings"]
        );
        assert!(whole == small, "{} {command:?} differs", dump.name);
        // With its own types beside it.
        let (code, alone) = answer(command, &[bundle, "--no-default-debug-directories"]);
        // Before 5.11 types of modules are in their debug files alone, which is said.
        let mut warnings = alone["warnings"].as_array().into_iter().flatten();
        let asked = warnings
            .clone()
            .find(|one| one["code"] == "profile-incomplete");
        assert_eq!(asked, None, "{} {command:?}: not in the profile", dump.name);
        let untyped = warnings.any(|one| one["code"] == "rule-module");
        assert!(
            code == whole.0 || (code == 4 && untyped),
            "{} {command:?} alone: {}",
            dump.name,
            alone["warnings"]
        );
    }
}

fn pages(path: &Path) -> Vec<Vec<u8>> {
    let dump = Dump::open(&[path.to_owned()], 0).expect("a dump");
    let all = (0..dump.max_pfn()).filter_map(|pfn| dump.page(Pfn(pfn)).ok());
    all.map(|page| page.to_vec()).collect()
}

fn holds(pages: &[Vec<u8>], marker: &[u8]) -> usize {
    let of = |page: &Vec<u8>| memchr::memmem::find_iter(page, marker).count();
    pages.iter().map(of).sum()
}

#[test]
fn a_bundle_says_the_same_and_holds_no_buffer() {
    let dump = small_dump();
    let bundle = bundled(&files(&dump), &[]);
    same_answers(&dump, &bundle.path);
    // What the module wrote into its buffers, which no command but a search reads.
    let marker = b"leaky-buf-000";
    assert!(holds(&pages(&dump.vmcore), marker) > 100);
    assert_eq!(holds(&pages(&bundle.path), marker), 0);
}

#[test]
fn what_a_bundle_was_not_made_for_is_refused_with_the_remedy() {
    let dump = small_dump();
    let bundle = bundled(&files(&dump), &["--for", "slabs"]);
    let path = bundle.path.to_str().expect("UTF-8");
    for command in [
        vec!["leaks"],
        vec!["retained"],
        vec!["pages"],
        vec!["whatis", "0xffff888000001000"],
    ] {
        let (code, stdout, stderr) = run(&[&command[..], &[path]].concat());
        assert_eq!((code, stdout.as_str()), (3, ""), "{command:?} {stderr}");
        assert!(stderr.contains("this dump is a bundle"), "{stderr}");
    }
    let (code, _, stderr) = run(&["objects", "kmalloc-64", "--hexdump", path]);
    assert!(code == 3 && stderr.contains("bundle"), "{stderr}");
    // Pages that were left out are missing, and the remedy is another bundle.
    let (code, stdout, _) = run(&["conntrack", "--format", "json", path]);
    let told = stdout.contains("--for") || code == 3;
    assert!(code != 0 && told, "{code}");
    let (code, ..) = run(&["bundle", path, "-o", "/dev/null"]);
    assert_eq!(code, 3);
}

#[test]
fn a_bundle_for_leaks_finds_the_same_faults() {
    let dump = small_dump();
    let bundle = bundled(&files(&dump), &["--for", "leaks"]);
    let prints = |file: &str| -> Vec<(Value, Value, Value)> {
        let (_, stdout, stderr) = run(&["leaks", "--format", "json", file, files(&dump)[1]]);
        assert!(!stdout.is_empty(), "{stderr}");
        let findings = json(&stdout)["findings"]
            .as_array()
            .expect("findings")
            .clone();
        let of = |one: &Value| {
            (
                one["fingerprint"].clone(),
                one["objects"].clone(),
                one["level"].clone(),
            )
        };
        findings.iter().map(of).collect()
    };
    assert_eq!(
        prints(bundle.path.to_str().expect("UTF-8")),
        prints(files(&dump)[0])
    );
}

#[test]
fn redacted_texts_are_nowhere() {
    let dump = small_dump();
    let bundle = bundled(&files(&dump), &["--redact"]);
    let path = bundle.path.to_str().expect("UTF-8");
    let said = |file: &str| run(&["log", file, files(&dump)[1], "--format", "json"]).1;
    let whole = json(&said(files(&dump)[0]));
    let host = whole["dump"]["host"].as_str().expect("a host").to_owned();
    let blanked = json(&said(path));
    let lines = |document: &Value| -> Vec<String> {
        let records = document["records"].as_array().expect("records").iter();
        records
            .map(|one| one["text"].as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(lines(&whole).len(), lines(&blanked).len());
    let pages = pages(&bundle.path);
    // Of this machine are lines with an address in them: others may be literals of the kernel.
    let own: Vec<String> = lines(&whole);
    let own = own.iter().filter(|line| line.contains("0x"));
    assert!(own.clone().count() > 10);
    for line in own {
        assert_eq!(holds(&pages, line.as_bytes()), 0, "{line}");
    }
    assert!(
        lines(&blanked)
            .iter()
            .all(|line| line.chars().all(|c| "x\n".contains(c)))
    );
    assert_eq!(blanked["dump"]["host"], "x".repeat(host.len()));
}

/// A small part of each real dump, with the same answers.
#[test]
fn bundles_of_real_dumps_are_small_and_say_the_same() {
    let dumps = real_dumps(&["5.10", "6.1", "6.12", "7.2"]);
    let try_one = |dump: &RealDump| {
        let bundle = bundled(&files(dump), &[]);
        same_answers(dump, &bundle.path);
        let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
        let (small, whole) = (size(&bundle.path), size(&dump.vmcore));
        let name = &dump.name;
        assert!(small * 100 <= whole * 45, "{name}: {small} of {whole}");
    };
    // Each takes a minute and some gigabytes.
    for two in dumps.chunks(2) {
        thread::scope(|scope| {
            for dump in two {
                scope.spawn(|| try_one(dump));
            }
        });
    }
    if dump_named("debian-6.1").is_none() {
        skip("debian-6.1: no such dump (VMLEAK_DUMPS)");
    }
}
