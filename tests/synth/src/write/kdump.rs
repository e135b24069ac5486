//! The kdump-compressed format (diskdump), header versions 1 to 6.
//!
//! ```text
//! block 0                 disk_dump_header
//! block 1 ..              kdump_sub_header, then notes
//! .. bitmap_blocks        bitmap of RAM, bitmap of pages in the dump
//! page descriptors        24 bytes for each page in this file
//! page data
//! ```

use super::Le;
use super::codec::Codec;
use super::notes::{Notes, notes};
use crate::machine::Machine;
use crate::machine::cpus::ONLINE_CPUS;
use crate::machine::identity::{CRASHTIME, NODENAME, VERSION};

const DUMP_DH_COMPRESSED_INCOMPLETE: u32 = 0x8;
const SUB_HEADER_SIZE: usize = 104;
const DESCRIPTOR_SIZE: usize = 24;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Compression.
    pub codec: Codec,
    /// `header_version`, 1 to 6: older ones lack fields of the sub header.
    pub version: u32,
    /// Pages of zeros share one page of data (dump level bit 0).
    pub share_zero: bool,
    /// Marked as cut short by a full disk.
    pub incomplete: bool,
}

impl Options {
    /// Version 6, zero pages shared.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            version: 6,
            share_zero: true,
            incomplete: false,
        }
    }
}

/// The whole dump in one file.
pub fn kdump(machine: &Machine, options: Options) -> Vec<u8> {
    write(machine, options, None)
}

/// The dump in `count` files, each with some of the pages (makedumpfile --split).
pub fn split(machine: &Machine, options: Options, count: usize) -> Vec<Vec<u8>> {
    let pfns: Vec<u64> = machine.memory().pages().map(|(pfn, _)| pfn).collect();
    let share = pfns.len().div_ceil(count);
    // Borders in the middle of what is there, so that every file gets a part.
    let mut borders: Vec<u64> = pfns.iter().copied().step_by(share).collect();
    borders[0] = 0;
    borders.push(machine.max_pfn());
    borders
        .windows(2)
        .map(|border| write(machine, options, Some((border[0], border[1]))))
        .collect()
}

fn write(machine: &Machine, options: Options, part: Option<(u64, u64)>) -> Vec<u8> {
    let block = machine.memory().page_size() as usize;
    let (notes, vmcoreinfo) = notes(machine, Notes::Kdump);
    let sub_blocks = (SUB_HEADER_SIZE + notes.len()).div_ceil(block);
    let bitmap_blocks = (machine.max_pfn() as usize).div_ceil(8 * block);
    let mut out = header(machine, options, sub_blocks, bitmap_blocks * 2);
    out.align(block);
    sub_header(machine, options, part, (notes.len(), vmcoreinfo), &mut out);
    out.extend_from_slice(&notes);
    out.resize((1 + sub_blocks) * block, 0);
    let mut bitmap = vec![0; bitmap_blocks * block];
    for range in machine.ram() {
        range.clone().for_each(|pfn| set_bit(&mut bitmap, pfn));
    }
    out.extend_from_slice(&bitmap);
    bitmap.fill(0);
    for (pfn, _) in machine.memory().pages() {
        set_bit(&mut bitmap, pfn);
    }
    out.extend_from_slice(&bitmap);
    pages(machine, options, part, &mut out);
    out
}

fn set_bit(bitmap: &mut [u8], pfn: u64) {
    bitmap[(pfn / 8) as usize] |= 1 << (pfn % 8);
}

fn header(machine: &Machine, options: Options, sub_blocks: usize, bitmap_blocks: usize) -> Vec<u8> {
    let block = machine.memory().page_size() as usize;
    let mut out = Vec::new();
    out.extend_from_slice(b"KDUMP   ");
    out.u32(options.version);
    let release = machine.options.era.release();
    for text in [
        "Linux",
        NODENAME,
        release,
        VERSION,
        machine.kernel.paging.machine(),
        "(none)",
    ] {
        out.padded(text.as_bytes(), 65);
    }
    out.align(8);
    out.u64(CRASHTIME + 30);
    out.u64(0);
    let mut status = options.codec.flag();
    if options.incomplete {
        status |= DUMP_DH_COMPRESSED_INCOMPLETE;
    }
    out.u32(status);
    out.u32(block as u32);
    out.u32(sub_blocks as u32);
    out.u32(bitmap_blocks as u32);
    out.u32(machine.max_pfn() as u32);
    out.u32(0); // total_ram_blocks
    out.u32(0); // device_blocks
    out.u32(machine.memory().len() as u32);
    out.u32(0); // current_cpu
    out.u32(ONLINE_CPUS);
    assert_eq!(out.len(), 464);
    out
}

fn sub_header(
    machine: &Machine,
    options: Options,
    part: Option<(u64, u64)>,
    (notes_len, vmcoreinfo): (usize, usize),
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let since = |version, value: u64| if options.version >= version { value } else { 0 };
    let (first, end) = part.unwrap_or((0, 0));
    let notes_at = (start + SUB_HEADER_SIZE) as u64;
    out.u64(machine.kernel.space.phys_base as u64);
    out.u32(since(1, 31) as u32); // dump_level
    out.u32(since(2, u64::from(part.is_some())) as u32);
    out.u64(since(2, first));
    out.u64(since(2, end));
    out.u64(since(3, notes_at + vmcoreinfo as u64));
    out.u64(since(3, machine.vmcoreinfo.len() as u64));
    out.u64(since(4, notes_at));
    out.u64(since(4, notes_len as u64));
    out.u64(0); // offset_eraseinfo
    out.u64(0); // size_eraseinfo
    out.u64(since(6, first));
    out.u64(since(6, end));
    out.u64(since(6, machine.max_pfn()));
    assert_eq!(out.len() - start, SUB_HEADER_SIZE);
}

fn pages(machine: &Machine, options: Options, part: Option<(u64, u64)>, out: &mut Vec<u8>) {
    let (first, end) = part.unwrap_or((0, u64::MAX));
    let all = machine.memory().pages();
    let mine: Vec<_> = all.filter(|(pfn, _)| (first..end).contains(pfn)).collect();
    let table = out.len();
    out.resize(table + mine.len() * DESCRIPTOR_SIZE, 0);
    let mut zero = None;
    for (index, (_, page)) in mine.iter().enumerate() {
        let is_zero = options.share_zero && page.iter().all(|byte| *byte == 0);
        let (offset, size, flags) = match (is_zero, zero) {
            (true, Some(shared)) => shared,
            (true, None) => append(out, page, 0),
            (false, _) => {
                let (data, flag) = options.codec.store(page);
                append(out, &data, flag)
            }
        };
        if is_zero {
            zero = Some((offset, size, flags));
        }
        let mut descriptor = Vec::new();
        descriptor.u64(offset);
        descriptor.u32(size);
        descriptor.u32(flags);
        descriptor.u64(0); // page_flags
        let at = table + index * DESCRIPTOR_SIZE;
        out[at..at + DESCRIPTOR_SIZE].copy_from_slice(&descriptor);
    }
}

fn append(out: &mut Vec<u8>, data: &[u8], flags: u32) -> (u64, u32, u32) {
    let offset = out.len() as u64;
    out.extend_from_slice(data);
    (offset, data.len() as u32, flags)
}
