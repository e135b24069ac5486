//! Dumps of a synthetic machine in every form, page by page.

mod headers;
mod parts;
mod refused;

use std::path::{Path, PathBuf};

use vmleak_synth::write::codec::Codec as Written;
use vmleak_synth::write::{elf, flattened, images, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::*;

fn machine() -> Machine {
    Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard())
}

fn held(bytes: Vec<u8>) -> Dump {
    Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect("a dump")
}

fn saved(files: &[Vec<u8>], folder: &Path) -> Dump {
    let save = |(number, bytes): (usize, &Vec<u8>)| -> PathBuf {
        let path = folder.join(number.to_string());
        std::fs::write(&path, bytes).expect("a file writes");
        path
    };
    let paths: Vec<PathBuf> = files.iter().enumerate().map(save).collect();
    Dump::open(&paths, 1 << 20).expect("a dump")
}

/// Every page as the machine had it, by both routes, and the reason why the others are not there.
fn assert_pages(dump: &Dump, machine: &Machine, absent: impl Fn(Pfn) -> PageFault, what: &str) {
    assert_eq!((dump.page_size(), dump.page_shift()), (4096, 12), "{what}");
    let mut whole = [0; 4096];
    for range in machine.ram() {
        for number in range.clone() {
            let pfn = Pfn(number);
            let Some(wanted) = machine.memory().page(number) else {
                assert_eq!(dump.page(pfn).err(), Some(absent(pfn)), "{what}");
                continue;
            };
            assert!(
                *dump.page(pfn).expect("a page") == wanted[..],
                "{what}: {pfn}"
            );
            whole.fill(0xee);
            dump.read_page(pfn, &mut whole).expect("a page");
            assert!(whole == *wanted, "{what}: {pfn}");
            let mut part = [0; 24];
            dump.read_page(pfn, &mut part).expect("a page");
            assert_eq!(part, wanted[..24], "{what}: {pfn}");
        }
    }
    let beyond = Pfn(machine.max_pfn());
    let fault = PageFault::NotInDump(beyond);
    assert_eq!(dump.page(beyond).err(), Some(fault), "{what}");
}

/// What the files say of themselves: format, pages, files, and that nothing is missing.
fn assert_facts(dump: &Dump, format: &str, pages: u64, files: usize) {
    let facts = dump.facts();
    assert_eq!(facts.format, format);
    assert_eq!(facts.dumped_pages, pages, "{format}");
    assert_eq!((facts.missing_pages, facts.files), (0, files), "{format}");
    assert!(!facts.incomplete && !facts.contradictory, "{format}");
}

#[test]
fn every_page_of_a_compressed_dump() {
    let machine = machine();
    let pages = machine.memory().len() as u64;
    for (codec, name) in [
        (Written::None, "uncompressed"),
        (Written::Zlib, "zlib"),
        (Written::Lzo, "lzo"),
        (Written::Snappy, "snappy"),
        (Written::Zstd, "zstd"),
    ] {
        let bytes = kdump::kdump(&machine, kdump::Options::new(codec));
        let len = bytes.len() as u64;
        let dump = held(bytes);
        assert_pages(&dump, &machine, PageFault::Excluded, name);
        assert_facts(&dump, &format!("kdump-compressed ({name})"), pages, 1);
        assert_eq!(dump.facts().ram_pages, machine.kernel.ram.pages());
        assert_eq!(dump.max_pfn(), machine.max_pfn());
        assert_eq!(dump.file_bytes(), len);
        let header = dump.header().expect("a header");
        let named = (header.release.as_str(), header.machine.as_str());
        assert_eq!(named, (Era::V6_12.release(), "x86_64"));
        assert!(header.nr_cpus > 0);
    }
}

#[test]
fn every_page_of_parts_and_flattened_dumps() {
    let machine = machine();
    let pages = machine.memory().len() as u64;
    let options = kdump::Options::new(Written::Zlib);
    let flat = flattened::flatten(&kdump::kdump(&machine, options));
    let dump = held(flat);
    assert_pages(&dump, &machine, PageFault::Excluded, "flattened");
    assert_facts(&dump, "flattened kdump-compressed (zlib)", pages, 1);

    let folder = tempfile::tempdir().expect("a temporary directory");
    let parts = kdump::split(&machine, options, 3);
    let dump = saved(&parts, folder.path());
    assert_pages(&dump, &machine, PageFault::Excluded, "split");
    assert_facts(&dump, "split kdump-compressed (zlib)", pages, 3);
    let total: usize = parts.iter().map(Vec::len).sum();
    assert_eq!(dump.file_bytes(), total as u64);
    for (given, what) in [
        (&parts[..2], "without the last part"),
        (&parts[1..], "without the first part"),
        (&[parts[0].clone(), parts[2].clone()][..], "with a gap"),
    ] {
        let dump = saved(given, folder.path());
        assert!(dump.facts().incomplete, "{what}");
    }
}

