//! One member's type as text, and back.
//!
//! `i` and `u` are integers (signed, unsigned), `p` a pointer, `s3` the structure at place
//! 3, `a8x4` an array of 4 elements of 8 bytes, `o` anything else; `@3+1` behind it is a
//! bit-field of 1 bit from bit 3 on.

use super::content::Body;
use crate::types::model::{Bits, Member, StructType, TypeDesc, TypeId, TypeKind};

/// No structure: what an array's elements are is not recorded.
const NOWHERE: TypeId = TypeId(u64::MAX);

/// The type of a member; `place` is that of the structure that it is.
pub(super) fn encode(member: &Member, place: Option<u32>) -> String {
    let kind = match (member.ty.kind, place) {
        (TypeKind::Int { signed: true }, _) => "i".to_owned(),
        (TypeKind::Int { signed: false }, _) => "u".to_owned(),
        (TypeKind::Pointer(_), _) => "p".to_owned(),
        (TypeKind::Array { stride, count, .. }, _) => format!("a{stride}x{count}"),
        (TypeKind::Struct(_), Some(place)) => format!("s{place}"),
        (TypeKind::Struct(_), None) | (TypeKind::Other, _) => "o".to_owned(),
    };
    match member.bits {
        Some(bits) => format!("{kind}@{}+{}", bits.shift, bits.width),
        None => kind,
    }
}

fn decode(text: &str, bodies: usize) -> Option<(TypeKind, Option<Bits>)> {
    let (kind, bits) = match text.split_once('@') {
        Some((kind, bits)) => {
            let (shift, width) = bits.split_once('+')?;
            let (shift, width) = (shift.parse().ok()?, width.parse().ok()?);
            let bits = Bits { shift, width };
            (
                kind,
                (shift < 8 && (1..=64).contains(&width))
                    .then_some(bits)?
                    .into(),
            )
        }
        None => (text, None),
    };
    let rest = kind.get(1..)?;
    let kind = match kind.as_bytes().first()? {
        b'i' if rest.is_empty() => TypeKind::Int { signed: true },
        b'u' if rest.is_empty() => TypeKind::Int { signed: false },
        b'p' if rest.is_empty() => TypeKind::Pointer(None),
        b'o' if rest.is_empty() => TypeKind::Other,
        b's' => {
            let place: u32 = rest.parse().ok()?;
            ((place as usize) < bodies).then_some(TypeKind::Struct(TypeId(u64::from(place))))?
        }
        b'a' => {
            let (stride, count) = rest.split_once('x')?;
            TypeKind::Array {
                element: NOWHERE,
                stride: stride.parse().ok()?,
                count: count.parse().ok()?,
            }
        }
        _ => return None,
    };
    Some((kind, bits))
}

/// The structure, or the type that makes no sense.
pub(super) fn structure(body: Body, bodies: usize) -> Result<StructType, String> {
    let mut members = Vec::with_capacity(body.members.len());
    for (name, offset, size, kind) in body.members {
        let Some((kind, bits)) = decode(&kind, bodies) else {
            return Err(format!("member {name:?} has the type {kind:?}"));
        };
        let ty = TypeDesc { size, kind };
        members.push(Member {
            name,
            offset,
            bits,
            ty,
        });
    }
    Ok(StructType {
        size: body.size,
        members,
    })
}
