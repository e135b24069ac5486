//! The list of compilation units with their names, and the names of types in one.

use std::sync::{Arc, Mutex, PoisonError};

use gimli::constants as dw;
use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugStrOffsetsBase,
    EntriesTree, LittleEndian, Reader, Section, UnitHeader, UnitOffset,
};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{GimliDwarf, Slice};

/// Which kind of definition a name is looked up as: the name spaces of C are separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// struct, union, or a typedef of one.
    Struct,
    /// enum.
    Enum,
}

/// Complete definitions by name: offsets into .debug_info.
#[derive(Debug, Default)]
pub(super) struct NameIndex(FxHashMap<(Kind, String), u64>);

impl NameIndex {
    pub(super) fn get(&self, name: &str, kind: Kind) -> Option<u64> {
        self.0.get(&(kind, name.to_owned())).copied()
    }
}

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
    scanned: Mutex<FxHashMap<usize, Arc<NameIndex>>>,
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
        Self {
            units,
            scanned: Mutex::default(),
        }
    }

    /// Whether there is a unit whose source path ends in `home`.
    pub(super) fn has(&self, home: &str) -> bool {
        self.position(home).is_some()
    }

    /// The shortest path wins: `kernel/module.c` is not `arch/x86/kernel/module.c`.
    fn position(&self, home: &str) -> Option<usize> {
        self.units
            .iter()
            .enumerate()
            .filter(|(_, unit)| is_path_suffix(&unit.name, home))
            .min_by_key(|(_, unit)| unit.name.len())
            .map(|(index, _)| index)
    }

    /// The types of the unit whose source path ends in `home`; `None` if there is no such unit.
    pub(super) fn find(
        &self,
        dwarf: &GimliDwarf<'_>,
        home: &str,
    ) -> gimli::Result<Option<Arc<NameIndex>>> {
        let Some(position) = self.position(home) else {
            return Ok(None);
        };
        let lock = || self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&position) {
            return Ok(Some(Arc::clone(known)));
        }
        let mut index = NameIndex::default();
        if let Some(unit) = self.units.get(position) {
            scan_names(dwarf, header_at(dwarf, unit.offset)?, &mut index)?;
        }
        let index = Arc::new(index);
        lock().insert(position, Arc::clone(&index));
        Ok(Some(index))
    }

    /// The types of all units, on all cores; the first definition in the file's order stands.
    pub(super) fn index_all(&self, dwarf: &GimliDwarf<'_>) -> NameIndex {
        self.units
            .par_chunks(64)
            .map(|units| {
                let mut index = NameIndex::default();
                for unit in units {
                    // A damaged unit costs its own types only.
                    let _ = header_at(dwarf, unit.offset)
                        .and_then(|header| scan_names(dwarf, header, &mut index));
                }
                index
            })
            .reduce(NameIndex::default, |mut all, later| {
                if all.0.is_empty() {
                    return later;
                }
                for (key, offset) in later.0 {
                    all.0.entry(key).or_insert(offset);
                }
                all
            })
    }

    /// The unit that holds an offset into .debug_info, and the offset within it.
    pub(super) fn containing<'a>(
        &self,
        dwarf: &GimliDwarf<'a>,
        offset: u64,
    ) -> gimli::Result<(UnitHeader<Slice<'a>>, UnitOffset)> {
        let offset = usize::try_from(offset).map_err(|_| gimli::Error::OffsetOutOfBounds(0))?;
        let index = self.units.partition_point(|unit| unit.end <= offset);
        let unit = self
            .units
            .get(index)
            .filter(|unit| unit.offset <= offset)
            .ok_or(gimli::Error::OffsetOutOfBounds(offset as u64))?;
        let header = header_at(dwarf, unit.offset)?;
        Ok((header, UnitOffset(offset - unit.offset)))
    }
}

fn section_offset(header: &UnitHeader<Slice<'_>>) -> usize {
    header.offset().0
}

fn header_at<'a>(dwarf: &GimliDwarf<'a>, offset: usize) -> gimli::Result<UnitHeader<Slice<'a>>> {
    dwarf
        .debug_info
        .header_from_offset(gimli::DebugInfoOffset(offset))
}

