//! One kdump-compressed file, or the parts of a split one, as a source of pages.
//!
//! Each part of a split set has the bitmaps of the whole dump and the data of its own range of
//! pfns. So a part that is not given is known by the others: what it held is missing, and is
//! neither left out nor no RAM.

use std::ops::Range;
use std::path::PathBuf;

use super::super::facts::DumpFacts;
use super::super::notes::Notes;
use super::super::page_source::{HeaderFacts, MachineName, PageSource, Stored};
use super::super::{Codec, DumpError, PageFault};
use super::KdumpFile;
use crate::addr::{Pfn, SMALLEST_PAGE};

/// Files that are one dump.
#[derive(Debug)]
pub(crate) struct KdumpSet {
    /// By their ranges of pfns; at least one.
    parts: Vec<KdumpFile>,
    /// Pages that the bitmaps have in ranges of which no part is given.
    absent: u64,
}

impl KdumpSet {
    /// Sorts the parts by their range and checks that they are one dump, of which `paths` are the
    /// names.
    pub(crate) fn new(mut parts: Vec<KdumpFile>, paths: &[PathBuf]) -> Result<Self, DumpError> {
        parts.sort_by_key(|part| part.range().start);
        let fail = |part: &KdumpFile, why: &str| {
            Err(DumpError::SplitSet {
                path: part.bytes().path().to_owned(),
                why: why.to_owned(),
            })
        };
        for pair in parts.windows(2) {
            let [before, after] = pair else { continue };
            if !(before.facts.split && after.facts.split) {
                return fail(after, "not a part of a split set; give one dump at a time");
            }
            if before.facts.max_pfn != after.facts.max_pfn
                || before.facts.page_size != after.facts.page_size
                || before.facts.header.timestamp != after.facts.header.timestamp
            {
                return fail(after, "a part of another dump than the other files");
            }
            if before.range().end > after.range().start {
                return fail(
                    after,
                    "holds pages that another part holds too; is it given twice?",
                );
            }
        }
        if parts.is_empty() {
            let path = paths.first().cloned().unwrap_or_default();
            return Err(DumpError::NoDumpInDirectory {
                path,
                hint: String::new(),
            });
        }
        let mut set = Self { parts, absent: 0 };
        set.absent = set.pages_of_absent_parts();
        Ok(set)
    }

    fn pages_of_absent_parts(&self) -> u64 {
        let Some(first) = self.parts.first() else {
            return 0;
        };
        let mut absent = 0;
        let mut next = 0;
        let end = first.facts.max_pfn;
        let given = self.parts.iter().map(KdumpFile::range);
        for Range { start, end } in given.chain(std::iter::once(end..end)) {
            if start > next {
                absent += first.pages_of_set(next..start);
            }
            next = next.max(end);
        }
        absent
    }

    fn dump_format(&self) -> String {
        let Some(first) = self.parts.first() else {
            return String::new();
        };
        let split = if first.facts.split { "split " } else { "" };
        let prefix = first.bytes().flattened_prefix();
        let codec = first.facts.codec.unwrap_or(Codec::None);
        format!("{split}{prefix}kdump-compressed ({codec})")
    }
}

impl PageSource for KdumpSet {
    fn facts(&self) -> DumpFacts {
        let parts = &self.parts;
        let first = parts.first();
        let held: u64 = parts.iter().map(KdumpFile::pages).sum();
        let cut: u64 = parts.iter().map(KdumpFile::missing_pages).sum();
        let missing = cut.saturating_add(self.absent);
        DumpFacts {
            source: "kdump",
            format: self.dump_format(),
            dump_level: first.and_then(|part| part.facts.dump_level),
            page_size: self.page_size(),
            max_pfn: self.max_pfn(),
            ram_pages: first.map_or(0, KdumpFile::ram_pages),
            dumped_pages: held.saturating_add(self.absent),
            missing_pages: missing,
            pages_of_absent_parts: self.absent,
            contradictory: !parts.iter().all(KdumpFile::bitmap_fits_descriptors),
            ends_early: match parts.as_slice() {
                [one] if cut > 0 || one.bytes().is_cut_short() => Some(one.bytes().file_len()),
                _ => None,
            },
            incomplete: missing > 0 || parts.iter().any(|part| part.facts.incomplete),
            files: parts.len(),
        }
    }

    fn notes(&self) -> &Notes {
        static NONE: Notes = Notes::NONE;
        let all = || self.parts.iter().map(|part| &part.facts.notes);
        all()
            .find(|notes| notes.vmcoreinfo.is_some())
            .or_else(|| all().next())
            .unwrap_or(&NONE)
    }

    fn header(&self) -> Option<&HeaderFacts> {
        self.parts.first().map(|part| &part.facts.header)
    }

    fn machine(&self) -> Option<MachineName> {
        let name = &self.header()?.machine;
        (!name.is_empty()).then(|| MachineName::Utsname(name.clone()))
    }

    fn page_size(&self) -> u32 {
        let first = self.parts.first();
        first.map_or(SMALLEST_PAGE, |part| part.facts.page_size)
    }

    fn max_pfn(&self) -> u64 {
        self.parts.first().map_or(0, |part| part.facts.max_pfn)
    }

    fn file_bytes(&self) -> u64 {
        let lengths = self.parts.iter().map(|part| part.bytes().file_len());
        lengths.sum()
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        match self.parts.as_slice() {
            [part] if !part.facts.split => part.locate(pfn),
            parts => {
                let index = parts.partition_point(|part| part.range().end <= pfn.0);
                match (parts.get(index), parts.first()) {
                    (Some(part), _) if part.range().start <= pfn.0 => part.locate(pfn),
                    (_, Some(any)) => Err(any.fault_of_absent_part(pfn)),
                    (_, None) => Err(PageFault::NotInDump(pfn)),
                }
            }
        }
    }
}
