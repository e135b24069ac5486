//! The kdump-compressed format (diskdump header versions 1 to 6).
//!
//! Layout, in blocks of `block_size`: the header; the sub header; two bitmaps
//! (RAM that exists, pages that were dumped); one descriptor of 24 bytes per
//! dumped page; the pages. Sources: makedumpfile's IMPLEMENTATION file and
//! diskdump_mod.h. A split set is several such files, each with the full
//! bitmaps and the descriptors of its own range of pfns.

mod headers;
mod set;
mod write;

use std::borrow::Cow;
use std::ops::Range;

use super::bitmap::{Bit, Bitmap};
use super::codec::Codec;
use super::notes::Notes;
use super::page_source::{HeaderFacts, Stored};
use super::storage::Bytes;
use super::{DumpError, PageFault};
use crate::addr::Pfn;
use crate::bytes::{c_string, slice, u32_at, u64_at};
use headers::{Headers, field};
pub(crate) use set::KdumpSet;
pub use write::{KdumpHeader, KdumpWriter};

/// What a kdump-compressed file starts with ("DISKDUMP" before 2006).
pub(crate) const SIGNATURES: [&[u8]; 2] = [b"KDUMP   ", b"DISKDUMP"];

const DESCRIPTOR_LEN: u64 = 24;
const STATUS_INCOMPLETE: u32 = 0x8;
/// From the end backwards, of how many pages it is looked whether one lies beyond a cut.
const LAST_PAGES: usize = 4000;

/// One kdump-compressed file.
#[derive(Debug)]
pub(crate) struct KdumpFile {
    bytes: Bytes,
    /// Everything that the headers say.
    pub(crate) facts: KdumpFacts,
    ram: Bitmap,
    dumped: Bitmap,
    descriptors: u64,
    range: Range<u64>,
    first_rank: u64,
}

/// What the headers of a kdump-compressed file say.
#[derive(Clone, Debug)]
pub(crate) struct KdumpFacts {
    pub(crate) page_size: u32,
    pub(crate) max_pfn: u64,
    pub(crate) dump_level: Option<u32>,
    pub(crate) codec: Option<Codec>,
    pub(crate) split: bool,
    pub(crate) incomplete: bool,
    pub(crate) header: HeaderFacts,
    pub(crate) notes: Notes,
}

impl KdumpFile {
    /// Reads the headers and counts the bitmaps.
    pub(crate) fn open(bytes: Bytes) -> Result<Self, DumpError> {
        let Headers {
            head,
            sub,
            page_size,
            max_pfn,
            bitmaps: [ram, dumped],
            descriptors,
        } = Headers::read(&bytes)?;
        let word = |at: usize| u32_at(&head, at).unwrap_or(0);
        let text = |at: usize| c_string(slice(&head, at, field::UTS_LEN).unwrap_or_default());
        let ram = Bitmap::new(&bytes, ram, max_pfn);
        let dumped = Bitmap::new(&bytes, dumped, max_pfn);
        let range = if sub.split {
            sub.start_pfn..sub.end_pfn
        } else {
            0..max_pfn
        };
        let first_rank = dumped.rank(&bytes, range.start);
        let facts = KdumpFacts {
            page_size,
            max_pfn,
            dump_level: sub.dump_level,
            codec: Codec::from_flags(word(field::STATUS)),
            split: sub.split,
            incomplete: word(field::STATUS) & STATUS_INCOMPLETE != 0 || bytes.is_cut_short(),
            header: HeaderFacts {
                release: text(field::UTS_RELEASE),
                machine: text(field::UTS_MACHINE),
                nr_cpus: word(field::NR_CPUS),
                timestamp: u64_at(&head, field::TIMESTAMP).unwrap_or(0).cast_signed(),
            },
            notes: sub.notes(&bytes),
        };
        drop(head);
        Ok(Self {
            facts,
            ram,
            dumped,
            descriptors,
            range,
            first_rank,
            bytes,
        })
    }

    /// The pfns whose pages this file holds.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The underlying bytes.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many pages the file should hold.
    pub(crate) fn pages(&self) -> u64 {
        self.dumped
            .rank(&self.bytes, self.range.end)
            .saturating_sub(self.first_rank)
    }

    /// How many pages of these the whole set should hold: each part has the whole bitmap.
    pub(crate) fn pages_of_set(&self, pfns: Range<u64>) -> u64 {
        let rank = |pfn| self.dumped.rank(&self.bytes, pfn);
        rank(pfns.end).saturating_sub(rank(pfns.start))
    }

    /// How many pages of RAM the machine had.
    pub(crate) fn ram_pages(&self) -> u64 {
        self.ram.ones()
    }

    /// How many pages the file lacks because it ends before them.
    ///
    /// Data lie in pfn order, so the last pages tell whether any is lost; a few thousand of them,
    /// because zero pages all share one copy near the start.
    pub(crate) fn missing_pages(&self) -> u64 {
        let pfns = self.range.start..self.range.end.min(self.dumped.bits());
        let lost = |pfn: &u64| matches!(self.locate(Pfn(*pfn)), Err(PageFault::Truncated { .. }));
        let mut last = pfns
            .clone()
            .rev()
            .filter(|pfn| self.dumped.contains(&self.bytes, *pfn))
            .take(LAST_PAGES);
        if last.any(|pfn| lost(&pfn)) {
            pfns.filter(lost).count() as u64
        } else {
            0
        }
    }

