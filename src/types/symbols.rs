//! Symbols of the kernel by name, from vmlinux or System.map as linked (without KASLR's
//! offset), from the dump's kallsyms where they were.
//!
//! Names stay where they are; what is built is a hash index of some 200,000
//! names, in a few milliseconds. A name that several static symbols share gives the
//! global one if there is one, else the first.

use std::hash::Hasher;
use std::sync::{Arc, OnceLock};

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
#[derive(Default)]
pub struct SymbolTable {
    origin: SymbolOrigin,
    /// Reads all symbols once more, for those who have an address and want a name.
    reread: Option<Reread>,
    by_address: OnceLock<AddressIndex>,
    /// By hash of the name. Two names of 200,000 share a 64-bit hash once in 10^9 kernels.
    addresses: FxHashMap<u64, (u64, bool)>,
    /// Of a profile: names known not to exist.
    absent: FxHashSet<u64>,
}

impl std::fmt::Debug for SymbolTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SymbolTable({} from {})", self.len(), self.origin.name())
    }
}

/// Hands all symbols of a source to a visitor: name and address.
pub(crate) type Reread = Box<dyn Fn(&mut dyn FnMut(&[u8], u64)) + Send + Sync>;

/// Symbols by address, with their names.
#[derive(Debug, Default)]
struct AddressIndex {
    text: Vec<u8>,
    /// Address, and where in the text its name starts and ends; of one address the first of
    /// the source comes first.
    symbols: Vec<(u64, u32, u32)>,
}

impl AddressIndex {
    fn add(&mut self, name: &[u8], address: u64) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name);
        self.symbols.push((address, start, self.text.len() as u32));
    }

    fn around(&self, address: u64) -> Option<(&str, u64, u64)> {
        let after = self.symbols.partition_point(|symbol| symbol.0 <= address);
        let last = self.symbols.get(after.checked_sub(1)?)?.0;
        let at = self.symbols.partition_point(|symbol| symbol.0 < last);
        let (start, from, to) = *self.symbols.get(at)?;
        let name = self.text.get(from as usize..to as usize)?;
        let size = self.symbols.get(after).map_or(0, |next| next.0 - start);
        Some((std::str::from_utf8(name).ok()?, address - start, size))
    }
}

impl SymbolTable {
    /// Indexes `.symtab`.
    ///
    /// # Errors
    /// If the file has no symbols.
    pub fn from_elf(file: &Arc<DebugFile>) -> Result<Self, TypeError> {
        let mut symbols = Self::sized(SymbolOrigin::Vmlinux, 0);
        each_in_elf(file, |name, address, global| {
            symbols.insert(name, address, global);
        })?;
        let file = Arc::clone(file);
        symbols.reread = Some(Box::new(move |each| {
            // It was readable a moment ago.
            let _ = each_in_elf(&file, |name, address, _| each(name, address));
        }));
        Ok(symbols)
    }

    /// Remembers how to read all symbols once more.
    pub(crate) fn read_again_with(&mut self, reread: Reread) {
        self.reread = Some(reread);
    }

    /// The symbol at or before `address`, both as the source has them: its name, the distance
    /// from it, and the bytes to the next symbol.
    pub fn around(&self, address: u64) -> Option<(&str, u64, u64)> {
        let index = self.by_address.get_or_init(|| {
            let mut index = AddressIndex::default();
            if let Some(reread) = &self.reread {
                reread(&mut |name, address| index.add(name, address));
            }
            index.symbols.sort_by_key(|symbol| symbol.0);
            index
        });
        index.around(address)
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
        self.addresses
            .entry(hash(name))
            .and_modify(|old: &mut (u64, bool)| {
                if global && !old.1 {
                    *old = new;
                }
            })
            .or_insert(new);
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
