//! Dumps of which a part is not there: a file of a split set, bytes of a page, pages that are hidden.

use super::*;

/// The bitmaps, of which each part has the whole, say what an absent one held: that is missing,
/// and neither left out nor no RAM.
#[test]
fn pages_of_a_part_that_is_not_given_are_missing() {
    let machine = machine();
    let options = kdump::Options::new(Written::Zlib);
    let parts = kdump::split(&machine, options, 4);
    let folder = tempfile::tempdir().expect("a temporary directory");
    for absent in 0..parts.len() {
        let alone = held(parts[absent].clone());
        let given: Vec<_> = (0..parts.len()).filter(|part| *part != absent).collect();
        let files: Vec<_> = given.iter().map(|part| parts[*part].clone()).collect();
        let dump = saved(&files, folder.path());
        let mut missing = 0;
        for number in machine.ram().iter().flat_map(Clone::clone) {
            let pfn = Pfn(number);
            let found = dump.page(pfn).map(|page| page.to_vec());
            match (machine.memory().page(number), alone.page(pfn)) {
                (None, _) => assert_eq!(found, Err(PageFault::Excluded(pfn))),
                (Some(_), Ok(_)) => {
                    missing += 1;
                    assert_eq!(found, Err(PageFault::PartAbsent(pfn)));
                }
                (Some(page), Err(fault)) => {
                    assert_eq!(found.as_deref(), Ok(page));
                    assert_eq!(fault, PageFault::PartAbsent(pfn));
                }
            }
        }
        let beyond = Pfn(machine.max_pfn());
        assert_eq!(dump.page(beyond).err(), Some(PageFault::NotInDump(beyond)));
        let facts = dump.facts();
        assert!(missing > 0 && facts.incomplete);
        assert_eq!(facts.missing_pages, missing);
        assert_eq!(facts.pages_of_absent_parts, missing);
        assert_eq!(facts.dumped_pages, machine.memory().len() as u64);
        assert_eq!(facts.format, "split kdump-compressed (zlib)");
    }
}

/// RAM and segments begin and end at any byte: what is there is served, what is not is a fault.
#[test]
fn bytes_and_not_pages_are_there_or_not() {
    let (one, two, three) = ([0x11; 0x1800], [0x22; 0x600], [0x33; 0x1000]);
    let dump = held(segments(&[
        // From inside page 1 to the middle of page 2, on from there, and a hole up to page 3.
        (0x1200, &one[..0x1600], 0x1600),
        (0x2800, &two, 0x600),
        // Half of page 4 was left out, and all of page 5.
        (0x3000, &three, 0x3000),
        // All of page 7 but for one byte; page 8 in two pieces.
        (0x7000, &three[..0x801], 0x801),
        (0x7802, &three[..0x7fe], 0x7fe),
        (0x8000, &three[..0x123], 0x123),
        (0x8123, &three[..0xedd], 0xedd),
        (0x9000, &three[..8], 16),
    ]));
    let whole = |number: u64| dump.page(Pfn(number)).map(|page| page.to_vec());
    let none = |number| Err(PageFault::NotInDump(Pfn(number)));
    let left_out = |number| Err(PageFault::Excluded(Pfn(number)));
    assert_eq!(whole(0), none(0));
    assert_eq!(whole(1), none(1));
    assert_eq!(whole(2), none(2));
    assert_eq!(whole(3), Ok(vec![0x33; 4096]));
    assert_eq!(whole(5), left_out(5));
    assert_eq!(whole(6), none(6));
    assert_eq!(whole(7), none(7));
    assert_eq!(whole(8), Ok(vec![0x33; 4096]));
    assert_eq!(whole(9), left_out(9));
    let part = |number: u64, start: usize, len: usize| {
        let mut out = vec![0xee; len];
        match dump.read_part(Pfn(number), start, &mut out) {
            None => Ok(out),
            Some(fault) => Err(fault),
        }
    };
    assert_eq!(part(1, 0x200, 0xe00), Ok(vec![0x11; 0xe00]));
    assert_eq!(part(1, 0x1ff, 2), none(1));
    let halves = [vec![0x11; 0x800], vec![0x22; 0x600]].concat();
    assert_eq!(part(2, 0, 0xe00), Ok(halves));
    assert_eq!(part(2, 0xdff, 2), none(2));
    assert_eq!(part(7, 0, 0x801), Ok(vec![0x33; 0x801]));
    assert_eq!(part(7, 0x801, 1), none(7));
    assert_eq!(part(7, 0x802, 0x7fe), Ok(vec![0x33; 0x7fe]));
    assert_eq!(part(9, 0, 8), Ok(vec![0x33; 8]));
    assert_eq!(part(9, 8, 8), left_out(9));
    assert_eq!(part(9, 16, 8), none(9));
    // The worst of what is not there, and zeros in its place.
    let mut page = vec![0xee; 4096];
    let fault = dump.read_part(Pfn(9), 0, &mut page);
    assert_eq!(fault, Some(PageFault::Excluded(Pfn(9))));
    assert_eq!(page[..8], [0x33; 8]);
    assert!(page[8..].iter().all(|byte| *byte == 0));
    let there = (0..11).filter(|number| dump.holds_part_of(Pfn(*number)));
    assert_eq!(there.collect::<Vec<_>>(), [1, 2, 3, 7, 8, 9]);
    assert_eq!(dump.max_pfn(), 10);
}

