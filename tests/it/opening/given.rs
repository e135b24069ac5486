//! Files that belong together under any name, that were cut, or that are of no use.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::elf;
use vmleak_synth::write::images::{self, Image, avml, lime, savevm, vmware, xen};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{run, small_dump};

/// One machine in a folder, with its vmlinux.
struct Guest {
    folder: tempfile::TempDir,
    machine: Machine,
    vmlinux: PathBuf,
}

impl Guest {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let text = machine.vmcoreinfo.clone();
        images::leave_text(&mut machine, &text, true);
        let path = folder.path().join("vmlinux");
        let bytes = vmlinux(&machine, VmlinuxOptions::new(5));
        fs::write(&path, bytes).expect("a file writes");
        Self {
            vmlinux: path,
            folder,
            machine,
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file writes");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_snapshot_and_its_memory_under_any_names_and_in_any_order() {
    let guest = Guest::new();
    let (layout, memory) = vmware::vmss_and_vmem(&Image::of(&guest.machine));
    let layout = guest.file("suspended", &layout);
    let memory = guest.file("memory", &memory);
    let [layout, memory, vmlinux] = [&layout, &memory, &guest.vmlinux].map(|path| text(path));
    for files in [
        [layout, memory, vmlinux],
        [memory, layout, vmlinux],
        [memory, vmlinux, layout],
    ] {
        let args = [&["slabs", "--format", "json"], &files[..]].concat();
        let (code, stdout, stderr) = run(&args);
        assert_eq!(code, 0, "{files:?}: {stderr}");
        let document: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(document["dump"]["format"], "VMware snapshot");
    }
}

/// Wherever a file was cut: the first that is said is that it ends early, at which byte, and what
/// to do; that a writer ran out of space is what only makedumpfile's own mark tells.
#[test]
fn files_that_end_early_are_to_be_copied_again() {
    let guest = Guest::new();
    let image = Image::of(&guest.machine);
    let (layout, memory) = vmware::vmss_and_vmem(&image);
    let layout = guest.file("layout.vmss", &layout);
    let stream = savevm::savevm(&image, false);
    let files: [(&str, Vec<u8>); 6] = [
        ("cut.qevm", stream),
        ("cut.xen", xen::core(&image, false)),
        ("cut.lime", lime::lime(&image)),
        ("cut.avml", avml::avml(&image)),
        ("cut.elf", elf::elf(&guest.machine, elf::Options::default())),
        ("layout.vmem", memory),
    ];
    for (name, whole) in files {
        for percent in [95, 60, 20] {
            let len = whole.len() * percent / 100;
            let path = guest.file(name, &whole[..len]);
            let what = format!("{name} cut to {percent} %");
            let (code, _, stderr) = run(&["slabs", text(&path), text(&guest.vmlinux)]);
            assert!(matches!(code, 3 | 4), "{what}: exit {code}, {stderr}");
            let first = stderr.lines().next().unwrap_or_default();
            let said = format!("the file ends early, at byte {len}");
            let told = stderr.lines().any(|line| line.contains(&said));
            assert!(told && stderr.contains("copy it again"), "{what}: {stderr}");
            assert!(code == 4 || first.contains(&said), "{what}: {first}");
            assert!(!stderr.contains("ran out of space"), "{what}: {stderr}");
        }
    }
    assert!(layout.is_file());
}

#[test]
fn what_options_take_is_said_of_what_they_do_not() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let empty = folder.path().join("empty");
    fs::write(&empty, "").expect("a file writes");
    let nowhere = folder.path().join("none/report");
    let profile = format!("profile:{}", text(folder.path()));
    let (directory, none) = (text(folder.path()), text(&nowhere));
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["-s", directory],
            &[directory, "is a directory", "-s takes"],
        ),
        (
            &["-s", "/dev/null"],
            &["/dev/null", "no regular file", "-s takes"],
        ),
        (&["-s", text(&empty)], &["empty", "is empty", "-s takes"]),
        (
            &["--types", &profile],
            &[directory, "is a directory", "--save-profile"],
        ),
        (&["-o", none], &[none, "name another file with -o"]),
        (
            &["-o", "/dev/full"],
            &["/dev/full", "name another file with -o"],
        ),
    ];
    for (more, parts) in cases {
        let args = [&["slabs", text(&dump.vmcore), text(&dump.vmlinux)], more].concat();
        let (code, _, stderr) = run(&args);
        assert_eq!(code, 3, "{more:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{more:?}: no {part:?} in {stderr}");
        }
        assert!(!stderr.contains("copy the dump"), "{more:?}: {stderr}");
    }
    let (code, _, stderr) = run(&["slabs", text(&dump.vmlinux)]);
    assert_eq!(code, 3);
    assert!(stderr.contains(text(&dump.vmlinux)), "{stderr}");
    let (code, _, stderr) = run(&["info", directory]);
    assert_eq!(code, 3);
    assert!(stderr.contains("name the file"), "{stderr}");
}

/// A number below zero is a wrong value, and `--` before it no help.
#[test]
fn a_number_below_zero_is_no_option() {
    for args in [["files", "--top", "-1", "x"], ["pages", "--top", "-1", "x"]] {
        let (code, _, stderr) = run(&args);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("invalid value '-1'"), "{stderr}");
        assert!(!stderr.contains("-- -1"), "{stderr}");
    }
}

/// A module's file of another kernel, and one of a module that was not loaded.
#[test]
fn a_file_of_a_module_that_is_of_no_use_is_named() {
    let dump = small_dump();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let other = folder.path().join("dummy.ko");
    let own = dump.folder.join("leaky.ko");
    fs::copy(&own, &other).expect("a file is copied");
    let files = [text(&dump.vmcore), text(&dump.vmlinux)];
    let ask = |module: &Path| run(&["slabs", files[0], files[1], "-s", text(module)]);
    let (code, _, stderr) = ask(&own);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (code, _, stderr) = ask(&other);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("dummy.ko is not used: no module dummy was loaded"),
        "{stderr}"
    );
    // The same name, another build.
    let changed = folder.path().join("leaky.ko");
    let mut bytes = fs::read(&own).expect("it reads");
    // The note: lengths of name and build-id, NT_GNU_BUILD_ID, the name.
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = bytes.windows(note.len()).position(|part| part == note);
    bytes[at.expect("a build-id") + note.len()] ^= 1;
    fs::write(&changed, bytes).expect("a file writes");
    let (code, _, stderr) = ask(&changed);
    assert_eq!(code, 0, "{stderr}");
    let said = "leaky.ko is not used: it has build-id";
    assert!(stderr.contains(said), "{stderr}");
}
