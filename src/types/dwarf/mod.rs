//! Types from DWARF 4 and 5, found without parsing what isn't needed.
//!
//! A lookup names its home, the source file whose unit must know the type:
//! `kmem_cache` lives in mm/slub.c. So one run parses a handful of the kernel's
//! 2,500 units. Only where the home itself is missing are all units indexed, on all
//! cores. Names are not unique in a kernel; the home's definition is the right one.

mod die;
mod homes;
mod units;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gimli::{DwarfSections, EndianSlice, LittleEndian};
use rustc_hash::{FxHashMap, FxHashSet};

use self::homes::Homes;
use self::units::UnitList;
use self::view::{Kind, NameIndex, OpenUnit};
use super::model::{StructType, TypeId};
use super::{DebugFile, TypeError, TypeSource, hash};
use crate::once::get_or_make;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type GimliDwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// The DWARF of one debug file.
#[derive(Debug)]
pub struct Dwarf {
    file: Arc<DebugFile>,
    /// The short way to a unit, where the file has what that takes.
    homes: OnceLock<Option<Homes>>,
    list: OnceLock<UnitList>,
    everything: OnceLock<NameIndex>,
    read: Mutex<ReadUnits>,
}

/// What was found out of single units.
#[derive(Debug, Default)]
struct ReadUnits {
    /// Where the unit of a home begins.
    homes: FxHashMap<String, Option<usize>>,
    /// By where they begin.
    units: BTreeMap<usize, Arc<OpenUnit>>,
}

impl Dwarf {
    /// Takes the DWARF of a debug file; nothing is parsed yet.
    ///
    /// # Errors
    /// If the file has none, or what it has is damaged.
    pub fn new(file: Arc<DebugFile>) -> Result<Self, TypeError> {
        if let Some(other) = file.moved_to() {
            return Err(TypeError::BadDebugInfo {
                path: file.path().display().to_string(),
                why: format!(
                    "dwz moved parts of it to {other} (.gnu_debugaltlink), and they are not read from there: give the file as the build left it"
                ),
            });
        }
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
            homes: OnceLock::new(),
            list: OnceLock::new(),
            everything: OnceLock::new(),
            read: Mutex::default(),
        })
    }

    /// Prepares the way to units now, and not when the first type is asked for, and reads the unit
    /// that is asked for most.
    pub fn prepare(&self) {
        // What is wrong with it will be said when it is asked for.
        let _ = self.position("mm/slub.c").map(|offset| self.unit(offset));
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

    fn homes(&self) -> Option<&Homes> {
        let read = || Homes::read(&self.file, &self.gimli());
        self.homes.get_or_init(read).as_ref()
    }

    fn list(&self) -> &UnitList {
        get_or_make(&self.list, || UnitList::read(&self.gimli()))
    }

    fn read(&self) -> MutexGuard<'_, ReadUnits> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the unit of `home` begins. The list of all units is made only where the short way
    /// does not lead there.
    fn position(&self, home: &str) -> Option<usize> {
        if let Some(known) = self.read().homes.get(home) {
            return *known;
        }
        let short = self.homes().and_then(|it| it.find(&self.gimli(), home));
        let may_be = || self.homes().is_none_or(|it| it.may_have(home)) && self.may_have_path(home);
        let found = match short {
            None if may_be() => self.list().find(home),
            short => short,
        };
        self.read().homes.insert(home.to_owned(), found);
        found
    }

    /// The unit that begins at `offset`, with the names of its types.
    fn unit(&self, offset: usize) -> Result<Arc<OpenUnit>, TypeError> {
        if let Some(known) = self.read().units.get(&offset) {
            return Ok(Arc::clone(known));
        }
        let mut unit = OpenUnit::read(&self.gimli(), offset).map_err(|error| self.bad(error))?;
        self.import(&mut unit);
        let unit = Arc::new(unit);
        self.read().units.insert(offset, Arc::clone(&unit));
        Ok(unit)
    }

    /// Adds the types of the units that one imports, and of those that these do. What can't be read
    /// of them is as if it were not there.
    fn import(&self, unit: &mut OpenUnit) {
        let mut todo = std::mem::take(&mut unit.imports);
        let mut seen = FxHashSet::default();
        while let Some(at) = todo.pop() {
            let part = self.list().containing(at).filter(|part| seen.insert(*part));
            let part = part.map(|part| OpenUnit::read(&self.gimli(), part));
            if let Some(Ok(part)) = part {
                todo.extend(part.imports);
                unit.types.extend(part.types);
            }
        }
    }

    /// The unit that a type is in.
    fn unit_of(&self, id: TypeId) -> Result<Arc<OpenUnit>, TypeError> {
        let outside = || self.bad(gimli::Error::OffsetOutOfBounds(id.0));
        let offset = usize::try_from(id.0).map_err(|_| outside())?;
        let read = self.read();
        let below = read.units.range(..=offset).next_back();
        let known = below.map(|(_, unit)| Arc::clone(unit));
        drop(read);
        match known.filter(|unit| offset < unit.end) {
            Some(known) => Ok(known),
            None => self.unit(self.list().containing(offset).ok_or_else(outside)?),
        }
    }

    fn everything(&self) -> &NameIndex {
        get_or_make(&self.everything, || self.list().index_all(&self.gimli()))
    }

    /// Offset of the definition of `name` (of kind `tag`) that the unit `home` sees.
    fn find(
        &self,
        name: &str,
        tag: Kind,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<u64>, TypeError> {
        let at_home = self.position(home).map(|offset| self.unit(offset));
        let at_home = at_home.transpose()?;
        let found = at_home.as_ref().and_then(|unit| unit.types.get(name, tag));
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
        name.len() < 4 || self.has_string(".debug_str", name)
    }

    /// As [`may_exist`](Self::may_exist), of a source's path.
    fn may_have_path(&self, path: &str) -> bool {
        let tables = [".debug_line_str", ".debug_str"];
        tables.iter().any(|table| self.has_string(table, path))
    }

    fn has_string(&self, section: &str, text: &str) -> bool {
        let strings = self.file.section(section).unwrap_or_default();
        let terminated = [text.as_bytes(), b"\0"].concat();
        memchr::memmem::find(strings, &terminated).is_some()
    }
}

impl TypeSource for Dwarf {
    fn has_home(&self, home: &str) -> bool {
        self.position(home).is_some()
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        let found = self.find(name, Kind::Struct, home, everywhere)?;
        Ok(found.map(TypeId))
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        die::read_struct(&self.gimli(), &*self.unit_of(id)?, id).map_err(|error| self.bad(error))
    }

    fn struct_name(&self, id: TypeId) -> Option<String> {
        die::struct_name(&self.gimli(), &*self.unit_of(id).ok()?, id)
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        let Some(offset) = self.find(name, Kind::Enum, home, true)? else {
            return Ok(None);
        };
        let id = TypeId(offset);
        die::read_enum(&self.gimli(), &*self.unit_of(id)?, id)
            .map(Some)
            .map_err(|error| self.bad(error))
    }

    fn origin(&self) -> &'static str {
        "dwarf"
    }
}
