//! Physical memory that lies in a file in pieces of several kinds: pages one after the other with
//! a word between them, runs of one byte, packed frames of more than a page.
//!
//! What is written later replaces what was written before (a guest that runs while it is saved
//! has some pages saved again). Frames are unpacked once and kept for a while.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::PageFault;
use super::facts::DumpFacts;
use super::notes::Notes;
use super::page_source::{MachineName, PageSource, Stored};
use super::piece::{Kind, PAGE, Piece, Pieces};
use super::ranges::About;
use super::storage::Bytes;
use crate::addr::{Pfn, SMALLEST_PAGE};

/// Unpacked frames that are kept: 64 KiB each, as snappy has them.
const KEPT_FRAMES: usize = 1024;

/// Unpacks a frame of the file: `None` if it is damaged.
pub(super) type Unpack = fn(&[u8]) -> Option<Vec<u8>>;

/// A file of pieces.
pub(super) struct PiecesDump {
    bytes: Bytes,
    pieces: Vec<Piece>,
    unpack: Unpack,
    frames: Cache<u64, Arc<[u8]>>,
    about: About,
}

impl fmt::Debug for PiecesDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces of {:?}", self.pieces.len(), self.bytes)
    }
}

static ZEROS: [u8; SMALLEST_PAGE as usize] = [0; SMALLEST_PAGE as usize];

impl PiecesDump {
    /// The pages of `pieces`, whose frames `unpack` unpacks.
    pub(super) fn new(bytes: Bytes, pieces: Pieces, unpack: Unpack, about: About) -> Self {
        Self {
            about: about.of_file(&bytes),
            bytes,
            pieces: pieces.into_sorted(),
            unpack,
            frames: Cache::new(KEPT_FRAMES),
        }
    }

    fn pages(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len).sum::<u64>() / PAGE
    }

    fn missing_pages(&self) -> u64 {
        let len = self.bytes.len();
        let lost = self.pieces.iter().map(|piece| match piece.kind {
            Kind::Fill(_) => 0,
            Kind::Pages { stride } => {
                let there = len.saturating_sub(piece.offset) / u64::from(stride).max(1);
                (piece.len / PAGE).saturating_sub(there.saturating_add(1))
            }
            Kind::Frame { stored, .. } => {
                let end = piece.offset.saturating_add(u64::from(stored));
                if end > len { piece.len / PAGE } else { 0 }
            }
        });
        lost.sum()
    }

    /// Why memory is not there that no piece holds.
    fn fault(&self, pfn: Pfn) -> PageFault {
        match self.about.table_cut {
            true => PageFault::Truncated {
                pfn,
                offset: self.bytes.len(),
            },
            false => PageFault::NotInDump(pfn),
        }
    }

    /// The bytes `range` of a piece, which lie in one page.
    fn part(&self, pfn: Pfn, piece: &Piece, range: Range<u64>) -> Result<Cow<'_, [u8]>, PageFault> {
        let within = range.start - piece.start;
        let len = (range.end - range.start) as usize;
        let truncated = |offset: u64| PageFault::Truncated { pfn, offset };
        match piece.kind {
            Kind::Fill(0) => Ok(Cow::Borrowed(ZEROS.get(..len).unwrap_or_default())),
            Kind::Fill(byte) => Ok(Cow::Owned(vec![byte; len])),
            Kind::Pages { stride } => {
                let at = piece.at(within, stride);
                let end = at.saturating_add(len as u64);
                self.bytes.get(at, len).ok_or(truncated(end))
            }
            Kind::Frame { stored, skip } => {
                let end = piece.offset.saturating_add(u64::from(stored));
                let frame =
                    self.frame(piece.offset, stored)
                        .ok_or(match end > self.bytes.len() {
                            true => truncated(end),
                            false => PageFault::Corrupt {
                                pfn,
                                offset: piece.offset,
                                why: "packed frame is damaged",
                            },
                        })?;
                let start = within as usize + skip as usize;
                let part = frame.get(start..start + len);
                part.map(|part| Cow::Owned(part.to_vec()))
                    .ok_or(PageFault::Corrupt {
                        pfn,
                        offset: piece.offset,
                        why: "packed frame is shorter than it should be",
                    })
            }
        }
    }

    fn frame(&self, offset: u64, stored: u32) -> Option<Arc<[u8]>> {
        if let Some(frame) = self.frames.get(&offset) {
            return Some(frame);
        }
        let packed = self.bytes.get(offset, stored as usize)?;
        let frame: Arc<[u8]> = (self.unpack)(&packed)?.into();
        self.frames.insert(offset, Arc::clone(&frame));
        Some(frame)
    }
}

