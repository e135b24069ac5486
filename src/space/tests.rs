//! Addresses of a synthetic machine: the direct map, the image, mapped pages.

use std::path::Path;

use vmleak_synth::machine::image::TEXT_SIZE;
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::*;

fn open(machine: &Machine, bytes: Vec<u8>) -> AddressSpace {
    let dump = Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect("a dump");
    let mut space = AddressSpace::new(Arc::new(dump)).expect("an address space");
    let there = &machine.kernel.space;
    space.place_direct_map(Some(there.page_offset), Some(there.vmalloc));
    space
}

/// The kernel's text, no two words of which are alike: where it lies, and its bytes.
fn text(machine: &Machine) -> (u64, Vec<u8>) {
    let phys = machine.kernel.space.image_phys;
    let mut bytes = vec![0; TEXT_SIZE as usize];
    machine.memory().read(phys, &mut bytes);
    (phys, bytes)
}

#[test]
fn a_region_reaches_up_to_its_end() {
    let region = LinearRegion {
        start: VirtAddr(0x10_0000),
        end: VirtAddr(0x18_0000),
        phys: PhysAddr(0x4000),
    };
    let at = |va| region.translate(VirtAddr(va)).map(|to| (to.phys.0, to.len));
    assert_eq!(at(0xf_ffff), None);
    assert_eq!(at(0x10_0000), Some((0x4000, 0x8_0000)));
    assert_eq!(at(0x10_0123), Some((0x4123, 0x7_fedd)));
    assert_eq!(at(0x17_ffff), Some((0x8_3fff, 1)));
    assert_eq!(at(0x18_0000), None);
}

/// Little and much, within a page and across, at every alignment that matters.
#[test]
fn the_direct_map_reads_what_the_machine_had() {
    for (levels, bits) in [(PagingLevels::Four, 46), (PagingLevels::Five, 52)] {
        let machine = Machine::build(Era::V6_12, levels, &Scenario::standard());
        let space = open(&machine, elf::elf(&machine, elf::Options::default()));
        assert_eq!(space.physical_bits(), bits);
        assert!(!space.mmu_name().is_empty());
        let (phys, bytes) = text(&machine);
        let start = VirtAddr(machine.kernel.space.direct(phys));
        assert_eq!(space.direct_map_address(PhysAddr(phys)), start);
        assert_eq!(space.direct_map_zero().0, machine.kernel.space.page_offset);
        for (from, len) in [
            (0, 1),
            (4090, 6),
            (4090, 7),
            (4095, 4098),
            (1, MUCH - 1),
            (0, MUCH),
            (5, MUCH),
            (4095, 2 * MUCH + 77),
        ] {
            let wanted = &bytes[from..from + len];
            let at = start.plus(from as u64);
            assert!(
                space.read_bytes(at, len).expect("memory") == wanted,
                "{from} {len}"
            );
            assert!(
                *space.span(at, len).expect("memory") == *wanted,
                "{from} {len}"
            );
        }
        for from in [0, 8, 4089, 4092, 4096] {
            let at = start.plus(from as u64);
            let word = u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight"));
            assert_eq!(space.read_u64(at), Ok(word));
            assert_eq!(space.read_ptr(at), Ok(VirtAddr(word)));
            assert_eq!(space.read_u32(at), Ok(word as u32));
        }
    }
}

#[test]
fn pages_that_are_mapped_one_by_one() {
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let at = machine.kernel.vmalloc(3 * 4096);
    let bytes: Vec<u8> = (0..3 * 4096u32).map(|n| (n % 251) as u8 + 1).collect();
    machine.kernel.write(at, &bytes);
    machine.kernel.write(at + 5000, &[0]);
    let text = machine.kernel.symbol("linux_banner");
    let space = open(&machine, elf::elf(&machine, elf::Options::default()));
    let read = space.read_bytes(VirtAddr(at), bytes.len()).expect("memory");
    assert!(read[..5000] == bytes[..5000] && read[5001..] == bytes[5001..]);
    // A string across pages: to its NUL, or as far as is asked for.
    let long = space
        .read_c_string(VirtAddr(at + 4000), 4096)
        .expect("text");
    assert_eq!(long, String::from_utf8_lossy(&bytes[4000..5000]));
    for max in [1, 96, 97, 500] {
        let part = space.read_c_string(VirtAddr(at + 4000), max).expect("text");
        assert_eq!(part, String::from_utf8_lossy(&bytes[4000..4000 + max]));
    }
    assert_eq!(
        space.read_c_string(VirtAddr(at + 5000), 9),
        Ok(String::new())
    );
    let banner = space.read_c_string(VirtAddr(text), 64).expect("text");
    assert!(banner.starts_with("Linux version "), "{banner}");
}

