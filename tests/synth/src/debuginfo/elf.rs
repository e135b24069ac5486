//! A small writer of ELF64 executables and relocatable files: sections, their
//! headers, segments.

use crate::write::Le;

/// `SHT_*` and `SHF_*` in use.
pub(super) const SHT_PROGBITS: u32 = 1;
pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_STRTAB: u32 = 3;
pub(super) const SHT_RELA: u32 = 4;
pub(super) const SHT_NOTE: u32 = 7;
pub(super) const SHT_NOBITS: u32 = 8;
pub(super) const SHF_WRITE: u64 = 1;
pub(super) const SHF_ALLOC: u64 = 2;
pub(super) const SHF_EXECINSTR: u64 = 4;
pub(super) const SHF_INFO_LINK: u64 = 0x40;
pub(super) const SHF_COMPRESSED: u64 = 0x800;
const ET_REL: u16 = 1;
const ET_EXEC: u16 = 2;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// A section.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) data: Vec<u8>,
    /// `sh_size` where it is not the length of the data.
    pub(super) size: Option<u64>,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entry_size: u64,
}

impl Section {
    fn memory_size(&self) -> u64 {
        self.size.unwrap_or(self.data.len() as u64)
    }
}

/// The file: sections in order, `.shstrtab` added, a segment for each section that
/// is loaded.
pub(super) fn executable(sections: Vec<Section>, entry: u64) -> Vec<u8> {
    file(ET_EXEC, sections, entry)
}

/// The same without segments.
pub(super) fn relocatable(sections: Vec<Section>) -> Vec<u8> {
    file(ET_REL, sections, 0)
}

fn file(kind: u16, mut sections: Vec<Section>, entry: u64) -> Vec<u8> {
    let mut names = vec![0];
    sections.insert(0, Section::default());
    sections.push(Section {
        name: ".shstrtab".into(),
        kind: SHT_STRTAB,
        align: 1,
        ..Section::default()
    });
    let name_offsets: Vec<u32> = sections
        .iter()
        .map(|section| {
            let at = names.len() as u32;
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
            if section.name.is_empty() { 0 } else { at }
        })
        .collect();
    let last = sections.len() - 1;
    sections[last].data = names;

    let loaded: Vec<usize> = (0..sections.len())
        .filter(|index| kind == ET_EXEC && sections[*index].flags & SHF_ALLOC != 0)
        .collect();
    let mut body = Vec::new();
    let base = 64 + loaded.len() * 56;
    let mut offsets = Vec::new();
    for section in &sections {
        let align = section.align.max(1) as usize;
        body.resize((base + body.len()).next_multiple_of(align) - base, 0);
        offsets.push((base + body.len()) as u64);
        body.extend_from_slice(&section.data);
    }
    body.resize((base + body.len()).next_multiple_of(8) - base, 0);
    let shoff = (base + body.len()) as u64;

    let mut out = ehdr(
        kind,
        entry,
        shoff,
        loaded.len() as u16,
        sections.len() as u16,
    );
    for index in loaded {
        let section = &sections[index];
        let kind = if section.kind == SHT_NOTE {
            PT_NOTE
        } else {
            PT_LOAD
        };
        out.u32(kind);
        out.u32(7);
        out.u64(offsets[index]);
        out.u64(section.address);
        out.u64(section.address & 0x7fff_ffff);
        out.u64(section.data.len() as u64);
        out.u64(section.memory_size());
        out.u64(section.align);
    }
    out.extend_from_slice(&body);
    for (index, section) in sections.iter().enumerate() {
        out.u32(name_offsets[index]);
        out.u32(section.kind);
        out.u64(section.flags);
        out.u64(section.address);
        out.u64(if index == 0 { 0 } else { offsets[index] });
        out.u64(section.memory_size());
        out.u32(section.link);
        out.u32(section.info);
        out.u64(section.align);
        out.u64(section.entry_size);
    }
    out
}

fn ehdr(kind: u16, entry: u64, shoff: u64, segments: u16, sections: u16) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.u16(kind);
    out.u16(62); // EM_X86_64
    out.u32(1);
    out.u64(entry);
    out.u64(if segments > 0 { 64 } else { 0 });
    out.u64(shoff);
    out.u32(0);
    for value in [64, 56, segments, 64, sections, sections - 1] {
        out.u16(value);
    }
    out
}
