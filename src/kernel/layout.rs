//! Offsets of structure members, resolved once per run from the kernel's types.
//!
//! A layout names the members that the code reads; each is needed or optional, and may
//! have had several names (newest first). Hot loops then read bytes at offsets and look
//! nothing up by name.

use thiserror::Error;

use crate::bytes;
use crate::types::{Bits, FoundStruct, Member, TypeDb, TypeError};

/// Where a member lies in its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Size in bytes; of an array, the whole of it.
    pub size: u32,
    /// For a bit-field, which bits.
    pub bits: Option<Bits>,
}

/// Arrays of so many bytes are read with their structure: a disk's name, six counters.
const WHOLE: u32 = 64;

impl Field {
    fn from_member(member: &Member) -> Self {
        Self {
            offset: member.offset,
            size: member.ty.size,
            bits: member.bits,
        }
    }

    /// One past the last byte that reading the member touches: names and short arrays are read as a
    /// whole, of what is longer or has members of its own the first word.
    pub fn end(&self) -> usize {
        let whole = self.bytes();
        let read = match self.bits {
            None if whole <= WHOLE => whole,
            _ => whole.min(8),
        };
        self.offset as usize + read as usize
    }

    /// Bytes that it lies in: of a bit-field not all that its type has.
    pub fn bytes(&self) -> u32 {
        let bits = self.bits.map(|bits| bits.end().div_ceil(8));
        bits.unwrap_or(self.size)
    }

    /// The member's value out of the bytes of its structure, zero-extended. Zero if `record` is
    /// too short, which the length of its layout rules out.
    pub fn get(&self, record: &[u8]) -> u64 {
        let offset = self.offset as usize;
        match self.bits {
            Some(bits) => {
                let word = bytes::uint_at(record, offset, self.end() - offset).unwrap_or(0);
                bits.of(word)
            }
            None => bytes::uint_at(record, offset, self.size.min(8) as usize).unwrap_or(0),
        }
    }
}

/// Why a layout does not resolve: this kernel is shaped in a way that vmleak does not know.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The type information is damaged.
    #[error(transparent)]
    Types(#[from] TypeError),
    /// A structure that is smaller than what is in it.
    #[error(
        "the kernel's types are damaged: struct {structure} has {size} bytes, and members up to byte {end}"
    )]
    BadSize {
        /// The structure.
        structure: &'static str,
        /// Its size.
        size: usize,
        /// Where the members that are read end.
        end: usize,
    },
    /// No such structure.
    #[error("the kernel's types have no struct {0}; is the debug file complete?")]
    NoStruct(&'static str),
    /// No such member under any of its names.
    #[error(
        "struct {structure} has no member {member}: a kernel shape not known yet, please report it with its release"
    )]
    NoMember {
        /// The structure.
        structure: &'static str,
        /// The names tried.
        member: &'static str,
    },
}

/// A resolved layout, for `info --layouts`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LayoutInfo {
    /// The structure's name in C.
    pub structure: String,
    /// Its size in bytes.
    pub size: u32,
    /// Each member read: name, offset, size; absent ones have none.
    pub members: Vec<MemberInfo>,
}

impl LayoutInfo {
    /// Adds what another layout reads of the same structure. Threads come in any order, so the
    /// members have one of their own.
    pub(crate) fn add(&mut self, other: Self) {
        for member in other.members {
            if !self.members.contains(&member) {
                self.members.push(member);
            }
        }
        let place = |one: &MemberInfo| (one.offset.is_none(), one.offset, one.name, one.size);
        self.members.sort_by_key(place);
    }
}

/// One member of a [`LayoutInfo`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemberInfo {
    /// What the code calls it.
    pub name: &'static str,
    /// Bytes from the start; `None` if this kernel has no such member.
    pub offset: Option<u32>,
    /// Size in bytes.
    pub size: Option<u32>,
}

/// Resolves one member by the first of its names that exists.
pub(crate) fn resolve(found: &FoundStruct<'_>, names: &[&str]) -> Result<Option<Field>, TypeError> {
    for name in names {
        if let Some(member) = found.member(name)? {
            return Ok(Some(Field::from_member(&member)));
        }
    }
    Ok(None)
}

/// The size of a structure, if all that is read of it has room in it; so it is never zero.
pub(crate) fn checked_size(
    structure: &'static str,
    size: u32,
    end: usize,
) -> Result<usize, LayoutError> {
    let size = size as usize;
    match size > 0 && size >= end {
        true => Ok(size),
        false => Err(LayoutError::BadSize {
            structure,
            size,
            end,
        }),
    }
}

/// What every layout can say of itself.
pub trait Layout: Sized {
    /// Resolves the layout against the kernel's types.
    ///
    /// # Errors
    /// If the structure or a needed member does not exist.
    fn resolve(types: &TypeDb) -> Result<Self, LayoutError>;

    /// Offsets found, for people.
    fn info(&self) -> LayoutInfo;
}

/// What there is to know of a layout without a kernel: each one that `layout!` declares is listed.
#[derive(Debug)]
pub struct Registered {
    /// Its name in vmleak.
    pub layout: &'static str,
    /// The structure's name in C.
    pub structure: &'static str,
    /// The units that may define it.
    pub homes: &'static [&'static str],
    /// Resolves it.
    pub resolve: fn(&TypeDb) -> Result<LayoutInfo, LayoutError>,
}

inventory::collect!(Registered);

