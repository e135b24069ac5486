//! A guest as QEMU saves it: what `migrate` to a file, `savevm` and `virsh save` write.
//!
//! A stream of sections, all numbers big-endian: the configuration, which names the machine, then
//! the guest's memory page by page, then its devices, which are not looked at. Sources: QEMU's
//! migration/savevm.c, migration/ram.c, docs/devel/migration; libvirt's qemu_saveimage.h.

mod machine;
mod ram;
mod stream;

use super::DumpError;
use super::codec::Codec;
use super::foreign::bad_header;
use super::pieces::PiecesDump;
use super::ranges::About;
use super::storage::Bytes;
use crate::addr::SMALLEST_PAGE;
use crate::bytes::u32_at;
use machine::Machine;
use ram::Ram;
use stream::Stream;

/// What the stream begins with.
pub(super) const MAGIC: &[u8] = b"QEVM";
/// What `virsh save` puts before it.
pub(super) const LIBVIRT_MAGIC: &[u8] = b"LibvirtQemudSave";

const VERSION: u32 = 3;

/// Of libvirt's header: magic, version, length of what describes the guest, whether it ran,
/// compression; then room.
const LIBVIRT_HEADER: u64 = 92;
const LIBVIRT_DATA_LEN: usize = 20;
const LIBVIRT_COMPRESSED: usize = 28;
/// `virQEMUSaveFormat`, and what unpacks it.
const LIBVIRT_FORMATS: [(&str, &str); 6] = [
    ("gzip", "gunzip"),
    ("bzip2", "bunzip2"),
    ("xz", "unxz"),
    ("lzop", "lzop -d"),
    ("zstd", "unzstd"),
    ("QEMU's mapped RAM (sparse)", ""),
];

/// Sections of the stream.
const EOF: u8 = 0;
const START: u8 = 1;
const PART: u8 = 2;
const END: u8 = 3;
const FULL: u8 = 4;
const CONFIGURATION: u8 = 7;
const COMMAND: u8 = 8;
const FOOTER: u8 = 0x7e;

/// Reads what a hypervisor saved.
pub(super) fn open(bytes: Bytes) -> Result<PiecesDump, DumpError> {
    let start = match bytes.get_up_to(0, 16).starts_with(LIBVIRT_MAGIC) {
        true => behind_libvirt(&bytes)?,
        false => 0,
    };
    let mut saved = Saved {
        stream: Stream::new(&bytes, start),
        machine: None,
        ram: Ram::default(),
        ram_section: None,
    };
    let whole = saved.read()?;
    if saved.ram.size() == 0 {
        let why = "the stream ends before the guest's memory: it was not written to its end, or is cut short; copy it again";
        return Err(saved.stream.bad(why.into()));
    }
    let (machine, ram) = (saved.machine, saved.ram);
    let layout = match &machine {
        Some(machine) => machine.layout(ram.size()),
        None => Machine::unnamed_layout(ram.size()),
    };
    let Some(layout) = layout else {
        let name = machine.map_or_else(|| "unknown".to_owned(), |machine| machine.name);
        return Err(DumpError::Unsupported {
            path: bytes.path().to_owned(),
            what: format!(
                "a guest of the machine type {name}, of which it is not known where its memory lies; load it in QEMU (-incoming) and use `dump-guest-memory -z FILE`"
            ),
        });
    };
    let prefix = if start == 0 {
        "QEMU savevm"
    } else {
        "virsh save"
    };
    let about = About {
        incomplete: !whole || ram.lacks_blocks() || bytes.is_cut_short(),
        table_cut: !whole,
        machine: machine.as_ref().and_then(Machine::architecture),
        ..About::image("savevm", format!("{}{prefix}", bytes.flattened_prefix()))
    };
    let pieces = ram.placed(&layout);
    Ok(PiecesDump::new(bytes, pieces, unpack_page, about))
}

/// A page that was compressed by itself.
fn unpack_page(packed: &[u8]) -> Option<Vec<u8>> {
    let mut page = vec![0; SMALLEST_PAGE as usize];
    Codec::Zlib.decompress(packed, &mut page).ok()?;
    Some(page)
}

/// Where QEMU's stream begins behind libvirt's header and the description of the guest.
fn behind_libvirt(bytes: &Bytes) -> Result<u64, DumpError> {
    let header = bytes.get_up_to(0, LIBVIRT_HEADER);
    let number = |at| u32_at(&header, at);
    let (Some(data), Some(format)) = (number(LIBVIRT_DATA_LEN), number(LIBVIRT_COMPRESSED)) else {
        let why = "the file ends inside libvirt's header; nothing can be read";
        return Err(bad_header(bytes, bytes.len(), why.into()));
    };
    let start = LIBVIRT_HEADER.saturating_add(u64::from(data));
    let known = (format as usize)
        .checked_sub(1)
        .map(|at| LIBVIRT_FORMATS.get(at));
    let what = match known {
        None => return Ok(start),
        Some(Some((with, ""))) => format!(
            "a guest saved by `virsh save` as {with}, which vmleak does not read; `virsh restore --paused` it, then `virsh dump --memory-only --format kdump-zlib`"
        ),
        Some(Some((with, command))) => format!(
            "a guest saved by `virsh save`, compressed with {with}; unpack the stream in it: `tail -c +{} {} | {command} >saved.qevm`",
            start.saturating_add(1),
            bytes.path().display()
        ),
        Some(None) => format!(
            "a guest saved by `virsh save` in the unknown format {format}; `virsh restore --paused` it, then `virsh dump --memory-only --format kdump-zlib`"
        ),
    };
    Err(DumpError::Unsupported {
        path: bytes.path().to_owned(),
        what,
    })
}

