//! Which physical memory there is, how it is cut into sections, and who gets
//! which part.
//!
//! | physical | what |
//! |---|---|
//! | 4 KiB .. 636 KiB, 1 MiB .. 256 MiB | node 0: sections 0 and 1 |
//! | 4 GiB .. 4 GiB + 128 MiB | node 1: section 32 |
//! | 5 GiB + 8 MiB .. 5 GiB + 24 MiB | node 1: part of section 40, plugged in later |
//! | 32 GiB .. | node 1: what many connections take, if there are any |

use crate::memory::PAGE_SHIFT;

/// Pages of a section of 128 MiB.
pub const PAGES_PER_SECTION: u64 = 1 << (27 - PAGE_SHIFT);
/// Pages of a subsection of 2 MiB.
pub const PAGES_PER_SUBSECTION: u64 = 1 << (21 - PAGE_SHIFT);

/// Ranges of page frames that are RAM in every machine, in order.
const RAM: [std::ops::Range<u64>; 4] = [
    0x1..0x9f,
    0x100..0x10000,
    0x10_0000..0x10_8000,
    0x14_0800..0x14_1800,
];

/// A section of the memory map.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Section number.
    pub number: u64,
    /// Its NUMA node.
    pub node: u32,
    /// Present at boot; else hot-plugged, valid by subsection.
    pub early: bool,
    /// Its part of the memory map is one 2 MiB page, not 4 KiB ones.
    pub huge: bool,
    /// The first and the last subsection that is valid, exclusive.
    pub subsections: (u64, u64),
}

/// The sections of every machine.
const SECTIONS: [Section; 4] = [
    Section {
        number: 0,
        node: 0,
        early: true,
        huge: true,
        subsections: (0, 64),
    },
    Section {
        number: 1,
        node: 0,
        early: true,
        huge: true,
        subsections: (0, 64),
    },
    Section {
        number: 32,
        node: 1,
        early: true,
        huge: false,
        subsections: (0, 64),
    },
    Section {
        number: 40,
        node: 1,
        early: false,
        huge: false,
        subsections: (4, 12),
    },
];

impl Section {
    /// Whether it is of the memory that some machines have more.
    pub fn is_extra(&self) -> bool {
        self.number >= EXTRA_SECTION
    }

    /// Page frames with a `struct page`.
    pub fn frames(&self) -> std::ops::Range<u64> {
        let base = self.number * PAGES_PER_SECTION;
        let (first, end) = self.subsections;
        base + first * PAGES_PER_SUBSECTION..base + end * PAGES_PER_SUBSECTION
    }
}

/// Pages of one section's map, of structures of 64 bytes.
const MAP_PAGES: u64 = 512;

/// First section of the memory that some machines have more: at 32 GiB, where the second page of
/// `mem_section` begins.
const EXTRA_SECTION: u64 = 256;

/// The RAM of one machine.
#[derive(Debug, Clone)]
pub struct Ram {
    /// Ranges of page frames, in order.
    pub ranges: Vec<std::ops::Range<u64>>,
    /// Sections, in order.
    pub sections: Vec<Section>,
}

impl Ram {
    /// With as many whole sections on node 1, from 32 GiB on, as hold `pages` pages and their own
    /// part of the memory map.
    pub fn with_extra(pages: u64) -> Self {
        let mut ram = Self {
            ranges: RAM.to_vec(),
            sections: SECTIONS.to_vec(),
        };
        let count = pages.div_ceil(PAGES_PER_SECTION - MAP_PAGES);
        for number in EXTRA_SECTION..EXTRA_SECTION + count {
            ram.sections.push(Section {
                number,
                node: 1,
                early: true,
                huge: true,
                subsections: (0, 64),
            });
        }
        if count > 0 {
            let first = EXTRA_SECTION * PAGES_PER_SECTION;
            ram.ranges.push(first..first + count * PAGES_PER_SECTION);
        }
        ram
    }

    /// The memory that other machines do not have, but for its map.
    pub fn extra(&self) -> Option<std::ops::Range<u64>> {
        let extra = self.ranges.get(RAM.len())?;
        Some(self.maps_of_extra().end..extra.end)
    }

    /// Where the map of that memory lies: at its start.
    pub fn maps_of_extra(&self) -> std::ops::Range<u64> {
        let sections = (self.sections.len() - SECTIONS.len()) as u64;
        let start = self.ranges.get(RAM.len()).map_or(0, |extra| extra.start);
        start..start + sections * MAP_PAGES
    }

    /// One more than the last page frame.
    pub fn end(&self) -> u64 {
        self.ranges[self.ranges.len() - 1].end
    }

    /// All pages.
    pub fn pages(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

/// The NUMA node of a page frame.
pub fn node_of(pfn: u64) -> u32 {
    u32::from(pfn >= 0x10_0000)
}

/// Hands out page frames from one stretch of RAM, upwards.
#[derive(Debug, Clone)]
pub struct Frames {
    next: u64,
    end: u64,
}

impl Frames {
    /// Frames of `range`.
    pub fn new(range: std::ops::Range<u64>) -> Self {
        Self {
            next: range.start,
            end: range.end,
        }
    }

    /// `1 << order` frames, aligned to that.
    pub fn take(&mut self, order: u32) -> u64 {
        let count = 1 << order;
        let first = self.next.next_multiple_of(count);
        self.next = first + count;
        assert!(self.next <= self.end, "out of memory at frame {first:#x}");
        first
    }

    /// `count` frames in a row.
    pub fn take_run(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next += count;
        assert!(self.next <= self.end, "out of memory at frame {first:#x}");
        first
    }

    /// Leaves frames unused.
    pub fn skip(&mut self, count: u64) {
        self.next += count;
    }
}
