//! Crash dump files as physical pages by page frame number.
//!
//! Layer: below it only the vocabulary. Input: the paths of one dump. Output:
//! [`Dump::page`] for scattered reads, through a bounded cache, and
//! [`Dump::read_page`] for passes over much memory, without one. Invariants: the
//! file is never written; a page that was left out, lies beyond a cut,
//! or does not decode is a [`PageFault`], never zeros; nothing panics on any bytes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use rustc_hash::FxBuildHasher;

mod avml;
mod bitmap;
mod bundled;
mod codec;
mod elf;
mod error;
mod facts;
mod file;
mod flattened;
mod foreign;
mod hiding;
mod kcore;
mod kdump;
mod larger;
mod lime;
mod lzo;
mod noted;
mod notes;
mod open;
mod page_source;
mod piece;
mod pieces;
mod ranges;
mod raw;
mod reads;
mod recent;
mod sadump;
mod savevm;
mod source;
mod storage;
mod texts;
mod vmcoreinfo;
mod vmware;

pub use bundled::Bundle;
pub use codec::Codec;
pub use error::{DumpError, PageFault};
pub use facts::{DumpFacts, ends_early};
pub use file::{Access, WholeFile};
pub use kdump::{KdumpHeader, KdumpWriter};
pub use notes::Notes;
pub(crate) use notes::{bundle_note, gnu_build_id};
pub(crate) use open::is_vmware_layout;
pub use open::looks_like_dump;
pub use page_source::{HeaderFacts, MachineName};
pub(crate) use raw::may_be_raw;
pub use reads::{PageReads, Reads, WORD};
pub use texts::FoundText;
pub use vmcoreinfo::{NoteOrigin, VmcoreInfo};

use crate::addr::Pfn;
use page_source::{SharedSource, Stored};

/// Memory that decoded pages may take unless the user says otherwise.
pub const DEFAULT_CACHE_BYTES: u64 = 512 << 20;

/// One page of memory, borrowed from the mapping or shared with the cache.
#[derive(Clone, Debug)]
pub enum Page<'a> {
    /// In the file as it is.
    Mapped(&'a [u8]),
    /// Decoded.
    Decoded(Arc<[u8]>),
}

impl std::ops::Deref for Page<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Page::Mapped(bytes) => bytes,
            Page::Decoded(bytes) => bytes,
        }
    }
}

type PageCache = Cache<u64, Arc<[u8]>, UnitWeighter, FxBuildHasher>;

fn new_cache(pages: usize) -> PageCache {
    let hasher = FxBuildHasher;
    Cache::with(
        pages,
        pages as u64,
        UnitWeighter,
        hasher,
        DefaultLifecycle::default(),
    )
}

