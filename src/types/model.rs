//! What a type looks like once its source has been asked: the same shape
//! whether it came from DWARF, BTF or a profile.

/// A type's identity within its source (an offset into .debug_info for DWARF).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub u64);

/// The type of a member, as far as reading it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// An integer, boolean or enumeration.
    Int {
        /// Whether it is to be sign-extended.
        signed: bool,
    },
    /// A pointer; the pointed-to type where there is one.
    Pointer(Option<TypeId>),
    /// An array of `count` elements of `element`.
    Array {
        /// Type of one element.
        element: TypeId,
        /// Bytes in one element.
        stride: u32,
        /// Number of elements; 0 for a flexible array.
        count: u64,
    },
    /// A structure or union, by identity.
    Struct(TypeId),
    /// Anything else.
    Other,
}

/// A type with its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeDesc {
    /// Size in bytes; 0 where it has none.
    pub size: u32,
    /// What it is.
    pub kind: TypeKind,
}

/// Position of a bit-field within the bytes that start at its member's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Lowest bit, 0 to 7.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
}

impl Bits {
    /// One past its highest bit.
    pub fn end(self) -> u32 {
        u32::from(self.shift) + u32::from(self.width)
    }

    /// Its value out of the bytes that it lies in.
    pub fn of(self, word: u64) -> u64 {
        let mask = match 1u64.checked_shl(u32::from(self.width)) {
            Some(above) => above - 1,
            None => u64::MAX,
        };
        word.checked_shr(u32::from(self.shift)).unwrap_or(0) & mask
    }
}

/// A member of a structure or union.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name; members of anonymous structures and unions stand among their parent's.
    pub name: String,
    /// Bytes from the start of the outermost structure.
    pub offset: u32,
    /// For a bit-field, where in those bytes.
    pub bits: Option<Bits>,
    /// Its type.
    pub ty: TypeDesc,
}

/// A structure or union with its members, anonymous ones flattened.
#[derive(Clone, Debug)]
pub struct StructType {
    /// Size in bytes.
    pub size: u32,
    /// In the order of declaration.
    pub members: Vec<Member>,
}

impl StructType {
    /// The member called `name`.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}
