//! Dumps that lack what the files themselves say should be there, or what the kernel says was in
//! use: it is said, and no verdict is certain.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

use crate::support::run;

const PARTS: usize = 6;

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file writes");
    path
}

/// The document of a command, and its exit code.
fn document(command: &str, files: &[PathBuf]) -> (i32, Value, String) {
    let files = files.iter().map(|path| path.to_str().expect("UTF-8"));
    let args: Vec<&str> = [command, "--format", "json"]
        .into_iter()
        .chain(files)
        .collect();
    let (code, stdout, stderr) = run(&args);
    let document = serde_json::from_str(&stdout);
    (code, document.unwrap_or(Value::Null), stderr)
}

fn codes(document: &Value, list: &str) -> Vec<String> {
    let list = document[list].as_array().expect("a list").iter();
    list.map(|one| one["code"].as_str().expect("a code").to_owned())
        .collect()
}

/// Each part in turn: what it held is missing, and whoever searches for what points to objects
/// knows that they have not looked everywhere.
#[test]
fn without_a_part_of_a_split_set_nothing_is_certain() {
    let era = Era::V6_12;
    let machine = Machine::build(era, PagingLevels::Four, &Scenario::leaks(era));
    let folder = tempfile::tempdir().expect("a temporary directory");
    let dwarf = vmlinux(&machine, VmlinuxOptions::new(5));
    let dwarf = write(folder.path(), "vmlinux", &dwarf);
    let parts = kdump::split(&machine, kdump::Options::new(Codec::Zlib), PARTS);
    let parts: Vec<PathBuf> = (0..)
        .zip(&parts)
        .map(|(number, part)| write(folder.path(), &format!("part-{number}"), part))
        .collect();
    let with_vmlinux = |files: Vec<PathBuf>| [files, vec![dwarf.clone()]].concat();
    let (code, whole, stderr) = document("leaks", &with_vmlinux(parts.clone()));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(whole["trust"]["reliable"], true);
    let mut searched = 0;
    for absent in 0..PARTS {
        let mut given = parts.clone();
        given.remove(absent);
        let (code, leaks, stderr) = document("leaks", &with_vmlinux(given));
        if leaks.is_null() {
            // What the kernel itself hangs on was in that part.
            assert_eq!(code, 3, "{absent}: {stderr}");
            assert!(stderr.contains("split set"), "{absent}: {stderr}");
            continue;
        }
        searched += 1;
        assert_eq!(
            (code, &leaks["complete"]),
            (4, &Value::Bool(false)),
            "{absent}"
        );
        let warned = codes(&leaks, "warnings");
        assert!(
            warned.iter().any(|code| code == "dump-part-absent"),
            "{warned:?}"
        );
        assert_eq!(
            leaks["trust"]["reliable"], false,
            "{absent}: {}",
            leaks["coverage"]
        );
        for cache in leaks["caches"].as_array().expect("caches") {
            assert_ne!(
                cache["verdict"]["level"], "leak",
                "{absent}: {}",
                cache["name"]
            );
        }
    }
    assert!(searched >= 2, "{searched}");
}

/// A makedumpfile that does not know how a kernel marks its slabs leaves them out as user pages:
/// `info` says so, of a 6.12 as of any other.
#[test]
fn slab_pages_that_were_left_out_are_seen_at_once() {
    for era in [Era::V6_1, Era::V6_12, Era::V7_2] {
        let mut machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let folder = tempfile::tempdir().expect("a temporary directory");
        let dwarf = vmlinux(&machine, VmlinuxOptions::new(5));
        let dwarf = write(folder.path(), "vmlinux", &dwarf);
        let info = |machine: &Machine| {
            let bytes = kdump::kdump(machine, kdump::Options::new(Codec::Zlib));
            let dump = write(folder.path(), "vmcore", &bytes);
            let (_, document, stderr) = document("info", &[dump, dwarf.clone()]);
            let warned = codes(&document, "warnings");
            (
                warned.iter().any(|code| code == "slab-pages-left-out"),
                stderr,
            )
        };
        let (warned, stderr) = info(&machine);
        assert!(!warned, "{}: {stderr}", era.name());
        let caches = machine.truth().caches.clone();
        for cache in &caches {
            for index in 0..cache.slabs.min(2) as usize {
                damage::exclude_slab(&mut machine, &cache.name, index);
            }
        }
        let (warned, stderr) = info(&machine);
        assert!(
            warned && stderr.contains("makedumpfile"),
            "{}: {stderr}",
            era.name()
        );
    }
}
