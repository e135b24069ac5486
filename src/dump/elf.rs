//! ELF64 vmcores: /proc/vmcore copied whole, `makedumpfile -E`, QEMU's.
//!
//! Only the ELF header, the program headers and the notes are looked at. Segments
//! may overlap (the kernel's text lies in the direct map as well), may be cut at
//! any byte, and may be more than 65,534 (PN_XNUM: the count is in section 0).
//! `p_vaddr` is never used: QEMU writes 0 there.

use std::borrow::Cow;

use goblin::container::{Container, Ctx};
use goblin::elf::Elf;
use goblin::elf::header::{EM_X86_64, ET_CORE, Header};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};

use super::notes::Notes;
use super::storage::Bytes;
use super::{DumpError, PageFault, Stored};
use crate::addr::Pfn;
use crate::bytes::{slice, u32_at};

const PN_XNUM: u16 = 0xffff;
const PHDR_LEN: u64 = 56;
/// makedumpfile's own mark in `e_flags` when it ran out of space.
const DUMP_ELF_INCOMPLETE: u32 = 1;

/// Physical memory `start..end`, at `offset` of the file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u64,
    end: u64,
    offset: u64,
}

/// An ELF vmcore.
#[derive(Debug)]
pub(crate) struct ElfDump {
    bytes: Bytes,
    /// What the file holds: sorted, without overlap.
    held: Vec<Extent>,
    /// Memory that segments name: sorted, merged; what is not held of it was left out.
    named: Vec<Extent>,
    pub(crate) notes: Notes,
    pub(crate) incomplete: bool,
    pub(crate) page_size: u32,
}

fn bad(bytes: &Bytes, offset: u64, why: impl Into<String>) -> DumpError {
    DumpError::BadHeader {
        path: bytes.path().to_owned(),
        offset,
        why: why.into(),
    }
}

/// The ELF header, of a dump that can be read.
fn header(bytes: &Bytes) -> Result<Header, DumpError> {
    let unsupported = |what: String| DumpError::Unsupported {
        path: bytes.path().to_owned(),
        what,
    };
    let ident = bytes.get_up_to(0, 64);
    if ident.len() < 64 {
        let why = "the file ends inside its ELF header";
        return Err(bad(bytes, ident.len() as u64, why));
    }
    if (ident.get(4), ident.get(5)) != (Some(&2), Some(&1)) {
        return Err(unsupported(
            "a 32-bit or big-endian ELF file; only 64-bit little-endian dumps are supported".into(),
        ));
    }
    let header = Elf::parse_header(&ident).map_err(|error| bad(bytes, 0, error.to_string()))?;
    if header.e_type != ET_CORE {
        return Err(unsupported(
            "an ELF file, but no core dump; is this the vmlinux? give the vmcore too".into(),
        ));
    }
    if header.e_machine != EM_X86_64 {
        return Err(unsupported(format!(
            "a dump of another architecture (e_machine {}); x86_64 is supported",
            header.e_machine
        )));
    }
    Ok(header)
}

/// Program headers, as many as the file has.
struct Table {
    segments: Vec<ProgramHeader>,
    /// Whether it should have more.
    cut: bool,
}

fn program_headers(bytes: &Bytes, header: &Header) -> Result<Table, DumpError> {
    let at = header.e_phoff;
    let count = segment_count(bytes, header);
    let table = bytes.get_up_to(at, count.saturating_mul(PHDR_LEN));
    let len = table.len() as u64;
    if len < PHDR_LEN {
        let why = "the file ends before its program headers";
        return Err(bad(bytes, at, why));
    }
    let context = Ctx::new(Container::Big, goblin::container::Endian::Little);
    let segments = ProgramHeader::parse(&table, 0, table.len() / PHDR_LEN as usize, context);
    Ok(Table {
        segments: segments.map_err(|error| bad(bytes, at, error.to_string()))?,
        cut: len < count.saturating_mul(PHDR_LEN),
    })
}

/// What program headers tell.
#[derive(Default)]
struct Segments {
    notes: Notes,
    held: Vec<Extent>,
    named: Vec<Extent>,
    /// Whether one goes beyond the file, or beyond all memory.
    cut: bool,
}

impl Segments {
    fn add(&mut self, segment: &ProgramHeader, bytes: &Bytes) {
        let (offset, size) = (segment.p_offset, segment.p_filesz);
        match segment.p_type {
            PT_NOTE => self.notes.parse(&bytes.get_up_to(offset, size)),
            PT_LOAD => {
                let start = segment.p_paddr;
                let (Some(held), Some(named)) = (
                    start.checked_add(size),
                    start.checked_add(segment.p_memsz.max(size)),
                ) else {
                    self.cut = true;
                    return;
                };
                self.cut |= offset.saturating_add(size) > bytes.len();
                let extent = |end| Extent { start, end, offset };
                self.held.push(extent(held));
                self.named.push(extent(named));
            }
            _ => {}
        }
    }
}

impl ElfDump {
    /// Reads headers and notes.
    pub(crate) fn open(bytes: Bytes) -> Result<Self, DumpError> {
        let header = header(&bytes)?;
        let table = program_headers(&bytes, &header)?;
        let mut segments = Segments::default();
        for segment in &table.segments {
            segments.add(segment, &bytes);
        }
        if segments.held.is_empty() {
            return Err(bad(
                &bytes,
                header.e_phoff,
                "no memory segments (PT_LOAD): this is no memory dump",
            ));
        }
        Ok(Self {
            held: without_overlap(segments.held),
            named: without_overlap(segments.named),
            page_size: page_size(&segments.notes),
            notes: segments.notes,
            incomplete: header.e_flags & DUMP_ELF_INCOMPLETE != 0
                || bytes.is_cut_short()
                || table.cut
                || segments.cut,
            bytes,
        })
    }

