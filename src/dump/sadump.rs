//! SADUMP: what the firmware of Fujitsu's machines writes, to a partition, to a set of disks, or
//! as a copy of these to other media.
//!
//! In blocks: a header of the partition, which numbers fill up; of a set's first disk the header
//! of the set; the dump's header, the CPUs' states, a bitmap of RAM, a bitmap of the pages that
//! were dumped (of each byte the highest bit first), the pages. Other disks of a set have pages
//! behind their first header. Sources: makedumpfile's sadump_mod.h, libkdumpfile's sadump.c (the
//! numbers).

use std::borrow::Cow;
use std::ops::Range;

use super::facts::DumpFacts;
use super::foreign::bad_header;
use super::notes::Notes;
use super::page_source::{MachineName, PageSource, Stored};
use super::storage::Bytes;
use super::{DumpError, PageFault};
use crate::addr::{Pfn, is_page_size};
use crate::bytes::{u32_at, u64_at};

/// What a partition begins with.
pub(super) const PARTITION: &[u8] = b"sadump\0\0";
/// A copy has a header of its own before that of the partition.
const MEDIA_HEADER: u64 = 4 << 10;

/// Of the partition's header: identity of machine and set, the number of the disk in it, bytes
/// that were used, then what fills it up.
const SET_ID: Range<usize> = 88..120;
const DISK: usize = 152;
const USED: usize = 160;
const FILLING: usize = 168;
/// Of the dump's header.
const VERSION: usize = 8;
const BLOCK_SIZE: usize = 40;
const SUB_HEADER: usize = 48;
const BITMAP: usize = 52;
const DUMPED_BITMAP: usize = 56;
const MAX_MAPNR: usize = 60;
const MAX_MAPNR_64: usize = 88;
const HEADER: usize = 120;

/// Whether a file with these first bytes is one; a copy is told by the block behind.
pub(super) fn is_sadump(bytes: &Bytes) -> bool {
    let starts = |at| bytes.get_up_to(at, 8).starts_with(PARTITION);
    starts(0) || starts(MEDIA_HEADER)
}

/// Pages that lie one after the other: the first, how many, how many come before.
#[derive(Clone, Copy, Debug)]
struct Run {
    pfn: u64,
    pages: u64,
    before: u64,
}

impl Run {
    fn end(&self) -> u64 {
        self.pfn.saturating_add(self.pages)
    }
}

/// A file, and where in it the pages lie.
#[derive(Debug)]
struct Disk {
    bytes: Bytes,
    data: Range<u64>,
}

/// A dump of one file, or of a set of disks.
#[derive(Debug)]
pub(super) struct Sadump {
    disks: Vec<Disk>,
    dumped: Vec<Run>,
    ram: Vec<Run>,
    page_size: u32,
    layout: &'static str,
    notes: Notes,
}

/// What the header of a partition says.
struct Partition {
    /// Where the header lies, and where what follows it does.
    start: u64,
    end: u64,
    /// In its set; 0 of a single partition.
    disk: u32,
    used: u64,
    set: Vec<u8>,
    is_copy: bool,
}

impl Partition {
    fn read(bytes: &Bytes) -> Result<Self, DumpError> {
        let is_copy = !bytes.get_up_to(0, 8).starts_with(PARTITION);
        let start = if is_copy { MEDIA_HEADER } else { 0 };
        let head = bytes.get_up_to(start, 1 << 16);
        let number = |at| u32_at(&head, at);
        // Numbers follow, each made from the one before, up to the end of the block.
        let mut at = FILLING;
        while let (Some(here), Some(next)) = (number(at), number(at + 4)) {
            if next != here.wrapping_add(7).wrapping_mul(11) {
                break;
            }
            at += 4;
        }
        let block = u32::try_from(at + 4).unwrap_or(0);
        let (Some(disk), Some(used), Some(set)) =
            (number(DISK), u64_at(&head, USED), head.get(SET_ID))
        else {
            let why = "the file ends inside its header; nothing can be read";
            return Err(bad_header(bytes, bytes.len(), why.into()));
        };
        if !is_page_size(block) {
            let why = "the numbers that fill the header up are wrong: the header is damaged, or the dump was not written";
            return Err(bad_header(bytes, start + at as u64, why.into()));
        }
        Ok(Self {
            start,
            end: start + u64::from(block),
            disk: if is_copy { 0 } else { disk },
            used,
            set: set.to_vec(),
            is_copy,
        })
    }
}

