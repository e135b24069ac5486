//! From type records to structures and enumerations, alike those that DWARF gives.

use super::Btf;
use super::records::{Record, kind};
use crate::types::model::{Bits, Member, StructType, TypeDesc, TypeId, TypeKind};

/// Typedefs, qualifiers and anonymous structures nest a few deep in a kernel; damaged types may
/// be circular.
const MAX_DEPTH: usize = 32;
/// The largest structures of a kernel have some hundred members; anonymous ones that hold each
/// other could make billions.
const MAX_MEMBERS: usize = 1 << 16;

const SIGNED: u32 = 1;

/// A structure whose members are being listed, with where it starts in the outermost one.
struct Level<'a> {
    record: Record<'a>,
    base: u32,
    next: usize,
}

/// The structure or union `id`; a typedef or qualifier is followed to one.
pub(super) fn structure(btf: &Btf, id: TypeId) -> Option<StructType> {
    let id = peel(btf, u32::try_from(id.0).ok()?);
    let record = btf.record(id)?;
    let mut out = StructType {
        size: size_of(btf, id),
        members: Vec::new(),
    };
    let mut seen = 0;
    let mut levels = vec![Level::new(record, 0)];
    while let Some(level) = levels.last_mut() {
        let index = level.next;
        if index >= level.record.count || seen >= MAX_MEMBERS {
            levels.pop();
            continue;
        }
        level.next += 1;
        seen += 1;
        let [name, target, position] = level.record.triple(index)?;
        let (within, bits) = place(btf, &level.record, target, position);
        let at = level.base.saturating_add(within);
        let name = btf.string(name)?;
        if !name.is_empty() {
            out.members.push(Member {
                name: String::from_utf8_lossy(name).into_owned(),
                offset: at,
                bits,
                ty: describe(btf, target),
            });
        } else if levels.len() <= MAX_DEPTH
            && let Some(inner) = btf.record(peel(btf, target))
        {
            levels.push(Level::new(inner, at));
        }
    }
    Some(out)
}

impl<'a> Level<'a> {
    /// Only structures and unions have members.
    fn new(mut record: Record<'a>, base: u32) -> Self {
        if !matches!(record.kind, kind::STRUCT | kind::UNION) {
            record.count = 0;
        }
        Self {
            record,
            base,
            next: 0,
        }
    }
}

/// Names and values of an enumeration. Without the flag that 6.0 brought (commit 6089fb325cf7),
/// values are unsigned.
pub(super) fn enumerators(btf: &Btf, record: &Record<'_>) -> Vec<(String, i64)> {
    let one = |index| {
        let (name, value) = if record.kind == kind::ENUM64 {
            let [name, low, high] = record.triple(index)?;
            let value = u64::from(high) << 32 | u64::from(low);
            (name, value.cast_signed())
        } else {
            let [name, value] = record.pair(index)?;
            let value = if record.flag {
                i64::from(value.cast_signed())
            } else {
                i64::from(value)
            };
            (name, value)
        };
        let name = String::from_utf8_lossy(btf.string(name)?).into_owned();
        Some((name, value))
    };
    (0..record.count).map_while(one).collect()
}

/// Follows typedefs, qualifiers and tags to what they stand for.
fn peel(btf: &Btf, mut id: u32) -> u32 {
    for _ in 0..MAX_DEPTH {
        match btf.record(id) {
            Some(record) if is_alias(record.kind) => id = record.size_or_type,
            _ => break,
        }
    }
    id
}

fn is_alias(kind: u8) -> bool {
    use kind::{CONST, RESTRICT, TYPE_TAG, TYPEDEF, VOLATILE};
    matches!(kind, TYPEDEF | CONST | VOLATILE | RESTRICT | TYPE_TAG)
}

/// Element type and number of elements.
fn array_of(record: &Record<'_>) -> Option<(u32, u64)> {
    let [element, _, count] = record.triple(0)?;
    (record.kind == kind::ARRAY).then_some((element, u64::from(count)))
}

fn size_of(btf: &Btf, mut id: u32) -> u32 {
    let mut times = 1u64;
    for _ in 0..MAX_DEPTH {
        id = peel(btf, id);
        let Some(record) = btf.record(id) else {
            return 0;
        };
        if let Some((element, count)) = array_of(&record) {
            times = times.saturating_mul(count);
            id = element;
            continue;
        }
        let size = match record.kind {
            kind::PTR => 8,
            kind::INT | kind::STRUCT | kind::UNION => record.size_or_type,
            kind::ENUM | kind::ENUM64 | kind::FLOAT => record.size_or_type,
            _ => 0,
        };
        return u32::try_from(times.saturating_mul(u64::from(size))).unwrap_or(0);
    }
    0
}

fn describe(btf: &Btf, id: u32) -> TypeDesc {
    let id = peel(btf, id);
    let kind = match btf.record(id) {
        None => TypeKind::Other,
        Some(record) => match record.kind {
            kind::INT => TypeKind::Int {
                signed: encoding(&record) >> 24 & SIGNED == SIGNED,
            },
            kind::ENUM | kind::ENUM64 | kind::FLOAT => TypeKind::Int { signed: false },
            kind::PTR => {
                let target = peel(btf, record.size_or_type);
                TypeKind::Pointer((target != 0).then(|| TypeId(u64::from(target))))
            }
            kind::STRUCT | kind::UNION | kind::FWD => TypeKind::Struct(TypeId(u64::from(id))),
            kind::ARRAY => array(btf, &record),
            _ => TypeKind::Other,
        },
    };
    TypeDesc {
        size: size_of(btf, id),
        kind,
    }
}

/// Several dimensions are one here: pahole writes them so, Clang as arrays of arrays.
fn array(btf: &Btf, record: &Record<'_>) -> TypeKind {
    let Some((mut element, mut count)) = array_of(record) else {
        return TypeKind::Other;
    };
    for _ in 0..MAX_DEPTH {
        let inner = btf.record(element);
        let Some((next, more)) = inner.and_then(|inner| array_of(&inner)) else {
            break;
        };
        element = next;
        count = count.saturating_mul(more);
    }
    TypeKind::Array {
        element: TypeId(u64::from(peel(btf, element))),
        stride: size_of(btf, element),
        count,
    }
}

/// The word behind an integer: encoding << 24 | first bit << 16 | number of bits.
fn encoding(record: &Record<'_>) -> u32 {
    crate::bytes::u32_at(record.body, 0).unwrap_or(0)
}

/// Byte offset of a member and, for a bit-field, its bits from there.
fn place(btf: &Btf, parent: &Record<'_>, target: u32, position: u32) -> (u32, Option<Bits>) {
    let (mut first, mut width) = match parent.flag {
        true => (position & 0xff_ffff, position >> 24),
        false => (position, 0),
    };
    // Before kind_flag (commit 9d5f9f701b18), a bit-field was an integer of odd width.
    if width == 0
        && let Some(record) = btf.record(peel(btf, target))
        && record.kind == kind::INT
    {
        let (skip, bits) = (encoding(&record) >> 16 & 0xff, encoding(&record) & 0xff);
        if bits.wrapping_add(7) / 8 != record.size_or_type || bits % 8 != 0 || first % 8 != 0 {
            first = first.saturating_add(skip);
            width = bits;
        }
    }
    let bits = (width > 0).then(|| Bits {
        shift: (first % 8) as u8,
        width: u8::try_from(width).unwrap_or(64),
    });
    (first / 8, bits)
}
