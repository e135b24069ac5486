//! A module's debug file: a relocatable file whose DWARF is only right once its
//! relocations are applied.

use gimli::write::{
    Address, Dwarf, EndianVec, RelocateWriter, Relocation, RelocationTarget, Sections,
};
use gimli::{LittleEndian, SectionId};

use super::dwarf::UnitWriter;
use super::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_RELA, SHT_STRTAB,
    SHT_SYMTAB, Section, relocatable,
};
use super::vmlinux::{Compression, NT_GNU_BUILD_ID, debug_section};
use crate::ctypes::CType;
use crate::machine::Machine;
use crate::machine::image::SymbolKind;
use crate::machine::modules::Module;
use crate::write::Le;
use crate::write::notes::note;

const R_X86_64_64: u64 = 1;
const R_X86_64_32: u64 = 10;
const STB_GLOBAL: u8 = 1 << 4;
const STT_SECTION: u8 = 3;
/// Section numbers of the file.
const TEXT: u16 = 2;
const DATA: u16 = 3;
const FIRST_DEBUG: u16 = 4;

/// The bytes of a section, and what is to be put into them later.
#[derive(Debug, Clone)]
struct Recorder {
    data: EndianVec<LittleEndian>,
    relocations: Vec<Relocation>,
}

impl RelocateWriter for Recorder {
    type Writer = EndianVec<LittleEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.data
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.data
    }

    fn relocate(&mut self, relocation: Relocation) {
        self.relocations.push(relocation);
    }
}

/// The debug file of a loaded module: its own variables and functions, and the types
/// that vmlinux does not have.
pub fn module(machine: &Machine, name: &str, version: u16, compression: Compression) -> Vec<u8> {
    let mut modules = machine.kernel.modules.iter();
    let module = modules.find(|each| each.name == name).expect("module");
    let mut id = Vec::new();
    note(&mut id, "GNU", NT_GNU_BUILD_ID, &module.build_id);
    let mut sections = vec![
        Section {
            name: ".note.gnu.build-id".into(),
            kind: SHT_NOTE,
            flags: SHF_ALLOC,
            data: id,
            align: 4,
            ..Section::default()
        },
        area(".text", SHF_EXECINSTR, Module::TEXT_SIZE),
        area(".data", SHF_WRITE, Module::DATA_SIZE),
    ];
    let written = debug_info(machine, module, version);
    let ids: Vec<SectionId> = written.iter().map(|each| each.0).collect();
    for (id, recorder) in &written {
        let bytes = recorder.data.slice();
        sections.push(debug_section(id.name(), bytes, compression));
    }
    let tables = written.iter().filter(|each| !each.1.relocations.is_empty());
    let symtab = (sections.len() + tables.count() + 1) as u32;
    for (index, (id, recorder)) in written.iter().enumerate() {
        if !recorder.relocations.is_empty() {
            sections.push(Section {
                name: format!(".rela{}", id.name()),
                kind: SHT_RELA,
                flags: SHF_INFO_LINK,
                data: rela(&recorder.relocations, &ids),
                link: symtab,
                info: u32::from(FIRST_DEBUG) + index as u32,
                align: 8,
                entry_size: 24,
                ..Section::default()
            });
        }
    }
    sections.extend(symbols(module, ids.len() as u16, symtab + 1));
    relocatable(sections)
}

fn area(name: &str, flags: u64, size: u64) -> Section {
    Section {
        name: name.into(),
        kind: SHT_NOBITS,
        flags: SHF_ALLOC | flags,
        size: Some(size),
        align: 64,
        ..Section::default()
    }
}

/// Symbols of the file before the module's own: null, and one for each section.
fn section_symbol(section: u16) -> u64 {
    // Text and data first, then the debugging sections.
    u64::from(section - TEXT) + 1
}