/// Reads the headers of one file, or of all disks of a set.
pub(super) fn open(files: Vec<Bytes>) -> Result<Sadump, DumpError> {
    let mut disks = Vec::new();
    for bytes in files {
        let partition = Partition::read(&bytes)?;
        disks.push((partition, bytes));
    }
    disks.sort_by_key(|(partition, _)| partition.disk);
    check_set(&disks)?;
    let mut disks = disks.into_iter();
    let Some((partition, bytes)) = disks.next() else {
        return Err(DumpError::SplitSet {
            path: Default::default(),
            why: "no file given".into(),
        });
    };
    let mut dump = read_first(&partition, bytes)?;
    dump.disks.extend(disks.map(|(partition, bytes)| Disk {
        data: partition.end..partition.used.max(partition.end),
        bytes,
    }));
    Ok(dump)
}

fn check_set(disks: &[(Partition, Bytes)]) -> Result<(), DumpError> {
    let fail = |bytes: &Bytes, why: String| {
        Err(DumpError::SplitSet {
            path: bytes.path().to_owned(),
            why,
        })
    };
    let Some((first, _)) = disks.first() else {
        return Ok(());
    };
    for (index, (partition, bytes)) in disks.iter().enumerate() {
        let place = index as u32 + 1;
        if partition.set != first.set {
            return fail(
                bytes,
                "a SADUMP dump of another machine or set than the other files".into(),
            );
        }
        match partition.disk {
            0 if disks.len() == 1 => {}
            0 => {
                return fail(
                    bytes,
                    "no disk of a SADUMP set; give one dump at a time".into(),
                );
            }
            disk if disk == place => {}
            disk => {
                return fail(
                    bytes,
                    format!(
                        "disk {disk} of a SADUMP set, of which disk {place} is not given: give the files of all disks"
                    ),
                );
            }
        }
    }
    Ok(())
}

/// The file that has the headers.
fn read_first(partition: &Partition, bytes: Bytes) -> Result<Sadump, DumpError> {
    let block = partition.end - partition.start;
    let mut at = partition.end;
    if partition.disk != 0 {
        let blocks = u32_at(&bytes.get_up_to(at, 4), 0).unwrap_or(0);
        at = at.saturating_add(u64::from(blocks).saturating_mul(block));
    }
    let head = bytes.get_up_to(at, HEADER as u64).into_owned();
    let number = |offset| u32_at(&head, offset).unwrap_or(0);
    if !head.starts_with(PARTITION) || u64::from(number(BLOCK_SIZE)) != block {
        let why = "no header of a SADUMP dump where it should be: the file is damaged, or the dump was not written to its end";
        return Err(bad_header(&bytes, at, why.into()));
    }
    let blocks = |count: u32| u64::from(count).saturating_mul(block);
    let ram_at = at
        .saturating_add(block)
        .saturating_add(blocks(number(SUB_HEADER)));
    let dumped_at = ram_at.saturating_add(blocks(number(BITMAP)));
    let data = dumped_at.saturating_add(blocks(number(DUMPED_BITMAP)));
    let max_pfn = match number(VERSION) {
        0 => u64::from(number(MAX_MAPNR)),
        _ => u64_at(&head, MAX_MAPNR_64).unwrap_or(0),
    };
    if data > bytes.len() {
        let why =
            format!("the file ends before its pages at {data:#x}: only the headers were written");
        return Err(bad_header(&bytes, bytes.len(), why));
    }
    let runs = |at: u64, end: u64| runs(&bytes.get_up_to(at, end - at), max_pfn);
    let (ram, dumped) = (runs(ram_at, dumped_at), runs(dumped_at, data));
    let layout = match (partition.is_copy, partition.disk) {
        (true, _) => "media backup",
        (false, 0) => "single partition",
        (false, _) => "disk set",
    };
    // A copy has what was used of the partition behind its own header.
    let end = partition.start.saturating_add(partition.used);
    Ok(Sadump {
        disks: vec![Disk {
            data: data..end.max(data),
            bytes,
        }],
        dumped,
        ram,
        page_size: u32::try_from(block).unwrap_or(0),
        layout,
        notes: Notes::default(),
    })
}

