//! Which source file each static function came from: FILE symbols and `.debug_aranges`.
//!
//! As linkers and compilers leave them, with what goes wrong in real files: a file of the same
//! name elsewhere, a function whose section was thrown away, one that another unit claims.

use gimli::{EndianSlice, LittleEndian};

use crate::machine::image::TEXT_SIZE;
use crate::write::Le;

/// The unit that tells where the sources lie; it has no types.
pub(super) const FIRST: &str = "init/main.c";

const SIZE: u64 = 0x40;

/// One static function: of a source, whose unit is said to hold it.
struct Function {
    file: &'static str,
    unit: &'static str,
}

const fn function(file: &'static str, unit: &'static str) -> Function {
    Function { file, unit }
}

/// In the order of `.symtab`. mm/vmalloc.c's is claimed by another unit, and kernel/nr_rest.c has
/// none: their units are found by the list of all.
const FUNCTIONS: &[Function] = &[
    function("main.c", FIRST),
    function("slub.c", "drivers/misc/before.c"),
    function("slub.c", "mm/slub.c"),
    function("slab.c", "mm/slab.c"),
    function("slab_common.c", "mm/slab_common.c"),
    function("core.c", ""),
    function("core.c", "mm/kfence/core.c"),
    function("mount.c", "fs/kernfs/mount.c"),
    function("page_alloc.c", "mm/page_alloc.c"),
    function("vmalloc.c", "drivers/misc/after.c"),
    function("fork.c", "kernel/fork.c"),
    function("printk.c", "kernel/printk/printk.c"),
];

fn address(base: u64, index: usize) -> u64 {
    base + TEXT_SIZE - 0x2000 + index as u64 * SIZE
}

/// Local entries for the head of `.symtab`, and how many; their names go to `names`.
pub(super) fn symbols(base: u64, table: &mut Vec<u8>, names: &mut Vec<u8>) -> u32 {
    let mut add = |kind: u8, section: u16, name: &str, address: u64, size: u64| {
        table.u32(names.len() as u32);
        table.extend_from_slice(&[kind, 0]);
        table.u16(section);
        table.u64(address);
        table.u64(size);
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    };
    for (index, function) in FUNCTIONS.iter().enumerate() {
        add(4, 0xfff1, function.file, 0, 0);
        add(2, 1, &format!("static_{index}"), address(base, index), SIZE);
    }
    // Of those without functions too.
    let others = super::vmlinux::homes().filter_map(|home| home.rsplit('/').next());
    let mut count = 2 * FUNCTIONS.len() as u32;
    for file in others {
        add(4, 0xfff1, file, 0, 0);
        count += 1;
    }
    count
}

/// `.debug_aranges` for units as they were written: one set for each.
pub(super) fn aranges(base: u64, info: &[u8], abbrev: &[u8], strings: &[u8]) -> Vec<u8> {
    let slice = |bytes| EndianSlice::new(bytes, LittleEndian);
    let dwarf = gimli::Dwarf {
        debug_info: slice(info).into(),
        debug_abbrev: slice(abbrev).into(),
        debug_str: slice(strings).into(),
        ..gimli::Dwarf::default()
    };
    let mut out = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next().expect("units of our own making") {
        let unit = dwarf.unit(header).expect("a unit of our own making");
        let name = unit.name.map(|name| name.to_string_lossy());
        let mine = FUNCTIONS.iter().enumerate();
        let mine: Vec<u64> = mine
            .filter(|(_, function)| Some(function.unit) == name.as_deref())
            .map(|(index, _)| address(base, index))
            .collect();
        // Length of what follows; version 2, offset of the unit, sizes of addresses and segments,
        // up to a multiple of 16; pairs of address and size up to one of zeros.
        out.u32(12 + 16 * (mine.len() as u32 + 1));
        out.u16(2);
        out.u32(header.offset().0 as u32);
        out.extend_from_slice(&[8, 0, 0, 0, 0, 0]);
        for address in mine {
            out.u64(address);
            out.u64(SIZE);
        }
        out.extend_from_slice(&[0; 16]);
    }
    out
}
