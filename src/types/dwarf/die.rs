//! From debugging entries to structures and enumerations.

use gimli::constants as dw;
use gimli::{AttributeValue, DebuggingInformationEntry, Reader, UnitOffset};

use super::view::{OpenUnit, UnitView};
use super::{GimliDwarf, Slice};
use crate::types::model::{Bits, Member, StructType, TypeDesc, TypeId, TypeKind};

/// Typedefs, qualifiers and anonymous structures nest a few deep in a kernel; a damaged file may
/// make them circular.
const MAX_DEPTH: u32 = 32;
/// The largest structures of a kernel have some hundred members; anonymous ones that hold each
/// other could make billions.
const MAX_MEMBERS: u32 = 1 << 16;

type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

struct Context<'d, 'a> {
    dwarf: &'d GimliDwarf<'a>,
    unit: UnitView<'a>,
    base: u64,
}

fn context<'d, 'a>(
    dwarf: &'d GimliDwarf<'a>,
    unit: &OpenUnit,
    id: TypeId,
) -> gimli::Result<(Context<'d, 'a>, UnitOffset)> {
    let base = unit.offset as u64;
    let within = id.0.checked_sub(base).map(usize::try_from);
    let Some(Ok(within)) = within else {
        return Err(gimli::Error::OffsetOutOfBounds(id.0));
    };
    let unit = unit.view(dwarf)?;
    Ok((Context { dwarf, unit, base }, UnitOffset(within)))
}

/// The structure or union at `id`; a typedef or qualifier is followed to one.
pub(super) fn read_struct(
    dwarf: &GimliDwarf<'_>,
    unit: &OpenUnit,
    id: TypeId,
) -> gimli::Result<StructType> {
    let (context, offset) = context(dwarf, unit, id)?;
    let offset = context.peel(offset)?;
    let entry = context.entry(offset)?;
    let mut out = StructType {
        size: context.size_of(&entry).unwrap_or(0),
        members: Vec::new(),
    };
    let mut left = MAX_MEMBERS;
    context.add_members(offset, 0, &mut out, &mut left, MAX_DEPTH)?;
    Ok(out)
}

/// The name of the structure or union at `id`, or of the declaration of one.
pub(super) fn struct_name(dwarf: &GimliDwarf<'_>, unit: &OpenUnit, id: TypeId) -> Option<String> {
    let (context, offset) = context(dwarf, unit, id).ok()?;
    let entry = context.entry(offset).ok()?;
    let is_struct = matches!(
        entry.tag(),
        dw::DW_TAG_structure_type | dw::DW_TAG_union_type
    );
    is_struct.then(|| context.name(&entry)).flatten()
}

/// The enumerators of the enumeration at `id`.
pub(super) fn read_enum(
    dwarf: &GimliDwarf<'_>,
    unit: &OpenUnit,
    id: TypeId,
) -> gimli::Result<Vec<(String, i64)>> {
    let (context, offset) = context(dwarf, unit, id)?;
    let mut out = Vec::new();
    let mut tree = context.unit.tree(Some(offset))?;
    let mut children = tree.root()?.children();
    while let Some(child) = children.next()? {
        let entry = child.entry();
        let value = entry.attr(dw::DW_AT_const_value).and_then(|attr| {
            attr.sdata_value()
                .or_else(|| attr.udata_value().map(u64::cast_signed))
        });
        if let (Some(name), Some(value)) = (context.name(entry), value) {
            out.push((name, value));
        }
    }
    Ok(out)
}

