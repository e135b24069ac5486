//! A vmlinux: symbols, build-id and DWARF, without the kernel's bytes.

use std::io::Write;

use gimli::LittleEndian;
use gimli::write::{Address, Dwarf, EndianVec, Sections};

use super::dwarf::UnitWriter;
use super::elf::{
    SHF_ALLOC, SHF_COMPRESSED, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS,
    SHT_STRTAB, SHT_SYMTAB, Section, executable,
};
use super::{btf, decoys, sources};
use crate::ctypes::CType;
use crate::machine::Machine;
use crate::machine::image::{SymbolKind, TEXT_SIZE};
use crate::machine::space::IMAGE_SIZE;
use crate::write::Le;
use crate::write::codec::zlib;
use crate::write::notes::note;

pub(super) const NT_GNU_BUILD_ID: u32 = 3;

/// Compression of `.debug_*` sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// SHF_COMPRESSED with ELFCOMPRESS_ZLIB.
    Zlib,
    /// SHF_COMPRESSED with ELFCOMPRESS_ZSTD.
    Zstd,
}

/// The shape of a vmlinux.
#[derive(Debug, Clone, Copy)]
pub struct VmlinuxOptions {
    /// 4 or 5.
    pub dwarf_version: u16,
    /// Of the debugging sections.
    pub compression: Compression,
    /// A unit before and one after the real ones with types of the same names.
    pub decoys: bool,
    /// With `.debug_*`.
    pub dwarf: bool,
    /// With `.BTF`.
    pub btf: bool,
    /// Without `.symtab`: only DWARF tells addresses.
    pub stripped: bool,
    /// With FILE symbols and `.debug_aranges`, by which a source's unit is found.
    pub sources: bool,
}

impl VmlinuxOptions {
    /// Uncompressed, with decoys and symbols; with DWARF 5 sources are told.
    pub fn new(dwarf_version: u16) -> Self {
        Self {
            dwarf_version,
            compression: Compression::None,
            decoys: true,
            dwarf: true,
            btf: true,
            stripped: false,
            sources: dwarf_version == 5,
        }
    }
}

/// Sources whose variables and types go into a unit of their own. The last one
/// takes what is left.
const UNITS: &[(&str, &[&str], &[&str])] = &[
    (
        "mm/slub.c",
        &["slab_kset"],
        &[
            "kmem_cache_cpu",
            "kmem_cache_node",
            "track",
            "slab",
            "page",
            "folio",
        ],
    ),
    (
        "mm/slab.c",
        &[],
        &[
            "array_cache",
            "alien_cache",
            "kmem_cache_node",
            "slab",
            "page",
            "folio",
        ],
    ),
    ("mm/slab_common.c", &["slab_caches"], &["kmem_cache"]),
    (
        "mm/kfence/core.c",
        &["__kfence_pool", "kfence_metadata"],
        &["kfence_metadata"],
    ),
    ("fs/kernfs/mount.c", &[], &["kernfs_node"]),
    (
        "mm/page_alloc.c",
        &[],
        &["zone", "pglist_data", "per_cpu_pages", "per_cpu_pageset"],
    ),
    (
        "mm/vmalloc.c",
        &["vmap_nodes", "free_vmap_area_root", "vmap_purge_list"],
        &["vmap_area", "vm_struct", "vmap_node"],
    ),
    (
        "kernel/fork.c",
        &["nr_threads"],
        &["task_struct", "signal_struct"],
    ),
    (
        "kernel/printk/printk.c",
        &["prb", "printk_rb_static"],
        &["printk_info", "prb_desc"],
    ),
    ("kernel/printk.c", &["log_buf"], &["log"]),
    ("mm/sparse.c", &["mem_section"], &[]),
    ("kernel/nr_rest.c", &[], &[]),
];

/// The sources of all units.
pub(super) fn homes() -> impl Iterator<Item = &'static str> {
    UNITS.iter().map(|(home, ..)| *home)
}

/// The file.
pub fn vmlinux(machine: &Machine, options: VmlinuxOptions) -> Vec<u8> {
    let image = &machine.kernel.image;
    let mut id = Vec::new();
    note(&mut id, "GNU", NT_GNU_BUILD_ID, &machine.build_id());
    let mut sections = vec![
        image_section(".text", SHF_EXECINSTR, image.base, TEXT_SIZE),
        Section {
            name: ".notes".into(),
            kind: SHT_NOTE,
            flags: SHF_ALLOC,
            address: image.base + TEXT_SIZE,
            data: id,
            align: 4,
            ..Section::default()
        },
        image_section(
            ".data",
            SHF_WRITE,
            image.data(),
            image.base + IMAGE_SIZE - image.data(),
        ),
    ];
    if options.btf {
        let types = btf::encode(&machine.kernel.vmlinux_types);
        sections.push(Section {
            name: ".BTF".into(),
            kind: SHT_PROGBITS,
            flags: SHF_ALLOC,
            address: image.btf(),
            data: types,
            align: 8,
            ..Section::default()
        });
    }
    if options.dwarf {
        sections.extend(debug_sections(machine, options));
    }
    if !options.stripped {
        let strings = sections.len() as u32 + 2;
        sections.extend(symbol_sections(machine, options, strings));
    }
    executable(sections, image.base)
}

/// Part of the image: debugging files keep its header and not its bytes.
fn image_section(name: &str, flags: u64, address: u64, size: u64) -> Section {
    Section {
        name: name.into(),
        kind: SHT_NOBITS,
        flags: SHF_ALLOC | flags,
        address,
        size: Some(size),
        align: 4096,
        ..Section::default()
    }
}

