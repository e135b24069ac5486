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

mod bitmap;
mod codec;
mod elf;
mod error;
mod facts;
mod file;
mod flattened;
mod kdump;
mod lzo;
mod notes;
mod open;
mod recent;
mod source;
mod storage;
mod vmcoreinfo;

pub use codec::Codec;
pub use error::{DumpError, PageFault};
pub use facts::DumpFacts;
pub use file::{Access, WholeFile};
pub use notes::Notes;
pub(crate) use notes::gnu_build_id;
pub use open::looks_like_dump;
pub use vmcoreinfo::VmcoreInfo;

use crate::addr::Pfn;

/// Memory that decoded pages may take unless the user says otherwise.
pub const DEFAULT_CACHE_BYTES: u64 = 512 << 20;

/// How a page is stored.
#[derive(Debug)]
pub(crate) enum Stored<'a> {
    /// As it is, in the mapping.
    Plain(&'a [u8]),
    /// As it is, put together from parts.
    Owned(Vec<u8>),
    /// Compressed.
    Packed {
        codec: Codec,
        data: std::borrow::Cow<'a, [u8]>,
        offset: u64,
    },
}

#[derive(Debug)]
enum Store {
    Kdump(Vec<kdump::KdumpFile>),
    Elf(Box<elf::ElfDump>),
}

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
    store: Store,
    page_size: usize,
    page_shift: u32,
    id: u64,
    cache: PageCache,
    /// How many pages the cache holds, and how many went into it.
    cache_pages: u64,
    unpacked: AtomicU64,
    lacks_parts: bool,
    facts: OnceLock<DumpFacts>,
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
        let store = open::open_store(paths, access)?;
        Ok(Self::new(paths, store, cache_bytes))
    }

    /// A dump that is one file, whose bytes are at hand already; `path` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, cache_bytes: u64) -> Result<Self, DumpError> {
        let paths = [path.to_owned()];
        let files = std::iter::once(storage::Bytes::held(path, bytes));
        let store = open::store_of(files, &paths)?;
        Ok(Self::new(&paths, store, cache_bytes))
    }

    fn new(paths: &[PathBuf], store: Store, cache_bytes: u64) -> Self {
        let page_size = match &store {
            Store::Kdump(parts) => parts.first().map_or(4096, |part| part.facts.page_size),
            Store::Elf(elf) => elf.page_size,
        } as usize;
        let pages = usize::try_from(cache_bytes / page_size as u64).unwrap_or(usize::MAX);
        let pages = pages.clamp(256, 1 << 24);
        let mut dump = Self {
            paths: paths.to_vec(),
            lacks_parts: false,
            store,
            page_size,
            page_shift: page_size.trailing_zeros(),
            id: recent::new_dump_id(),
            cache: new_cache(pages),
            cache_pages: pages as u64,
            unpacked: AtomicU64::new(0),
            facts: OnceLock::new(),
        };
        dump.lacks_parts = dump.missing_parts();
        dump
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
        static NONE: Notes = Notes {
            vmcoreinfo: None,
            prstatus: Vec::new(),
            qemu_cpus: 0,
        };
        match &self.store {
            Store::Elf(elf) => &elf.notes,
            Store::Kdump(parts) => parts
                .iter()
                .map(|part| &part.facts.notes)
                .find(|notes| notes.vmcoreinfo.is_some())
                .or_else(|| parts.first().map(|part| &part.facts.notes))
                .unwrap_or(&NONE),
        }
    }

    /// What a kdump header says of the machine: release, machine name, CPUs, time of writing.
    pub fn header_release(&self) -> Option<(&str, &str, u32, i64)> {
        match &self.store {
            Store::Elf(_) => None,
            Store::Kdump(parts) => parts.first().map(|part| {
                let facts = &part.facts;
                (
                    facts.release.as_str(),
                    facts.machine.as_str(),
                    facts.nr_cpus,
                    facts.timestamp,
                )
            }),
        }
    }

    fn missing_parts(&self) -> bool {
        let Store::Kdump(parts) = &self.store else {
            return false;
        };
        let mut next = 0;
        for part in parts {
            let range = part.range();
            if range.start > next {
                return true;
            }
            next = range.end;
        }
        parts.last().is_some_and(|part| next < part.facts.max_pfn)
    }

    /// Bytes in all files: what no header can lie about, to bound what is made of it.
    pub fn file_bytes(&self) -> u64 {
        match &self.store {
            Store::Elf(elf) => elf.bytes().file_len(),
            Store::Kdump(parts) => parts.iter().map(|part| part.bytes().file_len()).sum(),
        }
    }

    /// One more than the highest page frame number that the headers name.
    pub fn max_pfn(&self) -> u64 {
        match &self.store {
            Store::Elf(elf) => elf.max_pfn(),
            Store::Kdump(parts) => parts.first().map_or(0, |part| part.facts.max_pfn),
        }
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        match &self.store {
            Store::Elf(elf) => elf.locate(pfn),
            Store::Kdump(parts) => match parts.as_slice() {
                [part] if !part.facts.split => part.locate(pfn),
                parts => {
                    let index = parts.partition_point(|part| part.range().end <= pfn.0);
                    // One whose part of the set was not given is in none.
                    let part = parts.get(index).ok_or(PageFault::NotInDump(pfn))?;
                    part.locate(pfn)
                }
            },
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
        match self.locate(pfn)? {
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
        // None of an ELF dump, which has its pages in the mapping as they are.
        if self.unpacked.load(Ordering::Relaxed) == 0 {
            return None;
        }
        if let Some(page) = recent::get(self.id, pfn.0) {
            return Some(page);
        }
        let page = self.cache.get(&pfn.0)?;
        recent::put(self.id, pfn.0, &page);
        Some(page)
    }

    /// Fills `out` with the start of the page: for passes over much memory. What was unpacked
    /// before is copied, else it is unpacked into `out` and not remembered.
    ///
    /// # Errors
    /// If the dump lacks it or it does not decode.
    pub fn read_page(&self, pfn: Pfn, out: &mut [u8]) -> Result<(), PageFault> {
        let copy = |page: &[u8], out: &mut [u8]| {
            let len = out.len().min(page.len());
            if let (Some(to), Some(from)) = (out.get_mut(..len), page.get(..len)) {
                to.copy_from_slice(from);
            }
        };
        match self.locate(pfn)? {
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
