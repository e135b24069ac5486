//! VMware's snapshots: the layout of a guest's memory (vmss, vmsn), and the memory itself, behind
//! it in the same file or beside it (vmem).
//!
//! A header, a table of groups, and in each group tags: a word of flags (the length of the name,
//! how many indices, how large the value), the name, the indices, the value or a block. Sources:
//! VMware's vmss2core, volatility's layers/vmware.py, crash's vmware_vmss.h (the numbers).

use std::path::{Path, PathBuf};

use super::DumpError;
use super::foreign::bad_header;
use super::ranges::{About, Extent, Ranges};
use super::storage::Bytes;
use crate::addr::SMALLEST_PAGE;
use crate::bytes::{c_string, slice, u16_at, u32_at, u64_at};

/// What a snapshot begins with: of a suspended guest, of one that was restored, of a part.
const MAGICS: [&[u8]; 3] = [
    b"\xd2\xbe\xd2\xbe",
    b"\xd1\xba\xd1\xba",
    b"\xd3\xbe\xd3\xbe",
];
/// The same of old products, with shorter numbers.
const OLD_MAGIC: &[u8] = b"\xd0\xbe";

const HEADER: u64 = 12;
const GROUP: u64 = 80;
const GROUP_NAME: usize = 64;
const MOST_GROUPS: u32 = 4 << 10;
/// Tags of the group "memory": some per region.
const MOST_TAGS: usize = 1 << 16;

/// Sizes of a value that say that a block follows, as it is or compressed.
const BLOCK: u16 = 63;
const PACKED_BLOCK: u16 = 62;

const PAGE: u64 = SMALLEST_PAGE as u64;
/// Endings of the names.
const VMEM: &str = "vmem";
const LAYOUTS: [&str; 2] = ["vmss", "vmsn"];

/// Whether a file with these first bytes is a snapshot.
pub(super) fn is_snapshot(start: &[u8]) -> bool {
    start.starts_with(OLD_MAGIC) || MAGICS.iter().any(|magic| start.starts_with(magic))
}

/// Whether the file is a snapshot that has no memory in it.
pub(super) fn lacks_memory(bytes: &Bytes) -> bool {
    let start = bytes.get_up_to(0, 4);
    is_snapshot(&start) && Memory::read(bytes).is_ok_and(|memory| memory.block.is_none())
}

/// The file that goes with one of a snapshot, if it lies beside it.
pub(super) fn sibling(path: &Path) -> Option<PathBuf> {
    let others: &[&str] = match path.extension()?.to_str()? {
        VMEM => &LAYOUTS,
        other if LAYOUTS.contains(&other) => &[VMEM],
        _ => return None,
    };
    let beside = others.iter().map(|ending| path.with_extension(ending));
    beside.into_iter().find(|path| path.is_file())
}

/// The memory of a snapshot: `vmem` is the file beside it, if there is one.
pub(super) fn open(snapshot: Bytes, vmem: Option<Bytes>) -> Result<Ranges, DumpError> {
    let memory = Memory::read(&snapshot)?;
    let (bytes, base, size, files) = match (memory.block, vmem) {
        (Some(block), _) if block.packed => {
            return Err(unsupported(
                &snapshot,
                "a VMware snapshot whose memory is compressed; resume and suspend the guest again with `mainMem.useNamedFile = \"TRUE\"`, which writes a vmem",
            ));
        }
        (Some(block), _) => (snapshot, block.offset, block.size, 1),
        (None, Some(vmem)) => {
            let size = vmem.len();
            (vmem, 0, size, 2)
        }
        (None, None) => {
            return Err(unsupported(
                &snapshot,
                "a VMware snapshot without memory in it; give it with the vmem of the same name, or put that beside it",
            ));
        }
    };
    let all = vec![Region {
        memory: 0,
        start: 0,
        len: size,
    }];
    let regions = if memory.regions.is_empty() {
        all
    } else {
        memory.regions
    };
    let held: Vec<Extent> = regions
        .iter()
        .filter_map(|region| {
            Some(Extent {
                start: region.start,
                end: region.start.checked_add(region.len)?,
                offset: base.saturating_add(region.memory),
            })
        })
        .collect();
    let about = About {
        files,
        ..About::image("vmware", "VMware snapshot".to_owned())
    };
    Ok(Ranges::new(bytes, held.clone(), held, about))
}

fn unsupported(bytes: &Bytes, what: &str) -> DumpError {
    DumpError::Unsupported {
        path: bytes.path().to_owned(),
        what: what.to_owned(),
    }
}

/// What the group "memory" says.
#[derive(Default)]
struct Memory {
    regions: Vec<Region>,
    block: Option<Block>,
}

/// A part of the guest's memory: where it lies in the file, and for the guest.
#[derive(Clone, Copy, Debug, Default)]
struct Region {
    memory: u64,
    start: u64,
    len: u64,
}

#[derive(Clone, Copy)]
struct Block {
    offset: u64,
    size: u64,
    packed: bool,
}

