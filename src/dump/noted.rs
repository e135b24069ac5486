//! A dump with the VMCOREINFO that was found in its memory, where its format brought none.

use std::fmt;
use std::ops::Range;

use super::PageFault;
use super::facts::DumpFacts;
use super::notes::Notes;
use super::page_source::{HeaderFacts, MachineName, PageSource, SharedSource, Stored};
use super::vmcoreinfo::VmcoreInfo;
use crate::addr::Pfn;

/// Another source, with a note of its own.
pub(crate) struct Noted {
    below: SharedSource,
    notes: Notes,
}

impl Noted {
    pub(crate) fn new(below: SharedSource, info: VmcoreInfo) -> Self {
        let notes = Notes {
            vmcoreinfo: Some(info),
            ..below.notes().clone()
        };
        Self { below, notes }
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with a note", self.below)
    }
}

impl PageSource for Noted {
    fn facts(&self) -> DumpFacts {
        self.below.facts()
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn is_live(&self) -> bool {
        self.below.is_live()
    }

    fn header(&self) -> Option<&HeaderFacts> {
        self.below.header()
    }

    fn machine(&self) -> Option<MachineName> {
        self.below.machine()
    }

    fn page_size(&self) -> u32 {
        self.below.page_size()
    }

    fn max_pfn(&self) -> u64 {
        self.below.max_pfn()
    }

    fn pfns(&self) -> Vec<Range<u64>> {
        self.below.pfns()
    }

    fn file_bytes(&self) -> u64 {
        self.below.file_bytes()
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        self.below.locate(pfn)
    }

    fn holds_part_of(&self, pfn: Pfn) -> bool {
        self.below.holds_part_of(pfn)
    }

    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        self.below.fill_partly(pfn, start, out)
    }
}
