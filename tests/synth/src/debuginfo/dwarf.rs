//! C types as DWARF, one copy in each compilation unit that uses them, as gcc does.

use std::collections::BTreeMap;

use gimli::write::{
    Address, AttributeValue, Dwarf, Expression, LineProgram, Unit, UnitEntryId, UnitId,
};
use gimli::{Encoding, Format, constants as dw};

use crate::ctypes::{Aggregate, BASE_TYPES, CType, Enumeration, Member, TypeTable};

/// One compilation unit under construction.
pub(super) struct UnitWriter<'a> {
    dwarf: &'a mut Dwarf,
    unit: UnitId,
    types: &'a TypeTable,
    version: u16,
    done: BTreeMap<String, UnitEntryId>,
}

impl<'a> UnitWriter<'a> {
    /// Starts a unit for a source file.
    pub(super) fn new(
        dwarf: &'a mut Dwarf,
        types: &'a TypeTable,
        version: u16,
        name: &str,
    ) -> Self {
        let encoding = Encoding {
            format: Format::Dwarf32,
            version,
            address_size: 8,
        };
        let unit = dwarf.units.add(Unit::new(encoding, LineProgram::none()));
        let mut writer = Self {
            dwarf,
            unit,
            types,
            version,
            done: BTreeMap::new(),
        };
        let root = writer.unit().root();
        writer.set_string(
            root,
            dw::DW_AT_producer,
            "GNU C11 12.2.0 -mcmodel=kernel -g -O2",
        );
        writer.set(
            root,
            dw::DW_AT_language,
            AttributeValue::Language(dw::DW_LANG_C11),
        );
        writer.set_string(root, dw::DW_AT_name, name);
        writer.set_string(root, dw::DW_AT_comp_dir, "/build/linux");
        writer
    }

    fn unit(&mut self) -> &mut Unit {
        self.dwarf.units.get_mut(self.unit)
    }

    fn set(&mut self, entry: UnitEntryId, name: dw::DwAt, value: AttributeValue) {
        self.unit().get_mut(entry).set(name, value);
    }

    fn set_string(&mut self, entry: UnitEntryId, name: dw::DwAt, text: &str) {
        let id = self.dwarf.strings.add(text);
        self.set(entry, name, AttributeValue::StringRef(id));
    }

    fn set_number(&mut self, entry: UnitEntryId, name: dw::DwAt, value: u64) {
        self.set(entry, name, AttributeValue::Udata(value));
    }

    fn set_type(&mut self, entry: UnitEntryId, target: Option<UnitEntryId>) {
        if let Some(target) = target {
            self.set(entry, dw::DW_AT_type, AttributeValue::UnitRef(target));
        }
    }

    fn add(&mut self, parent: UnitEntryId, tag: dw::DwTag) -> UnitEntryId {
        self.unit().add(parent, tag)
    }

    fn add_top(&mut self, tag: dw::DwTag) -> UnitEntryId {
        let root = self.unit().root();
        self.add(root, tag)
    }

    /// The entry of a type, written on first use; `None` for `void`.
    pub(super) fn type_entry(&mut self, ctype: &CType) -> Option<UnitEntryId> {
        if *ctype == CType::Void {
            return None;
        }
        let key = format!("{ctype:?}");
        if let Some(entry) = self.done.get(&key) {
            return Some(*entry);
        }
        // Reserved first: a struct may hold a pointer to itself.
        let entry = self.unit().reserve();
        self.done.insert(key, entry);
        self.define(entry, ctype);
        Some(entry)
    }

