//! Types from BTF, the compact form that a kernel since 5.2 carries in its own memory.
//!
//! Input: the bytes of a `.BTF` section, or what a dump holds of it; a module's part
//! (split BTF) comes with the whole that it continues. Output: a [`TypeSource`].
//! Parsing is one pass that notes where each type stands and hashes the names; nothing
//! is copied. Invariants: hostile bytes cost an error or an absent type; nothing
//! recurses on them. The format: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.

mod read;
mod records;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use self::records::{Index, Names, Record, Sections};
use super::model::{StructType, TypeId};
use super::{DebugFile, TypeError, TypeSource};

const SECTION: &str = ".BTF";

/// The types of a kernel or, on top of them, those of one of its modules.
pub struct Btf {
    name: String,
    content: Content,
    sections: Sections,
    index: Index,
    base: Option<Arc<Btf>>,
}

enum Content {
    Owned(Vec<u8>),
    Section(Arc<DebugFile>),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Section(file) => file.section(SECTION).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Btf")
            .field("name", &self.name)
            .field("types", &self.index.len())
            .field("split", &self.base.is_some())
            .finish_non_exhaustive()
    }
}

impl Btf {
    /// The whole types of a kernel; `name` is for messages.
    ///
    /// # Errors
    /// If the bytes are no BTF, or damaged.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Self, TypeError> {
        Self::build(name, Content::Owned(bytes), None)
    }

    /// A module's types, which continue those of `base`.
    ///
    /// # Errors
    /// If the bytes are no BTF, or damaged.
    pub fn split(module: &str, bytes: Vec<u8>, base: Arc<Btf>) -> Result<Self, TypeError> {
        Self::build(module, Content::Owned(bytes), Some(base))
    }

    /// Section `.BTF` of a vmlinux.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    pub fn from_file(file: Arc<DebugFile>) -> Result<Self, TypeError> {
        let path = file.path().display().to_string();
        if file.try_section(SECTION)?.is_none_or(<[u8]>::is_empty) {
            return Err(TypeError::NoBtf { path });
        }
        Self::build(&path, Content::Section(file), None)
    }

    fn build(name: &str, content: Content, base: Option<Arc<Btf>>) -> Result<Self, TypeError> {
        let bad = |why: String| TypeError::BadBtf {
            name: name.to_owned(),
            why,
        };
        let (first, first_string) = base
            .as_ref()
            .map_or((1, 0), |base| (base.end_id(), base.end_string()));
        let bytes = content.bytes();
        let sections = Sections::parse(bytes, first_string).map_err(bad)?;
        let names = Names {
            bytes,
            own: &sections,
            base: base.as_deref(),
        };
        let index = Index::build(names, first).map_err(bad)?;
        Ok(Self {
            name: name.to_owned(),
            content,
            sections,
            index,
            base,
        })
    }

    /// One past the last type's number: where a module's part continues.
    pub fn end_id(&self) -> u32 {
        self.index.end()
    }

    /// Bytes of strings, those of the base included: where a module's part continues.
    pub fn end_string(&self) -> u32 {
        self.sections.end_string()
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let names = Names {
            bytes: self.content.bytes(),
            own: &self.sections,
            base: self.base.as_deref(),
        };
        names.get(offset)
    }

    /// Type 0 is `void` and has no record.
    fn record(&self, id: u32) -> Option<Record<'_>> {
        match &self.base {
            Some(base) if id < base.end_id() => base.record(id),
            _ => Record::parse(self.content.bytes(), self.index.offset(id)?),
        }
    }

    fn find(&self, kinds: records::NameKind, name: &str) -> Option<u32> {
        let id = self.index.find(kinds, name)?;
        let found = self.record(id)?;
        // Two names may share a hash.
        (self.string(found.name)? == name.as_bytes()).then_some(id)
    }

    fn bad(&self, why: &str) -> TypeError {
        TypeError::BadBtf {
            name: self.name.clone(),
            why: why.to_owned(),
        }
    }
}

impl TypeSource for Btf {
    /// BTF has no units. But a module's sources are named after it as a rule, and its own
    /// definitions are the ones that its code sees.
    fn has_home(&self, home: &str) -> bool {
        let stem = Path::new(home).file_stem().and_then(|stem| stem.to_str());
        let stem = stem.unwrap_or_default().replace('-', "_");
        self.base.is_some() && stem.starts_with(&self.name)
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        let own = self
            .find(records::NameKind::Structure, name)
            .or_else(|| self.find(records::NameKind::Typedef, name));
        match (own, &self.base) {
            (Some(id), _) => Ok(Some(TypeId(u64::from(id)))),
            (None, Some(base)) => base.find_struct(name, home, everywhere),
            (None, None) => Ok(None),
        }
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        read::structure(self, id).ok_or_else(|| self.bad("a type refers to one that is not there"))
    }

    fn struct_name(&self, id: TypeId) -> Option<String> {
        use records::kind;
        let found = self.record(u32::try_from(id.0).ok()?)?;
        let is_struct = matches!(found.kind, kind::STRUCT | kind::UNION | kind::FWD);
        let name = is_struct.then(|| self.string(found.name)).flatten()?;
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        match (self.find(records::NameKind::Enumeration, name), &self.base) {
            (Some(id), _) => Ok(self.record(id).map(|found| read::enumerators(self, &found))),
            (None, Some(base)) => base.find_enum(name, home),
            (None, None) => Ok(None),
        }
    }

    fn origin(&self) -> &'static str {
        "btf"
    }
}
