//! Images of memory that bring no note: one machine in every format, with the kernel's text in
//! its memory and without, gives one report.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak::addr::Pfn;
use vmleak::dump::Dump;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::elf;
use vmleak_synth::write::images::{self, Image, avml, lime, raw, sadump, savevm, vmware, xen};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{RealDump, real_dumps, run, small_dump, without_form};

/// Writes `image` in every format that has just the pages that there are; the file to give.
fn write_all(image: &Image<'_>, folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file writes");
        path
    };
    let (layout, vmem) = vmware::vmss_and_vmem(image);
    save("beside.vmem", &vmem);
    let stream = savevm::savevm(image, false);
    vec![
        ("LiME", save("lime", &lime::lime(image))),
        ("AVML", save("avml", &avml::avml(image))),
        ("VMware snapshot", save("alone.vmsn", &vmware::vmss(image))),
        ("VMware snapshot", save("beside.vmss", &layout)),
        ("VMware snapshot", folder.join("beside.vmem")),
        ("QEMU savevm", save("qevm", &stream)),
        ("QEMU savevm", save("twice", &savevm::savevm(image, true))),
        (
            "SADUMP (single partition)",
            save("sadump", &sadump::partition(image)),
        ),
        (
            "SADUMP (media backup)",
            save("media", &sadump::media(image)),
        ),
        ("Xen core", save("xen", &xen::core(image, false))),
        ("virsh save", save("virsh", &savevm::virsh_save(&stream, 0))),
    ]
}

fn json(command: &str, dump: &Path, vmlinux: &Path) -> Value {
    let files = [dump, vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (_, stdout, stderr) = run(&[command, "--format", "json", files[0], files[1]]);
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{command}: {e}: {stderr}"))
}

/// The document less its form, and less how it is known where the kernel is.
fn without_boot(document: Value) -> (Value, String) {
    let mut document = without_form(document);
    let dump = document["dump"].as_object_mut().expect("a dump object");
    let from = dump
        .remove("boot_facts_from")
        .expect("the contract names it");
    let assumptions = document["assumptions"].as_array_mut().expect("a list");
    assumptions.retain(|known| known["name"] != "vmcoreinfo" && known["name"] != "boot_facts");
    (document, from.as_str().expect("a text").to_owned())
}

/// What only VMCOREINFO tells.
fn without_identity(mut document: Value) -> Value {
    let dump = document["dump"].as_object_mut().expect("a dump object");
    for key in ["id", "build_id", "crash_time"] {
        dump.remove(key).expect("the contract names it");
    }
    document
}

fn debug_file(machine: &Machine, folder: &Path) -> PathBuf {
    let path = folder.join("vmlinux");
    let bytes = vmlinux(machine, VmlinuxOptions::new(5));
    fs::write(&path, bytes).expect("a file writes");
    path
}

#[test]
fn one_machine_in_every_format_gives_one_report() {
    for (era, paging) in [
        (Era::V5_10, PagingLevels::Four),
        (Era::V6_12, PagingLevels::Five),
        (Era::V7_2, PagingLevels::Four),
    ] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut machine = Machine::build(era, paging, &Scenario::standard());
        let text = machine.vmcoreinfo.clone();
        images::leave_text(&mut machine, &text, true);
        let vmlinux = debug_file(&machine, folder.path());
        let noted = folder.path().join("elf");
        fs::write(&noted, elf::elf(&machine, elf::Options::default())).expect("a file writes");
        let image = Image::of(&machine);
        let (want, from) = without_boot(json("slabs", &noted, &vmlinux));
        assert_eq!(from, "vmcoreinfo");
        for (format, file) in write_all(&image, folder.path()) {
            let document = json("slabs", &file, &vmlinux);
            assert_eq!(document["dump"]["format"], format);
            let (got, from) = without_boot(document);
            assert_eq!(from, "vmcoreinfo in memory", "{format}");
            assert!(got == want, "{format} of {era:?}");
        }
    }
}