impl Memory {
    fn read(bytes: &Bytes) -> Result<Self, DumpError> {
        let header = bytes.get_up_to(0, HEADER);
        if header.starts_with(OLD_MAGIC) {
            return Err(unsupported(
                bytes,
                "a VMware snapshot of an old product, with 32-bit numbers, which vmleak does not read; make a core of it and its vmem with VMware's `vmss2core -N6`",
            ));
        }
        let groups = u32_at(&header, 8).filter(|count| (1..=MOST_GROUPS).contains(count));
        let Some(groups) = groups else {
            let why = "no table of groups: the snapshot is damaged, or was not written to its end";
            return Err(bad_header(bytes, 8, why.into()));
        };
        let tables = (0..u64::from(groups)).map(|index| HEADER + index * GROUP);
        let at = tables.into_iter().find_map(|at| {
            let group = bytes.get(at, GROUP as usize)?;
            let name = c_string(slice(&group, 0, GROUP_NAME)?);
            (name == "memory")
                .then(|| u64_at(&group, GROUP_NAME))
                .flatten()
        });
        let Some(at) = at else {
            let why = "no group \"memory\": the snapshot is damaged, or was not written to its end";
            return Err(bad_header(bytes, HEADER, why.into()));
        };
        let mut memory = Self::default();
        let mut tags = Tags { bytes, at };
        for _ in 0..MOST_TAGS {
            match tags.next()? {
                Some(tag) => memory.take(&tag),
                None => break,
            }
        }
        Ok(memory)
    }

    fn take(&mut self, tag: &Tag) {
        match (tag.name.as_str(), tag.value) {
            ("Memory", Value::Block(block)) => self.block = Some(block),
            ("regionPageNum", Value::Number(page)) => {
                self.region(tag, |region| region.memory = page.saturating_mul(PAGE));
            }
            ("regionPPN", Value::Number(page)) => {
                self.region(tag, |region| region.start = page.saturating_mul(PAGE));
            }
            ("regionSize", Value::Number(pages)) => {
                self.region(tag, |region| region.len = pages.saturating_mul(PAGE));
            }
            _ => {}
        }
    }

    fn region(&mut self, tag: &Tag, set: impl FnOnce(&mut Region)) {
        let index = tag.index.unwrap_or(0) as usize;
        if index < MOST_TAGS {
            if self.regions.len() <= index {
                self.regions.resize(index + 1, Region::default());
            }
            if let Some(region) = self.regions.get_mut(index) {
                set(region);
            }
        }
    }
}

struct Tag {
    name: String,
    index: Option<u32>,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Number(u64),
    Block(Block),
}

/// The tags of a group, one after the other.
struct Tags<'b> {
    bytes: &'b Bytes,
    at: u64,
}

impl Tags<'_> {
    fn next(&mut self) -> Result<Option<Tag>, DumpError> {
        let cut = |at| {
            let why =
                "the file ends inside the layout of the memory: it is cut short; copy it again";
            bad_header(self.bytes, at, why.into())
        };
        let start = self.bytes.get_up_to(self.at, 2);
        let flags = u16_at(&start, 0).ok_or_else(|| cut(self.at))?;
        if flags == 0 {
            return Ok(None);
        }
        let name_len = u64::from(flags >> 8);
        let indices = u64::from(flags >> 6 & 3);
        let size = flags & 63;
        let head = self
            .bytes
            .get_up_to(self.at, 2 + name_len + indices * 4 + 18);
        let name = slice(&head, 2, name_len as usize).ok_or_else(|| cut(self.at))?;
        let name = c_string(name);
        let index = (indices > 0)
            .then(|| u32_at(&head, 2 + name_len as usize))
            .flatten();
        let value_at = 2 + name_len + indices * 4;
        let number = |at: u64| u64_at(&head, at as usize).ok_or_else(|| cut(self.at));
        let value = if size == BLOCK || size == PACKED_BLOCK {
            let (stored, unpacked) = (number(value_at)?, number(value_at + 8)?);
            let padding = u16_at(&head, value_at as usize + 16).ok_or_else(|| cut(self.at))?;
            let offset = self.at + value_at + 18 + u64::from(padding);
            let block = Block {
                offset,
                size: unpacked,
                packed: size == PACKED_BLOCK,
            };
            self.at = offset.saturating_add(stored);
            Value::Block(block)
        } else {
            let bytes = self.bytes.get_up_to(self.at + value_at, u64::from(size));
            if bytes.len() < usize::from(size) {
                return Err(cut(self.at));
            }
            let mut word = [0; 8];
            let len = bytes.len().min(8);
            word.get_mut(..len)
                .unwrap_or_default()
                .copy_from_slice(bytes.get(..len).unwrap_or_default());
            self.at += value_at + u64::from(size);
            Value::Number(u64::from_le_bytes(word))
        };
        Ok(Some(Tag { name, index, value }))
    }
}