    fn define(&mut self, entry: UnitEntryId, ctype: &CType) {
        let types = self.types;
        match ctype {
            CType::Void => {}
            CType::Function => {
                self.place(entry, dw::DW_TAG_subroutine_type);
                self.set(entry, dw::DW_AT_prototyped, AttributeValue::FlagPresent);
            }
            CType::Named(name) => self.define_named(entry, name),
            CType::Tagged(tag) => match types.aggregates.get(tag) {
                Some(aggregate) => self.define_aggregate(entry, Some(tag), aggregate),
                None => {
                    self.place(entry, dw::DW_TAG_structure_type);
                    self.set_string(entry, dw::DW_AT_name, tag);
                    self.set(entry, dw::DW_AT_declaration, AttributeValue::FlagPresent);
                }
            },
            CType::Nameless(aggregate) => self.define_aggregate(entry, None, aggregate),
            CType::Enum(tag) => {
                let found = types
                    .enums
                    .iter()
                    .find(|each| each.tag.as_ref() == Some(tag));
                self.define_enum(entry, found.expect("enum"));
            }
            CType::Const(inner) => self.define_modifier(entry, dw::DW_TAG_const_type, inner),
            CType::Pointer(inner) => {
                self.define_modifier(entry, dw::DW_TAG_pointer_type, inner);
                self.set_number(entry, dw::DW_AT_byte_size, 8);
            }
            CType::Array(..) => self.define_array(entry, ctype),
        }
    }

    fn place(&mut self, entry: UnitEntryId, tag: dw::DwTag) {
        let root = self.unit().root();
        self.unit().add_reserved(entry, root, tag);
    }

    fn define_modifier(&mut self, entry: UnitEntryId, tag: dw::DwTag, inner: &CType) {
        self.place(entry, tag);
        let inner = self.type_entry(inner);
        self.set_type(entry, inner);
    }

    fn define_named(&mut self, entry: UnitEntryId, name: &str) {
        let types = self.types;
        if let Some(target) = types.typedefs.get(name) {
            self.define_modifier(entry, dw::DW_TAG_typedef, target);
            self.set_string(entry, dw::DW_AT_name, name);
            return;
        }
        let base = BASE_TYPES.iter().find(|base| base.0 == name);
        let (name, size, signed, character) = *base.unwrap_or_else(|| panic!("no type {name}"));
        self.place(entry, dw::DW_TAG_base_type);
        self.set_string(entry, dw::DW_AT_name, name);
        self.set_number(entry, dw::DW_AT_byte_size, size);
        let encoding = match (name, signed, character) {
            ("_Bool", ..) => dw::DW_ATE_boolean,
            (_, true, true) => dw::DW_ATE_signed_char,
            (_, false, true) => dw::DW_ATE_unsigned_char,
            (_, true, false) => dw::DW_ATE_signed,
            (_, false, false) => dw::DW_ATE_unsigned,
        };
        self.set(
            entry,
            dw::DW_AT_encoding,
            AttributeValue::Encoding(encoding),
        );
    }

    /// All bounds of a C array belong to one entry.
    fn define_array(&mut self, entry: UnitEntryId, ctype: &CType) {
        self.place(entry, dw::DW_TAG_array_type);
        let mut element = ctype;
        let index = self.type_entry(&CType::Named("unsigned long".into()));
        while let CType::Array(inner, count) = element {
            let bound = self.add(entry, dw::DW_TAG_subrange_type);
            self.set_type(bound, index);
            if let Some(last) = count.checked_sub(1) {
                self.set_number(bound, dw::DW_AT_upper_bound, last);
            }
            element = inner;
        }
        let element = self.type_entry(element);
        self.set_type(entry, element);
    }

    fn define_aggregate(
        &mut self,
        entry: UnitEntryId,
        tag: Option<&String>,
        aggregate: &Aggregate,
    ) {
        let kind = if aggregate.union {
            dw::DW_TAG_union_type
        } else {
            dw::DW_TAG_structure_type
        };
        self.place(entry, kind);
        if let Some(tag) = tag {
            self.set_string(entry, dw::DW_AT_name, tag);
        }
        self.set_number(entry, dw::DW_AT_byte_size, aggregate.size);
        self.unit().get_mut(entry).set_sibling(true);
        for member in &aggregate.members {
            self.define_member(entry, aggregate.union, member);
        }
    }