/// The processor looks at 48 or 57 bits and refuses what is no sign extension of them, whatever
/// the page tables have for the bits below.
#[test]
fn what_is_no_address_is_not_translated() {
    for (levels, bits) in [(PagingLevels::Four, 48), (PagingLevels::Five, 57)] {
        let mut machine = Machine::build(Era::V6_12, levels, &Scenario::standard());
        let mapped = machine.kernel.vmalloc(4096);
        machine.kernel.write(mapped, &[0x5a; 8]);
        let direct = machine.kernel.space.direct(machine.kernel.space.image_phys);
        let text = machine.kernel.symbol("linux_banner");
        let space = open(&machine, elf::elf(&machine, elf::Options::default()));
        for at in [mapped, direct, text] {
            assert!(space.read_u64(VirtAddr(at)).is_ok());
            let low = at & ((1 << bits) - 1);
            for wrong in [low, low | 1 << 63, low | 0x2a << bits] {
                let va = VirtAddr(wrong);
                assert_eq!(space.read_u64(va), Err(MemFault::NotCanonical { va }));
                assert!(!space.is_executable(va));
            }
        }
        assert_eq!(space.read_u64(VirtAddr(mapped)), Ok(0x5a5a_5a5a_5a5a_5a5a));
    }
}

/// A page of which the file has a part serves that part, by address too.
#[test]
fn bytes_of_a_page_that_is_there_in_part() {
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let at = machine.kernel.vmalloc(4096);
    machine.kernel.write(at, &[b'a'; 4096]);
    let pfn = machine.kernel.space.phys(at) >> 12;
    let mut bytes = elf::elf(&machine, elf::Options::default());
    // The segment that holds the page loses its end, and what comes behind it, in the middle of it.
    let word =
        |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    let (phoff, count) = (word(&bytes, 32) as usize, usize::from(bytes[56]));
    let header = (0..count)
        .map(|index| phoff + index * 56)
        .find(|at| {
            let (start, size) = (word(&bytes, at + 24), word(&bytes, at + 32));
            bytes[*at] == 1 && start <= pfn << 12 && pfn << 12 < start + size
        })
        .expect("a segment");
    let left = (pfn << 12) - word(&bytes, header + 24) + 100;
    bytes[header + 32..header + 40].copy_from_slice(&left.to_le_bytes());
    let space = open(&machine, bytes);
    let va = |offset: u64| VirtAddr(at + offset);
    assert_eq!(space.read_bytes(va(0), 100), Ok(vec![b'a'; 100]));
    assert_eq!(space.read_u64(va(92)), Ok(0x6161_6161_6161_6161));
    let missing = |va| {
        let fault = PageFault::Excluded(Pfn(pfn));
        Err(MemFault::Page { va, fault })
    };
    assert_eq!(space.read_u64(va(93)), missing(va(93)));
    assert_eq!(
        space.read_bytes(va(100), 1),
        Err(MemFault::Page {
            va: va(100),
            fault: PageFault::Excluded(Pfn(pfn))
        })
    );
    assert_eq!(space.read_c_string(va(90), 10), Ok("a".repeat(10)));
    assert!(space.read_c_string(va(90), 11).is_err());
}

/// Why memory can't be had: nothing is mapped there, or the dump lacks the page.
#[test]
fn faults_say_why() {
    let mut machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let at = machine.kernel.vmalloc(4096);
    machine.kernel.vmalloc_guard();
    let gone = machine.kernel.space.phys(at) >> 12;
    machine.kernel.memory.exclude(gone);
    let options = kdump::Options::new(Codec::None);
    let space = open(&machine, kdump::kdump(&machine, options));
    let fault = space.read_u64(VirtAddr(at)).expect_err("left out");
    assert_eq!(fault.page_fault(), Some(PageFault::Excluded(Pfn(gone))));
    let fault = space.read_u64(VirtAddr(at + 4096)).expect_err("a guard");
    assert_eq!(fault.page_fault(), None);
    assert!(
        matches!(fault, MemFault::Unmapped { level: "pte", .. }),
        "{fault}"
    );
}
