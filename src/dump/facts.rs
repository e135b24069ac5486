//! What a dump's files say of themselves: format, dump level, how much is there.

use serde::Serialize;

/// What the file says of itself, for `info` and for the head of every document.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DumpFacts {
    /// The kind of file: `kdump`, `elf`.
    pub source: &'static str,
    /// `kdump-compressed (zstd)`, `flattened kdump-compressed (zlib)`, `ELF`, ….
    pub format: String,
    /// makedumpfile's `-d`, where the format records it.
    pub dump_level: Option<u32>,
    /// Bytes in a page.
    pub page_size: u32,
    /// One more than the highest page frame number.
    pub max_pfn: u64,
    /// Pages of RAM that the dump knows of.
    pub ram_pages: u64,
    /// Pages that the files hold or should hold.
    pub dumped_pages: u64,
    /// Pages that should be in the files, and are not: beyond the end of one, or in a part of a
    /// split set that is not given.
    pub missing_pages: u64,
    /// Of these, how many are in parts of a split set that are not given.
    pub pages_of_absent_parts: u64,
    /// Whether the writer, the length of a file, or an absent part says that not all is there.
    pub incomplete: bool,
    /// Bytes of the one file, where it ends before what its own headers name: it was cut, by a copy
    /// or a full disk.
    #[serde(skip)]
    pub ends_early: Option<u64>,
    /// Whether the kdump bitmap and the table of page descriptors contradict each other: then
    /// pages may be taken for others.
    pub contradictory: bool,
    /// How many files the dump consists of.
    pub files: usize,
}

/// What to say and to do of a file that ends at byte `at` before its time.
pub fn ends_early(at: u64) -> String {
    format!(
        "the file ends early, at byte {at}: what its headers name behind that is missing; copy it again, or see why it was cut short"
    )
}
