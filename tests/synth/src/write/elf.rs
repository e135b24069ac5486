//! ELF vmcores.
//!
//! Every run of pages that exist is a PT_LOAD. Options make the shapes that tools
//! produce and readers stumble over.

use super::Le;
use super::notes::{Notes, notes};
use crate::machine::Machine;
use crate::machine::space::IMAGE_SIZE;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PN_XNUM: usize = 0xffff;
const EHDR_SIZE: usize = 64;
const PHDR_SIZE: usize = 56;
const SHDR_SIZE: usize = 64;

/// The shape of the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A segment for the kernel image at its virtual address, over the same memory
    /// as another segment, as /proc/vmcore has it.
    pub text_segment: bool,
    /// Excluded pages behind a run count in `p_memsz` but not in `p_filesz`
    /// (makedumpfile -E).
    pub trim: bool,
    /// One segment for each page of RAM: more than 65,534, counted in section 0.
    pub many_segments: bool,
    /// QEMU's dump-guest-memory: `e_ehsize` 8, `p_vaddr` 0, section headers
    /// before program headers, CPU state notes.
    pub qemu: bool,
    /// QEMU's, of a guest that did not tell where its VMCOREINFO is.
    pub untold: bool,
}

const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// A segment, before it has a place in the file.
struct Segment {
    virt: u64,
    /// First frame and number of frames in the file.
    pfn: u64,
    frames: u64,
    /// Frames in memory.
    memory_frames: u64,
}

/// The dump.
pub fn elf(machine: &Machine, options: Options) -> Vec<u8> {
    let segments = segments(machine, options);
    let kind = match (options.qemu, options.untold) {
        (true, true) => Notes::QemuAlone,
        (true, false) => Notes::Qemu,
        (false, _) => Notes::Kdump,
    };
    let (notes, _) = notes(machine, kind);
    let count = segments.len() + 1;
    let extended = count >= PN_XNUM;
    let has_section = extended || options.qemu;
    let section_size = if has_section { SHDR_SIZE } else { 0 };
    // QEMU puts the section header between the ELF header and the program headers.
    let (shoff, phoff) = if options.qemu {
        (EHDR_SIZE, EHDR_SIZE + section_size)
    } else {
        (EHDR_SIZE + count * PHDR_SIZE, EHDR_SIZE)
    };
    let notes_at = EHDR_SIZE + section_size + count * PHDR_SIZE;
    let mut data_at =
        (notes_at + notes.len()).next_multiple_of(machine.memory().page_size() as usize);

    let number = if machine.kernel.paging.arm64().is_some() {
        EM_AARCH64
    } else {
        EM_X86_64
    };
    let mut out = ehdr(number, options.qemu, count, has_section, (phoff, shoff));
    let mut program = Vec::new();
    phdr(
        &mut program,
        PT_NOTE,
        notes_at,
        (0, 0),
        (notes.len(), notes.len()),
    );
    for segment in &segments {
        let size = (segment.frames << machine.memory().page_shift) as usize;
        let memory_size = (segment.memory_frames << machine.memory().page_shift) as usize;
        let place = (segment.virt, segment.pfn << machine.memory().page_shift);
        phdr(&mut program, PT_LOAD, data_at, place, (size, memory_size));
        data_at += size;
    }
    let section = section_zero(has_section, extended, count);
    let (first, second) = if options.qemu {
        (section, program)
    } else {
        (program, section)
    };
    out.extend_from_slice(&first);
    out.extend_from_slice(&second);
    out.extend_from_slice(&notes);
    out.align(machine.memory().page_size() as usize);
    for segment in &segments {
        for pfn in segment.pfn..segment.pfn + segment.frames {
            let page = machine.memory().page(pfn);
            out.extend_from_slice(page.expect("segments cover pages that exist"));
        }
    }
    out
}

fn segments(machine: &Machine, options: Options) -> Vec<Segment> {
    let mut found = Vec::new();
    let memory = machine.memory();
    let space = &machine.kernel.space;
    if options.text_segment {
        let pfn = space.image_phys >> machine.memory().page_shift;
        let frames = IMAGE_SIZE >> machine.memory().page_shift;
        // A page of the image that was taken out ends the segment's bytes.
        let there = (0..frames).take_while(|each| memory.page(pfn + each).is_some());
        found.push(Segment {
            virt: space.relocated(machine.kernel.image.base),
            pfn,
            frames: there.count() as u64,
            memory_frames: frames,
        });
    }
    for range in machine.ram() {
        let mut pfn = range.start;
        while pfn < range.end {
            let limit = if options.many_segments {
                pfn + 1
            } else {
                range.end
            };
            let end = (pfn..limit).find(|each| memory.page(*each).is_none());
            let end = end.unwrap_or(limit);
            let next = (end..limit).find(|each| memory.page(*each).is_some());
            let next = next.unwrap_or(limit);
            let trims = options.trim || options.many_segments;
            if end > pfn || trims {
                found.push(Segment {
                    virt: if options.qemu {
                        0
                    } else {
                        space.direct(pfn << machine.memory().page_shift)
                    },
                    pfn,
                    frames: end - pfn,
                    memory_frames: if trims { next - pfn } else { end - pfn },
                });
            }
            pfn = next;
        }
    }
    found
}

fn ehdr(
    machine: u16,
    qemu: bool,
    count: usize,
    has_section: bool,
    (phoff, shoff): (usize, usize),
) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.u16(4); // ET_CORE
    out.u16(machine);
    out.u32(1);
    out.u64(0);
    out.u64(phoff as u64);
    out.u64(if has_section { shoff as u64 } else { 0 });
    out.u32(0);
    // QEMU stores the size of a pointer here.
    out.u16(if qemu { 8 } else { EHDR_SIZE as u16 });
    out.u16(PHDR_SIZE as u16);
    out.u16(count.min(PN_XNUM) as u16);
    out.u16(if has_section { SHDR_SIZE as u16 } else { 0 });
    out.u16(u16::from(has_section));
    out.u16(0);
    out
}

fn phdr(
    out: &mut Vec<u8>,
    kind: u32,
    offset: usize,
    (virt, phys): (u64, u64),
    (file_size, memory_size): (usize, usize),
) {
    out.u32(kind);
    out.u32(if kind == PT_LOAD { 7 } else { 0 });
    for value in [
        offset as u64,
        virt,
        phys,
        file_size as u64,
        memory_size as u64,
        0,
    ] {
        out.u64(value);
    }
}

/// Section 0, whose `sh_info` is the real number of program headers.
fn section_zero(has_section: bool, extended: bool, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if has_section {
        out.resize(SHDR_SIZE, 0);
        let info = if extended { count as u32 } else { 0 };
        out[44..48].copy_from_slice(&info.to_le_bytes());
    }
    out
}
