//! Headers of compressed dumps, their bitmaps and notes.

use super::*;

/// One bit too many among the pages that were dumped, and a header that claims more pages than its
/// bitmap has bits.
#[test]
fn headers_and_bitmaps_are_held_against_each_other() {
    const MAX_MAPNR_64: usize = 4096 + 96;
    let machine = machine();
    let bytes = kdump::kdump(&machine, kdump::Options::new(Written::Zlib));
    // disk_dump_header: blocks of the sub header, of both bitmaps.
    let field =
        |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let (sub, bitmaps) = (field(432), field(436));
    let dumped = (1 + sub + bitmaps / 2) * 4096;
    for page in [0usize, 7, 8] {
        let mut flipped = bytes.clone();
        flipped[dumped + page / 8] ^= 1 << (page % 8);
        assert!(held(flipped).facts().contradictory, "{page}");
    }
    let claiming = |pages: u64| {
        let mut bytes = bytes.clone();
        bytes[MAX_MAPNR_64..][..8].copy_from_slice(&pages.to_le_bytes());
        Dump::from_bytes(Path::new("dump"), bytes, 1 << 20)
    };
    // A block has 2^15 bits; where two bitmaps find no room there is one.
    assert!(claiming((bitmaps as u64 / 2) << 15).is_ok());
    let pages = |pages: u64| claiming(pages).map(|dump| dump.facts().dumped_pages).ok();
    let [ram, held] = [machine.kernel.ram.pages(), machine.memory().len() as u64];
    assert_eq!(pages((bitmaps as u64 / 2) << 15), Some(held));
    assert_eq!(pages((bitmaps as u64) << 15), Some(ram + held));
    let error = claiming(((bitmaps as u64) << 15) + 1).expect_err("too many pages");
    assert!(error.to_string().contains("can't hold"), "{error}");
    let cut = Dump::from_bytes(Path::new("dump"), bytes[..dumped].to_vec(), 1 << 20);
    let error = cut.expect_err("no descriptors");
    assert!(error.to_string().contains("only the headers"), "{error}");
    for size in [0u32, 2048, 4097, 12_288, 131_072] {
        let mut odd = bytes.clone();
        odd[428..432].copy_from_slice(&size.to_le_bytes());
        let error = Dump::from_bytes(Path::new("dump"), odd, 1 << 20).expect_err("no page size");
        let text = error.to_string();
        assert!(text.contains(&format!("block size {size} ")), "{text}");
    }
}

/// Other writers begin the data with a block: that is no contradiction, and one bit too many or too
/// few is still seen.
#[test]
fn data_may_begin_with_a_block() {
    let machine = machine();
    let plain = kdump::kdump(&machine, kdump::Options::new(Written::Zlib));
    let field =
        |at: usize| u32::from_le_bytes(plain[at..at + 4].try_into().expect("four")) as usize;
    let (sub, bitmaps) = (field(432), field(436));
    let table = (1 + sub + bitmaps) * 4096;
    let end = table + machine.memory().len() * 24;
    let pad = end.next_multiple_of(4096) - end;
    assert!(pad > 24, "{pad}");
    let mut bytes = plain[..end].to_vec();
    for at in (table..end).step_by(24) {
        let word = &mut bytes[at..at + 8];
        let offset = u64::from_le_bytes(word.try_into().expect("eight")) + pad as u64;
        word.copy_from_slice(&offset.to_le_bytes());
    }
    bytes.resize(end + pad, 0);
    bytes.extend(&plain[end..]);
    let dump = held(bytes.clone());
    assert_pages(&dump, &machine, PageFault::Excluded, "padded");
    assert!(!dump.facts().contradictory);
    let dumped = (1 + sub + bitmaps / 2) * 4096;
    for page in [0usize, 7, 8] {
        let mut flipped = bytes.clone();
        flipped[dumped + page / 8] ^= 1 << (page % 8);
        assert!(held(flipped).facts().contradictory, "{page}");
    }
}

/// VMCOREINFO is in headers since version 3, all notes since 4.
#[test]
fn notes_of_every_version_of_the_header() {
    let machine = machine();
    for version in 1..=6 {
        let mut options = kdump::Options::new(Written::Zlib);
        options.version = version;
        let dump = held(kdump::kdump(&machine, options));
        let known = dump.notes().vmcoreinfo.as_ref().map(VmcoreInfo::text);
        let wanted = (version >= 3).then_some(&*machine.vmcoreinfo);
        assert_eq!(known, wanted, "{version}");
        assert_eq!(!dump.notes().prstatus.is_empty(), version >= 4, "{version}");
    }
}