impl PageSource for PiecesDump {
    fn facts(&self) -> DumpFacts {
        let pages = self.pages();
        self.about
            .facts(self.max_pfn(), pages, pages, self.missing_pages())
    }

    fn notes(&self) -> &Notes {
        &self.about.notes
    }

    fn machine(&self) -> Option<MachineName> {
        self.about.machine.clone()
    }

    fn page_size(&self) -> u32 {
        SMALLEST_PAGE
    }

    fn max_pfn(&self) -> u64 {
        self.pieces
            .last()
            .map_or(0, |last| last.end().div_ceil(PAGE))
    }

    /// Of runs of one byte no more than what could be looked at: no header bounds them.
    fn pfns(&self) -> Vec<Range<u64>> {
        let there = self
            .pieces
            .iter()
            .filter(|piece| piece.kind != Kind::Fill(0));
        let most = self.file_bytes();
        let pfns = there.map(|piece| {
            let end = piece.start.saturating_add(piece.len.min(most));
            piece.start / PAGE..end.div_ceil(PAGE)
        });
        pfns.collect()
    }

    fn file_bytes(&self) -> u64 {
        self.bytes.file_len()
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let start = pfn.0.checked_mul(PAGE).ok_or(PageFault::NotInDump(pfn))?;
        let end = start.saturating_add(PAGE);
        let first = self.pieces.partition_point(|piece| piece.end() <= start);
        match self.pieces.get(first) {
            Some(piece) if piece.start <= start && end <= piece.end() => {
                Ok(match self.part(pfn, piece, start..end)? {
                    Cow::Borrowed(page) => Stored::Plain(page),
                    Cow::Owned(page) => Stored::Owned(page),
                })
            }
            Some(piece) if piece.start < end => {
                let mut out = vec![0; PAGE as usize];
                match self.fill_partly(pfn, 0, &mut out) {
                    None => Ok(Stored::Owned(out)),
                    Some(fault) => Err(fault),
                }
            }
            _ => Err(self.fault(pfn)),
        }
    }

    fn holds_part_of(&self, pfn: Pfn) -> bool {
        let Some(start) = pfn.0.checked_mul(PAGE) else {
            return false;
        };
        let first = self.pieces.partition_point(|piece| piece.end() <= start);
        let end = start.saturating_add(PAGE);
        self.pieces
            .get(first)
            .is_some_and(|piece| piece.start < end)
    }

    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        out.fill(0);
        let Some(page) = pfn.0.checked_mul(PAGE) else {
            return Some(PageFault::NotInDump(pfn));
        };
        let start = page.saturating_add(start as u64);
        let end = start.saturating_add(out.len() as u64);
        let first = self.pieces.partition_point(|piece| piece.end() <= start);
        let mut worst = None;
        let mut at = start;
        let pieces = self.pieces.get(first..).unwrap_or_default();
        for piece in pieces.iter().take_while(|piece| piece.start < end) {
            let (from, to) = (piece.start.max(start), piece.end().min(end));
            if at < from {
                worst = worst.or(Some(self.fault(pfn)));
            }
            at = to;
            let place = out.get_mut((from - start) as usize..(to - start) as usize);
            match (self.part(pfn, piece, from..to), place) {
                (Ok(part), Some(place)) => place.copy_from_slice(&part),
                (Err(fault), _) => worst = Some(fault),
                (Ok(_), None) => worst = Some(PageFault::NotInDump(pfn)),
            }
        }
        if at < end {
            worst = worst.or(Some(self.fault(pfn)));
        }
        worst
    }
}
