//! Blocks that were split: single pages that nothing points to, behind one that is known.
//!
//! `alloc_pages_exact` (mm/page_alloc.c) takes a block of 2^n pages, which begins at a multiple of
//! that, makes single pages of it, and gives back those that are too many. Its user knows the
//! first page only.

use super::blocks::Block;
use crate::addr::Pfn;

/// What objects point to was split into so many pages at most; rings of devices are as large.
/// Tables that a variable points to may be as large as a block can be.
const OF_OBJECTS: u64 = 16;
const OF_VARIABLES: u32 = 10;

/// Single pages one behind the other.
#[derive(Debug, Default)]
pub(super) struct Run {
    end: u64,
    /// The end of what may be split off a page that an object points to.
    of_objects: u64,
    /// Pages that more may be split off if a variable points to them, with the end of that.
    of_variables: Vec<(u32, u64)>,
}

impl Run {
    /// Goes on to the next block. A gap, or what was taken as one, ends the run.
    pub(super) fn reach(&mut self, block: &Block) {
        if block.pfn.0 != self.end || block.pages != 1 {
            *self = Self::default();
        }
        self.end = block.end().0;
    }

    /// Adds a page that something points to.
    pub(super) fn add(&mut self, number: u32, block: &Block) {
        if block.pages != 1 {
            return;
        }
        let aligned = |limit: u32| 1u64 << block.pfn.0.trailing_zeros().min(limit);
        let small = aligned(OF_VARIABLES).min(OF_OBJECTS);
        self.of_objects = self.of_objects.max(block.pfn.0 + small);
        let large = aligned(OF_VARIABLES);
        if large > OF_OBJECTS {
            self.of_variables.push((number, block.pfn.0 + large));
        }
    }

    /// Whether a page that nothing points to may be of one before it.
    pub(super) fn may_hold(&self, block: &Block, is_variable: impl Fn(u32) -> bool) -> bool {
        let Pfn(pfn) = block.pfn;
        let of_variable = |(number, end): &(u32, u64)| pfn < *end && is_variable(*number);
        block.pages == 1 && (pfn < self.of_objects || self.of_variables.iter().any(of_variable))
    }
}