impl<'a> Context<'_, 'a> {
    fn entry(&self, offset: UnitOffset) -> gimli::Result<Entry<'a>> {
        self.unit.header.entry(&self.unit.abbreviations, offset)
    }

    fn name(&self, entry: &Entry<'a>) -> Option<String> {
        self.unit
            .string(self.dwarf, entry.attr_value(dw::DW_AT_name)?)
    }

    fn udata(entry: &Entry<'a>, at: gimli::DwAt) -> Option<u64> {
        entry.attr(at)?.udata_value()
    }

    fn size_of(&self, entry: &Entry<'a>) -> Option<u32> {
        u32::try_from(Self::udata(entry, dw::DW_AT_byte_size)?).ok()
    }

    fn type_of(&self, entry: &Entry<'a>) -> Option<UnitOffset> {
        match entry.attr_value(dw::DW_AT_type)? {
            AttributeValue::UnitRef(offset) => Some(offset),
            AttributeValue::DebugInfoRef(offset) => {
                let within = (offset.0 as u64).checked_sub(self.base)?;
                Some(UnitOffset(usize::try_from(within).ok()?))
            }
            _ => None,
        }
    }

    /// Follows typedefs and qualifiers to what they stand for.
    fn peel(&self, mut offset: UnitOffset) -> gimli::Result<UnitOffset> {
        for _ in 0..MAX_DEPTH {
            let entry = self.entry(offset)?;
            let follow = matches!(
                entry.tag(),
                dw::DW_TAG_typedef
                    | dw::DW_TAG_const_type
                    | dw::DW_TAG_volatile_type
                    | dw::DW_TAG_restrict_type
                    | dw::DW_TAG_atomic_type
            );
            match self.type_of(&entry) {
                Some(next) if follow => offset = next,
                _ => break,
            }
        }
        Ok(offset)
    }

    fn id(&self, offset: UnitOffset) -> TypeId {
        TypeId(self.base + offset.0 as u64)
    }

    fn describe(&self, offset: UnitOffset, depth: u32) -> gimli::Result<TypeDesc> {
        let offset = self.peel(offset)?;
        let entry = self.entry(offset)?;
        let size = self.size_of(&entry);
        let (size, kind) = match entry.tag() {
            dw::DW_TAG_base_type => {
                let encoding = Self::udata(&entry, dw::DW_AT_encoding).unwrap_or(0);
                let signed = encoding == u64::from(dw::DW_ATE_signed.0)
                    || encoding == u64::from(dw::DW_ATE_signed_char.0);
                (size.unwrap_or(0), TypeKind::Int { signed })
            }
            dw::DW_TAG_enumeration_type => (size.unwrap_or(4), TypeKind::Int { signed: false }),
            dw::DW_TAG_pointer_type => {
                let target = self.type_of(&entry);
                let target = target.and_then(|target| self.peel(target).ok());
                let target = target.map(|target| self.id(target));
                (size.unwrap_or(8), TypeKind::Pointer(target))
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_union_type => {
                (size.unwrap_or(0), TypeKind::Struct(self.id(offset)))
            }
            dw::DW_TAG_array_type if depth > 0 => return self.array(&entry, offset, depth),
            _ => (size.unwrap_or(0), TypeKind::Other),
        };
        Ok(TypeDesc { size, kind })
    }

    fn array(&self, entry: &Entry<'a>, offset: UnitOffset, depth: u32) -> gimli::Result<TypeDesc> {
        let Some(element) = self.type_of(entry) else {
            return Ok(TypeDesc {
                size: 0,
                kind: TypeKind::Other,
            });
        };
        let stride = self.describe(element, depth - 1)?.size;
        let mut count = 1u64;
        let mut tree = self.unit.tree(Some(offset))?;
        let mut dimensions = tree.root()?.children();
        while let Some(child) = dimensions.next()? {
            let dimension = child.entry();
            let length = Self::udata(dimension, dw::DW_AT_count).or_else(|| {
                Self::udata(dimension, dw::DW_AT_upper_bound).map(|last| last.wrapping_add(1))
            });
            count = count.saturating_mul(length.unwrap_or(0));
        }
        let size = u32::try_from(count.saturating_mul(u64::from(stride))).unwrap_or(0);
        let element = self.id(self.peel(element)?);
        Ok(TypeDesc {
            size,
            kind: TypeKind::Array {
                element,
                stride,
                count,
            },
        })
    }

    /// Adds the members of the structure at `offset`, moved up by `base` bytes; those of
    /// anonymous members come in their place. No more than `left` are looked at.
    fn add_members(
        &self,
        offset: UnitOffset,
        base: u32,
        out: &mut StructType,
        left: &mut u32,
        depth: u32,
    ) -> gimli::Result<()> {
        let mut tree = self.unit.tree(Some(offset))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let Some(less) = left.checked_sub(1) else {
                break;
            };
            *left = less;
            let entry = child.entry();
            let (dw::DW_TAG_member, Some(target)) = (entry.tag(), self.type_of(entry)) else {
                continue;
            };
            let (within, bits) = self.position(entry)?;
            let at = base.saturating_add(within);
            match self.name(entry) {
                Some(name) => out.members.push(Member {
                    name,
                    offset: at,
                    bits,
                    ty: self.describe(target, MAX_DEPTH)?,
                }),
                None if depth > 0 => {
                    self.add_members(self.peel(target)?, at, out, left, depth - 1)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The same as DWARF 2 has it: an expression that adds to the structure's address.
    fn added(entry: &Entry<'a>) -> Option<u64> {
        let mut code = match entry.attr_value(dw::DW_AT_data_member_location)? {
            AttributeValue::Exprloc(expression) => expression.0,
            AttributeValue::Block(block) => block,
            _ => return None,
        };
        let adds = code.read_u8().ok()? == dw::DW_OP_plus_uconst.0;
        adds.then(|| code.read_uleb128().ok()).flatten()
    }

    /// Byte offset of a member and, for a bit-field, its bits from there.
    fn position(&self, entry: &Entry<'a>) -> gimli::Result<(u32, Option<Bits>)> {
        let location = Self::udata(entry, dw::DW_AT_data_member_location);
        let location = location.or_else(|| Self::added(entry)).unwrap_or(0);
        let Some(width) = Self::udata(entry, dw::DW_AT_bit_size) else {
            return Ok((u32::try_from(location).unwrap_or(u32::MAX), None));
        };
        let first_bit = if let Some(bit) = Self::udata(entry, dw::DW_AT_data_bit_offset) {
            bit
        } else {
            // DWARF 2 style: bits counted from the top of the storage unit.
            let from_top = Self::udata(entry, dw::DW_AT_bit_offset).unwrap_or(0);
            let storage = match (Self::udata(entry, dw::DW_AT_byte_size), self.type_of(entry)) {
                (Some(size), _) => size,
                (None, Some(target)) => u64::from(self.describe(target, MAX_DEPTH)?.size),
                (None, None) => 4,
            };
            let end = location.saturating_add(storage).saturating_mul(8);
            end.saturating_sub(from_top.saturating_add(width))
        };
        let bits = Bits {
            shift: (first_bit % 8) as u8,
            width: u8::try_from(width).unwrap_or(64),
        };
        let offset = u32::try_from(first_bit / 8).unwrap_or(u32::MAX);
        Ok((offset, Some(bits)))
    }
}