fn debug_info(machine: &Machine, module: &Module, version: u16) -> Vec<(SectionId, Recorder)> {
    let kernel = &machine.kernel;
    let mut dwarf = Dwarf::new();
    let sources = [
        "net/netfilter/nf_conntrack_proto.c",
        "net/netfilter/nf_conntrack_core.c",
    ];
    for source in sources {
        let mut unit = UnitWriter::new(&mut dwarf, &kernel.types, version, source);
        let own = kernel.types.aggregates.keys();
        for tag in own.filter(|tag| !kernel.vmlinux_types.aggregates.contains_key(*tag)) {
            unit.type_entry(&CType::Tagged(tag.clone()));
        }
        if source == sources[0] {
            continue;
        }
        for symbol in &module.symbols {
            // Symbols by section and offset, as gcc refers to what is local.
            match (symbol.kind, kernel.types.variable(&symbol.name)) {
                (SymbolKind::Function, _) => {
                    let addend = (symbol.address - module.base) as i64;
                    let at = Address::Symbol {
                        symbol: section_symbol(TEXT) as usize,
                        addend,
                    };
                    unit.function(&symbol.name, at, symbol.size);
                }
                (_, Some(ctype)) => {
                    let addend = (symbol.address - module.data) as i64;
                    let at = Address::Symbol {
                        symbol: section_symbol(DATA) as usize,
                        addend,
                    };
                    unit.variable(&symbol.name, ctype, at);
                }
                _ => {}
            }
        }
        unit.enums();
    }
    let mut written = Sections::new(Recorder {
        data: EndianVec::new(LittleEndian),
        relocations: Vec::new(),
    });
    dwarf.write(&mut written).expect("DWARF of our own making");
    let mut found = Vec::new();
    let visit = |id: SectionId, recorder: &Recorder| {
        if !recorder.data.slice().is_empty() {
            found.push((id, recorder.clone()));
        }
        gimli::write::Result::Ok(())
    };
    written.for_each(visit).expect("nothing fails");
    found
}

/// `Elf64_Rela` entries. The places themselves hold zeros.
fn rela(relocations: &[Relocation], ids: &[SectionId]) -> Vec<u8> {
    let mut out = Vec::new();
    for each in relocations {
        let symbol = match each.target {
            RelocationTarget::Symbol(symbol) => symbol as u64,
            RelocationTarget::Section(id) => {
                let index = ids.iter().position(|other| *other == id);
                section_symbol(FIRST_DEBUG + index.expect("a section") as u16)
            }
        };
        let kind = if each.size == 8 {
            R_X86_64_64
        } else {
            R_X86_64_32
        };
        out.u64(each.offset as u64);
        out.u64(symbol << 32 | kind);
        out.u64(each.addend as u64);
    }
    out
}

/// `.symtab` and `.strtab`: sections, then functions as local and variables as global.
fn symbols(module: &Module, debug_sections: u16, strings: u32) -> Vec<Section> {
    let mut names = vec![0];
    let mut table = vec![0; 24];
    let mut add = |name: &str, info: u8, section: u16, value: u64, size: u64| {
        let at = if name.is_empty() {
            0
        } else {
            names.len() as u32
        };
        table.u32(at);
        table.extend_from_slice(&[info, 0]);
        table.u16(section);
        table.u64(value);
        table.u64(size);
        if !name.is_empty() {
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
    };
    for section in TEXT..FIRST_DEBUG + debug_sections {
        add("", STT_SECTION, section, 0, 0);
    }
    let is_function = |kind| kind == SymbolKind::Function;
    let mut locals = u32::from(debug_sections) + 3;
    for symbol in module.symbols.iter().filter(|each| is_function(each.kind)) {
        add(
            &symbol.name,
            2,
            TEXT,
            symbol.address - module.base,
            symbol.size,
        );
        locals += 1;
    }
    for symbol in module.symbols.iter().filter(|each| !is_function(each.kind)) {
        let value = symbol.address - module.data;
        add(&symbol.name, STB_GLOBAL | 1, DATA, value, symbol.size);
    }
    vec![
        Section {
            name: ".symtab".into(),
            kind: SHT_SYMTAB,
            data: table,
            link: strings,
            info: locals,
            align: 8,
            entry_size: 24,
            ..Section::default()
        },
        Section {
            name: ".strtab".into(),
            kind: SHT_STRTAB,
            data: names,
            align: 1,
            ..Section::default()
        },
    ]
}
