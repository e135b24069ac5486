//! Types and symbols of the crashed kernel.
//!
//! Layer: beside `dump` and `space`; it never reads the dump's memory. Input: debug
//! files, or bytes that `kernel` has read. Output: [`TypeDb`] with members by name and [`SymbolTable`] with addresses
//! as linked. Invariants: what a kernel does not have is `None`, found by looking in
//! the translation unit that would have to define it; nothing is guessed.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;
use thiserror::Error;

mod at_offset;
mod btf;
mod buckets;
mod db;
mod debug_file;
mod dwarf;
mod kallsyms;
mod lz4;
mod model;
mod profile;
mod relocate;
mod symbols;
mod system_map;
mod vmlinuz;
mod wrapper;

pub use at_offset::MemberAt;
pub use btf::Btf;
pub use db::{FoundStruct, TypeDb};
pub use debug_file::{DebugFile, build_id_of, module_name_of};
pub use dwarf::Dwarf;
pub use kallsyms::{Kallsyms, KallsymsError, KallsymsTables, Named};
pub use model::{Bits, Member, StructType, TypeDesc, TypeId, TypeKind};
pub use profile::{Profile, ProfileIdentity, ProfileWriter};
pub use symbols::{SymbolOrigin, SymbolTable};
pub use system_map::is_system_map;
pub(crate) use vmlinuz::is_vmlinuz;
pub(crate) use wrapper::unpacked_start;

/// Why types or symbols can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// The debug file can't be opened or mapped.
    #[error(transparent)]
    File(#[from] crate::dump::DumpError),
    /// It is no ELF file, or a damaged one.
    #[error("{path}: not a usable ELF file: {why}")]
    BadElf {
        /// The file.
        path: String,
        /// What the parser said.
        why: String,
    },
    /// It has no debug information.
    #[error(
        "{path}: has no {section} section: this is the stripped kernel; install its debug package and give that vmlinux"
    )]
    NoDebugInfo {
        /// The file.
        path: String,
        /// The section that is missing.
        section: &'static str,
    },
    /// The debug information is damaged.
    #[error("{path}: damaged debug information: {why}")]
    BadDebugInfo {
        /// The file.
        path: String,
        /// What the parser said, with the offset.
        why: String,
    },
    /// A vmlinux without BTF.
    #[error("{path}: has no .BTF section: the kernel was built without CONFIG_DEBUG_INFO_BTF")]
    NoBtf {
        /// The file.
        path: String,
    },
    /// BTF that does not parse.
    #[error("{name}: damaged BTF: {why}")]
    BadBtf {
        /// Of what.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// No profile, or a damaged one.
    #[error("{path}: not a usable profile: {why}")]
    BadProfile {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// What a profile says nothing of, neither that the kernel has it nor that it has not.
    #[error(
        "{path}: says nothing of {kind} {name}: it was written by another version of vmleak; write it again with `vmleak info --save-profile`"
    )]
    NotInProfile {
        /// The file.
        path: String,
        /// `struct` or `enum`.
        kind: &'static str,
        /// Of what.
        name: String,
    },
    /// No list of symbols.
    #[error("{path}: not a System.map: {why}")]
    BadSystemMap {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// Of a name: what tables of names are kept by, since spelling 100,000 names out takes longer than
/// reading them.
fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// Something that knows types.
pub trait TypeSource: fmt::Debug + Send + Sync {
    /// Whether this source has the translation unit `home`. Sources that do not know units say no.
    fn has_home(&self, _home: &str) -> bool {
        false
    }

    /// The complete structure, union or typedef of one called `name`, as the translation unit
    /// `home` (a source path such as `mm/slub.c`) sees it. With `everywhere`, all other units
    /// are searched if `home` does not know it.
    ///
    /// # Errors
    /// If the debug information is damaged.
    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError>;

    /// The structure or union with this identity.
    ///
    /// # Errors
    /// If the debug information is damaged.
    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError>;

    /// The name of the structure or union with this identity; `None` if it has none, or is
    /// something else, or the source does not keep names.
    fn struct_name(&self, _id: TypeId) -> Option<String> {
        None
    }

    /// Names and values of the enumeration `name` as the unit `home` sees it, else any other:
    /// compilers leave out of a unit the enumerations of which it uses only the values.
    ///
    /// # Errors
    /// If the debug information is damaged.
    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError>;

    /// `dwarf`, `btf` or `profile`, for the document's `types_from`.
    fn origin(&self) -> &'static str;
}

/// Shared: with the modules' types that continue it, say.
impl<T: TypeSource + ?Sized> TypeSource for Arc<T> {
    fn has_home(&self, home: &str) -> bool {
        self.as_ref().has_home(home)
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        self.as_ref().find_struct(name, home, everywhere)
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        self.as_ref().get_struct(id)
    }

    fn struct_name(&self, id: TypeId) -> Option<String> {
        self.as_ref().struct_name(id)
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        self.as_ref().find_enum(name, home)
    }

    fn origin(&self) -> &'static str {
        self.as_ref().origin()
    }
}