/// The runs of bits that are set, of each byte the highest first.
fn runs(bitmap: &[u8], max_pfn: u64) -> Vec<Run> {
    let mut found: Vec<Run> = Vec::new();
    let mut count = 0;
    for (index, byte) in bitmap.iter().enumerate() {
        if *byte == 0 {
            continue;
        }
        for bit in 0..8u64 {
            let pfn = index as u64 * 8 + bit;
            if pfn >= max_pfn || byte & (0x80 >> bit) == 0 {
                continue;
            }
            match found.last_mut() {
                Some(run) if run.end() == pfn => run.pages += 1,
                _ => found.push(Run {
                    pfn,
                    pages: 1,
                    before: count,
                }),
            }
            count += 1;
        }
    }
    found
}

fn run_of(runs: &[Run], pfn: u64) -> Option<&Run> {
    let index = runs.partition_point(|run| run.end() <= pfn);
    runs.get(index).filter(|run| run.pfn <= pfn)
}

fn pages_of(runs: &[Run]) -> u64 {
    runs.last().map_or(0, |run| run.before + run.pages)
}

impl Sadump {
    /// How many pages lie beyond the ends of the files, or in no disk that is given.
    fn missing_pages(&self) -> u64 {
        let size = u64::from(self.page_size);
        let there = self.disks.iter().map(|disk| {
            let end = disk.data.end.min(disk.bytes.len());
            end.saturating_sub(disk.data.start) / size
        });
        pages_of(&self.dumped).saturating_sub(there.sum())
    }
}

impl PageSource for Sadump {
    fn facts(&self) -> DumpFacts {
        let missing = self.missing_pages();
        let prefix = self
            .disks
            .first()
            .map_or("", |disk| disk.bytes.flattened_prefix());
        DumpFacts {
            source: "sadump",
            format: format!("{prefix}SADUMP ({})", self.layout),
            dump_level: None,
            page_size: self.page_size,
            max_pfn: self.max_pfn(),
            ram_pages: pages_of(&self.ram),
            dumped_pages: pages_of(&self.dumped),
            missing_pages: missing,
            pages_of_absent_parts: 0,
            ends_early: match self.disks.as_slice() {
                [one] if missing > 0 || one.bytes.is_cut_short() => Some(one.bytes.file_len()),
                _ => None,
            },
            incomplete: missing > 0 || self.disks.iter().any(|disk| disk.bytes.is_cut_short()),
            contradictory: false,
            files: self.disks.len(),
        }
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn machine(&self) -> Option<MachineName> {
        None
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn max_pfn(&self) -> u64 {
        let ends = [&self.ram, &self.dumped].map(|runs| runs.last().map_or(0, Run::end));
        ends.into_iter().max().unwrap_or(0)
    }

    fn pfns(&self) -> Vec<Range<u64>> {
        self.dumped.iter().map(|run| run.pfn..run.end()).collect()
    }

    fn file_bytes(&self) -> u64 {
        self.disks.iter().map(|disk| disk.bytes.file_len()).sum()
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let Some(run) = run_of(&self.dumped, pfn.0) else {
            return Err(match run_of(&self.ram, pfn.0) {
                Some(_) => PageFault::Excluded(pfn),
                None => PageFault::NotInDump(pfn),
            });
        };
        let size = u64::from(self.page_size);
        let mut at = (run.before + (pfn.0 - run.pfn)).saturating_mul(size);
        for disk in &self.disks {
            let len = disk.data.end - disk.data.start;
            if at >= len {
                at -= len;
                continue;
            }
            let offset = disk.data.start.saturating_add(at);
            return match disk.bytes.get(offset, size as usize) {
                Some(Cow::Borrowed(page)) => Ok(Stored::Plain(page)),
                Some(Cow::Owned(page)) => Ok(Stored::Owned(page)),
                None => Err(PageFault::Truncated {
                    pfn,
                    offset: offset.saturating_add(size),
                }),
            };
        }
        let offset = self.disks.last().map_or(0, |disk| disk.data.end);
        Err(PageFault::Truncated { pfn, offset })
    }
}
