//! The headers of an ELF file: which machine it is of, whether it is a core, and its segments.

use goblin::container::{Container, Ctx};
use goblin::elf::Elf;
use goblin::elf::header::{ELFCLASS64, ELFDATA2LSB, ET_CORE, Header};
use goblin::elf::program_header::ProgramHeader;

use super::super::DumpError;
use super::super::page_source::MachineName;
use super::super::storage::Bytes;
use crate::bytes::{slice, u32_at};

const PN_XNUM: u16 = 0xffff;
const PHDR_LEN: u64 = 56;

pub(super) fn bad(bytes: &Bytes, offset: u64, why: impl Into<String>) -> DumpError {
    DumpError::BadHeader {
        path: bytes.path().to_owned(),
        offset,
        why: why.into(),
    }
}

/// The ELF header, of a dump that can be read.
pub(super) fn header(bytes: &Bytes) -> Result<Header, DumpError> {
    let unsupported = |what: String| DumpError::Unsupported {
        path: bytes.path().to_owned(),
        what,
    };
    let ident = bytes.get_up_to(0, 64);
    if ident.len() < 64 {
        let why = "the file ends inside its ELF header";
        return Err(bad(bytes, ident.len() as u64, why));
    }
    // Of every form the machine is at the same place, in the byte order of the form.
    let machine = |swap: bool| {
        let number = ident.get(18..20).and_then(|at| at.try_into().ok());
        let number = number.map_or(0, u16::from_le_bytes);
        MachineName::Elf(if swap { number.swap_bytes() } else { number })
    };
    let form = match (ident.get(4), ident.get(5)) {
        (Some(&ELFCLASS64), Some(&ELFDATA2LSB)) => None,
        (Some(&ELFCLASS64), _) => Some(("big-endian", machine(true))),
        (_, Some(&ELFDATA2LSB)) => Some(("32-bit", machine(false))),
        _ => Some(("32-bit, big-endian", machine(true))),
    };
    if let Some((form, machine)) = form {
        return Err(unsupported(format!(
            "an ELF core of a {form} machine ({machine}); only 64-bit little-endian ones are read: open it with crash built for that machine"
        )));
    }
    let header = Elf::parse_header(&ident).map_err(|error| bad(bytes, 0, error.to_string()))?;
    if header.e_type != ET_CORE {
        return Err(unsupported(
            "an ELF file, but no core dump; is this the vmlinux? give the vmcore too".into(),
        ));
    }
    Ok(header)
}

/// Program headers, as many as the file has.
pub(super) struct Table {
    pub(super) segments: Vec<ProgramHeader>,
    /// Whether it should have more.
    pub(super) cut: bool,
}

pub(super) fn program_headers(bytes: &Bytes, header: &Header) -> Result<Table, DumpError> {
    if header.e_phnum == 0 {
        return Err(DumpError::Unsupported {
            path: bytes.path().to_owned(),
            what: "an ELF core without program headers: there is no memory in it; was the dump interrupted? take it again".to_owned(),
        });
    }
    let at = header.e_phoff;
    let count = segment_count(bytes, header);
    let table = bytes.get_up_to(at, count.saturating_mul(PHDR_LEN));
    let len = table.len() as u64;
    if len < PHDR_LEN {
        let why = "the file ends before its program headers: it was cut short; copy it again";
        return Err(bad(bytes, at, why));
    }
    let context = Ctx::new(Container::Big, goblin::container::Endian::Little);
    let segments = ProgramHeader::parse(&table, 0, table.len() / PHDR_LEN as usize, context);
    Ok(Table {
        segments: segments.map_err(|error| bad(bytes, at, error.to_string()))?,
        cut: len < count.saturating_mul(PHDR_LEN),
    })
}

/// With PN_XNUM the true count is `sh_info` of section 0.
fn segment_count(bytes: &Bytes, header: &Header) -> u64 {
    if header.e_phnum != PN_XNUM {
        return u64::from(header.e_phnum);
    }
    let section = bytes.get_up_to(header.e_shoff, 64);
    u32_at(&section, 44).map_or(u64::from(PN_XNUM), u64::from)
}

/// Whether these first bytes are those of an ELF file.
pub(crate) fn is_elf(magic: &[u8]) -> bool {
    slice(magic, 0, 4) == Some(b"\x7fELF")
}

/// Whether these first bytes are those of an ELF core, of whatever machine.
pub(crate) fn is_core(start: &[u8]) -> bool {
    let kind = slice(start, 16, 2).unwrap_or_default();
    let little = start.get(5) == Some(&ELFDATA2LSB);
    is_elf(start) && kind == if little { [4, 0] } else { [0, 4] }
}
