//! C types of one kernel, read from the tables in `layouts/`.
//!
//! Input: the notation that `parse.rs` describes. Output: a [`TypeTable`] that tells
//! offsets and sizes to the code that lays memory, and whole types to the code
//! that writes DWARF. Nothing here touches memory.

mod change;
mod lookup;
mod parse;

pub use change::Change;
pub use lookup::Field;

use std::collections::BTreeMap;

/// A C type as a declaration spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CType {
    /// `void`, only behind a pointer or as an object without size.
    Void,
    /// A function, only behind a pointer.
    Function,
    /// A base type or a typedef, by name.
    Named(String),
    /// A struct or union with a tag.
    Tagged(String),
    /// An enum with a tag.
    Enum(String),
    /// A struct or union without a tag.
    Nameless(Box<Aggregate>),
    /// `const`.
    Const(Box<CType>),
    /// `*`.
    Pointer(Box<CType>),
    /// `[n]`; 0 stands for an array without bound.
    Array(Box<CType>, u64),
}

/// A struct or a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Members share their place.
    pub union: bool,
    /// `sizeof`, which may be larger than the members listed need.
    pub size: u64,
    /// Members in order.
    pub members: Vec<Member>,
}

/// One member of an [`Aggregate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Absent for an anonymous struct or union.
    pub name: Option<String>,
    /// From the start of the aggregate it is declared in, in bits.
    pub bit_offset: u64,
    /// Width of a bit-field, in bits.
    pub bits: Option<u64>,
    /// Its type.
    pub ctype: CType,
}

/// An enum: its size in bytes and its enumerators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumeration {
    /// `None` for an enum without a tag.
    pub tag: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Names and values in order.
    pub enumerators: Vec<(String, i64)>,
}

/// All types and variables of one kernel.
#[derive(Debug, Clone, Default)]
pub struct TypeTable {
    /// Structs and unions by tag.
    pub aggregates: BTreeMap<String, Aggregate>,
    /// Typedefs by name.
    pub typedefs: BTreeMap<String, CType>,
    /// Enums, with and without a tag.
    pub enums: Vec<Enumeration>,
    /// Global variables and their types, in order.
    pub variables: Vec<(String, CType)>,
}

/// C base types that the tables use: name, bytes, signed, is a character.
pub const BASE_TYPES: &[(&str, u64, bool, bool)] = &[
    ("char", 1, true, true),
    ("signed char", 1, true, true),
    ("unsigned char", 1, false, true),
    ("_Bool", 1, false, false),
    ("short", 2, true, false),
    ("unsigned short", 2, false, false),
    ("int", 4, true, false),
    ("unsigned int", 4, false, false),
    ("long", 8, true, false),
    ("unsigned long", 8, false, false),
    ("long long", 8, true, false),
    ("unsigned long long", 8, false, false),
    ("__int128 unsigned", 16, false, false),
];
