//! Types and symbols of the crashed kernel.
//!
//! Layer: beside `dump` and `space`; it never reads the dump's memory. Input: debug
//! files. Output: [`TypeDb`] with members by name and [`SymbolTable`] with addresses
//! as linked. Invariants: what a kernel does not have is `None`, found by looking in
//! the translation unit that would have to define it; nothing is guessed.

use std::fmt;

use thiserror::Error;

mod dwarf;
mod model;
mod symbols;
mod vmlinux;

pub use dwarf::Dwarf;
pub use model::{Bits, Member, StructType, TypeDesc, TypeId, TypeKind};
pub use symbols::SymbolTable;
pub use vmlinux::{DebugFile, build_id_of};

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
}

/// Something that knows types.
pub trait TypeSource: fmt::Debug + Send + Sync {
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

    /// Names and values of the enumeration `name` as the unit `home` sees it, else any other:
    /// compilers leave out of a unit the enumerations of which it uses only the values.
    ///
    /// # Errors
    /// If the debug information is damaged.
    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError>;

    /// `dwarf`, `btf` or `profile`, for the document's `types_from`.
    fn origin(&self) -> &'static str;
}

/// The types of one kernel, from one or more sources asked in order.
#[derive(Debug)]
pub struct TypeDb {
    sources: Vec<Box<dyn TypeSource>>,
}

impl TypeDb {
    /// A database that asks `sources` in order.
    pub fn new(sources: Vec<Box<dyn TypeSource>>) -> Self {
        Self { sources }
    }

    /// Where the types come from.
    pub fn origin(&self) -> &'static str {
        self.sources
            .first()
            .map_or("none", |source| source.origin())
    }

    /// The structure `name`, or `None` if no source has it.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<FoundStruct<'_>>, TypeError> {
        for source in &self.sources {
            if let Some(id) = source.find_struct(name, home, everywhere)? {
                return Ok(Some(FoundStruct {
                    body: source.get_struct(id)?,
                    source: source.as_ref(),
                }));
            }
        }
        Ok(None)
    }

    /// The value of `enumerator` in the enumeration `name`, or `None` if the kernel lacks it.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn enumerator(
        &self,
        name: &str,
        home: &str,
        enumerator: &str,
    ) -> Result<Option<i64>, TypeError> {
        Ok(self.enumeration(name, home)?.and_then(|all| {
            all.into_iter()
                .find(|(known, _)| known == enumerator)
                .map(|(_, value)| value)
        }))
    }

    /// All enumerators of the enumeration `name`.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn enumeration(
        &self,
        name: &str,
        home: &str,
    ) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        for source in &self.sources {
            if let Some(all) = source.find_enum(name, home)? {
                return Ok(Some(all));
            }
        }
        Ok(None)
    }
}

/// A structure together with the source that its members' types refer to.
#[derive(Debug)]
pub struct FoundStruct<'a> {
    /// The structure itself.
    pub body: StructType,
    source: &'a dyn TypeSource,
}

impl FoundStruct<'_> {
    /// Follows a dotted path (`kobj.sd`) through embedded structures; the offset is from the
    /// start of this one. `None` if a name on the way does not exist.
    ///
    /// # Errors
    /// If the source is damaged.
    pub fn member(&self, path: &str) -> Result<Option<Member>, TypeError> {
        let mut names = path.split('.');
        let first = names.next().unwrap_or(path);
        let Some(mut member) = self.body.member(first).cloned() else {
            return Ok(None);
        };
        for name in names {
            let TypeKind::Struct(id) = member.ty.kind else {
                return Ok(None);
            };
            let inner = self.source.get_struct(id)?;
            let Some(next) = inner.member(name) else {
                return Ok(None);
            };
            member = Member {
                offset: member.offset + next.offset,
                ..next.clone()
            };
        }
        Ok(Some(member))
    }
}
