//! What nobody hands over by mistake: headers that lie, files that shrink, names that would make
//! a terminal do things.

use std::path::{Path, PathBuf};
use std::process::Command;

use vmleak::addr::Pfn;
use vmleak::dump::{Access, Dump, PageFault};
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, flattened, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{run, run_bounded, small_dump};

/// Every command that takes a dump, as text for people.
const TEXTS: &[&[&str]] = &[
    &["info", "--layouts"],
    &["slabs", "--all"],
    &["slabs", "--format", "slabinfo"],
    &["slabs", "--format", "csv"],
    &["slabs", "--cache", EVIL],
    &["objects", EVIL],
    &["objects", EVIL, "--format", "crash"],
    &["leaks", "--all"],
    &["whatis", "0xffff888000001000"],
    &["conntrack"],
    &["conntrack", "--format", "proc"],
    &["conntrack", "--format", "conntrack"],
    &["conntrack", "--summary"],
    &["conntrack", "--stats"],
    &["nat"],
    &["meminfo"],
    &["log"],
    &["log", "--oom"],
    &["vmalloc"],
    &["modules"],
    &["modules", "--format", "proc"],
    &["modules", "--format", "csv"],
    &["memcg"],
    &["memcg", "--format", "csv"],
    &["ps"],
    &["ps", "--format", "csv"],
    &["zones"],
    &["zones", "--format", "pagetypeinfo"],
    &["zones", "--format", "vmstat"],
    &["sockets"],
    &["sockets", "--format", "csv"],
    &["net"],
    &["files"],
    &["dentries"],
    &["rules"],
    &["kmemleak"],
    &["kmemleak", "--format", "proc"],
    &["allocinfo"],
    &["pageowner"],
    &["report"],
];

/// A name with the start of an escape sequence, a line feed, and a turn of direction. 16 bytes:
/// as long as the name that it replaces in memory may be.
const EVIL: &str = "\x1b[2J\n\u{202e}evil";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file writes");
        path
    }
}

fn machine(scenario: &Scenario) -> Machine {
    Machine::build(Era::V6_12, PagingLevels::Four, scenario)
}

fn zlib(machine: &Machine) -> Vec<u8> {
    kdump::kdump(machine, kdump::Options::new(Codec::Zlib))
}

#[test]
fn nothing_that_a_terminal_would_act_on_gets_through() {
    let mut scenario = Scenario::conntrack();
    let cache = scenario.caches.iter_mut().find(|c| c.name == "dentry");
    cache.expect("dentries").name = EVIL.to_owned();
    let kfence = scenario.kfence.iter_mut();
    kfence
        .filter(|object| object.cache == "dentry")
        .for_each(|object| object.cache = EVIL.to_owned());
    let folder = Folder::new();
    let machine = machine(&scenario);
    let vmlinux = folder.file("vmlinux", &vmlinux(&machine, VmlinuxOptions::new(5)));
    let dump = folder.file("dump", &zlib(&machine));
    let mut seen = 0;
    for args in TEXTS {
        let args = [*args, &["--color", "never", text(&dump), text(&vmlinux)]].concat();
        let (code, stdout, stderr) = run(&args);
        for (what, output) in [("stdout", &stdout), ("stderr", &stderr)] {
            let bad = output
                .chars()
                .find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}');
            assert_eq!(bad, None, "{args:?}: {what}: {output}");
        }
        assert!(code == 0 || code == 3 || code == 4, "{args:?}: {stderr}");
        seen += usize::from(stdout.contains("\\u{1b}[2J\\n\\u{202e}evil"));
    }
    // Shown by what lists caches and their objects, or the test would prove nothing.
    assert!(seen >= 6, "the name was shown {seen} times");
}

/// The release in VMCOREINFO goes into messages about files that are not found.
#[test]
fn an_error_message_is_harmless_too() {
    let mut machine = machine(&Scenario::standard());
    let release = Era::V6_12.release();
    let evil = format!("OSRELEASE=\x1b]0;x\x07{release}");
    let lines = machine
        .vmcoreinfo
        .replace(&format!("OSRELEASE={release}"), &evil);
    assert_ne!(lines, machine.vmcoreinfo, "no release to replace");
    machine.vmcoreinfo = lines;
    let folder = Folder::new();
    let dump = folder.file("dump", &zlib(&machine));
    for more in [&["--types", "dwarf"][..], &["-v", "--types", "dwarf"]] {
        let alone = ["slabs", "--no-default-debug-directories", text(&dump)];
        let (code, _, stderr) = run(&[&alone[..], more].concat());
        assert_eq!(code, 3, "{stderr}");
        assert!(!stderr.contains(['\x1b', '\x07']), "{stderr:?}");
        assert!(stderr.contains("\\u{1b}]0;x"), "{stderr}");
    }
}

