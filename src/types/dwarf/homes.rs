//! The short way to a unit by the path of its source.
//!
//! Names of units lie all over .debug_info: reading those of a kernel's 2,500 takes longer than
//! anything else about opening it. But `.symtab` tells for each source file, by its name without
//! the path, which static functions came from there, and `.debug_aranges`, one small table, which
//! unit each address belongs to. What is found so is believed if the unit's own name is the whole
//! path; so a wrong guess costs time only.

use gimli::DebugAranges;
use object::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader, Sym};
use rustc_hash::FxHashMap;

use super::units::{before, unit_name};
use super::view::header_at;
use super::{GimliDwarf, Slice, hash};
use crate::types::DebugFile;

/// A source that every kernel has, and no other path ends in.
const ANY_KERNELS: &str = "init/main.c";

/// Of the functions of one file; sections that were thrown away leave some without a unit.
const FUNCTIONS_OF_A_FILE: usize = 4;

/// Ways to the units of a linked kernel.
#[derive(Debug)]
pub(super) struct Homes {
    /// By hash of a file's name without its path: addresses of functions of all files called so.
    /// Every file has an entry, those too that have no functions.
    functions: FxHashMap<u64, Vec<u64>>,
    /// Sorted.
    ranges: Vec<Range>,
    /// What the paths of all sources begin with.
    root: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    start: u64,
    end: u64,
    /// Offset into .debug_info.
    unit: usize,
}

impl Homes {
    /// `None` where the file is no linked kernel, or lacks one of the tables.
    pub(super) fn read(file: &DebugFile, dwarf: &GimliDwarf<'_>) -> Option<Self> {
        let functions = functions_by_file(file.bytes())?;
        let ranges = ranges(file.section(".debug_aranges")?)?;
        let mut homes = Self {
            functions,
            ranges,
            root: String::new(),
        };
        let root = homes
            .units_of(dwarf, ANY_KERNELS)
            .find_map(|(_, name)| Some(before(&name, ANY_KERNELS)?.to_owned()));
        homes.root = root?;
        Some(homes)
    }

    /// Where the unit of the source `home` begins.
    pub(super) fn find(&self, dwarf: &GimliDwarf<'_>, home: &str) -> Option<usize> {
        self.units_of(dwarf, home)
            .find(|(_, name)| name.strip_prefix(&self.root) == Some(home))
            .map(|(unit, _)| unit)
    }

    /// Whether a file is called as `home` is without its path: if none is, no unit has it.
    pub(super) fn may_have(&self, home: &str) -> bool {
        self.functions.contains_key(&hash(base(home).as_bytes()))
    }

    /// The units of files that are called as `home` is without its path, and their names.
    fn units_of(
        &self,
        dwarf: &GimliDwarf<'_>,
        home: &str,
    ) -> impl Iterator<Item = (usize, String)> {
        let functions = self.functions.get(&hash(base(home).as_bytes()));
        let functions = functions.map(Vec::as_slice).unwrap_or_default();
        functions.iter().filter_map(|address| {
            let unit = self.unit_at(*address)?;
            let header = header_at(dwarf, unit).ok()?;
            Some((unit, unit_name(dwarf, header)?))
        })
    }

    fn unit_at(&self, address: u64) -> Option<usize> {
        let above = self.ranges.partition_point(|range| range.start <= address);
        let range = self.ranges.get(above.checked_sub(1)?)?;
        (address < range.end).then_some(range.unit)
    }
}

/// A file's name without the path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// In `.symtab` a symbol of type FILE stands before the static ones of that file (ELF, "Symbol
/// Table").
fn functions_by_file(elf: &[u8]) -> Option<FxHashMap<u64, Vec<u64>>> {
    let elf = ElfFile64::<LittleEndian, _>::parse(elf).ok()?;
    let header = elf.elf_header();
    // Addresses of an unlinked module are within its sections.
    if header.e_type(LittleEndian) == object::elf::ET_REL {
        return None;
    }
    let sections = header.sections(LittleEndian, elf.data()).ok()?;
    let table = sections
        .symbols(LittleEndian, elf.data(), object::elf::SHT_SYMTAB)
        .ok()?;
    let mut functions = FxHashMap::<u64, Vec<u64>>::default();
    let mut file = 0;
    let mut left = 0;
    for symbol in table.iter() {
        if symbol.st_bind() != object::elf::STB_LOCAL {
            break;
        }
        match symbol.st_type() {
            object::elf::STT_FILE => {
                let name = symbol.name(LittleEndian, table.strings());
                file = hash(name.unwrap_or_default());
                functions.entry(file).or_default();
                left = FUNCTIONS_OF_A_FILE;
            }
            object::elf::STT_FUNC if left > 0 => {
                let address = symbol.st_value(LittleEndian);
                functions.entry(file).or_default().push(address);
                left -= 1;
            }
            _ => {}
        }
    }
    Some(functions)
}

fn ranges(section: &[u8]) -> Option<Vec<Range>> {
    let mut ranges = Vec::new();
    let table = DebugAranges::from(Slice::new(section, gimli::LittleEndian));
    let mut units = table.headers();
    while let Some(header) = units.next().ok()? {
        let unit = header.debug_info_offset().0;
        let mut entries = header.entries();
        while let Some(entry) = entries.next().ok()? {
            ranges.push(Range {
                start: entry.address(),
                end: entry.address().saturating_add(entry.length()),
                unit,
            });
        }
    }
    ranges.sort_unstable();
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use crate::types::{DebugFile, Dwarf, TypeSource};

    fn dwarf(sources: bool) -> Dwarf {
        let machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let options = VmlinuxOptions {
            sources,
            ..VmlinuxOptions::new(5)
        };
        let bytes = vmlinux(&machine, options);
        let file = DebugFile::from_bytes(Path::new("vmlinux"), bytes).unwrap();
        Dwarf::new(Arc::new(file)).unwrap()
    }

    #[test]
    fn the_short_way_leads_where_the_list_does() {
        let dwarf = dwarf(true);
        let homes = dwarf.homes().expect("what the short way takes");
        for home in [
            "init/main.c",
            "mm/slub.c",
            "mm/kfence/core.c",
            "kernel/fork.c",
        ] {
            let short = homes.find(&dwarf.gimli(), home);
            assert!(short.is_some(), "{home}");
            assert_eq!(short, dwarf.list().find(home), "{home}");
        }
        // The first is claimed by another unit, the second has no functions.
        for home in ["mm/vmalloc.c", "kernel/nr_rest.c"] {
            assert_eq!(homes.find(&dwarf.gimli(), home), None, "{home}");
            assert!(dwarf.has_home(home), "{home}");
        }
        for home in ["misc/before.c", "core.c", "mm/slab.c", "mm/none.c"] {
            assert_eq!(homes.find(&dwarf.gimli(), home), None, "{home}");
        }
    }

    #[test]
    fn a_home_that_no_string_names_costs_no_list() {
        let dwarf = dwarf(true);
        assert!(dwarf.has_home("mm/slub.c") && !dwarf.has_home("mm/none.c"));
        assert!(dwarf.list.get().is_none());
        assert!(dwarf.has_home("mm/vmalloc.c"));
        assert!(dwarf.list.get().is_some());
    }

    #[test]
    fn without_the_tables_the_list_serves() {
        let dwarf = self::dwarf(false);
        assert!(dwarf.homes().is_none());
        assert!(dwarf.has_home("mm/slub.c") && !dwarf.has_home("mm/none.c"));
    }
}
