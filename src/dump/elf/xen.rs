//! A core of a Xen domain (`xl dump-core`): memory described by sections in place of segments.
//!
//! `.xen_pages` has the pages one after the other. Of a domain whose memory the hypervisor
//! translates (HVM, PVH), `.xen_pfn` has their frame numbers as the domain counts them. Of a
//! paravirtualised one `.xen_p2m` has them in pairs with the machine's, by which its page tables
//! are written. Source: Xen's docs/misc/dump-core-format.txt.

use goblin::elf::header::Header;

use super::super::DumpError;
use super::super::page_source::MachineName;
use super::super::ranges::{About, Extent, Ranges};
use super::super::storage::Bytes;
use super::headers::bad;
use crate::addr::SMALLEST_PAGE;
use crate::bytes::{c_string, u32_at, u64_at};

const SECTION: u64 = 64;
const MOST_SECTIONS: u64 = 256;
/// `XC_CORE_INVALID_PFN`: the page could not be had.
const NO_PAGE: u64 = u64::MAX;

/// What a section's header says.
struct Section {
    name: String,
    offset: u64,
    size: u64,
}

/// The sections of a Xen core, if the file is one.
pub(super) struct Sections(Vec<Section>);

impl Sections {
    /// Reads the names of all sections.
    pub(super) fn of(bytes: &Bytes, header: &Header) -> Option<Self> {
        let count = u64::from(header.e_shnum).min(MOST_SECTIONS);
        let head = |index: u64| bytes.get(header.e_shoff.checked_add(index * SECTION)?, 64);
        let names = head(u64::from(header.e_shstrndx))?;
        let (at, len) = (u64_at(&names, 24)?, u64_at(&names, 32)?);
        let names = bytes.get_up_to(at, len.min(1 << 16));
        let sections = (0..count).filter_map(|index| {
            let head = head(index)?;
            Some(Section {
                name: c_string(names.get(u32_at(&head, 0)? as usize..)?),
                offset: u64_at(&head, 24)?,
                size: u64_at(&head, 32)?,
            })
        });
        let found = Self(sections.collect());
        found.named(".xen_pages").is_some().then_some(found)
    }

    fn named(&self, name: &str) -> Option<&Section> {
        self.0.iter().find(|section| section.name == name)
    }
}

/// The pages of a domain.
pub(super) fn open(
    bytes: Bytes,
    header: &Header,
    sections: &Sections,
) -> Result<Ranges, DumpError> {
    if sections.named(".xen_p2m").is_some() {
        return Err(DumpError::Unsupported {
            path: bytes.path().to_owned(),
            what: "a core of a paravirtualised Xen domain, whose page tables have the machine's frame numbers, which vmleak does not read: open it with crash, or take a kdump inside the domain".to_owned(),
        });
    }
    let (Some(pages), Some(pfns)) = (sections.named(".xen_pages"), sections.named(".xen_pfn"))
    else {
        let why =
            "a Xen core without the numbers of its pages (.xen_pfn): it is damaged; take it again";
        return Err(bad(&bytes, header.e_shoff, why));
    };
    let page = u64::from(SMALLEST_PAGE);
    let numbers = bytes.get_up_to(pfns.offset, pfns.size);
    let mut held: Vec<Extent> = Vec::new();
    for (index, pfn) in numbers
        .chunks_exact(8)
        .filter_map(|word| u64_at(word, 0))
        .enumerate()
    {
        let start = pfn.checked_mul(page).filter(|_| pfn != NO_PAGE);
        let Some((start, end)) = start.and_then(|at| Some((at, at.checked_add(page)?))) else {
            continue;
        };
        let offset = pages.offset.saturating_add(index as u64 * page);
        match held.last_mut() {
            Some(last)
                if last.end == start
                    && last.offset.saturating_add(last.end - last.start) == offset =>
            {
                last.end = end;
            }
            _ => held.push(Extent { start, end, offset }),
        }
    }
    let about = About {
        machine: Some(MachineName::Elf(header.e_machine)),
        incomplete: (numbers.len() as u64) < pfns.size,
        table_cut: (numbers.len() as u64) < pfns.size,
        ..About::image("xen", format!("{}Xen core", bytes.flattened_prefix()))
    };
    drop(numbers);
    let named = held.clone();
    Ok(Ranges::new(bytes, held, named, about))
}