/// The headers of a kdump file with one field changed.
fn with_field(dump: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = dump.to_vec();
    out[at..at + bytes.len()].copy_from_slice(bytes);
    out
}

fn ends_well(path: &Path, vmlinux: &Path, what: &str) {
    for command in ["info", "slabs", "leaks"] {
        let args = [command, "--format", "json", text(path), text(vmlinux)];
        let (code, stdout, stderr) = run_bounded(&args);
        let what = format!("{what}, {command}: exit {code}, {stderr}");
        if code == 3 {
            // One line, that names the file.
            assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1), "{what}");
            assert!(
                stderr.contains(text(path)) || stderr.contains(text(vmlinux)),
                "{what}"
            );
            continue;
        }
        let document: serde_json::Value = serde_json::from_str(&stdout).expect(&what);
        assert_eq!(
            (document["complete"] == true, code),
            (code == 0, if code == 0 { 0 } else { 4 }),
            "{what}"
        );
    }
}

#[test]
fn headers_that_claim_what_no_machine_has() {
    let machine = machine(&Scenario::standard());
    let folder = Folder::new();
    let vmlinux = folder.file("vmlinux", &vmlinux(&machine, VmlinuxOptions::new(5)));
    let dump = zlib(&machine);
    let huge = (1u64 << 60).to_le_bytes();
    const SUB: usize = 4096;
    let lies = [
        ("2^60 pages", with_field(&dump, SUB + 96, &huge)),
        ("a range to 2^60", with_field(&dump, SUB + 88, &huge)),
        (
            "2^31 blocks of bitmap",
            with_field(&dump, 436, &[0, 0, 0, 0x80]),
        ),
        (
            "2^31 blocks of sub header",
            with_field(&dump, 432, &[0, 0, 0, 0x80]),
        ),
        ("notes of 2^60 bytes", with_field(&dump, SUB + 56, &huge)),
        (
            "VMCOREINFO of 2^60 bytes",
            with_field(&dump, SUB + 40, &huge),
        ),
    ];
    for (what, bytes) in lies {
        ends_well(&folder.file("lie", &bytes), &vmlinux, what);
    }
    // A flattened file may say that it is as long as it likes, at the price of one record.
    let mut sparse = flattened::flatten(&with_field(&dump, SUB + 96, &(1u64 << 50).to_le_bytes()));
    sparse.truncate(sparse.len() - 16);
    let with_bitmap = with_field(&sparse, 4096 + 16 + 436, &[0xff; 4]);
    for bytes in [sparse, with_bitmap] {
        let mut bytes = bytes;
        bytes.extend((1i64 << 61).to_be_bytes());
        bytes.extend(1i64.to_be_bytes());
        bytes.push(0);
        bytes.extend([0xff; 16]);
        ends_well(
            &folder.file("lie", &bytes),
            &vmlinux,
            "a hole of 2^61 bytes",
        );
    }
    // The last segment of an ELF file claims 2^60 bytes, in the file or in memory only.
    let plain = elf::elf(&machine, elf::Options::default());
    let segments = usize::from(u16::from_le_bytes([plain[56], plain[57]]));
    let last = 64 + (segments - 1) * 56;
    for (what, at) in [("in the file", 32), ("in memory", 40)] {
        let bytes = with_field(&plain, last + at, &huge);
        ends_well(&folder.file("lie", &bytes), &vmlinux, what);
    }
}

#[test]
fn page_descriptors_that_lie() {
    let machine = machine(&Scenario::standard());
    let dump = zlib(&machine);
    let blocks = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().expect("4")) as usize;
    let first = 4096 * (1 + blocks(432) + blocks(436));
    let pfn = machine.memory().pages().next().expect("a page").0;
    let fault = |at: usize, bytes: &[u8]| {
        let bytes = with_field(&dump, first + at, bytes);
        let dump = Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect("it opens");
        dump.page(Pfn(pfn)).map(|_| ()).expect_err("it lies")
    };
    let size = fault(8, &(1u32 << 31).to_le_bytes());
    assert!(matches!(size, PageFault::Corrupt { .. }), "{size}");
    let far = fault(0, &(1u64 << 62).to_le_bytes());
    assert!(matches!(far, PageFault::Truncated { .. }), "{far}");
    let beyond = fault(0, &u64::MAX.to_le_bytes());
    assert!(matches!(beyond, PageFault::Corrupt { .. }), "{beyond}");
}

