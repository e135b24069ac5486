//! VMCOREINFO as it lies in memory: where a dump brings no note, the kernel's own copies are there.
//!
//! The text has a page to itself (`vmcoreinfo_data`, since 4.13), and the note that kdump reads
//! another, which it begins with its header (`vmcoreinfo_note`). A kernel that panics adds
//! `CRASHTIME` to the note, and to a copy of the text in the memory of the capture kernel.
//! Source: kernel/crash_core.c, kernel/vmcore_info.c.
//!
//! Several may lie there: of kernels that ran before, and of the one that captures. Which of
//! them is meant is not told here.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::vmcoreinfo::{NoteOrigin, VmcoreInfo};
use super::{Dump, Page};
use crate::addr::Pfn;
use crate::bytes::u32_at;

const TEXT: &[u8] = b"OSRELEASE=";
/// The name of the note, behind three words of its header.
const NAME: &[u8] = b"VMCOREINFO\0";
const NAME_AT: usize = 12;
const DESCRIPTOR_AT: usize = 24;
/// A text is a page long, or some.
const LONGEST: usize = 16 << 10;
/// A memory has some: as many as there were kernels, and copies in caches of files.
const MOST: usize = 4 << 10;
/// Pages that one thread looks at in a row.
const STRIDE: u64 = 4 << 10;

/// A text, and where it lies.
#[derive(Clone, Debug)]
pub struct FoundText {
    /// The first page.
    pub pfn: Pfn,
    /// Whether it is the note, which a crashing kernel completes.
    pub is_note: bool,
    /// What it says.
    pub info: VmcoreInfo,
}

/// All texts in the dump's memory, by address: one pass over the starts of all pages.
pub(super) fn find(dump: &Dump) -> Vec<FoundText> {
    let pieces: Vec<Range<u64>> = dump.pfns().into_iter().flat_map(pieces).collect();
    let count = AtomicUsize::new(0);
    let found = pieces.into_par_iter().flat_map_iter(|pfns| {
        let texts = pfns.filter_map(|pfn| text_at(dump, pfn));
        let kept = texts.take_while(|_| count.fetch_add(1, Ordering::Relaxed) < MOST);
        kept.collect::<Vec<_>>()
    });
    found.collect()
}

fn pieces(pfns: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = pfns;
    let count = end.saturating_sub(start).div_ceil(STRIDE);
    (0..count).map(move |index| {
        let first = start + index * STRIDE;
        first..end.min(first.saturating_add(STRIDE))
    })
}

fn text_at(dump: &Dump, pfn: u64) -> Option<FoundText> {
    let page = dump.page_in_passing(Pfn(pfn)).ok()?;
    let (at, len) = place(&page)?;
    let bytes = across_pages(dump, pfn, &page, at + len)?;
    let info = VmcoreInfo::parse(bytes.get(at..)?).from(NoteOrigin::TextInMemory);
    // A line by itself, in some log or script, says less.
    let is_whole = info.release().is_some() && info.get("PAGESIZE").is_some();
    is_whole.then_some(FoundText {
        pfn: Pfn(pfn),
        is_note: at != 0,
        info,
    })
}

/// Where in the page a text begins, and how long it is at most.
fn place(page: &[u8]) -> Option<(usize, usize)> {
    if page.starts_with(TEXT) {
        return Some((0, LONGEST));
    }
    let is_note = page.get(NAME_AT..)?.starts_with(NAME)
        && u32_at(page, 0) == Some(NAME.len() as u32)
        && page.get(DESCRIPTOR_AT..)?.starts_with(TEXT);
    let len = u32_at(page, 4)? as usize;
    (is_note && len <= LONGEST).then_some((DESCRIPTOR_AT, len))
}

/// `len` bytes from the start of the page on, or up to the first NUL behind the text: pages
/// behind it follow in memory.
fn across_pages(dump: &Dump, pfn: u64, first: &Page<'_>, len: usize) -> Option<Vec<u8>> {
    let mut bytes = first.to_vec();
    let mut next = pfn;
    while bytes.len() < len && bytes.last() != Some(&0) {
        next = next.checked_add(1)?;
        match dump.page_in_passing(Pfn(next)) {
            Ok(page) => bytes.extend_from_slice(&page),
            Err(_) => break,
        }
    }
    bytes.truncate(len);
    Some(bytes)
}

impl Dump {
    /// Every VMCOREINFO that lies in memory, by address. Looks at each page once.
    pub fn texts_in_memory(&self) -> Vec<FoundText> {
        find(self)
    }
}
