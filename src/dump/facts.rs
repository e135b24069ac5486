//! What a dump's files say of themselves: format, dump level, how much is there.

use serde::Serialize;

use super::{Codec, Dump, Store, kdump, storage};

/// What the file says of itself, for `info` and for the head of every document.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DumpFacts {
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
    /// Pages that the file holds or should hold.
    pub dumped_pages: u64,
    /// Pages that should be in the file, but lie beyond its end.
    pub missing_pages: u64,
    /// Whether the writer, or the length of the file, says that it is cut short.
    pub incomplete: bool,
    /// Whether the kdump bitmap and the table of page descriptors contradict each other: then
    /// pages may be taken for others.
    pub contradictory: bool,
    /// How many files the dump consists of.
    pub files: usize,
}

impl DumpFacts {
    /// What the pages come from, for programs: `kdump` or `elf`.
    pub fn source(&self) -> &'static str {
        match self.format.ends_with("ELF") {
            true => "elf",
            false => "kdump",
        }
    }
}

impl Dump {
    /// Format, dump level and coverage.
    pub fn facts(&self) -> &DumpFacts {
        self.facts.get_or_init(|| self.find_facts())
    }

    fn find_facts(&self) -> DumpFacts {
        match &self.store {
            Store::Elf(elf) => {
                let (dumped, ram) = elf.pages();
                let missing = elf.missing_pages();
                DumpFacts {
                    format: format!("{}ELF", flattened_prefix(elf.bytes())),
                    dump_level: None,
                    page_size: self.page_size as u32,
                    max_pfn: self.max_pfn(),
                    ram_pages: ram,
                    dumped_pages: dumped,
                    missing_pages: missing,
                    incomplete: elf.incomplete || missing > 0,
                    contradictory: false,
                    files: 1,
                }
            }
            Store::Kdump(parts) => self.kdump_facts(parts),
        }
    }

    fn kdump_facts(&self, parts: &[kdump::KdumpFile]) -> DumpFacts {
        let missing: u64 = parts.iter().map(kdump::KdumpFile::missing_pages).sum();
        let first = parts.first();
        let codec = first.and_then(|part| part.facts.codec);
        let prefix = first.map_or("", |part| flattened_prefix(part.bytes()));
        let split = if parts.len() > 1 { "split " } else { "" };
        DumpFacts {
            format: format!(
                "{split}{prefix}kdump-compressed ({})",
                codec.unwrap_or(Codec::None)
            ),
            dump_level: first.and_then(|part| part.facts.dump_level),
            page_size: self.page_size as u32,
            max_pfn: self.max_pfn(),
            ram_pages: first.map_or(0, kdump::KdumpFile::ram_pages),
            dumped_pages: parts.iter().map(kdump::KdumpFile::pages).sum(),
            missing_pages: missing,
            contradictory: !parts.iter().all(kdump::KdumpFile::bitmap_fits_descriptors),
            incomplete: missing > 0
                || self.lacks_parts
                || parts.iter().any(|part| part.facts.incomplete),
            files: parts.len(),
        }
    }
}

fn flattened_prefix(bytes: &storage::Bytes) -> &'static str {
    if bytes.is_flattened() {
        "flattened "
    } else {
        ""
    }
}