fn is_path_suffix(path: &str, suffix: &str) -> bool {
    path.strip_suffix(suffix)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The name of a unit. Of its abbreviations only the root's is parsed: a kernel has thousands of
/// units with a hundred abbreviations each, and the names of all are wanted.
fn unit_name(dwarf: &GimliDwarf<'_>, header: UnitHeader<Slice<'_>>) -> Option<String> {
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

/// A unit as far as types need it. gimli's own `Unit` also parses the line table's header, which
/// is not there in a debug file that was cut down to its types.
pub(super) struct UnitView<'a> {
    pub(super) header: UnitHeader<Slice<'a>>,
    pub(super) abbreviations: Arc<Abbreviations>,
    str_offsets_base: DebugStrOffsetsBase,
}

impl<'a> UnitView<'a> {
    pub(super) fn new(
        dwarf: &GimliDwarf<'a>,
        header: UnitHeader<Slice<'a>>,
    ) -> gimli::Result<Self> {
        let abbreviations = dwarf.abbreviations(&header)?;
        Self::with(header, abbreviations)
    }

    fn with(
        header: UnitHeader<Slice<'a>>,
        abbreviations: Arc<Abbreviations>,
    ) -> gimli::Result<Self> {
        let mut entries = header.entries(&abbreviations);
        let root = entries.next_dfs()?;
        let base = root.and_then(|root| root.attr_value(dw::DW_AT_str_offsets_base));
        let str_offsets_base = match base {
            Some(AttributeValue::DebugStrOffsetsBase(base)) => base,
            _ => DebugStrOffsetsBase(0),
        };
        Ok(Self {
            header,
            abbreviations,
            str_offsets_base,
        })
    }

    pub(super) fn tree(
        &self,
        offset: Option<UnitOffset>,
    ) -> gimli::Result<EntriesTree<'_, Slice<'a>>> {
        self.header.entries_tree(&self.abbreviations, offset)
    }

    /// The text of a string attribute, whichever section it is kept in.
    pub(super) fn string(
        &self,
        dwarf: &GimliDwarf<'a>,
        value: AttributeValue<Slice<'a>>,
    ) -> Option<String> {
        let text = match value {
            AttributeValue::String(text) => text,
            AttributeValue::DebugStrRef(at) => dwarf.string(at).ok()?,
            AttributeValue::DebugLineStrRef(at) => dwarf.line_string(at).ok()?,
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let format = self.header.format();
                let table = &dwarf.debug_str_offsets;
                let at = table.get_str_offset(format, self.str_offsets_base, index);
                dwarf.string(at.ok()?).ok()?
            }
            _ => return None,
        };
        Some(text.to_string_lossy().into_owned())
    }
}

/// Adds the named, complete types at the top level of a unit.
fn scan_names(
    dwarf: &GimliDwarf<'_>,
    header: UnitHeader<Slice<'_>>,
    index: &mut NameIndex,
) -> gimli::Result<()> {
    let base = section_offset(&header);
    let view = UnitView::new(dwarf, header)?;
    let mut tree = view.tree(None)?;
    let mut top = tree.root()?.children();
    while let Some(child) = top.next()? {
        let entry = child.entry();
        let kind = match entry.tag() {
            dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_typedef => Kind::Struct,
            dw::DW_TAG_enumeration_type => Kind::Enum,
            _ => continue,
        };
        if entry.attr(dw::DW_AT_declaration).is_some() {
            continue;
        }
        let name = entry.attr_value(dw::DW_AT_name);
        let Some(name) = name.and_then(|value| view.string(dwarf, value)) else {
            continue;
        };
        // A typedef stands only where no structure has its name: `struct x` comes before `x`.
        let offset = (base + entry.offset().0) as u64;
        if entry.tag() == dw::DW_TAG_typedef {
            index.0.entry((kind, name)).or_insert(offset);
        } else {
            index.0.insert((kind, name), offset);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_the_source_file_nearest_to_the_root() {
        let unit = |name: &str| Unit {
            offset: 0,
            end: 0,
            name: name.to_owned(),
        };
        let list = UnitList {
            units: [
                "/build/linux/arch/x86/kernel/module.c",
                "/build/linux/kernel/module.c",
                "/build/linux/mm/slub.c",
            ]
            .map(unit)
            .into(),
            scanned: Mutex::default(),
        };
        assert_eq!(list.position("kernel/module.c"), Some(1));
        assert_eq!(list.position("mm/slub.c"), Some(2));
        assert!(!list.has("lub.c"));
    }
}
