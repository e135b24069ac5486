//! A dump with the VMCOREINFO that was found in its memory, where its format brought none.

use std::fmt;
use std::sync::Arc;

use super::larger::Larger;
use super::notes::Notes;
use super::page_source::{PageSource, SharedSource, Stored, as_below};
use super::vmcoreinfo::VmcoreInfo;
use super::{Dump, PageFault};
use crate::addr::{Pfn, is_page_size};

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
    as_below!(facts is_live header machine page_size max_pfn pfns file_bytes);

    fn notes(&self) -> &Notes {
        &self.notes
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

impl Dump {
    /// The same dump with the VMCOREINFO that was found for it, in place of any that it brings.
    #[must_use]
    pub fn noted(&self, info: VmcoreInfo) -> Self {
        let stated = info.get("PAGESIZE").and_then(|size| size.parse().ok());
        let larger = stated.filter(|size| is_page_size(*size) && *size > self.source.page_size());
        let below = match larger {
            Some(size) => Arc::new(Larger::new(Arc::clone(&self.source), size)),
            None => Arc::clone(&self.source),
        };
        let source = Noted::new(below, info);
        self.standing_on(Arc::new(source))
    }
}
