//! Files as dumps: headers, bitmaps, page descriptors, notes, codecs.

use std::path::Path;

use vmleak::addr::Pfn;
use vmleak::dump::{Codec, Dump, VmcoreInfo};
use vmleak_synth::write::codec;

const PAGE: usize = 4096;
/// Pages that are read of each dump.
const PAGES: u64 = 128;

/// A kdump-compressed file.
pub fn kdump(data: &[u8]) {
    read_all(with_start(data, b"KDUMP   "));
}

/// A flattened file.
pub fn flattened(data: &[u8]) {
    let mut start = b"makedumpfile\0\0\0\0".to_vec();
    start.extend(1i64.to_be_bytes());
    start.extend(1i64.to_be_bytes());
    read_all(with_start(data, &start));
}

/// An ELF vmcore: ET_CORE, x86_64.
pub fn elf(data: &[u8]) {
    let start = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0";
    read_all(with_start(data, start));
}

/// A LiME image.
pub fn lime(data: &[u8]) {
    read_all(with_start(data, b"EMiL\x01\0\0\0"));
}

/// An AVML image.
pub fn avml(data: &[u8]) {
    read_all(with_start(data, b"AVML\x02\0\0\0"));
}

/// A guest that QEMU saved, of which the first byte says whether libvirt's header comes before it.
pub fn savevm(data: &[u8]) {
    let Some((&libvirt, rest)) = data.split_first() else {
        return;
    };
    let mut file = Vec::new();
    if libvirt & 1 != 0 {
        file.extend(b"LibvirtQemudSave");
        file.extend([2, 0, 0, 0, libvirt, 0, 0, 0, 0, 0, 0, 0]);
        file.resize(92 + usize::from(libvirt), 0);
    }
    file.extend(b"QEVM\0\0\0\x03");
    file.extend(rest);
    read_all(file);
}

/// A VMware snapshot with the memory in it.
pub fn vmware(data: &[u8]) {
    read_all(with_start(data, b"\xd2\xbe\xd2\xbe"));
}

/// A SADUMP partition whose first header is whole.
pub fn sadump(data: &[u8]) {
    let mut file = b"sadump\0\0".to_vec();
    file.resize(160, 0);
    file.extend((1u64 << 20).to_le_bytes());
    let mut number = 1u32;
    while file.len() < PAGE {
        file.extend(number.to_le_bytes());
        number = number.wrapping_add(7).wrapping_mul(11);
    }
    file.extend(data);
    read_all(file);
}

/// Memory without a note: texts of VMCOREINFO and page tables are looked for in it.
pub fn locate(data: &[u8]) {
    let mut file = b"EMiL\x01\0\0\0".to_vec();
    file.extend(0u64.to_le_bytes());
    file.extend((data.len().max(1) as u64 - 1).to_le_bytes());
    file.extend([0; 8]);
    file.extend(data);
    let Ok(dump) = Dump::from_bytes(Path::new("input"), file, 1 << 20) else {
        return;
    };
    if let Ok(found) = vmleak::space::boot::locate(dump) {
        assert!(
            found.assumed.is_some(),
            "something is assumed where no note is"
        );
    }
}

/// A kdump file whose headers are sound: 64 pages; the input is the bitmap of those dumped, the
/// table of descriptors and the data.
pub fn kdump_pages(data: &[u8]) {
    let Some((bitmap, rest)) = data.split_at_checked(8) else {
        return;
    };
    let mut file = vec![0; 4 * PAGE];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDUMP   ");
    put(8, &6u32.to_le_bytes());
    put(428, &(PAGE as u32).to_le_bytes());
    put(432, &1u32.to_le_bytes());
    put(436, &2u32.to_le_bytes());
    put(440, &64u32.to_le_bytes());
    put(2 * PAGE, &[0xff; 8]);
    put(3 * PAGE, bitmap);
    file.extend(rest);
    read_all(file);
}

/// The input with its first bytes replaced, so that every input is of the format.
fn with_start(data: &[u8], start: &[u8]) -> Vec<u8> {
    let mut file = start.to_vec();
    file.extend(data.get(start.len()..).unwrap_or_default());
    file
}

fn read_all(file: Vec<u8>) {
    let len = file.len() as u64;
    let Ok(dump) = Dump::from_bytes(Path::new("input"), file, 1 << 20) else {
        return;
    };
    let facts = dump.facts();
    assert!(facts.missing_pages == 0 || facts.incomplete);
    if facts.format.contains("kdump") {
        assert!(facts.dumped_pages <= len * 8, "more pages than bits");
    }
    let _ = (dump.header(), dump.notes().qemu_cpus);
    let size = dump.page_size();
    let mut whole = vec![0; size];
    let last = facts.max_pfn.saturating_sub(1);
    for pfn in (0..facts.max_pfn.min(PAGES)).chain([last, u64::MAX >> 12, u64::MAX]) {
        let page = dump.page(Pfn(pfn));
        let read = dump.read_page(Pfn(pfn), &mut whole);
        match (&page, &read) {
            (Ok(page), Ok(())) => assert!(page[..] == whole[..], "two routes, two pages"),
            (Err(_), Err(_)) => {}
            _ => panic!("one route has the page, the other has not: {page:?} {read:?}"),
        }
        let mut start = [0; 16];
        assert_eq!(dump.read_page(Pfn(pfn), &mut start).is_ok(), page.is_ok());
    }
}

/// One page: the first byte says by which codec, and whether the rest is the stream or what is to
/// be compressed and come back.
pub fn codecs(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let (codec, writer) = match choice & 7 {
        0 => (Codec::None, codec::Codec::None),
        1 => (Codec::Zlib, codec::Codec::Zlib),
        2 => (Codec::Snappy, codec::Codec::Snappy),
        3 => (Codec::Zstd, codec::Codec::Zstd),
        _ => (Codec::Lzo, codec::Codec::Lzo),
    };
    let mut page = vec![0; PAGE];
    if choice & 0x80 == 0 {
        let first = codec.decompress(rest, &mut page);
        let mut again = vec![0xff; PAGE];
        assert_eq!(first, codec.decompress(rest, &mut again));
        assert!(
            first.is_err() || page == again,
            "what was there before shows"
        );
    } else {
        let mut want = rest.to_vec();
        want.resize(PAGE, choice);
        let (stream, flag) = writer.store(&want);
        let codec = if flag == 0 { Codec::None } else { codec };
        assert_eq!(codec.decompress(&stream, &mut page), Ok(()));
        assert!(page == want, "{codec} lost something");
    }
}

/// The text of VMCOREINFO.
pub fn vmcoreinfo(data: &[u8]) {
    let info = VmcoreInfo::parse(data);
    let _ = (info.release(), info.build_id(), info.crash_time());
    let _ = (info.kernel_offset(), info.hex("CONFIG"), info.text().len());
    for name in ["phys_base", "pgtable_l5_enabled", "sme_mask"] {
        let _ = (info.number(name), info.symbol(name));
    }
}
