//! The bytes of BTF: header, type records, strings, and the index over them.

use super::Btf;
use crate::bytes::{slice, u32_at};
use crate::types::buckets::Buckets;
use crate::types::hash;

/// Kinds of types (`BTF_KIND_*`, include/uapi/linux/btf.h).
#[allow(missing_docs)]
pub(super) mod kind {
    pub(crate) const INT: u8 = 1;
    pub(crate) const PTR: u8 = 2;
    pub(crate) const ARRAY: u8 = 3;
    pub(crate) const STRUCT: u8 = 4;
    pub(crate) const UNION: u8 = 5;
    pub(crate) const ENUM: u8 = 6;
    pub(crate) const FWD: u8 = 7;
    pub(crate) const TYPEDEF: u8 = 8;
    pub(crate) const VOLATILE: u8 = 9;
    pub(crate) const CONST: u8 = 10;
    pub(crate) const RESTRICT: u8 = 11;
    pub(crate) const FUNC: u8 = 12;
    pub(crate) const FUNC_PROTO: u8 = 13;
    pub(crate) const VAR: u8 = 14;
    pub(crate) const DATASEC: u8 = 15;
    pub(crate) const FLOAT: u8 = 16;
    pub(crate) const DECL_TAG: u8 = 17;
    pub(crate) const TYPE_TAG: u8 = 18;
    pub(crate) const ENUM64: u8 = 19;
}

const MAGIC: [u8; 2] = [0x9f, 0xeb];
/// Up to 7.1, without the layout of unknown kinds.
const SHORT_HEADER: usize = 24;
const RECORD: usize = 12;
/// The kernel's own bound is KSYM_NAME_LEN (512).
const MAX_NAME: usize = 4 << 10;

/// Where the parts lie in the bytes.
#[derive(Debug)]
pub(super) struct Sections {
    types: (usize, usize),
    strings: (usize, usize),
    /// For each kind its fixed and its repeated size, where the encoder tells (7.2).
    layout: Option<(usize, usize)>,
    /// Offset of the first string of its own: a module's part continues those of vmlinux.
    first_string: u32,
}

impl Sections {
    pub(super) fn parse(bytes: &[u8], first_string: u32) -> Result<Self, String> {
        if slice(bytes, 0, 2) != Some(&MAGIC) {
            return Err("no BTF at its beginning".to_owned());
        }
        let word = |at| u32_at(bytes, at).map(|value| value as usize);
        let header = word(4).unwrap_or(0);
        if header < SHORT_HEADER {
            return Err(format!("its header claims {header} bytes"));
        }
        let part = |at: usize| {
            let start = header.checked_add(word(at)?)?;
            let len = word(at + 4)?;
            slice(bytes, start, len).map(|_| (start, len))
        };
        let (Some(types), Some(strings)) = (part(8), part(16)) else {
            return Err("it ends before its types and strings do".to_owned());
        };
        // struct btf_header has 32 bytes since 7.2: layout_off, layout_len.
        let layout = match header {
            32.. => part(24).filter(|(_, len)| *len > 0),
            _ => None,
        };
        Ok(Self {
            types,
            strings,
            layout,
            first_string,
        })
    }

    pub(super) fn end_string(&self) -> u32 {
        let own = u32::try_from(self.strings.1).unwrap_or(u32::MAX);
        self.first_string.saturating_add(own)
    }

    /// Bytes that follow the record of a type.
    fn body_len(&self, bytes: &[u8], record: &Record<'_>) -> Option<usize> {
        let (fixed, each) = match record.kind {
            kind::PTR | kind::FWD | kind::TYPEDEF | kind::VOLATILE | kind::CONST => (0, 0),
            kind::RESTRICT | kind::FUNC | kind::FLOAT | kind::TYPE_TAG => (0, 0),
            kind::INT | kind::VAR | kind::DECL_TAG => (4, 0),
            kind::ARRAY => (12, 0),
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => (0, 12),
            kind::ENUM | kind::FUNC_PROTO => (0, 8),
            // struct btf_layout { u8 info_sz; u8 elem_sz; u16 flags; } by kind.
            unknown => {
                let (start, len) = self.layout?;
                let entry = slice(bytes, start, len)?
                    .chunks_exact(4)
                    .nth(usize::from(unknown))?;
                match entry {
                    [0, 0, ..] if unknown == 0 => return None,
                    [fixed, each, ..] => (usize::from(*fixed), usize::from(*each)),
                    _ => return None,
                }
            }
        };
        each.checked_mul(record.count)?.checked_add(fixed)
    }
}