/// A stream that would fill memory fills a page.
#[test]
fn a_bomb_yields_no_more_than_a_page() {
    let bomb = Codec::Zstd.store(&vec![0; 64 << 20]).0;
    let mut page = vec![0; 4096];
    let codec = vmleak::dump::Codec::Zstd;
    assert!(codec.decompress(&bomb, &mut page).is_err());
}

#[test]
fn links_are_followed_and_what_is_no_file_is_refused() {
    let small = small_dump();
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join(name);
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, at(name)).expect("a link");
        at(name)
    };
    let good = link(&small.vmcore, "good");
    let (code, _, stderr) = run(&["info", text(&good), text(&small.vmlinux)]);
    assert_eq!(code, 0, "{stderr}");
    let made = Command::new("mkfifo").arg(at("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    let bad = [
        link(Path::new("/dev/zero"), "zero"),
        link(&at("nowhere"), "dangling"),
        link(&at("itself"), "itself"),
        link(&at("pipe"), "to-pipe"),
        "/dev/null".into(),
        "/dev/tty".into(),
    ];
    for path in bad {
        for more in [&[][..], &["--no-mmap"]] {
            let dump = [&["info", text(&path), text(&small.vmlinux)], more].concat();
            let types = [&["info", text(&small.vmcore), "-s", text(&path)], more].concat();
            let (code, stdout, stderr) = run(&dump);
            assert_eq!((code, stdout.as_str()), (3, ""), "{dump:?}: {stderr}");
            // As a debug file it must not be waited for either.
            let (code, _, stderr) = run(&types);
            assert!(matches!(code, 0 | 3 | 4), "{types:?}: {stderr}");
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_loses_pages_only() {
    let machine = machine(&Scenario::standard());
    let folder = Folder::new();
    let path = folder.file("dump", &zlib(&machine));
    let paths = [path.clone()];
    let dump = Dump::open_with(&paths, 1 << 20, Access::Read).expect("it opens");
    let mut pages = machine.memory().pages().map(|(pfn, _)| pfn);
    let (first, last) = (pages.next().expect("a page"), pages.last().expect("more"));
    assert!(dump.page(Pfn(first)).is_ok());
    let file = std::fs::OpenOptions::new().write(true).open(&path);
    file.expect("it opens")
        .set_len(64 << 10)
        .expect("it shrinks");
    let lost = dump.page(Pfn(last)).map(|_| ()).expect_err("it is gone");
    assert!(matches!(lost, PageFault::Truncated { .. }), "{lost}");
    let mut out = vec![0; 4096];
    assert!(dump.read_page(Pfn(last), &mut out).is_err());
}

#[test]
fn without_mapping_everything_is_the_same() {
    let small = small_dump();
    let machine = machine(&Scenario::conntrack());
    let folder = Folder::new();
    let types = folder.file("vmlinux", &vmlinux(&machine, VmlinuxOptions::new(5)));
    let kdump = zlib(&machine);
    let forms = [
        (small.vmcore.clone(), small.vmlinux.clone()),
        (
            folder.file("flat", &flattened::flatten(&kdump)),
            types.clone(),
        ),
        (folder.file("kdump", &kdump), types.clone()),
        (
            folder.file("elf", &elf::elf(&machine, elf::Options::default())),
            types,
        ),
    ];
    let commands: [&[&str]; 5] = [
        &["info", "--layouts"],
        &["slabs"],
        &["leaks"],
        &["conntrack"],
        &["nat"],
    ];
    let mut understood = 0;
    for (dump, vmlinux) in &forms {
        for command in commands {
            let args = [command, &["--format", "json", text(dump), text(vmlinux)]].concat();
            let mapped = run(&args);
            let read = run(&[&args[..], &["--no-mmap"]].concat());
            assert_eq!(mapped, read, "{args:?}");
            understood += usize::from(mapped.0 != 3);
        }
    }
    // The synthetic kernels have not all that leaks needs, the small one no connections.
    assert!(understood >= 15, "{understood} of 20 were understood");
}
