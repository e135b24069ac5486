//! C types as BTF, the kernel's own compact format, without variables.

use std::collections::BTreeMap;

use crate::ctypes::{Aggregate, BASE_TYPES, CType, Enumeration, TypeTable};
use crate::write::Le;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_CONST: u32 = 10;
const KIND_FUNC_PROTO: u32 = 13;
const HEADER_SIZE: u32 = 24;

/// Types get their number when they are first asked for, and are written in that
/// order.
struct Encoder<'a> {
    types: &'a TypeTable,
    numbers: BTreeMap<String, u32>,
    queue: Vec<CType>,
    out: Vec<u8>,
    strings: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

/// The table as a `.BTF` section.
pub fn encode(types: &TypeTable) -> Vec<u8> {
    let mut encoder = Encoder {
        types,
        numbers: BTreeMap::new(),
        queue: Vec::new(),
        out: Vec::new(),
        strings: vec![0],
        offsets: BTreeMap::new(),
    };
    for name in types.typedefs.keys() {
        encoder.number(&CType::Named(name.clone()));
    }
    for tag in types.aggregates.keys() {
        encoder.number(&CType::Tagged(tag.clone()));
    }
    for tag in types.enums.iter().filter_map(|each| each.tag.as_ref()) {
        encoder.number(&CType::Enum(tag.clone()));
    }
    let mut next = 0;
    while let Some(ctype) = encoder.queue.get(next).cloned() {
        encoder.define(&ctype);
        next += 1;
    }
    for nameless in types.enums.iter().filter(|each| each.tag.is_none()) {
        encoder.define_enum(nameless);
    }
    encoder.finish()
}

impl Encoder<'_> {
    /// The type's number; 0 is `void`.
    fn number(&mut self, ctype: &CType) -> u32 {
        if *ctype == CType::Void {
            return 0;
        }
        let key = format!("{ctype:?}");
        let next = self.queue.len() as u32 + 1;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.queue.push(ctype.clone());
        }
        number
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.into(), offset);
        offset
    }

    /// A `struct btf_type`.
    fn head(&mut self, name: &str, kind: u32, flag: bool, count: usize, size_or_type: u32) {
        let name = self.string(name);
        self.out.u32(name);
        self.out
            .u32(u32::from(flag) << 31 | kind << 24 | count as u32);
        self.out.u32(size_or_type);
    }

    fn define(&mut self, ctype: &CType) {
        let types = self.types;
        match ctype {
            CType::Void => {}
            CType::Function => self.head("", KIND_FUNC_PROTO, false, 0, 0),
            CType::Named(name) => match types.typedefs.get(name) {
                Some(target) => {
                    let target = self.number(target);
                    self.head(name, KIND_TYPEDEF, false, 0, target);
                }
                None => self.define_base(name),
            },
            CType::Tagged(tag) => match types.aggregates.get(tag) {
                Some(aggregate) => self.define_aggregate(tag, aggregate),
                None => self.head(tag, KIND_FWD, false, 0, 0),
            },
            CType::Nameless(aggregate) => self.define_aggregate("", aggregate),
            CType::Enum(tag) => {
                let mut all = types.enums.iter();
                let found = all.find(|each| each.tag.as_ref() == Some(tag));
                self.define_enum(found.expect("enum"));
            }
            CType::Const(inner) => {
                let inner = self.number(inner);
                self.head("", KIND_CONST, false, 0, inner);
            }
            CType::Pointer(inner) => {
                let inner = self.number(inner);
                self.head("", KIND_PTR, false, 0, inner);
            }
            CType::Array(inner, count) => {
                let inner = self.number(inner);
                let index = self.number(&CType::Named("unsigned long".into()));
                self.head("", KIND_ARRAY, false, 0, 0);
                self.out.u32(inner);
                self.out.u32(index);
                self.out.u32(*count as u32);
            }
        }
    }

    fn define_base(&mut self, name: &str) {
        let base = BASE_TYPES.iter().find(|base| base.0 == name);
        let (name, size, signed, _) = *base.unwrap_or_else(|| panic!("no type {name}"));
        let encoding = match (name, signed) {
            ("_Bool", _) => 4,
            (_, true) => 1,
            (_, false) => 0,
        };
        self.head(name, KIND_INT, false, 0, size as u32);
        self.out.u32(encoding << 24 | (size as u32 * 8));
    }

    fn define_aggregate(&mut self, tag: &str, aggregate: &Aggregate) {
        let kind = if aggregate.union {
            KIND_UNION
        } else {
            KIND_STRUCT
        };
        // With the flag, offsets leave room for the width of bit-fields.
        let flag = aggregate.members.iter().any(|member| member.bits.is_some());
        let count = aggregate.members.len();
        self.head(tag, kind, flag, count, aggregate.size as u32);
        for member in &aggregate.members {
            let name = self.string(member.name.as_deref().unwrap_or(""));
            let ctype = self.number(&member.ctype);
            let width = member.bits.unwrap_or(0) as u32;
            self.out.u32(name);
            self.out.u32(ctype);
            self.out.u32(width << 24 | member.bit_offset as u32);
        }
    }

    fn define_enum(&mut self, found: &Enumeration) {
        let signed = found.enumerators.iter().any(|each| each.1 < 0);
        let tag = found.tag.as_deref().unwrap_or("");
        let count = found.enumerators.len();
        self.head(tag, KIND_ENUM, signed, count, found.size as u32);
        for (name, value) in &found.enumerators {
            let name = self.string(name);
            self.out.u32(name);
            self.out.u32(*value as u32);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut section = Vec::new();
        section.u16(0xeb9f);
        section.extend_from_slice(&[1, 0]);
        section.u32(HEADER_SIZE);
        section.u32(0);
        section.u32(self.out.len() as u32);
        section.u32(self.out.len() as u32);
        section.u32(self.strings.len() as u32);
        section.extend_from_slice(&self.out);
        section.extend_from_slice(&self.strings);
        section
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_field_has_width_and_offset() {
        let mut table = TypeTable::default();
        table.parse("struct s 4 {\n 0.3:5 int a\n 2 unsigned short b\n}");
        let section = encode(&table);
        let word = |at: usize| u32::from_le_bytes(section[at..at + 4].try_into().unwrap());
        // Type 1 is the struct: head, then (name, type, offset) of each member.
        assert_eq!(word(24 + 4), 1 << 31 | KIND_STRUCT << 24 | 2);
        assert_eq!(word(24 + 8), 4);
        assert_eq!((word(24 + 16), word(24 + 20)), (2, 5 << 24 | 3));
        assert_eq!((word(24 + 28), word(24 + 32)), (3, 16));
        // Type 2 is `int`, of 32 bits and signed.
        assert_eq!(
            (word(24 + 40), word(24 + 48)),
            (KIND_INT << 24, 1 << 24 | 32)
        );
    }
}