impl Registered {
    /// All layouts, in no particular order.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>()
    }
}

/// Declares a layout: `need` members must exist, `maybe` members are `Option<Field>`. Where the
/// source file that defines the structure has moved, homes stand newest first.
macro_rules! layout {
    (
        $(#[$meta:meta])*
        $vis:vis struct $layout:ident = $structure:literal in $($home:literal)|+ {
            $( $(#[$doc:meta])* $kind:ident $field:ident = $($path:literal)|+ ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[allow(missing_docs, dead_code)] // not every layout is read as a whole record
        $vis struct $layout {
            /// Size of the whole structure in bytes.
            pub struct_size: usize,
            /// Bytes from its start that hold all members read.
            pub len: usize,
            $( $(#[$doc])* pub $field: $crate::kernel::layout::layout!(@type $kind), )*
        }

        impl $crate::kernel::layout::Layout for $layout {
            fn resolve(types: &$crate::types::TypeDb) -> Result<Self, $crate::kernel::layout::LayoutError> {
                use $crate::kernel::layout::LayoutError;
                let found = types
                    .find_at_homes($structure, &[$($home),+])?
                    .ok_or(LayoutError::NoStruct($structure))?;
                let mut len = 0;
                $(
                    let $field = $crate::kernel::layout::resolve(&found, &[$($path),+])?;
                    len = len.max($field.as_ref().map_or(0, $crate::kernel::layout::Field::end));
                    $crate::kernel::layout::layout!(@check $kind $field $structure ($($path)+));
                )*
                let struct_size = $crate::kernel::layout::checked_size($structure, found.body.size, len)?;
                Ok(Self { struct_size, len, $($field),* })
            }

            fn info(&self) -> $crate::kernel::layout::LayoutInfo {
                use $crate::kernel::layout::{Field, LayoutInfo, MemberInfo};
                let member = |name, field: Option<&Field>| MemberInfo {
                    name,
                    offset: field.map(|f| f.offset),
                    size: field.map(Field::bytes),
                };
                LayoutInfo {
                    structure: $structure.to_owned(),
                    size: u32::try_from(self.struct_size).unwrap_or(u32::MAX),
                    members: vec![$(
                        member(stringify!($field), $crate::kernel::layout::layout!(@as_ref $kind self.$field)),
                    )*],
                }
            }
        }

        inventory::submit! {
            $crate::kernel::layout::Registered {
                layout: stringify!($layout),
                structure: $structure,
                homes: &[$($home),+],
                resolve: |types| {
                    use $crate::kernel::layout::Layout;
                    Ok($layout::resolve(types)?.info())
                },
            }
        }
    };
    (@type need) => { $crate::kernel::layout::Field };
    (@type maybe) => { Option<$crate::kernel::layout::Field> };
    (@check need $field:ident $structure:literal ($first:literal $($rest:literal)*)) => {
        let $field = $field.ok_or(LayoutError::NoMember {
            structure: $structure,
            member: concat!($first $(, " or ", $rest)*),
        })?;
    };
    (@check maybe $field:ident $structure:literal ($($path:literal)+)) => {};
    (@as_ref need $self:ident.$field:ident) => { Some(&$self.$field) };
    (@as_ref maybe $self:ident.$field:ident) => { $self.$field.as_ref() };
}
pub(crate) use layout;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_fields_are_cut_out() {
        // struct slab's counters word: inuse:16, objects:15, frozen:1
        let field = |offset, shift, width| Field {
            offset,
            size: 4,
            bits: Some(Bits { shift, width }),
        };
        let record = (0x8015_0007u32).to_le_bytes();
        assert_eq!(field(0, 0, 16).get(&record), 7);
        assert_eq!(field(2, 0, 15).get(&record), 0x15);
        assert_eq!(field(3, 7, 1).get(&record), 1);
        assert_eq!(field(3, 7, 1).end(), 4);
    }

    /// All of a name and of six counters, and the first word of what is embedded.
    #[test]
    fn short_arrays_are_read_as_a_whole() {
        for (size, end) in [(4, 104), (8, 108), (16, 116), (48, 148), (200, 108)] {
            let field = Field {
                offset: 100,
                size,
                bits: None,
            };
            assert_eq!(field.end(), end, "{size}");
        }
    }

    /// As many bits as a word has, or as damaged types may say: no shift and no sum overflows.
    #[test]
    fn bit_fields_of_any_width() {
        let word = 0x8123_4567_89ab_cdefu64;
        let record = word.to_le_bytes();
        for (shift, width, value, end) in [
            (0, 64, word, 8),
            (4, 60, word >> 4, 8),
            (7, 64, word >> 7, 8),
            (0, 255, word, 8),
            (255, 255, 0, 8),
        ] {
            let bits = Some(Bits { shift, width });
            let field = Field {
                offset: 0,
                size: 8,
                bits,
            };
            assert_eq!(field.end(), end, "{shift}+{width}");
            assert_eq!(field.get(&record), value, "{shift}+{width}");
        }
    }

    /// What is divided by or multiplied with the size of a structure can rely on it.
    #[test]
    fn a_structure_without_a_size_is_no_layout() {
        assert!(matches!(checked_size("mem_section", 16, 16), Ok(16)));
        for (size, end) in [(0, 0), (0, 8), (8, 16)] {
            let error = checked_size("mem_section", size, end).expect_err("no size");
            assert!(error.to_string().contains("struct mem_section"), "{error}");
        }
    }
}
