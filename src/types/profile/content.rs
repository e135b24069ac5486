//! The form of the file, as docs/profiles.md has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What `format` says.
pub(super) const FORMAT: &str = "vmleak-profile";
/// What `version` says: raised only when an older vmleak would misread the file.
pub(super) const VERSION: u32 = 1;

/// Whose types they are, and where they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileIdentity {
    /// `uname -r`.
    pub release: Option<String>,
    /// Of vmlinux, in hexadecimal: what the profile is keyed by.
    pub build_id: Option<String>,
    /// As `uname -m` says it.
    pub arch: String,
    /// What the types were taken from: `dwarf` or `btf`.
    pub types_from: String,
    /// What the symbols were taken from, if there are any.
    pub symbols_from: Option<String>,
    /// The modules whose types are in it, by name, with their build-ids where known.
    pub modules: BTreeMap<String, Option<String>>,
}

/// Enough to say what a file is.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
}

/// By name and unit.
pub(super) type Asked<T> = BTreeMap<String, BTreeMap<String, T>>;
/// The structure that the unit has, and the one found if all units are searched; both are places
/// in `bodies`.
pub(super) type Places = (Option<u32>, Option<u32>);
/// Names and values.
pub(super) type Enumerators = Vec<(String, i64)>;

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) kernel: ProfileIdentity,
    /// Those of the units asked for that the kernel has.
    pub(super) units: BTreeSet<String>,
    pub(super) structures: Asked<Places>,
    pub(super) enumerations: Asked<Option<Enumerators>>,
    /// Addresses as linked, in hexadecimal; `null` for a symbol that the kernel has not.
    pub(super) symbols: Option<BTreeMap<String, Option<String>>>,
    pub(super) bodies: Vec<Body>,
}

/// A structure or union.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) size: u32,
    /// Name, offset, size, type (see `body`).
    pub(super) members: Vec<(String, u32, u32, String)>,
}
