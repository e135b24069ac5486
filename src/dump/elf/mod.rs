//! ELF64 vmcores: /proc/vmcore copied whole, `makedumpfile -E`, QEMU's.
//!
//! Only the ELF header, the program headers and the notes are looked at. Segments
//! may overlap (the kernel's text lies in the direct map as well), may be cut at
//! any byte, and may be more than 65,534 (PN_XNUM: the count is in section 0).
//! `p_vaddr` tells of old kernels alone where they were loaded: QEMU writes 0 there.

use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};

mod headers;
mod xen;

use super::DumpError;
use super::notes::Notes;
use super::page_source::MachineName;
use super::ranges::{About, Extent, Ranges};
use super::storage::Bytes;
use crate::addr::{SMALLEST_PAGE, is_page_size};
use headers::{bad, header, program_headers};
use xen::Sections;

pub(crate) use headers::{is_core, is_elf};

/// makedumpfile's own mark in `e_flags` when it ran out of space.
const DUMP_ELF_INCOMPLETE: u32 = 1;

/// What program headers tell.
#[derive(Default)]
struct Segments {
    notes: Notes,
    held: Vec<Extent>,
    named: Vec<Extent>,
    /// Whether one goes beyond the file, or beyond all memory.
    cut: bool,
    /// `phys_base`, by the segment that has the kernel's image.
    phys_base: Option<u64>,
}

/// `__START_KERNEL_map` (arch/x86/include/asm/page_64_types.h): /proc/vmcore has the image in the last
/// 2 GiB of addresses.
const START_KERNEL_MAP: u64 = u64::MAX << 31;

impl Segments {
    fn add(&mut self, segment: &ProgramHeader, bytes: &Bytes) {
        let (offset, size) = (segment.p_offset, segment.p_filesz);
        match segment.p_type {
            PT_NOTE => self.notes.parse(&bytes.get_up_to(offset, size)),
            // Memory that is mapped, and is no RAM at one place: vmalloc of a running kernel.
            PT_LOAD if segment.p_paddr == u64::MAX => {}
            PT_LOAD => {
                let start = segment.p_paddr;
                let (Some(held), Some(named)) = (
                    start.checked_add(size),
                    start.checked_add(segment.p_memsz.max(size)),
                ) else {
                    self.cut = true;
                    return;
                };
                self.cut |= offset.saturating_add(size) > bytes.len();
                if let Some(within) = segment.p_vaddr.checked_sub(START_KERNEL_MAP) {
                    self.phys_base.get_or_insert(start.wrapping_sub(within));
                }
                let extent = |end| Extent { start, end, offset };
                self.held.push(extent(held));
                self.named.push(extent(named));
            }
            _ => {}
        }
    }
}

/// Reads headers and notes.
pub(crate) fn open(bytes: Bytes) -> Result<Ranges, DumpError> {
    let header = header(&bytes)?;
    if let Some(sections) = Sections::of(&bytes, &header) {
        return xen::open(bytes, &header, &sections);
    }
    let table = program_headers(&bytes, &header)?;
    let mut segments = Segments::default();
    for segment in &table.segments {
        segments.add(segment, &bytes);
    }
    if segments.held.is_empty() {
        return Err(bad(
            &bytes,
            header.e_phoff,
            "no memory segments (PT_LOAD): this is no memory dump",
        ));
    }
    if let (Some(info), Some(base)) = (&mut segments.notes.vmcoreinfo, segments.phys_base) {
        info.set_phys_base(base);
    }
    let (source, format) = match bytes.is_live() {
        true => ("live", "the running kernel (/proc/kcore)".to_owned()),
        false => ("elf", format!("{}ELF", bytes.flattened_prefix())),
    };
    let about = About {
        source,
        format,
        page_size: page_size(&segments.notes),
        notes: segments.notes,
        machine: Some(MachineName::Elf(header.e_machine)),
        table_cut: table.cut,
        incomplete: header.e_flags & DUMP_ELF_INCOMPLETE != 0
            || bytes.is_cut_short()
            || table.cut
            || segments.cut,
        file_cut: segments.cut,
        file_bytes: 0,
        files: 1,
    };
    Ok(Ranges::new(bytes, segments.held, segments.named, about))
}

fn page_size(notes: &Notes) -> u32 {
    let stated = notes
        .vmcoreinfo
        .as_ref()
        .and_then(|info| info.get("PAGESIZE"));
    match stated.and_then(|size| size.parse().ok()) {
        Some(size) if is_page_size(size) => size,
        _ => SMALLEST_PAGE,
    }
}