    /// The underlying bytes.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One more than the highest page that a segment names.
    pub(crate) fn max_pfn(&self) -> u64 {
        let page = u64::from(self.page_size);
        self.named.last().map_or(0, |last| last.end.div_ceil(page))
    }

    /// How many pages the file holds, and how many its segments name.
    pub(crate) fn pages(&self) -> (u64, u64) {
        let page = u64::from(self.page_size);
        let total =
            |extents: &[Extent]| extents.iter().map(|e| e.end - e.start).sum::<u64>() / page;
        (total(&self.held), total(&self.named))
    }

    /// How many pages the file lacks because it ends before them.
    pub(crate) fn missing_pages(&self) -> u64 {
        let lost = self.held.iter().map(|e| {
            let end = e.offset.saturating_add(e.end - e.start);
            end.saturating_sub(self.bytes.len()).min(e.end - e.start)
        });
        lost.sum::<u64>().div_ceil(u64::from(self.page_size))
    }

    /// Where the page is stored; a page whose parts lie in several segments is put together.
    pub(crate) fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let page = u64::from(self.page_size);
        let start = pfn.0.checked_mul(page).ok_or(PageFault::NotInDump(pfn))?;
        let end = start.saturating_add(page);
        let first = self.held.partition_point(|e| e.end <= start);
        let held = self.held.get(first..).unwrap_or_default();
        match held.first() {
            Some(extent) if extent.start <= start && end <= extent.end => {
                let offset = extent.offset.saturating_add(start - extent.start);
                match self.bytes.get(offset, page as usize) {
                    Some(Cow::Borrowed(bytes)) => Ok(Stored::Plain(bytes)),
                    Some(Cow::Owned(bytes)) => Ok(Stored::Owned(bytes)),
                    None => Err(PageFault::Truncated {
                        pfn,
                        offset: offset.saturating_add(page),
                    }),
                }
            }
            Some(extent) if extent.start < end => self.assemble(pfn, start, end, held),
            _ if self.names(start) => Err(PageFault::Excluded(pfn)),
            _ => Err(PageFault::NotInDump(pfn)),
        }
    }

    fn names(&self, address: u64) -> bool {
        let index = self.named.partition_point(|e| e.end <= address);
        self.named.get(index).is_some_and(|e| e.start <= address)
    }

    /// RAM may start or end inside a page; the rest of such a page reads as zero.
    fn assemble(
        &self,
        pfn: Pfn,
        start: u64,
        end: u64,
        held: &[Extent],
    ) -> Result<Stored<'_>, PageFault> {
        let mut out = vec![0; self.page_size as usize];
        for extent in held.iter().take_while(|e| e.start < end) {
            let from = extent.start.max(start);
            let to = extent.end.min(end);
            let offset = extent.offset.saturating_add(from - extent.start);
            let len = (to - from) as usize;
            let part = self.bytes.get(offset, len).ok_or(PageFault::Truncated {
                pfn,
                offset: offset.saturating_add(len as u64),
            })?;
            if let Some(to) = out.get_mut((from - start) as usize..(to - start) as usize) {
                to.copy_from_slice(&part);
            }
        }
        let first_gap = (start..end)
            .step_by(512)
            .find(|a| self.names(*a) && !held.iter().any(|e| e.start <= *a && *a < e.end));
        if first_gap.is_some() {
            return Err(PageFault::Excluded(pfn));
        }
        Ok(Stored::Owned(out))
    }
}

/// With PN_XNUM the true count is `sh_info` of section 0.
fn segment_count(bytes: &Bytes, header: &Header) -> u64 {
    if header.e_phnum != PN_XNUM {
        return u64::from(header.e_phnum);
    }
    let section = bytes.get_up_to(header.e_shoff, 64);
    u32_at(&section, 44).map_or(u64::from(PN_XNUM), u64::from)
}

fn page_size(notes: &Notes) -> u32 {
    let stated = notes
        .vmcoreinfo
        .as_ref()
        .and_then(|info| info.get("PAGESIZE"));
    match stated.and_then(|size| size.parse().ok()) {
        Some(size @ 4096..=65536) if u32::is_power_of_two(size) => size,
        _ => 4096,
    }
}

/// Sorts by start and cuts from each extent what earlier ones cover.
fn without_overlap(mut extents: Vec<Extent>) -> Vec<Extent> {
    extents.sort_by_key(|e| e.start);
    let mut covered = 0;
    let mut out: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        let start = extent.start.max(covered);
        if start >= extent.end {
            continue;
        }
        covered = extent.end;
        out.push(Extent {
            start,
            end: extent.end,
            offset: extent.offset.saturating_add(start - extent.start),
        });
    }
    out
}

/// Whether these first bytes are those of an ELF file.
pub(crate) fn is_elf(magic: &[u8]) -> bool {
    slice(magic, 0, 4) == Some(b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_segments_are_cut() {
        let extent = |start, end, offset| Extent { start, end, offset };
        let cut = without_overlap(vec![
            extent(100, 200, 1000),
            extent(0, 150, 0),
            extent(120, 140, 7),
        ]);
        let got: Vec<_> = cut.iter().map(|e| (e.start, e.end, e.offset)).collect();
        assert_eq!(got, [(0, 150, 0), (150, 200, 1050)]);
    }
}
