//! LiME images: for each range of RAM a header of 32 bytes, then its bytes as they are.
//!
//! The header: magic, version (`u32` each), first and last address (`u64` each, the last one
//! included), 8 bytes reserved. Source: LiME's doc/README.md and src/lime.h.

use super::DumpError;
use super::foreign::bad_header;
use super::ranges::{About, Extent, Ranges};
use super::storage::Bytes;
use crate::bytes::{u32_at, u64_at};

/// What each header begins with.
pub(super) const MAGIC: &[u8] = b"EMiL";

const HEADER: u64 = 32;
const VERSION: u32 = 1;

/// Reads the headers.
pub(super) fn open(bytes: Bytes) -> Result<Ranges, DumpError> {
    let mut about = About::image("lime", format!("{}LiME", bytes.flattened_prefix()));
    let mut held = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let header = bytes.get_up_to(at, HEADER);
        let number = |offset| u64_at(&header, offset);
        let (Some(start), Some(last)) = (number(8), number(16)) else {
            about.table_cut = true;
            break;
        };
        let bad = |why: String| bad_header(&bytes, at, why);
        if !header.starts_with(MAGIC) {
            return Err(bad(
                "no LiME header where the next range should begin: the image is damaged; take it again".into(),
            ));
        }
        match u32_at(&header, 4) {
            Some(VERSION) => {}
            other => {
                let version = other.unwrap_or(0);
                return Err(bad(format!(
                    "unknown version {version} of the LiME format; only {VERSION} is known: take the image with `format=lime`"
                )));
            }
        }
        let Some(end) = last.checked_add(1).filter(|end| *end > start) else {
            return Err(bad(format!(
                "a range from {start:#x} to {last:#x} is none: the image is damaged; take it again"
            )));
        };
        let offset = at.saturating_add(HEADER);
        held.push(Extent { start, end, offset });
        at = offset.saturating_add(end - start);
    }
    about.incomplete = about.table_cut || bytes.is_cut_short();
    let named = held.clone();
    Ok(Ranges::new(bytes, held, named, about))
}