    fn define_member(&mut self, parent: UnitEntryId, union: bool, member: &Member) {
        let entry = self.add(parent, dw::DW_TAG_member);
        if let Some(name) = &member.name {
            self.set_string(entry, dw::DW_AT_name, name);
        }
        let ctype = self.type_entry(&member.ctype);
        self.set_type(entry, ctype);
        let Some(bits) = member.bits else {
            // gcc leaves the location out for members of unions.
            if !union {
                self.set_number(entry, dw::DW_AT_data_member_location, member.bit_offset / 8);
            }
            return;
        };
        self.set_number(entry, dw::DW_AT_bit_size, bits);
        if self.version >= 5 {
            self.set_number(entry, dw::DW_AT_data_bit_offset, member.bit_offset);
            return;
        }
        // Before DWARF 5 gcc counts from the top bit of the storage unit.
        let size = self.types.size_of(&member.ctype);
        let unit = member.bit_offset / (size * 8) * size;
        let from_bottom = member.bit_offset - unit * 8;
        self.set_number(entry, dw::DW_AT_byte_size, size);
        self.set_number(entry, dw::DW_AT_bit_offset, size * 8 - from_bottom - bits);
        self.set_number(entry, dw::DW_AT_data_member_location, unit);
    }

    fn define_enum(&mut self, entry: UnitEntryId, found: &Enumeration) {
        self.place(entry, dw::DW_TAG_enumeration_type);
        if let Some(tag) = &found.tag {
            self.set_string(entry, dw::DW_AT_name, tag);
        }
        self.set_number(entry, dw::DW_AT_byte_size, found.size);
        let signed = found.enumerators.iter().any(|each| each.1 < 0);
        let base = if signed { "int" } else { "unsigned int" };
        let base = self.type_entry(&CType::Named(base.into()));
        self.set_type(entry, base);
        for (name, value) in &found.enumerators {
            let each = self.add(entry, dw::DW_TAG_enumerator);
            self.set_string(each, dw::DW_AT_name, name);
            self.set(each, dw::DW_AT_const_value, AttributeValue::Sdata(*value));
        }
    }

    /// Every enum of the table, those without a tag included.
    pub(super) fn enums(&mut self) {
        for found in &self.types.enums {
            match &found.tag {
                Some(tag) => {
                    self.type_entry(&CType::Enum(tag.clone()));
                }
                None => {
                    let entry = self.unit().reserve();
                    self.define_enum(entry, found);
                }
            }
        }
    }

    /// A global variable at its link-time address.
    pub(super) fn variable(&mut self, name: &str, ctype: &CType, address: Address) {
        let ctype = self.type_entry(ctype);
        let entry = self.add_top(dw::DW_TAG_variable);
        self.set_string(entry, dw::DW_AT_name, name);
        self.set_type(entry, ctype);
        self.set(entry, dw::DW_AT_external, AttributeValue::FlagPresent);
        let mut place = Expression::new();
        place.op_addr(address);
        self.set(entry, dw::DW_AT_location, AttributeValue::Exprloc(place));
    }

    /// A function without parameters.
    pub(super) fn function(&mut self, name: &str, address: Address, size: u64) {
        let entry = self.add_top(dw::DW_TAG_subprogram);
        self.set_string(entry, dw::DW_AT_name, name);
        self.set(entry, dw::DW_AT_external, AttributeValue::FlagPresent);
        let address = AttributeValue::Address(address);
        self.set(entry, dw::DW_AT_low_pc, address);
        self.set_number(entry, dw::DW_AT_high_pc, size);
    }

    /// A declaration of a variable that another unit defines.
    pub(super) fn declare_variable(&mut self, name: &str, ctype: &CType) {
        let ctype = self.type_entry(ctype);
        let entry = self.add_top(dw::DW_TAG_variable);
        self.set_string(entry, dw::DW_AT_name, name);
        self.set_type(entry, ctype);
        self.set(entry, dw::DW_AT_external, AttributeValue::FlagPresent);
        self.set(entry, dw::DW_AT_declaration, AttributeValue::FlagPresent);
    }
}