/// What the file should have of a page and lacks is missing, whatever the rest of it is.
#[test]
fn a_page_that_is_cut_serves_what_is_there() {
    let three = [0x33; 0x1000];
    let bytes = segments(&[
        (0x1000, &three[..0x800], 0x800),
        (0x1800, &three[..0x800], 0x800),
    ]);
    let dump = held(bytes[..bytes.len() - 0x100].to_vec());
    let offset = bytes.len() as u64;
    let missing = PageFault::Truncated {
        pfn: Pfn(1),
        offset,
    };
    assert_eq!(dump.page(Pfn(1)).err(), Some(missing));
    let mut half = [0; 0x800];
    assert_eq!(dump.read_part(Pfn(1), 0, &mut half), None);
    assert_eq!(half, [0x33; 0x800]);
    // With a table of segments that ends before its time nobody knows what the others name.
    let bytes = segments(&[(0x1000, &[], 0), (0x2000, &[1; 4096], 4096)]);
    let dump = held(bytes[..64 + 56 + 20].to_vec());
    assert!(matches!(
        dump.page(Pfn(2)),
        Err(PageFault::Truncated { .. })
    ));
}

/// As if their writer had left them out; all others are as they are.
#[test]
fn hidden_pages_are_left_out() {
    let machine = machine();
    let whole = held(kdump::kdump(&machine, kdump::Options::new(Written::Zlib)));
    let pfns: Vec<u64> = machine.memory().pages().map(|(pfn, _)| pfn).collect();
    let hidden = [pfns[0], pfns[pfns.len() / 2], machine.max_pfn() + 7];
    let dump = whole.hiding(hidden.map(Pfn));
    for number in &pfns {
        let pfn = Pfn(*number);
        let mut page = [0; 4096];
        let read = dump.read_page(pfn, &mut page);
        match hidden.contains(number) {
            true => {
                assert_eq!(dump.page(pfn).err(), Some(PageFault::Excluded(pfn)));
                assert_eq!(read, Err(PageFault::Excluded(pfn)));
                assert!(!dump.holds_part_of(pfn));
            }
            false => {
                assert!(*dump.page(pfn).expect("a page") == page);
                assert!(*whole.page(pfn).expect("a page") == page);
            }
        }
    }
    assert_eq!(dump.facts().dumped_pages, whole.facts().dumped_pages - 2);
    assert!(!dump.facts().incomplete);
    assert_eq!(dump.path(), whole.path());
    assert_eq!(dump.notes().prstatus, whole.notes().prstatus);
}

