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
    /// Number of the first type: 1, or in a module's part what follows vmlinux's.
    first: u32,
    /// Offset of the first string.
    first_string: u32,
}

/// A module's part: its types and strings follow those of vmlinux.
#[derive(Debug, Clone)]
pub struct Split {
    /// The section.
    pub data: Vec<u8>,
    /// Number of its first type.
    pub start_id: u32,
    /// Offset of its first string.
    pub start_str_off: u32,
    /// Types in it.
    pub count: u32,
}

/// The table as a `.BTF` section.
pub fn encode(types: &TypeTable) -> Vec<u8> {
    whole(types).finish()
}

/// The types of `all` that `base` does not have, on top of those of `base`.
pub fn split(base: &TypeTable, all: &TypeTable) -> Split {
    let below = whole(base);
    let start_id = below.first + below.count(base);
    let start_str_off = below.strings.len() as u32;
    let mut encoder = Encoder {
        types: all,
        numbers: below.numbers,
        queue: Vec::new(),
        out: Vec::new(),
        strings: Vec::new(),
        offsets: below.offsets,
        first: start_id,
        first_string: start_str_off,
    };
    encoder.forget_declarations(base);
    encoder.queue_all();
    encoder.define_all();
    Split {
        start_id,
        start_str_off,
        count: encoder.queue.len() as u32,
        data: encoder.finish(),
    }
}

fn whole(types: &TypeTable) -> Encoder<'_> {
    let mut encoder = Encoder {
        types,
        numbers: BTreeMap::new(),
        queue: Vec::new(),
        out: Vec::new(),
        strings: vec![0],
        offsets: BTreeMap::new(),
        first: 1,
        first_string: 0,
    };
    encoder.queue_all();
    encoder.define_all();
    for nameless in types.enums.iter().filter(|each| each.tag.is_none()) {
        encoder.define_enum(nameless);
    }
    encoder
}

impl Encoder<'_> {
    /// Types written, those without a number included.
    fn count(&self, types: &TypeTable) -> u32 {
        let nameless = types.enums.iter().filter(|each| each.tag.is_none());
        (self.queue.len() + nameless.count()) as u32
    }

    /// Types that vmlinux only declares, and those that lead to them, are the
    /// module's to define.
    fn forget_declarations(&mut self, base: &TypeTable) {
        let declared: Vec<String> = self
            .numbers
            .keys()
            .filter_map(|key| key.strip_prefix("Tagged(\"")?.strip_suffix("\")"))
            .filter(|tag| !base.aggregates.contains_key(*tag))
            .map(|tag| format!("Tagged(\"{tag}\")"))
            .collect();
        self.numbers
            .retain(|key, _| !declared.iter().any(|tag| key.contains(tag)));
    }

    /// Gives every named type a number.
    fn queue_all(&mut self) {
        let types = self.types;
        for name in types.typedefs.keys() {
            self.number(&CType::Named(name.clone()));
        }
        for tag in types.aggregates.keys() {
            self.number(&CType::Tagged(tag.clone()));
        }
        for tag in types.enums.iter().filter_map(|each| each.tag.as_ref()) {
            self.number(&CType::Enum(tag.clone()));
        }
    }

    fn define_all(&mut self) {
        let mut next = 0;
        while let Some(ctype) = self.queue.get(next).cloned() {
            self.define(&ctype);
            next += 1;
        }
    }

    /// The type's number; 0 is `void`.
    fn number(&mut self, ctype: &CType) -> u32 {
        if *ctype == CType::Void {
            return 0;
        }
        let key = format!("{ctype:?}");
        let next = self.queue.len() as u32 + self.first;
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
        let offset = self.strings.len() as u32 + self.first_string;
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
    fn a_module_goes_on_where_vmlinux_ends() {
        let mut base = TypeTable::default();
        base.parse("struct net 8 {\n 0 struct nf_conn * ct\n}\nenum @ 4 {\n ANY 1\n}");
        let mut all = base.clone();
        all.parse("struct nf_conn 16 {\n 0 struct net * net\n 8 struct nf_conn * master\n}");
        let split = split(&base, &all);
        // Below: net, the pointer, the declaration, the enum.
        assert_eq!(split.start_id, 5);
        let below = encode(&base);
        let word =
            |data: &[u8], at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
        assert_eq!(split.start_str_off, word(&below, 20));
        // nf_conn itself, and pointers to net and to nf_conn.
        assert_eq!(split.count, 3);
        let kind = KIND_STRUCT << 24 | 2;
        assert_eq!((word(&split.data, 28), word(&split.data, 32)), (kind, 16));
        let types = [word(&split.data, 24 + 16), word(&split.data, 24 + 28)];
        assert_eq!(types, [6, 7]);
    }

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