/// Memory as it is has zeros for what is not there: what is there is the same.
#[test]
fn raw_memory_gives_the_same_caches() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let text = machine.vmcoreinfo.clone();
    images::leave_text(&mut machine, &text, false);
    let vmlinux = debug_file(&machine, folder.path());
    let noted = folder.path().join("elf");
    fs::write(&noted, elf::elf(&machine, elf::Options::default())).expect("a file writes");
    let path = folder.path().join("memory");
    let file = File::create(&path).expect("a file writes");
    raw::raw(&Image::of(&machine), &file).expect("a file writes");
    let want = json("slabs", &noted, &vmlinux);
    let got = json("slabs", &path, &vmlinux);
    assert_eq!(got["dump"]["source"], "raw");
    assert_eq!(got["caches"], want["caches"]);
    assert_eq!(got["dump"]["id"], want["dump"]["id"]);
}

/// A kernel without VMCOREINFO: its page tables tell where it is, found by their shape, or by what
/// QEMU saved of the CPUs.
#[test]
fn page_tables_tell_where_no_text_does() {
    for paging in [PagingLevels::Four, PagingLevels::Five] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let machine = Machine::build(Era::V6_12, paging, &Scenario::standard());
        let vmlinux = debug_file(&machine, folder.path());
        let noted = folder.path().join("elf");
        fs::write(&noted, elf::elf(&machine, elf::Options::default())).expect("a file writes");
        let (want, _) = without_boot(json("slabs", &noted, &vmlinux));
        let image = folder.path().join("lime");
        fs::write(&image, lime::lime(&Image::of(&machine))).expect("a file writes");
        let qemu = folder.path().join("qemu");
        let options = elf::Options {
            qemu: true,
            untold: true,
            ..elf::Options::default()
        };
        fs::write(&qemu, elf::elf(&machine, options)).expect("a file writes");
        for (file, how) in [
            (&image, "page tables in memory"),
            (&qemu, "registers of the CPUs"),
        ] {
            let (got, from) = without_boot(json("slabs", file, &vmlinux));
            assert_eq!(from, how, "{paging:?}");
            assert!(
                without_identity(got) == without_identity(want.clone()),
                "{how}, {paging:?}"
            );
        }
    }
}

/// Which kernel is meant where texts of several lie in memory: the one that can be read by its
/// text, and of those the one that crashed.
#[test]
fn of_several_texts_the_one_that_fits_is_taken() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let vmlinux = debug_file(&machine, folder.path());
    let text = machine.vmcoreinfo.clone();
    let before = text.replace("OSRELEASE=6", "OSRELEASE=4");
    let elsewhere = text.replace("NUMBER(phys_base)=", "NUMBER(phys_base)=1");
    images::leave_text(&mut machine, &before, false);
    images::leave_text(&mut machine, &elsewhere, true);
    let whole = images::leave_text(&mut machine, &text, true);
    // Of the same kernel, before it crashed.
    let alive: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("CRASHTIME"))
        .collect();
    images::leave_text(&mut machine, &(alive.join("\n") + "\n"), false);
    let path = folder.path().join("lime");
    fs::write(&path, lime::lime(&Image::of(&machine))).expect("a file writes");
    let document = json("slabs", &path, &vmlinux);
    assert_eq!(document["dump"]["release"], Era::V6_12.release());
    let assumptions = document["assumptions"].as_array().expect("a list");
    let said = assumptions
        .iter()
        .find(|known| known["name"] == "vmcoreinfo")
        .expect("it is said");
    let how = said["how"].as_str().expect("a text");
    assert!(how.contains(&format!("{whole:#018x}")), "{how}");
}

