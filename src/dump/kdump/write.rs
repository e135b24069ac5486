//! Writes a kdump-compressed file (header version 6, pages packed by zlib), as crash, drgn and
//! makedumpfile read it.
//!
//! Pages are given one by one and written as they come: descriptors have their place before them,
//! and are filled in at the end.

use std::io::{self, Seek, SeekFrom, Write};

use flate2::{Compress, Compression, FlushCompress, Status};

use super::super::notes::{Notes, note};
use super::DESCRIPTOR_LEN;
use super::headers::field;
use crate::addr::Pfn;

const VERSION: u32 = 6;
/// DUMP_DH_COMPRESSED_ZLIB.
const ZLIB: u32 = 1;
const SUB_HEADER_LEN: usize = 104;

/// What the headers say.
#[derive(Clone, Debug, Default)]
pub struct KdumpHeader {
    /// Bytes in a page.
    pub page_size: u32,
    /// One more than the highest page frame number.
    pub max_pfn: u64,
    /// `-d` of makedumpfile.
    pub dump_level: u32,
    /// Of `uname`: system, node, release, version, machine, domain.
    pub utsname: [String; 6],
    /// Seconds since 1970.
    pub timestamp: i64,
    /// CPUs.
    pub nr_cpus: u32,
    /// Where the image was loaded, less where it was linked for (x86).
    pub phys_base: u64,
}

/// A dump that is being written.
#[derive(Debug)]
pub struct KdumpWriter<W: Write + Seek> {
    out: W,
    page_size: usize,
    descriptors: Vec<u8>,
    table: u64,
    at: u64,
    zero: Option<[u8; DESCRIPTOR_LEN as usize]>,
    packed: Vec<u8>,
}

fn bitmap(max_pfn: u64, block: usize, pfns: impl Iterator<Item = Pfn>) -> Vec<u8> {
    let bytes = (max_pfn as usize).div_ceil(8).next_multiple_of(block);
    let mut bits = vec![0; bytes];
    for pfn in pfns {
        if let Some(byte) = bits.get_mut((pfn.0 / 8) as usize) {
            *byte |= 1 << (pfn.0 % 8);
        }
    }
    bits
}

impl<W: Write + Seek> KdumpWriter<W> {
    /// Writes the headers, `notes` with `more` behind them, and both bitmaps: of pages of RAM, and
    /// of the `dumped` ones, which are then given by [`page`](Self::page) in this order.
    ///
    /// # Errors
    /// If writing fails.
    pub fn new(
        mut out: W,
        header: &KdumpHeader,
        notes: &Notes,
        more: &[u8],
        ram: impl Iterator<Item = Pfn>,
        dumped: &[Pfn],
    ) -> io::Result<Self> {
        let block = header.page_size as usize;
        let (mut segment, info_at, info_len) = segment(notes);
        segment.extend_from_slice(more);
        let sub_blocks = (SUB_HEADER_LEN + segment.len()).div_ceil(block);
        let maps = [
            bitmap(header.max_pfn, block, ram),
            bitmap(header.max_pfn, block, dumped.iter().copied()),
        ];
        let map_blocks = maps.iter().map(Vec::len).sum::<usize>() / block;
        let mut head = header.bytes(sub_blocks as u32, map_blocks as u32, dumped.len() as u32);
        head.resize(block, 0);
        let notes_at = (block + SUB_HEADER_LEN) as u64;
        let info = (notes_at + info_at as u64, info_len as u64);
        head.extend(header.sub_bytes(info, (notes_at, segment.len() as u64)));
        head.extend(segment);
        head.resize((1 + sub_blocks) * block, 0);
        out.write_all(&head)?;
        for map in &maps {
            out.write_all(map)?;
        }
        let table = (head.len() + map_blocks * block) as u64;
        let room = dumped.len() as u64 * DESCRIPTOR_LEN;
        // Descriptors are filled in behind the pages.
        io::copy(&mut io::Read::take(io::repeat(0), room), &mut out)?;
        Ok(Self {
            out,
            page_size: block,
            descriptors: Vec::new(),
            table,
            at: table + room,
            zero: None,
            packed: Vec::new(),
        })
    }

    /// The next page.
    ///
    /// # Errors
    /// If writing fails.
    pub fn page(&mut self, page: &[u8]) -> io::Result<()> {
        let is_zero = page.iter().all(|byte| *byte == 0);
        let descriptor = match self.zero.filter(|_| is_zero) {
            Some(shared) => shared,
            // Zero pages share one that is not packed, as makedumpfile has it.
            None if is_zero => self.stored(page, 0)?,
            None => {
                pack(page, &mut self.packed)?;
                if self.packed.len() < self.page_size {
                    let packed = std::mem::take(&mut self.packed);
                    let descriptor = self.stored(&packed, ZLIB)?;
                    self.packed = packed;
                    descriptor
                } else {
                    self.stored(page, 0)?
                }
            }
        };
        if is_zero {
            self.zero = Some(descriptor);
        }
        self.descriptors.extend(descriptor);
        Ok(())
    }

    fn stored(&mut self, data: &[u8], flags: u32) -> io::Result<[u8; DESCRIPTOR_LEN as usize]> {
        self.out.write_all(data)?;
        let mut descriptor = [0; DESCRIPTOR_LEN as usize];
        let words = [self.at, u64::from(flags) << 32 | data.len() as u64];
        for (to, word) in descriptor.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.at += data.len() as u64;
        Ok(descriptor)
    }

