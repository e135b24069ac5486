//! The kdump-compressed format (diskdump header versions 1 to 6).
//!
//! Layout, in blocks of `block_size`: the header; the sub header; two bitmaps
//! (RAM that exists, pages that were dumped); one descriptor of 24 bytes per
//! dumped page; the pages. Sources: makedumpfile's IMPLEMENTATION file and
//! diskdump_mod.h. A split set is several such files, each with the full
//! bitmaps and the descriptors of its own range of pfns.

use std::borrow::Cow;
use std::ops::Range;

use super::bitmap::{Bit, Bitmap};
use super::codec::Codec;
use super::notes::Notes;
use super::storage::Bytes;
use super::vmcoreinfo::VmcoreInfo;
use super::{DumpError, PageFault, Stored};
use crate::addr::Pfn;
use crate::bytes::{c_string, slice, u32_at, u64_at};

/// What a kdump-compressed file starts with ("DISKDUMP" before 2006).
pub(crate) const SIGNATURES: [&[u8]; 2] = [b"KDUMP   ", b"DISKDUMP"];

const DESCRIPTOR_LEN: u64 = 24;
const STATUS_INCOMPLETE: u32 = 0x8;

/// Where the fields of `struct disk_dump_header` lie on a 64-bit machine.
mod header {
    pub(super) const VERSION: usize = 8;
    pub(super) const UTS_RELEASE: usize = 12 + 2 * 65;
    pub(super) const UTS_MACHINE: usize = 12 + 4 * 65;
    pub(super) const TIMESTAMP: usize = 408;
    pub(super) const STATUS: usize = 424;
    pub(super) const BLOCK_SIZE: usize = 428;
    pub(super) const SUB_HDR_SIZE: usize = 432;
    pub(super) const BITMAP_BLOCKS: usize = 436;
    pub(super) const MAX_MAPNR: usize = 440;
    pub(super) const NR_CPUS: usize = 460;
    pub(super) const LEN: usize = 464;
}

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
    pub(crate) timestamp: i64,
    pub(crate) release: String,
    pub(crate) machine: String,
    pub(crate) nr_cpus: u32,
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
        let field = |at: usize| u32_at(&head, at).unwrap_or(0);
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
            codec: Codec::from_flags(field(header::STATUS)),
            split: sub.split,
            incomplete: field(header::STATUS) & STATUS_INCOMPLETE != 0 || bytes.is_cut_short(),
            timestamp: u64_at(&head, header::TIMESTAMP).unwrap_or(0).cast_signed(),
            release: c_string(slice(&head, header::UTS_RELEASE, 65).unwrap_or_default()),
            machine: c_string(slice(&head, header::UTS_MACHINE, 65).unwrap_or_default()),
            nr_cpus: field(header::NR_CPUS),
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
            .take(4096);
        if last.any(|pfn| lost(&pfn)) {
            pfns.filter(lost).count() as u64
        } else {
            0
        }
    }

    /// Whether the bitmap has as many bits as there are descriptors: the data follow the table
    /// without a gap, so the first of them tell where it ends. One flipped bit in the bitmap
    /// would otherwise move every later page by one, unseen.
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
            gaps.into_iter().any(|gap| first == end.saturating_add(gap))
        })
    }

    /// Where and how the page is stored.
    pub(crate) fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        // The file has shrunk since it was opened.
        let shrunk = PageFault::Truncated {
            pfn,
            offset: self.descriptors,
        };
        let rank = match self.dumped.rank_of_set(&self.bytes, pfn.0) {
            Bit::Set(rank) => rank,
            Bit::Lost => return Err(shrunk),
            Bit::Clear => {
                return Err(match self.ram.state(&self.bytes, pfn.0) {
                    Bit::Set(()) => PageFault::Excluded(pfn),
                    Bit::Clear => PageFault::NotInDump(pfn),
                    Bit::Lost => shrunk,
                });
            }
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

/// Both headers, and where by them the tables lie.
struct Headers<'b> {
    head: Cow<'b, [u8]>,
    sub: SubHeader,
    page_size: u32,
    max_pfn: u64,
    /// Of RAM that exists, and of pages that were dumped: one place where a file has one bitmap.
    bitmaps: [u64; 2],
    descriptors: u64,
}

