//! The files' headers, read back by hand. That whole dumps can be read is checked
//! with other programs: check_with_drgn.py.

use vmleak_synth::debuginfo::{Compression, VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

fn machine(era: Era) -> Machine {
    Machine::build(era, PagingLevels::Four, &Scenario::standard())
}

fn word(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
}

fn half(file: &[u8], at: usize) -> u64 {
    word(file, at) & 0xffff_ffff
}

/// Where the page descriptors begin.
fn descriptors(file: &[u8]) -> usize {
    (1 + half(file, 432) + half(file, 436)) as usize * 4096
}

#[test]
fn a_split_set_has_every_page_once() {
    let machine = machine(Era::V6_1);
    let options = kdump::Options::new(Codec::Zlib);
    let parts = kdump::split(&machine, options, 3);
    assert_eq!(parts.len(), 3);
    let mut expected_start = 0;
    let mut pages = 0;
    for part in &parts {
        assert_eq!(half(part, 4096 + 12), 1, "split");
        let (start, end) = (word(part, 4096 + 80), word(part, 4096 + 88));
        assert_eq!(start, expected_start);
        expected_start = end;
        let mine = machine.memory().pages();
        let mine = mine.filter(|(pfn, _)| (start..end).contains(pfn)).count();
        assert!(mine > 0);
        pages += mine;
        // The data of the first page follows the last descriptor.
        let table = descriptors(part);
        assert_eq!(word(part, table) as usize, table + mine * 24);
    }
    assert_eq!(expected_start, machine.max_pfn());
    assert_eq!(pages, machine.memory().len());
}

#[test]
fn zero_pages_share_their_bytes() {
    let machine = machine(Era::V6_12);
    let file = kdump::kdump(&machine, kdump::Options::new(Codec::Lzo));
    let table = descriptors(&file);
    let mut shared = std::collections::BTreeSet::new();
    let mut zeros = 0;
    for (index, (_, page)) in machine.memory().pages().enumerate() {
        if page.iter().all(|byte| *byte == 0) {
            zeros += 1;
            shared.insert(word(&file, table + index * 24));
        }
    }
    assert!(zeros > 500, "{zeros}");
    assert_eq!(shared.len(), 1);
}

#[test]
fn old_headers_lack_new_fields() {
    let machine = machine(Era::V5_10);
    for version in 1..=6 {
        let mut options = kdump::Options::new(Codec::None);
        options.version = version;
        let file = kdump::kdump(&machine, options);
        assert_eq!(half(&file, 8), u64::from(version));
        assert_eq!(word(&file, 4096 + 40) > 0, version >= 3, "vmcoreinfo");
        assert_eq!(word(&file, 4096 + 48) > 0, version >= 4, "notes");
        assert_eq!(word(&file, 4096 + 56) > 0, version >= 4, "size of notes");
        assert_eq!(word(&file, 4096 + 96) > 0, version >= 6, "max_mapnr_64");
    }
}

#[test]
fn too_many_segments_are_counted_in_section_0() {
    let machine = machine(Era::V6_1);
    let options = elf::Options {
        many_segments: true,
        ..elf::Options::default()
    };
    let file = elf::elf(&machine, options);
    assert_eq!(word(&file, 56) & 0xffff, 0xffff);
    let section = word(&file, 40) as usize;
    assert!(half(&file, section + 44) > 0xffff);
}

#[test]
fn qemu_puts_sections_first() {
    let machine = machine(Era::V6_1);
    let options = elf::Options {
        qemu: true,
        ..elf::Options::default()
    };
    let file = elf::elf(&machine, options);
    assert_eq!((word(&file, 40), word(&file, 32)), (64, 128));
    assert_eq!(word(&file, 52) & 0xffff, 8);
    assert_eq!(half(&file, 128), 4, "the first program header is PT_NOTE");
}

#[test]
fn old_makedumpfile_takes_odd_slabs_for_user_pages() {
    for (era, expected) in [(Era::V6_1, 0), (Era::V6_12, 5)] {
        let mut machine = machine(era);
        let taken = damage::exclude_as_old_makedumpfile(&mut machine);
        assert_eq!(taken.len(), expected);
    }
}

#[test]
fn compressed_sections_are_smaller() {
    let machine = machine(Era::V7_2);
    let size = |compression| {
        let mut options = VmlinuxOptions::new(5);
        options.compression = compression;
        vmlinux(&machine, options).len()
    };
    assert!(size(Compression::Zlib) < size(Compression::None));
    assert!(size(Compression::Zstd) < size(Compression::None));
}
