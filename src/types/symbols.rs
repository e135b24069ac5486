//! Symbols of the kernel by name, from vmlinux or System.map as linked (without KASLR's
//! offset), from the dump's kallsyms where they were.
//!
//! Names stay where they are; what is built is a hash index of some 200,000
//! names, in a few milliseconds. A name that several static symbols share gives the
//! global one if there is one, else the first.

use std::collections::hash_map::Entry;
use std::hash::Hasher;

use object::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader, Sym};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::{DebugFile, TypeError};

/// Where symbols come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymbolOrigin {
    /// `.symtab` of vmlinux.
    #[default]
    Vmlinux,
    /// The tables in the dump itself.
    Kallsyms,
    /// The file of that name.
    SystemMap,
    /// A profile: only what was asked for when it was written.
    Profile,
}

impl SymbolOrigin {
    /// For the document's `symbols_from`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmlinux => "vmlinux",
            Self::Kallsyms => "kallsyms",
            Self::SystemMap => "System.map",
            Self::Profile => "profile",
        }
    }
}

/// Name and address of every symbol of one kernel.
#[derive(Debug, Default)]
pub struct SymbolTable {
    origin: SymbolOrigin,
    /// By hash of the name. Two names of 200,000 share a 64-bit hash once in 10^9 kernels.
    addresses: FxHashMap<u64, (u64, bool)>,
    /// Of a profile: names known not to exist.
    absent: FxHashSet<u64>,
    /// Addresses that share a name with one in `addresses`, by the hash of the name.
    more: Vec<(u64, u64)>,
}

impl SymbolTable {
    /// Indexes `.symtab`.
    ///
    /// # Errors
    /// If the file has no symbols.
    pub fn from_elf(file: &DebugFile) -> Result<Self, TypeError> {
        let mut symbols = Self::sized(SymbolOrigin::Vmlinux, 0);
        each_in_elf(file, |name, address, global| {
            symbols.insert(name, address, global);
        })?;
        Ok(symbols)
    }

    fn sized(origin: SymbolOrigin, count: usize) -> Self {
        let mut addresses = FxHashMap::default();
        addresses.reserve(count);
        Self {
            origin,
            addresses,
            ..Self::default()
        }
    }

    pub(super) fn at_run_time(count: usize) -> Self {
        Self::sized(SymbolOrigin::Kallsyms, count)
    }

    pub(super) fn of_system_map() -> Self {
        Self::sized(SymbolOrigin::SystemMap, 0)
    }

    pub(super) fn of_profile() -> Self {
        Self::sized(SymbolOrigin::Profile, 0)
    }

    pub(super) fn insert_absent(&mut self, name: &[u8]) {
        self.absent.insert(hash(name));
    }

    pub(super) fn insert(&mut self, name: &[u8], address: u64, global: bool) {
        let new = (address, global);
        match self.addresses.entry(hash(name)) {
            Entry::Vacant(place) => {
                place.insert(new);
            }
            Entry::Occupied(mut place) => {
                let (hash, old) = (*place.key(), *place.get());
                let other = if global && !old.1 {
                    place.insert(new).0
                } else {
                    address
                };
                self.more.push((hash, other));
            }
        }
    }

    /// Where they come from.
    pub fn origin(&self) -> SymbolOrigin {
        self.origin
    }

    /// The address of a symbol as its source has it.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.addresses
            .get(&hash(name.as_bytes()))
            .map(|(address, _)| *address)
    }

    /// Whether the source tells if there is such a symbol. A profile tells of the names that were
    /// asked for when it was written, and of those with a number behind (`ct_id_seed.0`).
    pub fn tells_of(&self, name: &str) -> bool {
        let asked = |name: &str| {
            let hash = hash(name.as_bytes());
            self.addresses.contains_key(&hash) || self.absent.contains(&hash)
        };
        let plain = |(name, number): (&str, &str)| {
            number.bytes().all(|byte| byte.is_ascii_digit()) && asked(name)
        };
        self.origin != SymbolOrigin::Profile
            || asked(name)
            || name.rsplit_once('.').is_some_and(plain)
    }

    /// Every address of each of `names`, as its source has it, with the name's index.
    pub fn all_called(&self, names: &[&str]) -> Vec<(usize, u64)> {
        let wanted: FxHashMap<u64, usize> = names
            .iter()
            .enumerate()
            .map(|(index, name)| (hash(name.as_bytes()), index))
            .collect();
        let first = wanted.iter().filter_map(|(hash, index)| {
            let (address, _) = self.addresses.get(hash)?;
            Some((*index, *address))
        });
        let more = self
            .more
            .iter()
            .filter_map(|(hash, address)| Some((*wanted.get(hash)?, *address)));
        first.chain(more).collect()
    }

    /// The next address above `address` that has a name: nothing there is longer than up to it.
    pub fn next_above(&self, address: u64) -> Option<u64> {
        let all = self.addresses.values().map(|(at, _)| *at);
        all.filter(|at| *at > address).min()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// Hands all symbols of `.symtab` to `each`: name, address, whether it is global.
fn each_in_elf(file: &DebugFile, mut each: impl FnMut(&[u8], u64, bool)) -> Result<(), TypeError> {
    let path = || file.path().display().to_string();
    let bad = |error: object::Error| TypeError::BadElf {
        path: path(),
        why: error.to_string(),
    };
    let elf = ElfFile64::<LittleEndian, _>::parse(file.bytes()).map_err(bad)?;
    let sections = elf
        .elf_header()
        .sections(LittleEndian, elf.data())
        .map_err(bad)?;
    let table = sections
        .symbols(LittleEndian, elf.data(), object::elf::SHT_SYMTAB)
        .map_err(bad)?;
    if table.is_empty() {
        return Err(TypeError::NoDebugInfo {
            path: path(),
            section: ".symtab",
        });
    }
    for symbol in table.iter() {
        let kind = symbol.st_type();
        if kind == object::elf::STT_FILE || kind == object::elf::STT_SECTION {
            continue;
        }
        let Ok(name) = symbol.name(LittleEndian, table.strings()) else {
            continue;
        };
        let global = symbol.st_bind() != object::elf::STB_LOCAL;
        each(name, symbol.st_value(LittleEndian), global);
    }
    Ok(())
}
