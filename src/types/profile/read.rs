//! A profile as a source of types and symbols.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::content::{
    Asked, Content, Enumerators, FORMAT, Header, Places, ProfileIdentity, VERSION,
};
use super::{MAX_BYTES, body};
use crate::dump::{Access, WholeFile};
use crate::types::model::{StructType, TypeId};
use crate::types::symbols::Symbol;
use crate::types::{SymbolTable, TypeError, TypeSource, wrapper};

/// The types and symbols of one kernel, as far as they were asked for when it was written.
#[derive(Debug)]
pub struct Profile {
    path: PathBuf,
    identity: ProfileIdentity,
    units: BTreeSet<String>,
    structures: Asked<Places>,
    enumerations: Asked<Option<Enumerators>>,
    symbols: Option<Vec<(String, Option<u64>)>>,
    bodies: Vec<StructType>,
}

impl Profile {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, or is no profile of a version that is known.
    pub fn open(path: &Path) -> Result<Self, TypeError> {
        // Small, and gone through once: there is no need to map it.
        let len = std::fs::metadata(path).map_or(0, |meta| meta.len());
        if len > MAX_BYTES {
            return Err(TypeError::BadProfile {
                path: path.display().to_string(),
                why: "it is too large".to_owned(),
            });
        }
        let file = WholeFile::open(path, Access::Read)?;
        Self::parse(path, file.bytes())
    }

    /// As [`open`](Self::open), of a file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// As there.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, TypeError> {
        let bad = |why: String| TypeError::BadProfile {
            path: path.display().to_string(),
            why,
        };
        let unpacked = wrapper::unpack_at_most(bytes, MAX_BYTES)
            .transpose()
            .map_err(|error| bad(format!("it does not unpack: {error}")))?;
        let bytes = unpacked.as_deref().unwrap_or(bytes);
        if bytes.len() as u64 > MAX_BYTES {
            return Err(bad("it is too large".to_owned()));
        }
        match serde_json::from_slice(bytes) {
            Ok(Header { format, version }) if format == FORMAT && version == VERSION => {}
            Ok(Header { format, version }) if format == FORMAT => {
                return Err(bad(format!(
                    "it has version {version}, this vmleak reads {VERSION}: take a newer vmleak, or write it again"
                )));
            }
            Ok(Header { .. }) | Err(_) => {
                return Err(bad(format!("it is no JSON with \"format\": \"{FORMAT}\"")));
            }
        }
        let content: Content =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        Self::check(path, content).map_err(bad)
    }

    fn check(path: &Path, content: Content) -> Result<Self, String> {
        let count = content.bodies.len();
        let known = |place: &Option<u32>| place.is_none_or(|place| (place as usize) < count);
        for (name, homes) in &content.structures {
            if !homes.values().all(|(home, any)| known(home) && known(any)) {
                return Err(format!("struct {name} refers to a body that is not there"));
            }
        }
        let symbols = content.symbols.map(|symbols| {
            let address = |text: String| {
                let digits = text.strip_prefix("0x").unwrap_or(&text);
                u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no address"))
            };
            let one =
                |(name, text): (String, Option<String>)| Ok((name, text.map(address).transpose()?));
            symbols.into_iter().map(one).collect::<Result<_, String>>()
        });
        let bodies = content.bodies.into_iter();
        Ok(Self {
            path: path.to_owned(),
            identity: content.kernel,
            units: content.units,
            structures: content.structures,
            enumerations: content.enumerations,
            symbols: symbols.transpose()?,
            bodies: bodies
                .map(|body| body::structure(body, count))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whose it is.
    pub fn identity(&self) -> &ProfileIdentity {
        &self.identity
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The symbols, if it has any.
    pub fn symbols(&self) -> Option<SymbolTable> {
        let all = self.symbols.as_ref()?;
        let known = all.iter().filter_map(|(name, address)| {
            let address = (*address)?;
            Some(Symbol::new(name.as_bytes(), address, true))
        });
        let absent = all.iter().filter(|(_, address)| address.is_none());
        let absent = absent.map(|(name, _)| name.as_bytes());
        Some(SymbolTable::of_profile(known.collect(), absent))
    }

    fn not_asked(&self, kind: &'static str, name: &str) -> TypeError {
        TypeError::NotInProfile {
            path: self.path.display().to_string(),
            kind,
            name: name.to_owned(),
        }
    }
}

/// Shared between the types and what else asks the profile.
impl TypeSource for Profile {
    fn has_home(&self, home: &str) -> bool {
        self.units.contains(home)
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        let homes = self.structures.get(name).and_then(|homes| homes.get(home));
        let (here, any) = homes.ok_or_else(|| self.not_asked("struct", name))?;
        let place = if everywhere { any } else { here };
        Ok(place.map(|place| TypeId(u64::from(place))))
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        let place = usize::try_from(id.0).ok();
        let body = place.and_then(|place| self.bodies.get(place));
        body.cloned().ok_or_else(|| TypeError::BadProfile {
            path: self.path.display().to_string(),
            why: "an element's structure is asked for, which is not recorded".to_owned(),
        })
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        let homes = self.enumerations.get(name);
        let all = homes.and_then(|homes| homes.get(home));
        all.cloned().ok_or_else(|| self.not_asked("enum", name))
    }

    fn origin(&self) -> &'static str {
        "profile"
    }
}
