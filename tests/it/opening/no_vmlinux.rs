//! Types and symbols that the kernel carries itself: the same report as with DWARF.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol};
use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::elf;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{real_dumps, run};

pub(crate) const NOWHERE: &str = "--no-default-debug-directories";

/// The document, and where types and symbols came from, which it is without.
pub(crate) fn document(command: &str, files: &[&Path], more: &[&str]) -> (Value, [String; 2]) {
    let mut args: Vec<&OsStr> = [command, "--format", "json"].map(OsStr::new).to_vec();
    args.extend(files.iter().map(|path| path.as_os_str()));
    args.extend(more.iter().map(OsStr::new));
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    let mut document: Value = serde_json::from_str(&stdout).expect("JSON");
    let dump = document["dump"].as_object_mut().expect("a dump object");
    let from = ["types_from", "symbols_from"].map(|key| {
        let value = dump.remove(key).expect("the contract names it");
        value.as_str().expect("a string").to_owned()
    });
    let assumptions = document["assumptions"].as_array_mut().expect("assumptions");
    let before = assumptions.len();
    assumptions.retain(|one| one["name"] != "kallsyms_encoding");
    assert_eq!(
        before > assumptions.len(),
        from[1] == "kallsyms",
        "the encoding chosen is told"
    );
    (document, from)
}

/// `nm vmlinux | sort`, as the kernel's build writes it.
fn system_map(vmlinux: &Path, folder: &Path) -> PathBuf {
    let bytes = std::fs::read(vmlinux).expect("the vmlinux reads");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let mut lines: Vec<String> = file
        .symbols()
        .filter_map(|symbol| {
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            let kind = if symbol.is_global() { 'T' } else { 't' };
            Some(format!("{:016x} {kind} {name}", symbol.address()))
        })
        .collect();
    lines.sort();
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{line}").expect("memory");
    }
    let path = folder.join("System.map-test");
    std::fs::write(&path, text).expect("a file writes");
    path
}

pub(crate) const COMMANDS: [&str; 4] = ["info", "slabs", "conntrack", "nat"];

#[test]
fn without_a_vmlinux_the_report_is_the_same() {
    for dump in real_dumps(&["6.1", "6.12", "7.2", "6.12-arm64"]) {
        for command in COMMANDS {
            let what = format!("{} {command}", dump.name);
            let (with, from) = document(command, &[&dump.vmcore, &dump.vmlinux], &[]);
            assert_eq!(from, ["dwarf", "vmlinux"], "{what}");
            let (without, from) = document(command, &[&dump.vmcore], &[NOWHERE]);
            assert_eq!(from, ["btf", "kallsyms"], "{what}");
            assert!(with == without, "{what}: another report");
        }
    }
}

#[test]
fn btf_of_vmlinux_gives_what_its_dwarf_gives() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        for command in COMMANDS {
            let what = format!("{} {command}", dump.name);
            let files = [dump.vmcore.as_path(), &dump.vmlinux];
            let (dwarf, _) = document(command, &files, &["--types", "dwarf"]);
            let (btf, from) = document(command, &files, &["--types", "btf"]);
            assert_eq!(from, ["btf", "vmlinux"], "{what}");
            assert!(dwarf == btf, "{what}: another report");
        }
    }
}

/// VMCOREINFO does not name the tables of kallsyms before 6.0; they have a shape.
#[test]
fn before_6_0_the_symbols_are_found_by_their_structure() {
    for dump in real_dumps(&["5.10"]) {
        for command in ["info", "slabs"] {
            let (with, _) = document(command, &[&dump.vmcore, &dump.vmlinux], &[]);
            let (without, from) = document(command, &[&dump.vmcore], &[NOWHERE]);
            assert_eq!(from, ["btf", "kallsyms"], "{command}");
            assert!(with == without, "{command}: another report");
        }
        // Modules carry types since 5.11.
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, _, stderr) = run(&["conntrack", vmcore, NOWHERE]);
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains("the module nf_conntrack"), "{stderr}");
    }
}

#[test]
fn before_6_0_a_system_map_serves() {
    for dump in real_dumps(&["5.10"]) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let map = system_map(&dump.vmlinux, folder.path());
        let map = map.to_str().expect("UTF-8");
        let (with, _) = document("slabs", &[&dump.vmcore, &dump.vmlinux], &[]);
        let (without, from) = document("slabs", &[&dump.vmcore], &[NOWHERE, "-s", map]);
        assert_eq!(from, ["btf", "System.map"]);
        assert!(with == without, "another report");
    }
}

#[test]
fn another_kernels_system_map_is_refused() {
    for (dump, other) in real_dumps(&["6.1"]).iter().zip(real_dumps(&["6.12"])) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let map = system_map(&other.vmlinux, folder.path());
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let map = map.to_str().expect("UTF-8");
        let (code, _, stderr) = run(&["slabs", vmcore, NOWHERE, "-s", map]);
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains("not those of the kernel"), "{stderr}");
    }
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    std::fs::write(&path, bytes).expect("a file writes");
    path
}

/// Synthetic kernels carry BTF, as a file's section and in memory, but no kallsyms yet.
#[test]
fn every_source_of_types_is_one_report() {
    for era in Era::ALLOCATORS {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| folder.path().join(name);
        let machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let dump = write(at("dump"), &elf::elf(&machine, elf::Options::default()));
        let full = VmlinuxOptions::new(5);
        let dwarf = write(at("vmlinux"), &vmlinux(&machine, full));
        let (wanted, from) = document("slabs", &[&dump, &dwarf], &[]);
        assert_eq!(from, ["dwarf", "vmlinux"]);

        let map = system_map(&dwarf, folder.path());
        let map = map.to_str().expect("UTF-8");
        let (own, from) = document("slabs", &[&dump], &[NOWHERE, "-s", map]);
        assert_eq!(from, ["btf", "System.map"], "{}", era.name());
        assert!(wanted == own, "{}: another report", era.name());

        for btf in [true, false] {
            let options = VmlinuxOptions {
                dwarf: false,
                btf,
                ..full
            };
            let file = write(at("vmlinux-btf"), &vmlinux(&machine, options));
            let (found, from) = document("slabs", &[&dump, &file], &["--types", "btf"]);
            assert_eq!(from, ["btf", "vmlinux"], "{}", era.name());
            assert!(wanted == found, "{}: {btf}: another report", era.name());
        }
    }
}

#[test]
fn without_anything_the_error_says_what_to_give() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let machine = Machine::build(Era::V5_10, PagingLevels::Four, &Scenario::standard());
    let dump = elf::elf(&machine, elf::Options::default());
    let dump = write(folder.path().join("dump"), &dump);
    let (code, _, stderr) = run(&["slabs", dump.to_str().expect("UTF-8"), NOWHERE]);
    assert_eq!(code, 3, "{stderr}");
    for said in ["vmlinux", "System.map with -s"] {
        assert!(stderr.contains(said), "{stderr}");
    }
}
