//! One compilation unit: its entries, its strings, and the names of its types.

use std::sync::Arc;

use gimli::constants as dw;
use gimli::{
    Abbreviation, Abbreviations, AttributeSpecification, AttributeValue, DebugInfoOffset,
    DebugStrOffsetsBase, EntriesRaw, EntriesTree, UnitHeader, UnitOffset,
};
use rustc_hash::FxHashMap;

use super::{GimliDwarf, Slice, hash};

/// Which kind of definition a name is looked up as: the name spaces of C are separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// struct, union, or a typedef of one.
    Struct,
    /// enum.
    Enum,
}

/// Complete definitions by hash of the name: offsets into .debug_info. A kernel has 100,000 names,
/// and spelling them out would take longer than reading them.
#[derive(Debug, Default)]
pub(super) struct NameIndex(FxHashMap<(Kind, u64), u64>);

impl NameIndex {
    pub(super) fn get(&self, name: &str, kind: Kind) -> Option<u64> {
        self.0.get(&(kind, hash(name.as_bytes()))).copied()
    }

    /// What `later` has besides.
    pub(super) fn extend(&mut self, later: Self) {
        if self.0.is_empty() {
            *self = later;
            return;
        }
        for (key, offset) in later.0 {
            self.0.entry(key).or_insert(offset);
        }
    }
}

/// The header of the unit that begins at `offset` of .debug_info.
pub(super) fn header_at<'a>(
    dwarf: &GimliDwarf<'a>,
    offset: usize,
) -> gimli::Result<UnitHeader<Slice<'a>>> {
    dwarf.debug_info.header_from_offset(DebugInfoOffset(offset))
}

/// Where a unit begins in .debug_info.
pub(super) fn section_offset(header: &UnitHeader<Slice<'_>>) -> usize {
    header.offset().0
}

/// A unit whose types are in use.
#[derive(Debug)]
pub(super) struct OpenUnit {
    /// Of .debug_info, as is `end`.
    pub(super) offset: usize,
    pub(super) end: usize,
    abbreviations: Arc<Abbreviations>,
    pub(super) types: NameIndex,
    /// Where units begin that this one has as its own: what several have in common, dwz puts apart.
    pub(super) imports: Vec<usize>,
}

impl OpenUnit {
    /// Reads the unit at `offset` and the names of its types.
    pub(super) fn read(dwarf: &GimliDwarf<'_>, offset: usize) -> gimli::Result<Self> {
        let view = UnitView::new(dwarf, header_at(dwarf, offset)?)?;
        let (mut types, mut imports) = (NameIndex::default(), Vec::new());
        view.add_names(dwarf, &mut types, &mut imports)?;
        Ok(Self {
            offset,
            end: offset + view.header.length_including_self(),
            abbreviations: view.abbreviations,
            types,
            imports,
        })
    }

    pub(super) fn view<'a>(&self, dwarf: &GimliDwarf<'a>) -> gimli::Result<UnitView<'a>> {
        let header = header_at(dwarf, self.offset)?;
        UnitView::with(header, Arc::clone(&self.abbreviations))
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

    pub(super) fn with(
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
        let text = self.bytes(dwarf, value)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn bytes(&self, dwarf: &GimliDwarf<'a>, value: AttributeValue<Slice<'a>>) -> Option<&'a [u8]> {
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
        Some(text.slice())
    }

    /// Adds the named, complete types at the top level of the unit. Of the other entries, which
    /// are the most, nothing is read but where the next begins. What it imports is only noted.
    pub(super) fn add_names(
        &self,
        dwarf: &GimliDwarf<'a>,
        index: &mut NameIndex,
        imports: &mut Vec<usize>,
    ) -> gimli::Result<()> {
        let base = section_offset(&self.header);
        let mut entries = self.header.entries_raw(&self.abbreviations, None)?;
        let Some(unit) = entries.read_abbreviation()?.filter(|it| it.has_children()) else {
            return Ok(());
        };
        entries.skip_attributes(unit.attributes())?;
        while !entries.is_empty() {
            let offset = (base + entries.next_offset().0) as u64;
            let Some(shape) = entries.read_abbreviation()? else {
                break;
            };
            let kind = kind_of(shape.tag());
            let top = read_top(&mut entries, shape, kind.is_some())?;
            imports.extend(top.import);
            if shape.has_children() {
                match top.sibling {
                    Some(at) if at.0 > entries.next_offset().0 => {
                        entries = self.header.entries_raw(&self.abbreviations, Some(at))?;
                    }
                    _ => skip_children(&mut entries)?,
                }
            }
            let name = top.name.filter(|_| !top.is_declaration);
            let (Some(kind), Some(name)) = (kind, name.and_then(|it| self.bytes(dwarf, it))) else {
                continue;
            };
            // A typedef stands only where no structure has its name: `struct x` comes before `x`.
            let key = (kind, hash(name));
            if shape.tag() == dw::DW_TAG_typedef {
                index.0.entry(key).or_insert(offset);
            } else {
                index.0.insert(key, offset);
            }
        }
        Ok(())
    }
}

/// What a name at the top level defines; `None` if no type that is looked up.
fn kind_of(tag: gimli::DwTag) -> Option<Kind> {
    match tag {
        dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_typedef => {
            Some(Kind::Struct)
        }
        dw::DW_TAG_enumeration_type => Some(Kind::Enum),
        _ => None,
    }
}

/// What is wanted of an entry at the top level.
#[derive(Default)]
struct Top<'a> {
    name: Option<AttributeValue<Slice<'a>>>,
    is_declaration: bool,
    sibling: Option<UnitOffset>,
    import: Option<usize>,
}

/// Reads the rest of an entry, with its name if it is `named`.
fn read_top<'a>(
    entries: &mut EntriesRaw<'_, Slice<'a>>,
    shape: &Abbreviation,
    named: bool,
) -> gimli::Result<Top<'a>> {
    let mut top = Top::default();
    let mut rest = shape.attributes();
    let is_wanted = |spec: &AttributeSpecification| match spec.name() {
        dw::DW_AT_sibling => shape.has_children(),
        dw::DW_AT_name | dw::DW_AT_declaration => named,
        dw::DW_AT_import => shape.tag() == dw::DW_TAG_imported_unit,
        _ => false,
    };
    while let Some(at) = rest.iter().position(is_wanted) {
        let (skipped, after) = rest.split_at(at);
        entries.skip_attributes(skipped)?;
        let Some((spec, after)) = after.split_first() else {
            break;
        };
        let value = entries.read_attribute(*spec)?.value();
        match (spec.name(), value) {
            (dw::DW_AT_sibling, AttributeValue::UnitRef(at)) => top.sibling = Some(at),
            (dw::DW_AT_import, AttributeValue::DebugInfoRef(at)) => top.import = Some(at.0),
            (dw::DW_AT_name, name) => top.name = Some(name),
            (dw::DW_AT_declaration, _) => top.is_declaration = true,
            _ => {}
        }
        rest = after;
    }
    entries.skip_attributes(rest)?;
    Ok(top)
}

/// Passes over the children of the entry that was read last.
fn skip_children(entries: &mut EntriesRaw<'_, Slice<'_>>) -> gimli::Result<()> {
    let depth = entries.next_depth();
    while entries.next_depth() >= depth && !entries.is_empty() {
        if let Some(shape) = entries.read_abbreviation()? {
            entries.skip_attributes(shape.attributes())?;
        }
    }
    Ok(())
}