/// Two kernels in one memory, both of which can be read: the second captures the first. The text
/// of the one that crashed says when.
#[test]
fn the_kernel_that_crashed_is_meant_and_not_the_one_that_captures() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let vmlinux = debug_file(&machine, folder.path());
    let text = machine.vmcoreinfo.clone();
    let offset = text.lines().find(|line| line.starts_with("KERNELOFFSET="));
    let offset = offset.expect("KASLR moved it");
    // By its root and its image the same: it validates, and is another kernel all the same. It
    // says more, and comes first or last.
    let crash = text.lines().find(|line| line.starts_with("CRASHTIME="));
    let crash = crash.expect("it crashed");
    let capture = text.replace(offset, "KERNELOFFSET=7e000000");
    let capture = capture.replace(crash, "MORE=of it than the other says");
    for order in [[&text, &capture], [&capture, &text]] {
        let mut machine = machine.clone();
        for text in order {
            images::leave_text(&mut machine, text, true);
        }
        let path = folder.path().join("lime");
        fs::write(&path, lime::lime(&Image::of(&machine))).expect("a file writes");
        let document = json("slabs", &path, &vmlinux);
        let assumptions = document["assumptions"].as_array().expect("a list");
        let said = assumptions
            .iter()
            .find(|known| known["name"] == "vmcoreinfo");
        let said = said.expect("it is said");
        let value = said["value"].as_str().expect("a text");
        assert!(value.contains("crashed at"), "{value}");
        let how = said["how"].as_str().expect("a text");
        assert!(how.contains("other kernels' lie in memory too"), "{how}");
    }
}

fn image_of(dump: &Dump) -> Image<'_> {
    let pfns = (0..dump.max_pfn()).filter(|pfn| dump.page(Pfn(*pfn)).is_ok());
    Image::new(pfns, |pfn| {
        dump.page(Pfn(pfn)).expect("it was there").to_vec()
    })
}

/// The same pages without any text of VMCOREINFO.
fn scrubbed(dump: &Dump) -> Image<'_> {
    let pfns = (0..dump.max_pfn()).filter(|pfn| dump.page(Pfn(*pfn)).is_ok());
    Image::new(pfns, |pfn| {
        let mut page = dump.page(Pfn(pfn)).expect("it was there").to_vec();
        let texts = [0, 24]
            .into_iter()
            .find(|at| page[*at..].starts_with(b"OSRELEASE="));
        if let Some(at) = texts {
            page[at..].fill(0);
        }
        page
    })
}

fn assert_real_dump_in_every_format(dump: &RealDump) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let opened = Dump::open(std::slice::from_ref(&dump.vmcore), 1 << 28).expect("it opens");
    let (want, _) = without_boot(json("slabs", &dump.vmcore, &dump.vmlinux));
    for (format, file) in write_all(&image_of(&opened), folder.path()) {
        let (got, from) = without_boot(json("slabs", &file, &dump.vmlinux));
        assert_eq!(from, "vmcoreinfo in memory", "{format} of {}", dump.name);
        assert!(got == want, "{format} of {}", dump.name);
    }
    let bare = folder.path().join("bare");
    fs::write(&bare, lime::lime(&scrubbed(&opened))).expect("a file writes");
    let (got, from) = without_boot(json("slabs", &bare, &dump.vmlinux));
    assert_eq!(from, "page tables in memory", "{}", dump.name);
    assert!(
        without_identity(got) == without_identity(want),
        "{}",
        dump.name
    );
}

#[test]
fn the_small_dump_in_every_format_gives_one_report() {
    assert_real_dump_in_every_format(&small_dump());
}

#[test]
fn real_dumps_in_every_format_give_one_report() {
    for dump in real_dumps(&["6.1"]) {
        assert_real_dump_in_every_format(&dump);
    }
}

/// Cut anywhere, an image is read as far as it goes, and what is not there is said.
#[test]
fn images_cut_anywhere_end_honestly() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let text = machine.vmcoreinfo.clone();
    images::leave_text(&mut machine, &text, true);
    let vmlinux = debug_file(&machine, folder.path());
    for (format, file) in write_all(&Image::of(&machine), folder.path()) {
        let whole = fs::read(&file).expect("a file reads");
        let cut = file.with_file_name("cut");
        for step in 0..12 {
            let length = whole.len() * step / 12 + step * 37;
            fs::write(&cut, &whole[..length.max(20)]).expect("a file writes");
            let files = [&cut, &vmlinux].map(|path| path.to_str().expect("UTF-8"));
            let (code, _, stderr) = run(&["slabs", files[0], files[1]]);
            assert!(
                matches!(code, 3 | 4),
                "{format} cut at {length}: {code}: {stderr}"
            );
            assert!(
                !stderr.contains("panicked") && !stderr.is_empty(),
                "{stderr}"
            );
        }
    }
}