impl<'b> Headers<'b> {
    fn read(bytes: &'b Bytes) -> Result<Self, DumpError> {
        let bad = |offset: u64, why: String| DumpError::BadHeader {
            path: bytes.path().to_owned(),
            offset,
            why,
        };
        let head = bytes.get(0, header::LEN).ok_or_else(|| {
            bad(
                bytes.len(),
                "the file ends inside its header; nothing can be read".into(),
            )
        })?;
        let field = |at: usize| u32_at(&head, at).unwrap_or(0);
        let version = field(header::VERSION);
        if !(1..=6).contains(&version) {
            return Err(bad(8, format!("unknown header version {version}")));
        }
        let page_size = field(header::BLOCK_SIZE);
        if !page_size.is_power_of_two() || !(4096..=65536).contains(&page_size) {
            return Err(bad(
                header::BLOCK_SIZE as u64,
                format!("block size {page_size} is no page size; the header is damaged"),
            ));
        }
        let block = u64::from(page_size);
        let sub_blocks = u64::from(field(header::SUB_HDR_SIZE));
        let bitmap_bytes = u64::from(field(header::BITMAP_BLOCKS)) * block;
        let sub = SubHeader::read(bytes, block, version);
        let max_pfn = match sub.max_mapnr {
            0 => u64::from(field(header::MAX_MAPNR)),
            wide => wide,
        };
        let first = (1 + sub_blocks) * block;
        let descriptors = first + bitmap_bytes;
        if descriptors > bytes.len() {
            return Err(bad(
                bytes.len(),
                format!(
                    "the file ends before its page descriptors at {descriptors:#x}: only the headers were written"
                ),
            ));
        }
        let one_bitmap = max_pfn.div_ceil(8).next_multiple_of(block);
        let second = if bitmap_bytes >= one_bitmap.saturating_mul(2) {
            first + bitmap_bytes / 2
        } else if bitmap_bytes >= one_bitmap {
            first
        } else {
            return Err(bad(
                header::MAX_MAPNR as u64,
                format!("a bitmap of {bitmap_bytes} bytes can't hold {max_pfn} pages"),
            ));
        };
        Ok(Self {
            head,
            sub,
            page_size,
            max_pfn,
            bitmaps: [first, second],
            descriptors,
        })
    }
}

/// `struct kdump_sub_header`; fields that a header version lacks are absent or zero.
#[derive(Default)]
struct SubHeader {
    dump_level: Option<u32>,
    split: bool,
    start_pfn: u64,
    end_pfn: u64,
    max_mapnr: u64,
    vmcoreinfo: (u64, u64),
    notes: (u64, u64),
}

impl SubHeader {
    fn read(bytes: &Bytes, block: u64, version: u32) -> Self {
        let raw = bytes.get_up_to(block, 104);
        let word = |at: usize| u64_at(&raw, at).unwrap_or(0);
        let since = |v: u32, value: u64| if version >= v { value } else { 0 };
        let mut sub = SubHeader {
            dump_level: u32_at(&raw, 8),
            split: version >= 2 && u32_at(&raw, 12) == Some(1),
            start_pfn: word(16),
            end_pfn: word(24),
            max_mapnr: since(6, word(96)),
            vmcoreinfo: (since(3, word(32)), since(3, word(40))),
            notes: (since(4, word(48)), since(4, word(56))),
        };
        if version >= 6 {
            sub.start_pfn = word(80);
            sub.end_pfn = word(88);
        }
        sub
    }

    fn notes(&self, bytes: &Bytes) -> Notes {
        let mut notes = Notes::default();
        if self.notes.0 != 0 {
            notes.parse(&bytes.get_up_to(self.notes.0, self.notes.1));
        }
        let (offset, len) = self.vmcoreinfo;
        if offset != 0 && len != 0 {
            notes.vmcoreinfo = Some(VmcoreInfo::parse(&bytes.get_up_to(offset, len)));
        }
        notes
    }
}
