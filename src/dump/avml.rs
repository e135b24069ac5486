//! AVML images: for each block of RAM a header as LiME has it, then its bytes as a stream of
//! snappy frames, then the length of that stream in 8 bytes.
//!
//! The images that `avml` writes without `--compress` are LiME. Blocks of at most 16 MiB that hold
//! zeros alone are left out of both. Sources: AVML's src/image.rs, snappy's framing_format.txt.

use std::io::Read;

use super::DumpError;
use super::foreign::bad_header;
use super::piece::{Kind, Piece, Pieces};
use super::pieces::PiecesDump;
use super::ranges::About;
use super::storage::Bytes;
use crate::bytes::{u32_at, u64_at};

/// What each header begins with.
pub(super) const MAGIC: &[u8] = b"AVML";

const HEADER: u64 = 32;
const TRAILER: u64 = 8;
const VERSION: u32 = 2;

const STREAM: &[u8] = b"\xff\x06\0\0sNaPpY";
const CHUNK_HEADER: u64 = 4;
/// A checksum comes first in each chunk of data.
const CHECKSUM: u64 = 4;
/// A chunk holds no more, unpacked.
const LARGEST: u64 = 65536;
const COMPRESSED: u8 = 0;
const UNCOMPRESSED: u8 = 1;
/// Chunk types that have to be known from here on; up to there, and above, they can be skipped.
const RESERVED: std::ops::RangeInclusive<u8> = 2..=0x7f;

/// Reads the headers of all blocks and frames.
pub(super) fn open(bytes: Bytes) -> Result<PiecesDump, DumpError> {
    let mut index = Index {
        bytes: &bytes,
        pieces: Pieces::default(),
        at: 0,
    };
    let mut about = About::image("avml", format!("{}AVML", bytes.flattened_prefix()));
    while index.at < bytes.len() {
        match index.block()? {
            Some(()) => {}
            None => {
                about.table_cut = true;
                break;
            }
        }
    }
    about.incomplete = about.table_cut || bytes.is_cut_short();
    let pieces = index.pieces;
    Ok(PiecesDump::new(bytes, pieces, unpack, about))
}

fn frame(start: u64, len: u64, offset: u64, stored: u64) -> Piece {
    let stored = u32::try_from(stored).unwrap_or(u32::MAX);
    let kind = Kind::Frame { stored, skip: 0 };
    Piece {
        start,
        len,
        offset,
        kind,
    }
}

struct Index<'b> {
    bytes: &'b Bytes,
    pieces: Pieces,
    at: u64,
}

impl Index<'_> {
    fn bad<T>(&self, why: impl Into<String>) -> Result<T, DumpError> {
        Err(bad_header(self.bytes, self.at, why.into()))
    }

    /// One block; `None` if the file ends in it.
    fn block(&mut self) -> Result<Option<()>, DumpError> {
        let header = self.bytes.get_up_to(self.at, HEADER);
        let (Some(start), Some(last)) = (u64_at(&header, 8), u64_at(&header, 16)) else {
            return Ok(None);
        };
        if !header.starts_with(MAGIC) {
            return self.bad("no AVML header where the next block should begin: the image is damaged; take it again");
        }
        let version = u32_at(&header, 4).unwrap_or(0);
        if version != VERSION {
            return self.bad(format!(
                "unknown version {version} of the AVML format; only {VERSION} is known: `avml-convert FILE OUT.lime` of the avml that wrote it makes a LiME image"
            ));
        }
        let Some(end) = last.checked_add(1).filter(|end| *end > start) else {
            return self.bad(format!(
                "a block from {start:#x} to {last:#x} is none: the image is damaged; take it again"
            ));
        };
        self.at = self.at.saturating_add(HEADER);
        let mut at = start;
        while at < end {
            let chunk = self.chunk()?;
            let there = chunk.filter(|(_, at, len)| at.saturating_add(*len) <= self.bytes.len());
            let Some((kind, offset, stored)) = there else {
                // The rest of the block lies beyond the file.
                self.pieces.add(frame(at, end - at, self.bytes.len(), 1));
                return Ok(None);
            };
            let Some(len) = self.unpacked_len(kind, offset, stored) else {
                continue;
            };
            if len == 0 || len > LARGEST.min(end - at) {
                return self.bad(
                    "a frame does not fit into its block: the image is damaged; take it again",
                );
            }
            self.pieces.add(frame(at, len, offset, stored));
            at += len;
        }
        self.at = self.at.saturating_add(TRAILER);
        Ok(Some(()))
    }

    /// The next chunk: its type, where it lies, and how long it is, with its header.
    fn chunk(&mut self) -> Result<Option<(u8, u64, u64)>, DumpError> {
        let header = self.bytes.get_up_to(self.at, CHUNK_HEADER);
        let Some(word) = u32_at(&header, 0) else {
            return Ok(None);
        };
        let (kind, len) = (word as u8, u64::from(word >> 8));
        if RESERVED.contains(&kind) {
            return self.bad(format!(
                "unknown frame type {kind:#x}: the image is damaged; take it again"
            ));
        }
        let offset = self.at;
        self.at = offset.saturating_add(CHUNK_HEADER + len);
        Ok(Some((kind, offset, CHUNK_HEADER + len)))
    }

    /// How many bytes a chunk holds, of one that holds data.
    fn unpacked_len(&self, kind: u8, offset: u64, stored: u64) -> Option<u64> {
        let data = CHUNK_HEADER + CHECKSUM;
        match kind {
            UNCOMPRESSED => Some(stored.saturating_sub(data)),
            COMPRESSED => {
                // A snappy block begins with its length, in five bytes at most.
                let start = self.bytes.get_up_to(offset.saturating_add(data), 5);
                Some(snap::raw::decompress_len(&start).map_or(0, |len| len as u64))
            }
            _ => None,
        }
    }
}

/// A chunk as the stream that it would be alone; its checksum has to be right.
fn unpack(chunk: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let stream = STREAM
        .chain(chunk)
        .take(LARGEST + STREAM.len() as u64 + 1024);
    snap::read::FrameDecoder::new(stream)
        .take(LARGEST)
        .read_to_end(&mut out)
        .ok()?;
    Some(out)
}
