//! Asking a kernel's types and symbols, and writing down the answers.

use std::collections::BTreeMap;
use std::io;

use rustc_hash::FxHashMap;

use super::content::{Body, Content, FORMAT, ProfileIdentity, VERSION};
use super::{NUMBERED, body};
use crate::types::model::{TypeId, TypeKind};
use crate::types::{FoundStruct, SymbolTable, TypeDb, TypeError, TypeSource};

/// Structures stand in each other a dozen deep in a kernel; damaged types may be circular.
const MAX_DEPTH: u32 = 64;

/// zstd's: a profile is written once and kept.
const COMPRESSION_LEVEL: i32 = 19;

/// Gathers answers.
#[derive(Debug)]
pub struct ProfileWriter<'t> {
    types: &'t TypeDb,
    content: Content,
    /// Source and type: its place; `None` while it is being read.
    places: FxHashMap<(usize, TypeId), Option<u32>>,
    /// The same structure in another unit is written once.
    same: FxHashMap<Body, u32>,
}

impl<'t> ProfileWriter<'t> {
    /// Starts a profile of the kernel that has `types`.
    pub fn new(types: &'t TypeDb, identity: ProfileIdentity) -> Self {
        Self {
            types,
            content: Content {
                format: FORMAT.to_owned(),
                version: VERSION,
                kernel: identity,
                ..Content::default()
            },
            places: FxHashMap::default(),
            same: FxHashMap::default(),
        }
    }

    fn note_home(&mut self, home: &str) -> bool {
        let exists = self.types.has_home(home);
        if exists {
            self.content.units.insert(home.to_owned());
        }
        exists
    }

    /// Asks for the structure `name` as each of `homes` that exists sees it.
    ///
    /// # Errors
    /// If the types are damaged.
    pub fn structure(&mut self, name: &str, homes: &[&str]) -> Result<(), TypeError> {
        for (index, home) in homes.iter().enumerate() {
            // Under the first one stands what all units have.
            if !self.note_home(home) && index > 0 {
                continue;
            }
            let mut place = |everywhere| match self.types.find_struct(name, home, everywhere)? {
                Some(found) => self.place_of(&found),
                None => Ok(None),
            };
            let answer = (place(false)?, place(true)?);
            let asked = self.content.structures.entry(name.to_owned()).or_default();
            asked.insert((*home).to_owned(), answer);
        }
        Ok(())
    }

    /// Asks for the enumeration `name`.
    ///
    /// # Errors
    /// If the types are damaged.
    pub fn enumeration(&mut self, name: &str, home: &str) -> Result<(), TypeError> {
        self.note_home(home);
        let answer = self.types.enumeration(name, home)?;
        let asked = self
            .content
            .enumerations
            .entry(name.to_owned())
            .or_default();
        asked.insert(home.to_owned(), answer);
        Ok(())
    }

    /// Asks for symbols, and for those of a number behind such a name. `linked` turns an address
    /// of `table` into that as linked.
    pub fn symbols<'n>(
        &mut self,
        table: &SymbolTable,
        linked: impl Fn(u64) -> u64,
        names: impl IntoIterator<Item = &'n str>,
    ) {
        let mut all = BTreeMap::new();
        let text = |address| format!("{:#018x}", linked(address));
        for name in names {
            all.insert(name.to_owned(), table.address(name).map(text));
            for number in 0..NUMBERED {
                let numbered = format!("{name}.{number}");
                if let Some(address) = table.address(&numbered) {
                    all.insert(numbered, Some(text(address)));
                }
            }
        }
        self.content.kernel.symbols_from = Some(table.origin().name().to_owned());
        self.content.symbols = Some(all);
    }

    /// The file: JSON packed with zstd.
    ///
    /// # Errors
    /// If packing fails, for want of memory only.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(&self.content)?;
        zstd::stream::encode_all(json.as_slice(), COMPRESSION_LEVEL)
    }

    fn place_of(&mut self, found: &FoundStruct<'_>) -> Result<Option<u32>, TypeError> {
        self.place(found.source(), found.id(), MAX_DEPTH)
    }

    /// Writes a structure down with those that stand in it. `None` for one that contains itself.
    fn place(
        &mut self,
        source: &dyn TypeSource,
        id: TypeId,
        depth: u32,
    ) -> Result<Option<u32>, TypeError> {
        let key = (std::ptr::from_ref(source).addr(), id);
        if let Some(known) = self.places.get(&key) {
            return Ok(*known);
        }
        self.places.insert(key, None);
        let found = source.get_struct(id)?;
        let mut members = Vec::with_capacity(found.members.len());
        for member in found.members {
            let inner = match member.ty.kind {
                TypeKind::Struct(inner) if depth > 0 => self.place(source, inner, depth - 1)?,
                _ => None,
            };
            let kind = body::encode(&member, inner);
            members.push((member.name, member.offset, member.ty.size, kind));
        }
        let body = Body {
            size: found.size,
            members,
        };
        let place = match self.same.get(&body) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.content.bodies.len()).unwrap_or(u32::MAX);
                self.content.bodies.push(body.clone());
                self.same.insert(body, place);
                place
            }
        };
        self.places.insert(key, Some(place));
        Ok(Some(place))
    }
}