thread_local! {
    /// Where a page is unpacked before it is known to be good: copying it takes less than to fill
    /// a new one with zeros first.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An open crash dump.
#[derive(Debug)]
pub struct Dump {
    paths: Vec<PathBuf>,
    source: SharedSource,
    page_size: usize,
    page_shift: u32,
    id: u64,
    cache: PageCache,
    /// How many pages the cache holds, and how many went into it.
    cache_pages: u64,
    unpacked: AtomicU64,
    facts: OnceLock<DumpFacts>,
    /// Notes what is read, if that is wanted.
    reads: Option<Arc<Reads>>,
}

impl Dump {
    /// Opens the dump that `paths` hold: one file, or all parts of a split set. Decoded pages
    /// are kept up to `cache_bytes`.
    ///
    /// # Errors
    /// If a file can't be read, is of no known format, or its headers contradict it.
    pub fn open(paths: &[PathBuf], cache_bytes: u64) -> Result<Self, DumpError> {
        Self::open_with(paths, cache_bytes, Access::Map)
    }

    /// As [`open`](Self::open), with the way in which the files are read.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(
        paths: &[PathBuf],
        cache_bytes: u64,
        access: Access,
    ) -> Result<Self, DumpError> {
        let source = open::open_source(paths, access)?;
        Ok(Self::new(paths, source, cache_bytes))
    }

    /// A dump that is one file, whose bytes are at hand already; `path` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, cache_bytes: u64) -> Result<Self, DumpError> {
        let paths = [path.to_owned()];
        let files = std::iter::once(storage::Bytes::held(path, bytes));
        let source = open::source_of(files, &paths)?;
        Ok(Self::new(&paths, source, cache_bytes))
    }

    fn new(paths: &[PathBuf], source: SharedSource, cache_bytes: u64) -> Self {
        let page_size = source.page_size() as usize;
        let pages = usize::try_from(cache_bytes / page_size as u64).unwrap_or(usize::MAX);
        let pages = pages.clamp(256, 1 << 24);
        Self {
            paths: paths.to_vec(),
            source,
            page_size,
            page_shift: page_size.trailing_zeros(),
            id: recent::new_dump_id(),
            cache: new_cache(pages),
            cache_pages: pages as u64,
            unpacked: AtomicU64::new(0),
            facts: OnceLock::new(),
            reads: None,
        }
    }

    /// The path of the first file.
    pub fn path(&self) -> &Path {
        self.paths.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// log2 of the page size.
    pub fn page_shift(&self) -> u32 {
        self.page_shift
    }

    /// The notes: registers and VMCOREINFO.
    pub fn notes(&self) -> &Notes {
        self.source.notes()
    }

    /// What the format's header says of the machine, where it has one that does.
    pub fn header(&self) -> Option<&HeaderFacts> {
        self.source.header()
    }

    /// Whether it is no dump but memory of the kernel that runs: what is read twice may differ.
    pub fn is_live(&self) -> bool {
        self.source.is_live()
    }

    /// The architecture that the files name.
    pub fn machine(&self) -> Option<MachineName> {
        self.source.machine()
    }

    /// Format, dump level and coverage.
    pub fn facts(&self) -> &DumpFacts {
        self.facts.get_or_init(|| self.source.facts())
    }

    /// Whether the file is taken for memory because it is nothing else.
    pub fn is_raw(&self) -> bool {
        self.facts().source == raw::SOURCE
    }

    /// Bytes in all files: what no header can lie about, to bound what is made of it.
    pub fn file_bytes(&self) -> u64 {
        self.source.file_bytes()
    }

    /// One more than the highest page frame number that the headers name.
    pub fn max_pfn(&self) -> u64 {
        self.source.max_pfn()
    }

    /// Where pages may be, for a pass over all of them.
    pub(crate) fn pfns(&self) -> Vec<std::ops::Range<u64>> {
        self.source.pfns()
    }

    /// The same dump without `pages`, as if its writer had left them out; with a cache of its own.
    /// To see what is said of less than all.
    #[must_use]
    pub fn hiding(&self, pages: impl IntoIterator<Item = Pfn>) -> Self {
        let hidden = pages.into_iter().collect();
        let source = hiding::Hiding::new(Arc::clone(&self.source), hidden);
        self.standing_on(Arc::new(source))
    }

    fn standing_on(&self, source: SharedSource) -> Self {
        let dump = Self::new(&self.paths, source, self.cache_bytes());
        Self {
            reads: self.reads.clone(),
            ..dump
        }
    }

    /// The page, through the cache.
    ///
    /// # Errors
    /// If the dump lacks it or it does not decode.
    pub fn page(&self, pfn: Pfn) -> Result<Page<'_>, PageFault> {
        self.page_kept(pfn, Keep::ForAll)
    }

    /// The page, for a pass that will not come back to it once it is some pages further: only
    /// this thread remembers it, and only for a moment.
    ///
    /// # Errors
    /// If the dump lacks it or it does not decode.
    pub fn page_in_passing(&self, pfn: Pfn) -> Result<Page<'_>, PageFault> {
        self.page_kept(pfn, Keep::ForNow)
    }

    fn page_kept(&self, pfn: Pfn, keep: Keep) -> Result<Page<'_>, PageFault> {
        if let Some(page) = self.remembered(pfn) {
            return Ok(Page::Decoded(page));
        }
        match self.source.locate(pfn)? {
            Stored::Plain(bytes) => Ok(Page::Mapped(bytes)),
            Stored::Owned(bytes) => Ok(Page::Decoded(bytes.into())),
            Stored::Packed {
                codec,
                data,
                offset,
            } => {
                let page = SCRATCH.with_borrow_mut(|bytes| {
                    bytes.resize(self.page_size, 0);
                    unpack(pfn, codec, &data, offset, bytes)?;
                    Ok(Arc::<[u8]>::from(bytes.as_slice()))
                })?;
                if keep == Keep::ForAll {
                    self.cache.insert(pfn.0, Arc::clone(&page));
                    self.unpacked.fetch_add(1, Ordering::Relaxed);
                }
                recent::put(self.id, pfn.0, &page);
                Ok(Page::Decoded(page))
            }
        }
    }

    /// Whether pages have to be unpacked, as far as some were read: none of an ELF dump.
    pub fn unpacks(&self) -> bool {
        self.unpacked.load(Ordering::Relaxed) > 0
    }

    /// How many times as many pages were unpacked for the cache as it has room for.
    pub fn cache_turns(&self) -> u64 {
        self.unpacked.load(Ordering::Relaxed) / self.cache_pages
    }

    /// How many bytes of pages the cache has room for.
    pub fn cache_bytes(&self) -> u64 {
        self.cache_pages * self.page_size as u64
    }

    /// The page, if it was unpacked before and is kept.
    fn remembered(&self, pfn: Pfn) -> Option<Arc<[u8]>> {
        if !self.unpacks() {
            return None;
        }
        if let Some(page) = recent::get(self.id, pfn.0) {
            return Some(page);
        }
        let page = self.cache.get(&pfn.0)?;
        recent::put(self.id, pfn.0, &page);
        Some(page)
    }

    /// Why the page can't be had, as far as that shows without decoding it.
    pub fn why_not_there(&self, pfn: Pfn) -> Option<PageFault> {
        self.source.locate(pfn).err()
    }

    /// Whether any byte of the page is there: RAM and the segments of a file begin and end where
    /// they like, and `page` has whole pages only.
    pub fn holds_part_of(&self, pfn: Pfn) -> bool {
        self.source.holds_part_of(pfn)
    }

    /// Fills `out` from a page that can't be had whole, from its byte `start` on: with zeros where
    /// bytes are not there, and the worst of why not.
    pub fn read_part(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        self.source.fill_partly(pfn, start, out)
    }

    /// Fills `out` with the start of the page: for passes over much memory. What was unpacked
    /// before is copied, else it is unpacked into `out` and not remembered.
    ///
    /// # Errors
    /// If the dump lacks it or it does not decode.
    pub fn read_page(&self, pfn: Pfn, out: &mut [u8]) -> Result<(), PageFault> {
        if let Some(reads) = &self.reads {
            reads.note_pass(pfn);
        }
        let copy = |page: &[u8], out: &mut [u8]| {
            let len = out.len().min(page.len());
            if let (Some(to), Some(from)) = (out.get_mut(..len), page.get(..len)) {
                to.copy_from_slice(from);
            }
        };
        match self.source.locate(pfn)? {
            Stored::Plain(page) => copy(page, out),
            Stored::Owned(page) => copy(&page, out),
            Stored::Packed {
                codec,
                data,
                offset,
            } if out.len() == self.page_size => match self.remembered(pfn) {
                Some(page) => copy(&page, out),
                None => unpack(pfn, codec, &data, offset, out)?,
            },
            Stored::Packed { .. } => copy(&self.page(pfn)?, out),
        }
        Ok(())
    }
}

/// Who may want a page again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    ForAll,
    ForNow,
}

fn unpack(
    pfn: Pfn,
    codec: Codec,
    data: &[u8],
    offset: u64,
    page: &mut [u8],
) -> Result<(), PageFault> {
    codec
        .decompress(data, page)
        .map_err(|why| PageFault::Corrupt { pfn, offset, why })
}

#[cfg(test)]
mod tests;