#[test]
fn every_page_of_an_elf_dump() {
    let machine = machine();
    let pages = machine.memory().len() as u64;
    // Its segments end with the last page that was kept.
    let end = machine.memory().pages().last().map(|(pfn, _)| pfn + 1);
    let plain = elf::Options::default();
    let trim = elf::Options {
        trim: true,
        ..plain
    };
    let many = elf::Options {
        many_segments: true,
        ..plain
    };
    let qemu = elf::Options {
        qemu: true,
        ..plain
    };
    for (options, what) in [(plain, "plain"), (qemu, "qemu")] {
        let dump = held(elf::elf(&machine, options));
        assert_pages(&dump, &machine, PageFault::NotInDump, what);
        assert_facts(&dump, "ELF", pages, 1);
        assert_eq!(Some(dump.max_pfn()), end, "{what}");
        assert!(dump.header().is_none());
    }
    for (options, what) in [(trim, "trim"), (many, "many")] {
        let dump = held(elf::elf(&machine, options));
        for (number, wanted) in machine.memory().pages() {
            let page = dump.page(Pfn(number)).expect("a page");
            assert!(*page == wanted[..], "{what}: {number:#x}");
        }
        assert_facts(&dump, "ELF", pages, 1);
    }
}

/// A page behind the end of the file is lost and counted; those before it are whole.
#[test]
fn pages_behind_a_cut_are_counted() {
    let machine = machine();
    let whole = elf::elf(&machine, elf::Options::default());
    let compressed = kdump::kdump(&machine, kdump::Options::new(Written::Lzo));
    for bytes in [whole, compressed] {
        for (share, odd) in [(2, 0), (3, 1), (5, 4095)] {
            let cut = bytes.len() - bytes.len() / share - odd;
            let dump = held(bytes[..cut].to_vec());
            let mut lost = 0;
            for (number, wanted) in machine.memory().pages() {
                match dump.page(Pfn(number)) {
                    Ok(page) => assert!(*page == wanted[..], "{number:#x}"),
                    Err(PageFault::Truncated { .. }) => lost += 1,
                    Err(fault) => panic!("{fault}"),
                }
            }
            let facts = dump.facts();
            assert!(facts.incomplete && lost > 0, "{}", facts.format);
            assert_eq!(facts.missing_pages, lost, "{}", facts.format);
        }
    }
}

/// An ELF file of segments: physical address, bytes in the file, bytes in memory.
fn segments(parts: &[(u64, &[u8], u64)]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend([4u16, 62].iter().flat_map(|half| half.to_le_bytes()));
    out.extend(1u32.to_le_bytes());
    out.extend([0u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    out.extend(0u32.to_le_bytes());
    let sizes = [64u16, 56, parts.len() as u16, 0, 0, 0];
    out.extend(sizes.iter().flat_map(|half| half.to_le_bytes()));
    let mut offset = 64 + 56 * parts.len() as u64;
    for (start, bytes, memory) in parts {
        out.extend([1u32, 7].iter().flat_map(|word| word.to_le_bytes()));
        let at = if bytes.is_empty() { 0 } else { offset };
        let words = [at, 0, *start, bytes.len() as u64, *memory, 0];
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        offset += bytes.len() as u64;
    }
    for (_, bytes, _) in parts {
        out.extend_from_slice(bytes);
    }
    out
}

/// A dump that its writer, or the end of its header's table, calls unfinished.
#[test]
fn unfinished_dumps_say_so() {
    let machine = machine();
    let options = kdump::Options {
        incomplete: true,
        ..kdump::Options::new(Written::Zlib)
    };
    let dump = held(kdump::kdump(&machine, options));
    assert!(dump.facts().incomplete);
    assert_eq!(dump.facts().missing_pages, 0);
    // The second program header is not there, and the first one has no bytes that could miss.
    let bytes = segments(&[(0x1000, &[], 0), (0x2000, &[1; 4096], 4096)]);
    let dump = held(bytes[..64 + 56 + 20].to_vec());
    assert!(dump.facts().incomplete);
    assert!(!held(bytes).facts().incomplete);
}

/// A thread remembers the pages that it unpacked last: those of one dump are no other's.
#[test]
fn pages_of_several_dumps_are_kept_apart() {
    let packed = |machine: &Machine| held(kdump::kdump(machine, kdump::Options::new(Written::Lzo)));
    let mut other = machine();
    let pfns: Vec<u64> = other.memory().pages().map(|(pfn, _)| pfn).collect();
    for pfn in &pfns {
        other.kernel.memory.write(pfn << 12, &[0xa5; 64]);
    }
    let machines = [machine(), other];
    let dumps = machines.each_ref().map(packed);
    for pfn in pfns.into_iter().chain([1, 65, 1]) {
        for _ in 0..2 {
            for (dump, machine) in dumps.iter().zip(&machines) {
                let wanted = machine.memory().page(pfn);
                let page = dump.page(Pfn(pfn)).ok();
                assert!(page.as_deref() == wanted, "{pfn:#x}");
            }
        }
    }
}
