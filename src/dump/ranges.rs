//! Physical memory that lies in a file as it is, range by range: what ELF cores, LiME images and
//! raw ones are once their headers are read.
//!
//! Ranges may begin and end at any byte, may overlap (the kernel's text lies in the direct map
//! as well), and may lie beyond the end of a file that was cut.

use std::borrow::Cow;
use std::ops::Range;

use super::PageFault;
use super::facts::DumpFacts;
use super::notes::Notes;
use super::page_source::{MachineName, PageSource, Stored};
use super::storage::Bytes;
use crate::addr::{Pfn, SMALLEST_PAGE};

/// Physical memory `start..end`, at `offset` of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) offset: u64,
}

/// What a format's headers say of its file.
#[derive(Debug)]
pub(super) struct About {
    /// The kind of file, in a word.
    pub(super) source: &'static str,
    /// Its name for people.
    pub(super) format: String,
    pub(super) notes: Notes,
    pub(super) machine: Option<MachineName>,
    /// The table of ranges ends before its time: what the others name nobody knows.
    pub(super) table_cut: bool,
    pub(super) incomplete: bool,
    /// The file ends before its time, whatever it is of.
    pub(super) file_cut: bool,
    /// Bytes of the file.
    pub(super) file_bytes: u64,
    pub(super) page_size: u32,
    pub(super) files: usize,
}

impl About {
    /// With what is counted of the file: one past the last page, pages of RAM, pages that it holds
    /// or should hold, and those of them that it lacks.
    pub(super) fn facts(&self, max_pfn: u64, ram: u64, dumped: u64, missing: u64) -> DumpFacts {
        let cut = self.file_cut || self.table_cut || missing > 0;
        DumpFacts {
            source: self.source,
            format: self.format.clone(),
            dump_level: None,
            page_size: self.page_size,
            max_pfn,
            ram_pages: ram,
            dumped_pages: dumped,
            missing_pages: missing,
            pages_of_absent_parts: 0,
            incomplete: self.incomplete || missing > 0,
            ends_early: cut.then_some(self.file_bytes),
            contradictory: false,
            files: self.files,
        }
    }

    /// With what the file itself shows.
    pub(super) fn of_file(self, bytes: &Bytes) -> Self {
        Self {
            file_cut: self.file_cut || bytes.is_cut_short(),
            file_bytes: bytes.file_len(),
            ..self
        }
    }

    /// Of an image without registers, VMCOREINFO or a word of its machine.
    pub(super) fn image(source: &'static str, format: String) -> Self {
        Self {
            source,
            format,
            notes: Notes::default(),
            machine: None,
            table_cut: false,
            incomplete: false,
            file_cut: false,
            file_bytes: 0,
            page_size: SMALLEST_PAGE,
            files: 1,
        }
    }
}

/// A file of ranges.
#[derive(Debug)]
pub(crate) struct Ranges {
    bytes: Bytes,
    /// What the file holds: sorted, without overlap.
    held: Vec<Extent>,
    /// Memory that the headers name: sorted, merged; what is not held of it was left out.
    named: Vec<Extent>,
    about: About,
}

impl Ranges {
    /// Sorts the ranges.
    pub(super) fn new(bytes: Bytes, held: Vec<Extent>, named: Vec<Extent>, about: About) -> Self {
        Self {
            about: about.of_file(&bytes),
            bytes,
            held: without_overlap(held),
            named: without_overlap(named),
        }
    }

    /// How many pages these extents make.
    fn pages(&self, extents: &[Extent]) -> u64 {
        let bytes: u64 = extents.iter().map(|e| e.end - e.start).sum();
        bytes / u64::from(self.about.page_size)
    }

    /// How many pages the file lacks because it ends before them.
    fn missing_pages(&self) -> u64 {
        let lost = self.held.iter().map(|e| {
            let end = e.offset.saturating_add(e.end - e.start);
            end.saturating_sub(self.bytes.len()).min(e.end - e.start)
        });
        lost.sum::<u64>().div_ceil(u64::from(self.about.page_size))
    }

    /// Why memory is not there that no extent holds.
    fn fault(&self, pfn: Pfn, range: Range<u64>) -> PageFault {
        let index = self.named.partition_point(|e| e.end <= range.start);
        let named = self.named.get(index).is_some_and(|e| e.start < range.end);
        match (named, self.about.table_cut) {
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
        pfn.0.checked_mul(u64::from(self.about.page_size))
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

impl PageSource for Ranges {
    fn facts(&self) -> DumpFacts {
        let (ram, dumped) = (self.pages(&self.named), self.pages(&self.held));
        self.about
            .facts(self.max_pfn(), ram, dumped, self.missing_pages())
    }

    fn is_live(&self) -> bool {
        self.bytes.is_live()
    }

    fn notes(&self) -> &Notes {
        &self.about.notes
    }

    fn machine(&self) -> Option<MachineName> {
        self.about.machine.clone()
    }

    fn page_size(&self) -> u32 {
        self.about.page_size
    }

    fn max_pfn(&self) -> u64 {
        let page = u64::from(self.about.page_size);
        self.named.last().map_or(0, |last| last.end.div_ceil(page))
    }

    /// What of the ranges lies in the file.
    fn pfns(&self) -> Vec<Range<u64>> {
        let page = u64::from(self.about.page_size);
        let there = self.held.iter().map(|extent| {
            let bytes = self.bytes.len().saturating_sub(extent.offset);
            let end = extent.end.min(extent.start.saturating_add(bytes));
            extent.start / page..end / page
        });
        there.filter(|pfns| !pfns.is_empty()).collect()
    }

    fn file_bytes(&self) -> u64 {
        self.bytes.file_len()
    }

    /// A page whose parts lie in several segments is put together.
    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let page = self.about.page_size as usize;
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
        let end = start.saturating_add(u64::from(self.about.page_size));
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
