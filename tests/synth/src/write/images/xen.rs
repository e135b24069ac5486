//! `xl dump-core` of a domain whose memory the hypervisor translates: sections, no segments.

use super::Image;
use super::PAGE_SIZE;
use crate::write::Le;

const EHDR: usize = 64;
const SECTION: usize = 64;

/// The core; `paravirtualised` has pairs of frame numbers in place of single ones.
pub fn core(image: &Image<'_>, paravirtualised: bool) -> Vec<u8> {
    let (numbers, names) = match paravirtualised {
        true => (".xen_p2m", "\0.shstrtab\0.xen_p2m\0.xen_pages\0"),
        false => (".xen_pfn", "\0.shstrtab\0.xen_pfn\0.xen_pages\0"),
    };
    let mut pfns = Vec::new();
    for pfn in image.runs.iter().cloned().flatten() {
        pfns.u64(pfn);
        if paravirtualised {
            pfns.u64(pfn + 0x10_0000);
        }
    }
    let pages: Vec<u8> = image.pages().flat_map(|(_, page)| page).collect();
    let names_at = EHDR + 4 * SECTION;
    let pfns_at = (names_at + names.len()).next_multiple_of(8);
    let pages_at = (pfns_at + pfns.len()).next_multiple_of(PAGE_SIZE as usize);
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.u16(4); // ET_CORE
    out.u16(62); // EM_X86_64
    out.u32(1);
    out.u64(0);
    out.u64(0);
    out.u64(EHDR as u64);
    out.u32(0);
    for half in [EHDR as u16, 0, 0, SECTION as u16, 4, 1] {
        out.u16(half);
    }
    section(&mut out, 0, (0, 0));
    for (name, place) in [
        (".shstrtab", (names_at, names.len())),
        (numbers, (pfns_at, pfns.len())),
        (".xen_pages", (pages_at, pages.len())),
    ] {
        section(&mut out, names.find(name).expect("it is there"), place);
    }
    out.extend(names.as_bytes());
    out.resize(pfns_at, 0);
    out.extend(pfns);
    out.resize(pages_at, 0);
    out.extend(pages);
    out
}

fn section(out: &mut Vec<u8>, name: usize, (offset, size): (usize, usize)) {
    out.u32(name as u32);
    out.u32(u32::from(name != 0));
    for value in [0, 0, offset as u64, size as u64, 0, 0, 0] {
        out.u64(value);
    }
    out.resize(out.len() - 8, 0);
    out.resize(out.len().next_multiple_of(SECTION), 0);
}