    /// Whether the bitmap has as many bits as there are descriptors: the data follow the table,
    /// so the first of them tell where it ends. One flipped bit in the bitmap would otherwise move
    /// every later page by one, unseen.
    pub(crate) fn bitmap_fits_descriptors(&self) -> bool {
        let data_offset = |index: u64| {
            let at = self.descriptors + index * DESCRIPTOR_LEN;
            let descriptor = self.bytes.get(at, DESCRIPTOR_LEN as usize)?;
            u64_at(&descriptor, 0).filter(|offset| *offset != 0)
        };
        let Some(first) = (0..self.pages().min(64)).filter_map(data_offset).min() else {
            return true;
        };
        // makedumpfile leaves room for the whole set's descriptors in each part of a split one,
        // and puts the page that all zero pages share first, whether one of these is zero or not.
        let tables = [self.pages(), self.dumped.ones()];
        let gaps = [0, u64::from(self.facts.page_size)];
        tables.into_iter().any(|count| {
            let end = self
                .descriptors
                .saturating_add(count.saturating_mul(DESCRIPTOR_LEN));
            gaps.into_iter().any(|gap| {
                let data = end.saturating_add(gap);
                first == data || self.is_padded(end, first.saturating_sub(gap))
            })
        })
    }

    /// Whether what lies between the end of the table and the block in which the data begin is
    /// padding (kdumpling and libkdumpfile's tests write some). With one bit too many in the
    /// bitmap the table's last descriptor would be padding too, with one too few there would be
    /// a descriptor in the padding.
    fn is_padded(&self, end: u64, data: u64) -> bool {
        let block = u64::from(self.facts.page_size);
        if end.checked_next_multiple_of(block) != Some(data) {
            return false;
        }
        let is_zero = |at: u64, len: u64| {
            let bytes = usize::try_from(len)
                .ok()
                .and_then(|len| self.bytes.get(at, len));
            bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
        };
        is_zero(end, data - end) && !is_zero(end.saturating_sub(DESCRIPTOR_LEN), DESCRIPTOR_LEN)
    }

    /// Why a page is not there that lies in a part of the set which is not given: by the
    /// bitmaps, of which each part has the whole.
    pub(crate) fn fault_of_absent_part(&self, pfn: Pfn) -> PageFault {
        match self.dumped.state(&self.bytes, pfn.0) {
            Bit::Set(()) => PageFault::PartAbsent(pfn),
            Bit::Lost => self.bitmap_missing(pfn),
            Bit::Clear => self.why_not_dumped(pfn),
        }
    }

    /// The writer left it out, or there is no such RAM.
    fn why_not_dumped(&self, pfn: Pfn) -> PageFault {
        match self.ram.state(&self.bytes, pfn.0) {
            Bit::Set(()) => PageFault::Excluded(pfn),
            Bit::Clear => PageFault::NotInDump(pfn),
            Bit::Lost => self.bitmap_missing(pfn),
        }
    }

    /// The file does not have the page's bit, or has shrunk since it was opened.
    fn bitmap_missing(&self, pfn: Pfn) -> PageFault {
        PageFault::Truncated {
            pfn,
            offset: self.descriptors,
        }
    }

    /// Where and how the page is stored.
    pub(crate) fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let rank = match self.dumped.rank_of_set(&self.bytes, pfn.0) {
            Bit::Set(rank) => rank,
            Bit::Lost => return Err(self.bitmap_missing(pfn)),
            Bit::Clear => return Err(self.why_not_dumped(pfn)),
        };
        let index = rank
            .checked_sub(self.first_rank)
            .ok_or(PageFault::NotInDump(pfn))?;
        let at = index
            .checked_mul(DESCRIPTOR_LEN)
            .and_then(|skip| self.descriptors.checked_add(skip))
            .ok_or(PageFault::NotInDump(pfn))?;
        let truncated = |offset| PageFault::Truncated { pfn, offset };
        let descriptor = self
            .bytes
            .get(at, DESCRIPTOR_LEN as usize)
            .ok_or(truncated(at + DESCRIPTOR_LEN))?;
        let offset = u64_at(&descriptor, 0).unwrap_or(0);
        let size = u32_at(&descriptor, 8).unwrap_or(0);
        let flags = u32_at(&descriptor, 12).unwrap_or(0);
        let corrupt = |why| PageFault::Corrupt {
            pfn,
            offset: at,
            why,
        };
        if offset == 0 && size == 0 {
            // makedumpfile ran out of space: it wrote the table, not the page.
            return Err(truncated(at));
        }
        if size == 0 || size > self.facts.page_size {
            return Err(corrupt("page descriptor with an impossible size"));
        }
        let codec = Codec::from_flags(flags)
            .ok_or_else(|| corrupt("page descriptor names an unknown compression"))?;
        let end = offset
            .checked_add(u64::from(size))
            .ok_or_else(|| corrupt("page descriptor with an impossible offset"))?;
        let data = self
            .bytes
            .get(offset, size as usize)
            .ok_or(truncated(end))?;
        Ok(match (codec, data) {
            (Codec::None, Cow::Borrowed(page)) if size == self.facts.page_size => {
                Stored::Plain(page)
            }
            (codec, data) => Stored::Packed {
                codec,
                data,
                offset,
            },
        })
    }
}