/// What is read of a stream.
struct Saved<'b> {
    stream: Stream<'b>,
    machine: Option<Machine>,
    ram: Ram,
    /// The number of the section that has the memory.
    ram_section: Option<u32>,
}

impl Saved<'_> {
    /// Reads up to the end of the guest's memory; `false` if the file ends before it.
    fn read(&mut self) -> Result<bool, DumpError> {
        let header = self.stream.take(8).unwrap_or_default();
        let version = header.get(4..).and_then(|at| at.try_into().ok());
        let version = version.map_or(0, u32::from_be_bytes);
        if !header.starts_with(MAGIC) || version != VERSION {
            return Err(self.stream.bad(format!(
                "no QEMU stream of version {VERSION} begins here: the file is damaged, or of a QEMU that is not known"
            )));
        }
        loop {
            let Some(kind) = self.stream.byte() else {
                return Ok(false);
            };
            let done = match kind {
                EOF => return Ok(self.ram.is_whole()),
                CONFIGURATION => self.configuration()?,
                START | FULL => self.section(kind)?,
                PART | END => self.part(kind)?,
                COMMAND => self.command(),
                FOOTER => self.stream.be32().map(|_| false),
                other => {
                    return Err(self.stream.bad(format!(
                        "unknown section type {other:#x}: the file is damaged, or of a QEMU that is not known"
                    )));
                }
            };
            match done {
                Some(false) => {}
                Some(true) => return Ok(true),
                None => return Ok(false),
            }
        }
    }

    /// The name of the machine, and what else is configured.
    fn configuration(&mut self) -> Result<Option<bool>, DumpError> {
        let Some(len) = self.stream.be32() else {
            return Ok(None);
        };
        let Some(name) = self.stream.take(u64::from(len.min(256))) else {
            return Ok(None);
        };
        self.machine = Some(Machine::named(&name));
        while self.stream.peek() == Some(stream::SUBSECTION) {
            if self.subsection()?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(false))
    }

    fn subsection(&mut self) -> Result<Option<()>, DumpError> {
        self.stream.byte();
        let (Some(name), Some(_)) = (self.stream.name(), self.stream.be32()) else {
            return Ok(None);
        };
        Ok(match name.as_str() {
            "configuration/target-page-bits" => self.stream.be32().map(drop),
            "configuration/uuid" => self.stream.take(16).map(drop),
            "configuration/capabilities" => {
                let count = self.stream.be32().unwrap_or(0).min(256);
                for _ in 0..count {
                    let Some(capability) = self.stream.name() else {
                        return Ok(None);
                    };
                    if matches!(capability.as_str(), "mapped-ram" | "x-ignore-shared") {
                        return Err(
                            self.not_read(&format!("saved with the capability {capability}"))
                        );
                    }
                }
                Some(())
            }
            other => return Err(self.not_read(&format!("with the configuration {other:?}"))),
        })
    }

    fn not_read(&self, how: &str) -> DumpError {
        self.stream.unsupported(format!(
            "a guest {how}, which vmleak does not read; load it in QEMU (-incoming) and use `dump-guest-memory -z FILE`"
        ))
    }

    /// The beginning of a section; what follows that of the memory is devices.
    fn section(&mut self, kind: u8) -> Result<Option<bool>, DumpError> {
        let head = (self.stream.be32(), self.stream.name());
        let (Some(id), Some(name)) = head else {
            return Ok(None);
        };
        let (Some(_), Some(version)) = (self.stream.be32(), self.stream.be32()) else {
            return Ok(None);
        };
        match name.as_str() {
            "ram" if version == ram::VERSION => {
                self.ram_section = Some(id);
                Ok(self.ram.records(&mut self.stream)?.map(|()| false))
            }
            "ram" => Err(self.not_read(&format!("whose memory is of version {version}"))),
            // Disks are not saved this way: the section says only that it ends.
            "block" => Ok(self.stream.be64().map(|_| false)),
            _ if self.ram.is_whole() => Ok(Some(true)),
            name => {
                let kind = if kind == FULL { "whole " } else { "" };
                Err(self.not_read(&format!("with a {kind}section {name:?} before its memory")))
            }
        }
    }

    fn part(&mut self, kind: u8) -> Result<Option<bool>, DumpError> {
        let Some(id) = self.stream.be32() else {
            return Ok(None);
        };
        if Some(id) != self.ram_section {
            return Ok(self.stream.be64().map(|_| false));
        }
        let done = self.ram.records(&mut self.stream)?;
        if kind == END && done.is_some() {
            self.ram.end();
        }
        Ok(done.map(|()| kind == END))
    }

    /// Something for the one that loads the stream.
    fn command(&mut self) -> Option<bool> {
        let head = self.stream.take(4)?;
        let len = head.get(2..).and_then(|at| at.try_into().ok());
        self.stream
            .take(u64::from(len.map_or(0, u16::from_be_bytes)))?;
        Some(false)
    }
}