    /// Writes the descriptors. Returns how many bytes the file has.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> io::Result<u64> {
        self.out.seek(SeekFrom::Start(self.table))?;
        self.out.write_all(&self.descriptors)?;
        self.out.flush()?;
        Ok(self.at)
    }
}

/// Notes as a segment, with the place of VMCOREINFO's text in it and its length.
fn segment(notes: &Notes) -> (Vec<u8>, usize, usize) {
    let mut out = Vec::new();
    for registers in &notes.prstatus {
        out.extend(note("CORE", 1, registers));
    }
    for state in &notes.qemu_states {
        out.extend(note("QEMU", 0, state));
    }
    let text = notes.vmcoreinfo.as_ref().map_or("", |info| info.text());
    let before = out.len() + note("VMCOREINFO", 0, &[]).len();
    out.extend(note("VMCOREINFO", 0, text.as_bytes()));
    (out, before, text.len())
}

/// A zlib stream of `page`.
fn pack(page: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut packer = Compress::new(Compression::best(), true);
    out.clear();
    out.reserve(page.len() + 64);
    match packer.compress_vec(page, out, FlushCompress::Finish) {
        Ok(Status::StreamEnd) => Ok(()),
        // It would not fit: the page is stored as it is.
        Ok(_) => {
            out.resize(page.len(), 0);
            Ok(())
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

impl KdumpHeader {
    /// `struct disk_dump_header`.
    fn bytes(&self, sub_blocks: u32, map_blocks: u32, pages: u32) -> Vec<u8> {
        let mut out = b"KDUMP   ".to_vec();
        out.extend(VERSION.to_le_bytes());
        for text in &self.utsname {
            let end = out.len() + field::UTS_LEN;
            out.extend(text.bytes().take(field::UTS_LEN - 1));
            out.resize(end, 0);
        }
        out.resize(field::TIMESTAMP, 0);
        out.extend(self.timestamp.to_le_bytes());
        out.extend([0; 8]);
        for word in [
            ZLIB,
            self.page_size,
            sub_blocks,
            map_blocks,
            u32::try_from(self.max_pfn).unwrap_or(u32::MAX),
            0, // total_ram_blocks
            0, // device_blocks
            pages,
            0, // current_cpu
            self.nr_cpus,
        ] {
            out.extend(word.to_le_bytes());
        }
        out
    }

    /// `struct kdump_sub_header`.
    fn sub_bytes(&self, info: (u64, u64), notes: (u64, u64)) -> Vec<u8> {
        let mut out = self.phys_base.to_le_bytes().to_vec();
        out.extend(self.dump_level.to_le_bytes());
        out.extend([0; 4]); // split
        for word in [
            0,
            0,
            info.0,
            info.1,
            notes.0,
            notes.1,
            0,
            0,
            0,
            0,
            self.max_pfn,
        ] {
            out.extend(word.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;
    use crate::dump::notes::bundle_note;
    use crate::dump::{Dump, PageFault, VmcoreInfo};

    const PAGE: usize = 4096;

    #[test]
    fn what_is_written_is_read_back() {
        let header = KdumpHeader {
            page_size: PAGE as u32,
            max_pfn: 300,
            dump_level: 31,
            utsname: ["Linux", "gw", "6.1.0", "", "x86_64", ""].map(str::to_owned),
            timestamp: 5,
            nr_cpus: 2,
            phys_base: 0,
        };
        let notes = Notes {
            vmcoreinfo: Some(VmcoreInfo::parse(b"OSRELEASE=6.1.0\n")),
            prstatus: vec![vec![7; 336]],
            ..Notes::NONE
        };
        let mut state = 1u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(PAGE).collect();
        let pages = [
            (Pfn(3), vec![b'a'; PAGE]),
            (Pfn(9), vec![0; PAGE]),
            (Pfn(250), noise),
            (Pfn(251), vec![0; PAGE]),
        ];
        let dumped = pages.each_ref().map(|(pfn, _)| *pfn);
        let mut out = Cursor::new(Vec::new());
        let note = bundle_note("0.1.0 slabs log");
        let ram = (0..260).map(Pfn);
        let mut writer =
            KdumpWriter::new(&mut out, &header, &notes, &note, ram, &dumped).expect("headers");
        for (_, page) in &pages {
            writer.page(page).expect("a page");
        }
        let bytes = writer.finish().expect("the end");
        let file = out.into_inner();
        assert_eq!(bytes, file.len() as u64);
        let dump = Dump::from_bytes(Path::new("bundle"), file, 1 << 20).expect("a dump");
        for (pfn, page) in &pages {
            assert!(*dump.page(*pfn).expect("it is there") == **page, "{pfn:?}");
        }
        let gone = |pfn| dump.page(Pfn(pfn)).map(drop);
        assert_eq!(gone(4), Err(PageFault::Excluded(Pfn(4))));
        assert_eq!(gone(270), Err(PageFault::NotInDump(Pfn(270))));
        let facts = dump.facts();
        assert_eq!((facts.dump_level, facts.ram_pages), (Some(31), 260));
        assert!(!facts.contradictory && !facts.incomplete && facts.missing_pages == 0);
        assert_eq!(dump.notes().prstatus, notes.prstatus);
        let info = dump.notes().vmcoreinfo.as_ref().expect("a note");
        assert_eq!(info.text(), "OSRELEASE=6.1.0\n");
        let bundle = dump.bundle().expect("it is one");
        assert!(bundle.is_for("log") && !bundle.is_for("lo") && bundle.version == "0.1.0");
    }
}
