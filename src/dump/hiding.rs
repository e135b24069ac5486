//! A dump without some of its pages, as if its writer had left them out: what can be known
//! from less than all is tried on it.

use std::fmt;

use rustc_hash::FxHashSet;

use super::PageFault;
use super::facts::DumpFacts;
use super::page_source::{PageSource, SharedSource, Stored, as_below};
use crate::addr::Pfn;

/// Another source, of which some pages are not to be had.
pub(crate) struct Hiding {
    below: SharedSource,
    hidden: FxHashSet<Pfn>,
}

impl Hiding {
    pub(crate) fn new(below: SharedSource, hidden: FxHashSet<Pfn>) -> Self {
        Self { below, hidden }
    }
}

impl fmt::Debug for Hiding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} without {} pages", self.below, self.hidden.len())
    }
}

impl PageSource for Hiding {
    as_below!(notes is_live header machine page_size max_pfn pfns file_bytes);

    /// As the writer of such a dump would have stated them: what it leaves out is not missing.
    fn facts(&self) -> DumpFacts {
        let mut facts = self.below.facts();
        let held = |pfn: &&Pfn| self.below.locate(**pfn).is_ok();
        facts.dumped_pages = facts
            .dumped_pages
            .saturating_sub(self.hidden.iter().filter(held).count() as u64);
        facts
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        match self.hidden.contains(&pfn) {
            true => Err(PageFault::Excluded(pfn)),
            false => self.below.locate(pfn),
        }
    }

    fn holds_part_of(&self, pfn: Pfn) -> bool {
        !self.hidden.contains(&pfn) && self.below.holds_part_of(pfn)
    }

    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        match self.hidden.contains(&pfn) {
            true => {
                out.fill(0);
                Some(PageFault::Excluded(pfn))
            }
            false => self.below.fill_partly(pfn, start, out),
        }
    }
}
