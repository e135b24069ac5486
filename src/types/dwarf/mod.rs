//! Types from DWARF 4 and 5, found without parsing what isn't needed.
//!
//! A lookup names its home, the source file whose unit must know the type:
//! `kmem_cache` lives in mm/slub.c. So one run parses a handful of the kernel's
//! 2,500 units. Only where the home itself is missing are all units indexed, on all
//! cores. Names are not unique in a kernel; the home's definition is the right one.

mod die;
mod units;

use std::sync::{Arc, OnceLock};

use gimli::{DwarfSections, EndianSlice, LittleEndian};

use self::units::{NameIndex, UnitList};
use super::model::{StructType, TypeId};
use super::{DebugFile, TypeError, TypeSource};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type GimliDwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// The DWARF of one debug file.
#[derive(Debug)]
pub struct Dwarf {
    file: Arc<DebugFile>,
    units: OnceLock<UnitList>,
    everything: OnceLock<NameIndex>,
}

impl Dwarf {
    /// Takes the DWARF of a debug file; nothing is parsed yet.
    ///
    /// # Errors
    /// If the file has none, or what it has is damaged.
    pub fn new(file: Arc<DebugFile>) -> Result<Self, TypeError> {
        for section in [".debug_info", ".debug_abbrev", ".debug_str"] {
            if file.try_section(section)?.is_none_or(<[u8]>::is_empty) {
                return Err(TypeError::NoDebugInfo {
                    path: file.path().display().to_string(),
                    section,
                });
            }
        }
        Ok(Self {
            file,
            units: OnceLock::new(),
            everything: OnceLock::new(),
        })
    }

    /// Lists the units with their names now, and not when the first type is asked for.
    pub fn list_units(&self) {
        self.units();
    }

    /// Cheap: a set of slices.
    fn gimli(&self) -> GimliDwarf<'_> {
        let sections: Result<DwarfSections<&[u8]>, std::convert::Infallible> =
            DwarfSections::load(|id| Ok(self.file.section(id.name()).unwrap_or_default()));
        let Ok(sections) = sections;
        sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian))
    }

    fn bad(&self, error: gimli::Error) -> TypeError {
        TypeError::BadDebugInfo {
            path: self.file.path().display().to_string(),
            why: error.to_string(),
        }
    }

    fn units(&self) -> &UnitList {
        self.units.get_or_init(|| UnitList::read(&self.gimli()))
    }

    fn everything(&self) -> &NameIndex {
        self.everything
            .get_or_init(|| self.units().index_all(&self.gimli()))
    }

    /// Offset of the definition of `name` (of kind `tag`) that the unit `home` sees.
    fn find(
        &self,
        name: &str,
        tag: units::Kind,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<u64>, TypeError> {
        let at_home = self
            .units()
            .find(&self.gimli(), home)
            .map_err(|error| self.bad(error))?;
        let found = at_home.as_ref().and_then(|index| index.get(name, tag));
        let look_further = everywhere || at_home.is_none();
        match found {
            None if look_further && self.may_exist(name) => Ok(self.everything().get(name, tag)),
            found => Ok(found),
        }
    }

    /// Whether the name is in the table of strings at all. That takes a millisecond, the index of
    /// all units a hundred. Compilers write names of less than four letters elsewhere; linkers may
    /// keep one string as the tail of another, so only its end is looked for.
    fn may_exist(&self, name: &str) -> bool {
        let strings = self.file.section(".debug_str").unwrap_or_default();
        let terminated = [name.as_bytes(), b"\0"].concat();
        name.len() < 4 || memchr::memmem::find(strings, &terminated).is_some()
    }
}

impl TypeSource for Dwarf {
    fn has_home(&self, home: &str) -> bool {
        self.units().has(home)
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        let found = self.find(name, units::Kind::Struct, home, everywhere)?;
        Ok(found.map(TypeId))
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        die::read_struct(&self.gimli(), self.units(), id).map_err(|error| self.bad(error))
    }

    fn struct_name(&self, id: TypeId) -> Option<String> {
        die::struct_name(&self.gimli(), self.units(), id)
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        let Some(offset) = self.find(name, units::Kind::Enum, home, true)? else {
            return Ok(None);
        };
        die::read_enum(&self.gimli(), self.units(), TypeId(offset))
            .map(Some)
            .map_err(|error| self.bad(error))
    }

    fn origin(&self) -> &'static str {
        "dwarf"
    }
}
