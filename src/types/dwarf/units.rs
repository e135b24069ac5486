//! The list of all compilation units with their names.

use std::sync::Arc;

use gimli::constants as dw;
use gimli::{DebugAbbrev, DebugAbbrevOffset, LittleEndian, Reader, Section, UnitHeader};
use rayon::prelude::*;

use super::view::{NameIndex, UnitView, header_at, section_offset};
use super::{GimliDwarf, Slice};

#[derive(Debug)]
struct Unit {
    offset: usize,
    end: usize,
    name: String,
}

/// All compilation units of a file, in its order.
#[derive(Debug)]
pub(super) struct UnitList {
    units: Vec<Unit>,
}

impl UnitList {
    /// Hops from header to header, then reads the names of all units on all cores. A unit that
    /// can't be read has no name, and so is never anyone's home.
    pub(super) fn read(dwarf: &GimliDwarf<'_>) -> Self {
        let mut headers = Vec::new();
        let mut iter = dwarf.units();
        while let Ok(Some(header)) = iter.next() {
            headers.push(header);
        }
        let units = headers
            .par_iter()
            .with_min_len(64)
            .map(|header| {
                let offset = section_offset(header);
                Unit {
                    offset,
                    end: offset + header.length_including_self(),
                    name: unit_name(dwarf, *header).unwrap_or_default(),
                }
            })
            .collect();
        Self { units }
    }

    /// Where the unit begins whose source path ends in `home`. The shortest path wins:
    /// `kernel/module.c` is not `arch/x86/kernel/module.c`.
    pub(super) fn find(&self, home: &str) -> Option<usize> {
        self.units
            .iter()
            .filter(|unit| before(&unit.name, home).is_some())
            .min_by_key(|unit| unit.name.len())
            .map(|unit| unit.offset)
    }

    /// The types of all units, on all cores; the first definition in the file's order stands.
    pub(super) fn index_all(&self, dwarf: &GimliDwarf<'_>) -> NameIndex {
        self.units
            .par_chunks(64)
            .map(|units| {
                let (mut index, mut imports) = (NameIndex::default(), Vec::new());
                for unit in units {
                    // A damaged unit costs its own types only.
                    let _ = header_at(dwarf, unit.offset)
                        .and_then(|header| UnitView::new(dwarf, header))
                        .and_then(|view| view.add_names(dwarf, &mut index, &mut imports));
                }
                index
            })
            .reduce(NameIndex::default, |mut all, later| {
                all.extend(later);
                all
            })
    }

    /// Where the unit begins that holds an offset into .debug_info.
    pub(super) fn containing(&self, offset: usize) -> Option<usize> {
        let index = self.units.partition_point(|unit| unit.end <= offset);
        let unit = self.units.get(index)?;
        (unit.offset <= offset).then_some(unit.offset)
    }
}

/// What stands before `suffix` in a path that ends in it, as a whole component.
pub(super) fn before<'a>(path: &'a str, suffix: &str) -> Option<&'a str> {
    path.strip_suffix(suffix)
        .filter(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The name of a unit. Of its abbreviations only the root's is parsed: a kernel has thousands of
/// units with a hundred abbreviations each, and the names of all are wanted.
pub(super) fn unit_name(dwarf: &GimliDwarf<'_>, header: UnitHeader<Slice<'_>>) -> Option<String> {
    let root = root_abbreviation(dwarf, &header).ok()??;
    let table = DebugAbbrev::from(Slice::new(&root, LittleEndian));
    let abbreviations = table.abbreviations(DebugAbbrevOffset(0)).ok()?;
    let view = UnitView::with(header, Arc::new(abbreviations)).ok()?;
    let mut entries = view.header.entries(&view.abbreviations);
    let root = entries.next_dfs().ok()??;
    view.string(dwarf, root.attr_value(dw::DW_AT_name)?)
}

/// A name and a form, which nearly always take a byte each.
fn pair(rest: &mut Slice<'_>) -> gimli::Result<(u64, u64)> {
    match rest.slice().first_chunk() {
        Some(&[name @ ..0x80, form @ ..0x80]) => {
            rest.skip(2)?;
            Ok((name.into(), form.into()))
        }
        _ => Ok((rest.read_uleb128()?, rest.read_uleb128()?)),
    }
}

/// The abbreviation of a unit's root, as a table of its own.
fn root_abbreviation(
    dwarf: &GimliDwarf<'_>,
    header: &UnitHeader<Slice<'_>>,
) -> gimli::Result<Option<Vec<u8>>> {
    let wanted = header.range_from(header.root_offset()..)?.read_uleb128()?;
    let mut rest = *dwarf.debug_abbrev.reader();
    rest.skip(header.debug_abbrev_offset().0)?;
    loop {
        let start = rest;
        // Code, tag, and whether it has children; then pairs of name and form up to 0, 0.
        let code = rest.read_uleb128()?;
        if code == 0 {
            return Ok(None);
        }
        rest.read_uleb128()?;
        rest.read_u8()?;
        loop {
            let (name, form) = pair(&mut rest)?;
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                rest.read_sleb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
        if code == wanted {
            let own = start.slice().get(..start.len() - rest.len());
            // A code of 0 ends a table.
            return Ok(own.map(|own| [own, &[0]].concat()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_the_source_file_nearest_to_the_root() {
        let unit = |(offset, name): (usize, &str)| Unit {
            offset,
            end: offset + 10,
            name: name.to_owned(),
        };
        let list = UnitList {
            units: [
                (0, "/build/linux/arch/x86/kernel/module.c"),
                (10, "/build/linux/kernel/module.c"),
                (20, "/build/linux/mm/slub.c"),
            ]
            .map(unit)
            .into(),
        };
        assert_eq!(list.find("kernel/module.c"), Some(10));
        assert_eq!(list.find("mm/slub.c"), Some(20));
        assert_eq!(list.find("lub.c"), None);
        assert_eq!(list.containing(19), Some(10));
        assert_eq!(list.containing(30), None);
    }
}
