//! ELF64 vmcores: /proc/vmcore copied whole, `makedumpfile -E`, QEMU's.
//!
//! Only the ELF header, the program headers and the notes are looked at. Segments
//! may overlap (the kernel's text lies in the direct map as well), may be cut at
//! any byte, and may be more than 65,534 (PN_XNUM: the count is in section 0).
//! `p_vaddr` is never used: QEMU writes 0 there.

use std::borrow::Cow;
use std::ops::Range;

use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};

mod headers;

use super::facts::DumpFacts;
use super::notes::Notes;
use super::page_source::{MachineName, PageSource, Stored};
use super::storage::Bytes;
use super::{DumpError, PageFault};
use crate::addr::{Pfn, SMALLEST_PAGE, is_page_size};
use headers::{bad, header, program_headers};
pub(crate) use headers::{is_core, is_elf};

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
    notes: Notes,
    machine: u16,
    /// Whether it is memory of the kernel that runs.
    live: bool,
    /// The table of segments ends before its time: what the others name nobody knows.
    table_cut: bool,
    incomplete: bool,
    page_size: u32,
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
            // Memory that is mapped, and is no RAM at one place: vmalloc of a running kernel.
            PT_LOAD if segment.p_paddr == u64::MAX => {}
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
            machine: header.e_machine,
            live: bytes.is_live(),
            table_cut: table.cut,
            incomplete: header.e_flags & DUMP_ELF_INCOMPLETE != 0
                || bytes.is_cut_short()
                || table.cut
                || segments.cut,
            bytes,
        })
    }

    /// How many pages these extents make.
    fn pages(&self, extents: &[Extent]) -> u64 {
        let bytes: u64 = extents.iter().map(|e| e.end - e.start).sum();
        bytes / u64::from(self.page_size)
    }

    /// How many pages the file lacks because it ends before them.
    fn missing_pages(&self) -> u64 {
        let lost = self.held.iter().map(|e| {
            let end = e.offset.saturating_add(e.end - e.start);
            end.saturating_sub(self.bytes.len()).min(e.end - e.start)
        });
        lost.sum::<u64>().div_ceil(u64::from(self.page_size))
    }

    /// Why memory is not there that no extent holds.
    fn fault(&self, pfn: Pfn, range: Range<u64>) -> PageFault {
        let index = self.named.partition_point(|e| e.end <= range.start);
        let named = self.named.get(index).is_some_and(|e| e.start < range.end);
        match (named, self.table_cut) {
            (true, _) => PageFault::Excluded(pfn),
            (false, false) => PageFault::NotInDump(pfn),
            (false, true) => PageFault::Truncated {
                pfn,
                offset: self.bytes.len(),
            },
        }
    }

    /// Fills `out` from memory at `start`, with zeros where there is none, and says the worst of
    /// why not all of it is there. Extents may begin and end at any byte.
    fn fill(&self, pfn: Pfn, start: u64, out: &mut [u8]) -> Option<PageFault> {
        out.fill(0);
        let end = start.saturating_add(out.len() as u64);
        let mut worst = None;
        let mut note = |fault| worst = worse(worst, fault);
        let mut at = start;
        let first = self.held.partition_point(|e| e.end <= start);
        let held = self.held.get(first..).unwrap_or_default();
        for extent in held.iter().take_while(|e| e.start < end) {
            let (from, to) = (extent.start.max(start), extent.end.min(end));
            if at < from {
                note(self.fault(pfn, at..from));
            }
            at = to;
            let offset = extent.offset.saturating_add(from - extent.start);
            let place = out.get_mut((from - start) as usize..(to - start) as usize);
            match (self.bytes.get(offset, (to - from) as usize), place) {
                (Some(part), Some(place)) => place.copy_from_slice(&part),
                _ => note(PageFault::Truncated {
                    pfn,
                    offset: offset.saturating_add(to - from),
                }),
            }
        }
        if at < end {
            note(self.fault(pfn, at..end));
        }
        worst
    }

    fn start_of(&self, pfn: Pfn) -> Option<u64> {
        pfn.0.checked_mul(u64::from(self.page_size))
    }
}

/// The one of two faults that says more of what is missing.
fn worse(known: Option<PageFault>, other: PageFault) -> Option<PageFault> {
    let weight = |fault: &PageFault| match fault {
        PageFault::NotInDump(_) => 0,
        PageFault::Excluded(_) => 1,
        _ => 2,
    };
    match known {
        Some(known) if weight(&known) >= weight(&other) => Some(known),
        _ => Some(other),
    }
}

impl PageSource for ElfDump {
    fn facts(&self) -> DumpFacts {
        let missing = self.missing_pages();
        let (source, format) = match self.live {
            true => ("live", "the running kernel (/proc/kcore)".to_owned()),
            false => ("elf", format!("{}ELF", self.bytes.flattened_prefix())),
        };
        DumpFacts {
            source,
            format,
            dump_level: None,
            page_size: self.page_size,
            max_pfn: self.max_pfn(),
            ram_pages: self.pages(&self.named),
            dumped_pages: self.pages(&self.held),
            missing_pages: missing,
            pages_of_absent_parts: 0,
            incomplete: self.incomplete || missing > 0,
            contradictory: false,
            files: 1,
        }
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn machine(&self) -> Option<MachineName> {
        Some(MachineName::Elf(self.machine))
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn max_pfn(&self) -> u64 {
        let page = u64::from(self.page_size);
        self.named.last().map_or(0, |last| last.end.div_ceil(page))
    }

    fn file_bytes(&self) -> u64 {
        self.bytes.file_len()
    }

    /// A page whose parts lie in several segments is put together.
    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let page = self.page_size as usize;
        let start = self.start_of(pfn).ok_or(PageFault::NotInDump(pfn))?;
        let end = start.saturating_add(page as u64);
        let first = self.held.partition_point(|e| e.end <= start);
        match self.held.get(first) {
            Some(extent) if extent.start <= start && end <= extent.end => {
                let offset = extent.offset.saturating_add(start - extent.start);
                match self.bytes.get(offset, page) {
                    Some(Cow::Borrowed(bytes)) => Ok(Stored::Plain(bytes)),
                    Some(Cow::Owned(bytes)) => Ok(Stored::Owned(bytes)),
                    None => Err(PageFault::Truncated {
                        pfn,
                        offset: offset.saturating_add(page as u64),
                    }),
                }
            }
            Some(extent) if extent.start < end => {
                let mut out = vec![0; page];
                match self.fill(pfn, start, &mut out) {
                    None => Ok(Stored::Owned(out)),
                    Some(fault) => Err(fault),
                }
            }
            _ => Err(self.fault(pfn, start..end)),
        }
    }

    fn holds_part_of(&self, pfn: Pfn) -> bool {
        let Some(start) = self.start_of(pfn) else {
            return false;
        };
        let end = start.saturating_add(u64::from(self.page_size));
        let first = self.held.partition_point(|e| e.end <= start);
        self.held.get(first).is_some_and(|e| e.start < end)
    }

    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        match self.start_of(pfn) {
            Some(page) => self.fill(pfn, page.saturating_add(start as u64), out),
            None => Some(PageFault::NotInDump(pfn)),
        }
    }
}

fn page_size(notes: &Notes) -> u32 {
    let stated = notes
        .vmcoreinfo
        .as_ref()
        .and_then(|info| info.get("PAGESIZE"));
    match stated.and_then(|size| size.parse().ok()) {
        Some(size) if is_page_size(size) => size,
        _ => SMALLEST_PAGE,
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