/// Several files are one dump only if they are different parts of the same one.
#[test]
fn files_that_are_no_split_set_are_refused_by_name() {
    // struct disk_dump_header (diskdump_mod.h of makedumpfile), and kdump_sub_header behind it.
    const TIMESTAMP: usize = 408;
    const MAX_MAPNR_64: usize = 4096 + 96;
    let machine = machine();
    let options = kdump::Options::new(Written::Zlib);
    let [first, second]: [Vec<u8>; 2] = kdump::split(&machine, options, 2)
        .try_into()
        .expect("two parts");
    let whole = kdump::kdump(&machine, options);
    let elf = elf::elf(&machine, elf::Options::default());
    let changed = |at: usize| {
        let mut part = second.clone();
        let word = &mut part[at..at + 8];
        let less = u64::from_le_bytes(word.try_into().expect("eight")) - 1;
        word.copy_from_slice(&less.to_le_bytes());
        part
    };
    let (later, smaller) = (changed(TIMESTAMP), changed(MAX_MAPNR_64));
    let folder = tempfile::tempdir().expect("a temporary directory");
    let open = |files: &[&Vec<u8>]| -> Result<Dump, DumpError> {
        let save = |(number, bytes): (usize, &&Vec<u8>)| {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, bytes).expect("a file writes");
            path
        };
        let paths: Vec<PathBuf> = files.iter().enumerate().map(save).collect();
        Dump::open(&paths, 1 << 20)
    };
    assert!(open(&[&second, &first]).is_ok());
    for (files, offender, why) in [
        ([&whole, &whole], "1", "not a part of a split set"),
        ([&whole, &first], "1", "not a part of a split set"),
        ([&first, &whole], "1", "not a part of a split set"),
        ([&first, &later], "1", "another dump"),
        ([&first, &smaller], "1", "another dump"),
        ([&second, &second], "1", "given twice"),
        ([&elf, &elf], "0", "this is none"),
        ([&first, &elf], "1", "this is none"),
    ] {
        let Err(DumpError::SplitSet { path, why: said }) = open(&files) else {
            panic!("{why}: it opens");
        };
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(path, folder.path().join(offender), "{why}");
    }
}

/// Each disk of a set has some of the pages; without one of them the others can't be read.
#[test]
fn every_page_of_a_set_of_disks() {
    let machine = machine();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let disks = images::sadump::disks(&images::Image::of(&machine), 3);
    let mut paths = Vec::new();
    for (index, bytes) in disks.iter().enumerate() {
        let path = folder.path().join(index.to_string());
        std::fs::write(&path, bytes).expect("a file writes");
        paths.insert(0, path);
    }
    let dump = Dump::open(&paths, 1 << 20).expect("it opens");
    assert_eq!(dump.facts().format, "SADUMP (disk set)");
    assert!(!dump.facts().incomplete);
    for (pfn, page) in machine.memory().pages() {
        assert!(
            dump.page(Pfn(pfn)).expect("it is there")[..] == page[..],
            "{pfn:#x}"
        );
    }
    let error = Dump::open(&[paths.remove(0), paths.remove(1)], 1 << 20).expect_err("no set");
    assert!(error.to_string().contains("disk 2 is not given"), "{error}");
}

/// Images of memory have the pages that the machine has, also where QEMU saved them twice, and
/// whether mapped or read.
#[test]
fn every_page_of_an_image() {
    let machine = machine();
    let image = images::Image::of(&machine);
    let stream = images::savevm::savevm(&image, true);
    for bytes in [
        images::lime::lime(&image),
        images::avml::avml(&image),
        images::vmware::vmss(&image),
        images::savevm::savevm(&image, false),
        images::savevm::virsh_save(&stream, 0),
        images::sadump::partition(&image),
        images::sadump::media(&image),
        images::xen::core(&image, false),
        stream,
    ] {
        let dump = Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect("it opens");
        let facts = dump.facts();
        assert!(!facts.incomplete, "{facts:?}");
        assert_eq!(
            facts.dumped_pages,
            machine.memory().len() as u64,
            "{}",
            facts.format
        );
        for (pfn, page) in machine.memory().pages() {
            let got = dump
                .page(Pfn(pfn))
                .unwrap_or_else(|e| panic!("{}: {e}", facts.format));
            assert!(got[..] == page[..], "{}: {pfn:#x}", facts.format);
        }
        let absent = (0..machine.max_pfn()).find(|pfn| machine.memory().page(*pfn).is_none());
        let absent = Pfn(absent.expect("some page does not exist"));
        assert_eq!(dump.page(absent).unwrap_err(), PageFault::NotInDump(absent));
    }
}