/// One type as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    /// For structures, whether members may be bit-fields; for enumerations, whether signed.
    pub(super) flag: bool,
    /// Members, enumerators, parameters.
    pub(super) count: usize,
    pub(super) name: u32,
    /// Size in bytes, or another type's number: by kind.
    pub(super) size_or_type: u32,
    /// What follows, and all behind it.
    pub(super) body: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn parse(bytes: &'a [u8], at: usize) -> Option<Self> {
        let head = slice(bytes, at, RECORD)?;
        let info = u32_at(head, 4)?;
        Some(Self {
            name: u32_at(head, 0)?,
            // 7 and 24 bits since 7.2, 5 and 16 before; what is between was zero.
            kind: (info >> 24 & 0x7f) as u8,
            count: (info & 0xff_ffff) as usize,
            flag: info >> 31 == 1,
            size_or_type: u32_at(head, 8)?,
            body: bytes.get(at + RECORD..)?,
        })
    }

    /// The three words of the member, enumerator or such at `index`.
    pub(super) fn triple(&self, index: usize) -> Option<[u32; 3]> {
        let at = index.checked_mul(12)?;
        Some([
            u32_at(self.body, at)?,
            u32_at(self.body, at + 4)?,
            u32_at(self.body, at + 8)?,
        ])
    }

    /// The two words of the enumerator at `index`.
    pub(super) fn pair(&self, index: usize) -> Option<[u32; 2]> {
        let at = index.checked_mul(8)?;
        Some([u32_at(self.body, at)?, u32_at(self.body, at + 4)?])
    }
}

/// The strings, those of the base first.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) own: &'a Sections,
    pub(super) base: Option<&'a Btf>,
}

impl<'a> Names<'a> {
    pub(super) fn get(&self, offset: u32) -> Option<&'a [u8]> {
        let Some(within) = offset.checked_sub(self.own.first_string) else {
            return self.base?.string(offset);
        };
        let (start, len) = self.own.strings;
        let text = slice(self.bytes, start, len)?.get(within as usize..)?;
        let text = text.get(..MAX_NAME).unwrap_or(text);
        text.get(..memchr::memchr(0, text)?)
    }
}

/// What a name is looked up as: the name spaces of C are separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NameKind {
    /// struct or union.
    Structure,
    /// typedef.
    Typedef,
    /// enum.
    Enumeration,
}

/// Where each type stands, and those that have names.
pub(super) struct Index {
    first: u32,
    offsets: Vec<u32>,
    /// Keys and types, in the order of the types.
    names: Vec<(u64, u32)>,
    /// Of places in `names`.
    buckets: Buckets,
}

/// What a type is found by: two bits of its kind, the others of the hash of its name.
fn key(kind: NameKind, name: &[u8]) -> u64 {
    hash(name) & !3 | kind as u64
}

impl Index {
    pub(super) fn build(names: Names<'_>, first: u32) -> Result<Self, String> {
        let (start, len) = names.own.types;
        let end = start + len;
        let mut index = Self {
            first,
            offsets: Vec::with_capacity(len / 32),
            names: Vec::with_capacity(len / 128),
            buckets: Buckets::default(),
        };
        let mut at = start;
        while at < end {
            let id = index.end();
            let damaged = || format!("type {id} is cut short or of an unknown kind");
            let record = Record::parse(names.bytes, at).ok_or_else(damaged)?;
            let body = names.own.body_len(names.bytes, &record);
            let next = body
                .and_then(|body| at.checked_add(RECORD)?.checked_add(body))
                .filter(|next| *next <= end)
                .ok_or_else(damaged)?;
            if let Some(kind) = named_kind(&record)
                && let Some(name) = names.get(record.name)
                && !name.is_empty()
            {
                index.names.push((key(kind, name), id));
            }
            index
                .offsets
                .push(u32::try_from(at).map_err(|_| damaged())?);
            at = next;
        }
        index.buckets = Buckets::new(index.names.iter().map(|(key, _)| *key));
        Ok(index)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn end(&self) -> u32 {
        let len = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
        self.first.saturating_add(len)
    }

    pub(super) fn offset(&self, id: u32) -> Option<usize> {
        let within = id.checked_sub(self.first)?;
        Some(*self.offsets.get(within as usize)? as usize)
    }

    pub(super) fn find(&self, kind: NameKind, name: &str) -> Option<u32> {
        let key = key(kind, name.as_bytes());
        let places = self.buckets.of(key).iter();
        let mut found = places.filter_map(|at| self.names.get(*at as usize));
        // The first of that name.
        Some(found.find(|(its, _)| *its == key)?.1)
    }
}

fn named_kind(record: &Record<'_>) -> Option<NameKind> {
    Some(match record.kind {
        kind::STRUCT | kind::UNION => NameKind::Structure,
        kind::TYPEDEF => NameKind::Typedef,
        kind::ENUM | kind::ENUM64 if record.count > 0 => NameKind::Enumeration,
        _ => return None,
    })
}
