//! The headers of a kdump-compressed file: which of its forms it is, and where its tables lie.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::super::DumpError;
use super::super::notes::Notes;
use super::super::storage::Bytes;
use super::super::vmcoreinfo::VmcoreInfo;
use crate::addr::is_page_size;
use crate::bytes::{c_string, slice, u32_at, u64_at};

/// Of the header; what later ones would have nobody knows.
const VERSIONS: RangeInclusive<u32> = 1..=6;

/// Where the fields of `struct disk_dump_header` lie on a 64-bit machine.
pub(super) mod field {
    pub(in super::super) const VERSION: usize = 8;
    pub(in super::super) const UTS_LEN: usize = 65;
    pub(in super::super) const UTS_RELEASE: usize = 12 + 2 * UTS_LEN;
    pub(in super::super) const UTS_MACHINE: usize = 12 + 4 * UTS_LEN;
    pub(in super::super) const TIMESTAMP: usize = 408;
    pub(in super::super) const STATUS: usize = 424;
    pub(in super::super) const BLOCK_SIZE: usize = 428;
    pub(in super::super) const SUB_HDR_SIZE: usize = 432;
    pub(in super::super) const BITMAP_BLOCKS: usize = 436;
    pub(in super::super) const MAX_MAPNR: usize = 440;
    pub(in super::super) const NR_CPUS: usize = 460;
    /// Of a 32-bit machine, whose `timeval` is shorter.
    pub(in super::super) const BLOCK_SIZE_32: usize = 416;
    pub(in super::super) const LEN: usize = 464;
}

/// Refuses what is another form of the format: of a big-endian or a 32-bit machine. Its `uname -m`
/// lies at the same place in all.
fn check_form(bytes: &Bytes, head: &[u8]) -> Result<(), DumpError> {
    let word = |at: usize| u32_at(head, at).unwrap_or(0);
    let machine = c_string(slice(head, field::UTS_MACHINE, field::UTS_LEN).unwrap_or_default());
    let form = if VERSIONS.contains(&word(field::VERSION).swap_bytes()) {
        "big-endian"
    } else if !is_page_size(word(field::BLOCK_SIZE)) && is_page_size(word(field::BLOCK_SIZE_32)) {
        "32-bit"
    } else {
        return Ok(());
    };
    let machine = match machine.as_str() {
        "" => "unknown",
        machine => machine,
    };
    Err(DumpError::Unsupported {
        path: bytes.path().to_owned(),
        what: format!(
            "a kdump of a {form} machine ({machine}); only 64-bit little-endian ones are read: open it with crash built for {machine}"
        ),
    })
}

/// Both headers, and where by them the tables lie.
pub(super) struct Headers<'b> {
    pub(super) head: Cow<'b, [u8]>,
    pub(super) sub: SubHeader,
    pub(super) page_size: u32,
    pub(super) max_pfn: u64,
    /// Of RAM that exists, and of pages that were dumped: one place where a file has one bitmap.
    pub(super) bitmaps: [u64; 2],
    pub(super) descriptors: u64,
}

impl<'b> Headers<'b> {
    pub(super) fn read(bytes: &'b Bytes) -> Result<Self, DumpError> {
        let bad = |offset: u64, why: String| DumpError::BadHeader {
            path: bytes.path().to_owned(),
            offset,
            why,
        };
        let head = bytes.get(0, field::LEN).ok_or_else(|| {
            bad(
                bytes.len(),
                "the file ends inside its header; nothing can be read".into(),
            )
        })?;
        let word = |at: usize| u32_at(&head, at).unwrap_or(0);
        check_form(bytes, &head)?;
        let version = word(field::VERSION);
        if !VERSIONS.contains(&version) {
            return Err(bad(
                field::VERSION as u64,
                format!(
                    "unknown header version {version}; only 1 to 6 are known (is the header damaged, or the dump one of the diskdump utility of before 2006?)"
                ),
            ));
        }
        let page_size = word(field::BLOCK_SIZE);
        if !is_page_size(page_size) {
            return Err(bad(
                field::BLOCK_SIZE as u64,
                format!("block size {page_size} is no page size; the header is damaged"),
            ));
        }
        let block = u64::from(page_size);
        let sub_blocks = u64::from(word(field::SUB_HDR_SIZE));
        let bitmap_bytes = u64::from(word(field::BITMAP_BLOCKS)) * block;
        let sub = SubHeader::read(bytes, block, version);
        let max_pfn = match sub.max_mapnr {
            0 => u64::from(word(field::MAX_MAPNR)),
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
                field::MAX_MAPNR as u64,
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
pub(super) struct SubHeader {
    phys_base: u64,
    pub(super) dump_level: Option<u32>,
    pub(super) split: bool,
    pub(super) start_pfn: u64,
    pub(super) end_pfn: u64,
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
            phys_base: word(0),
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

    pub(super) fn notes(&self, bytes: &Bytes) -> Notes {
        let mut notes = Notes::default();
        if self.notes.0 != 0 {
            notes.parse(&bytes.get_up_to(self.notes.0, self.notes.1));
        }
        let (offset, len) = self.vmcoreinfo;
        if offset != 0 && len != 0 {
            notes.vmcoreinfo = Some(VmcoreInfo::parse(&bytes.get_up_to(offset, len)));
        }
        if let Some(info) = &mut notes.vmcoreinfo {
            info.set_phys_base(self.phys_base);
        }
        notes
    }
}