fn debug_sections(machine: &Machine, options: VmlinuxOptions) -> Vec<Section> {
    let mut dwarf = Dwarf::new();
    let decoys = decoys::types();
    let decoy = |dwarf: &mut Dwarf, name: &str| {
        let mut unit = UnitWriter::new(dwarf, &decoys, options.dwarf_version, name);
        for (index, (name, ctype)) in decoys.variables.iter().enumerate() {
            let address = machine.kernel.image.data() + 0x1f_0000 + index as u64 * 64;
            unit.variable(name, ctype, Address::Constant(address));
        }
        unit.enums();
    };
    if options.decoys {
        decoy(&mut dwarf, "drivers/misc/before.c");
    }
    if options.sources {
        UnitWriter::new(&mut dwarf, &decoys, options.dwarf_version, sources::FIRST);
    }
    kernel_units(machine, options.dwarf_version, &mut dwarf);
    if options.decoys {
        decoy(&mut dwarf, "drivers/misc/after.c");
    }
    let mut written = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut written).expect("DWARF of our own making");
    let mut found = Vec::new();
    let visit = |id: gimli::SectionId, data: &EndianVec<LittleEndian>| {
        if !data.slice().is_empty() {
            found.push(debug_section(id.name(), data.slice(), options.compression));
        }
        gimli::write::Result::Ok(())
    };
    written.for_each(visit).expect("nothing fails");
    if options.sources {
        let aranges = sources::aranges(
            machine.kernel.image.base,
            written.debug_info.slice(),
            written.debug_abbrev.slice(),
            written.debug_str.slice(),
        );
        found.push(debug_section(
            ".debug_aranges",
            &aranges,
            options.compression,
        ));
    }
    found
}

fn kernel_units(machine: &Machine, version: u16, dwarf: &mut Dwarf) {
    let types = &machine.kernel.vmlinux_types;
    let owner = |name: &str| UNITS.iter().position(|unit| unit.1.contains(&name));
    let other_allocator = match machine.kernel.era.is_classic() {
        true => "mm/slub.c",
        false => "mm/slab.c",
    };
    for (index, (source, _, tags)) in UNITS.iter().enumerate() {
        if *source == other_allocator {
            continue;
        }
        let last = index + 1 == UNITS.len();
        let mut unit = UnitWriter::new(dwarf, types, version, source);
        for (name, ctype) in &types.variables {
            let mine = owner(name).map_or(last, |owner| owner == index);
            if mine {
                let address = machine.kernel.image.address(name);
                unit.variable(name, ctype, Address::Constant(address));
            } else if last {
                unit.declare_variable(name, ctype);
            }
        }
        for tag in *tags {
            if types.aggregates.contains_key(*tag) {
                unit.type_entry(&CType::Tagged((*tag).into()));
            }
        }
        // The allocator sees what pages are marked with; a driver has namesakes.
        if matches!(*source, "mm/slub.c" | "mm/slab.c") {
            unit.enums();
        }
        if last {
            for tag in types.aggregates.keys() {
                unit.type_entry(&CType::Tagged(tag.clone()));
            }
            for name in types.typedefs.keys() {
                unit.type_entry(&CType::Named(name.clone()));
            }
            unit.enums();
            let symbols = machine.kernel.image.symbols.iter();
            for symbol in symbols.filter(|symbol| symbol.kind == SymbolKind::Function) {
                let address = Address::Constant(symbol.address);
                unit.function(&symbol.name, address, symbol.size);
            }
        }
    }
}

pub(super) fn debug_section(name: &str, data: &[u8], compression: Compression) -> Section {
    let mut section = Section {
        name: name.into(),
        kind: SHT_PROGBITS,
        align: 1,
        ..Section::default()
    };
    let (kind, packed) = match compression {
        Compression::None => {
            section.data = data.to_vec();
            return section;
        }
        Compression::Zlib => (1, zlib(data)),
        Compression::Zstd => (2, zstd_stream(data)),
    };
    section.flags = SHF_COMPRESSED;
    section.align = 8;
    section.data.u32(kind);
    section.data.u32(0);
    section.data.u64(data.len() as u64);
    section.data.u64(1);
    section.data.extend_from_slice(&packed);
    section
}

/// As a stream of blocks, without the size of the content in its header.
fn zstd_stream(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.write_all(data).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// `.symtab` and `.strtab`.
fn symbol_sections(machine: &Machine, options: VmlinuxOptions, strings: u32) -> Vec<Section> {
    const STB_GLOBAL: u8 = 1 << 4;
    let mut names = vec![0];
    let mut table = vec![0; 24];
    let mut local = 1;
    if options.sources {
        local += sources::symbols(machine.kernel.image.base, &mut table, &mut names);
    }
    for symbol in &machine.kernel.image.symbols {
        let (kind, section) = match symbol.kind {
            SymbolKind::Function => (2, 1),
            SymbolKind::Object => (1, 3),
            SymbolKind::Label if symbol.address < machine.kernel.image.data() => (0, 1),
            SymbolKind::Label => (0, 3),
            SymbolKind::Absolute => (0, 0xfff1),
        };
        table.u32(names.len() as u32);
        table.extend_from_slice(&[STB_GLOBAL | kind, 0]);
        table.u16(section);
        table.u64(symbol.address);
        table.u64(symbol.size);
        names.extend_from_slice(symbol.name.as_bytes());
        names.push(0);
    }
    vec![
        Section {
            name: ".symtab".into(),
            kind: SHT_SYMTAB,
            data: table,
            link: strings,
            info: local,
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
