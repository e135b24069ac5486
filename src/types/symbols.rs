//! Symbols of the kernel by name, from vmlinux or System.map as linked (without KASLR's
//! offset), from the dump's kallsyms where they were.
//!
//! Names stay where they are; what is built is a hash index of some 200,000
//! names, small enough for a core's cache, in a few milliseconds. A name that several static
//! symbols share gives the global one if there is one, else the first.

use object::LittleEndian;
use object::elf::Sym64;
use object::read::elf::{ElfFile64, FileHeader, Sym};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{DebugFile, TypeError, hash};

/// A slot without a symbol. Memory of zeros would be mapped twice, for reading and then for writing.
const FREE: u32 = u32::MAX;

/// How many symbols are worth a core of their own.
const MUCH: usize = 8192;

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
    /// In the order of the source.
    all: Vec<Symbol>,
    /// A power of two, at least a third of them free: the place in `all` of the symbol that its
    /// name stands for, from the slot of its hash on.
    slots: Vec<u32>,
    /// Of a profile: names known not to exist.
    absent: FxHashSet<u64>,
}

/// By hash of the name. Two names of 200,000 share a 64-bit hash once in 10^9 kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    hash: u64,
    address: u64,
    global: bool,
}

impl Symbol {
    pub(super) fn new(name: &[u8], address: u64, global: bool) -> Self {
        Self {
            hash: hash(name),
            address,
            global,
        }
    }
}

impl SymbolTable {
    /// Indexes `.symtab`.
    ///
    /// # Errors
    /// If the file has no symbols.
    pub fn from_elf(file: &DebugFile) -> Result<Self, TypeError> {
        let mut symbols = Self {
            origin: SymbolOrigin::Vmlinux,
            all: all_in_elf(file)?,
            ..Self::default()
        };
        symbols.make_slots(symbols.all.len());
        Ok(symbols)
    }

    fn sized(origin: SymbolOrigin, count: usize) -> Self {
        let mut table = Self {
            origin,
            all: Vec::with_capacity(count),
            ..Self::default()
        };
        table.make_slots(count);
        table
    }

    /// Slots for `count` symbols and as many again, with those that there are in them.
    fn make_slots(&mut self, count: usize) {
        self.slots = vec![FREE; (count.max(1 << 8) * 2).next_power_of_two()];
        for place in 0..self.all.len() {
            self.enter(place);
        }
    }

    /// The slot of a name, and its symbol; the free one where it would be, if there is none.
    fn slot(&self, hash: u64) -> (usize, Option<&Symbol>) {
        let mask = self.slots.len().wrapping_sub(1);
        // The upper bits of the product are those that all of the name went into.
        let mut at = (hash >> 20) as usize & mask;
        loop {
            match self.slots.get(at) {
                Some(&FREE) | None => return (at, None),
                Some(place) => match self.all.get(*place as usize) {
                    Some(symbol) if symbol.hash == hash => return (at, Some(symbol)),
                    _ => at = (at + 1) & mask,
                },
            }
        }
    }

    /// Makes the symbol at `place` the one that its name stands for, if it is the first or the
    /// first global one.
    fn enter(&mut self, place: usize) {
        let Some(new) = self.all.get(place) else {
            return;
        };
        let (at, old) = self.slot(new.hash);
        if old.is_none_or(|old| new.global && !old.global)
            && let Some(slot) = self.slots.get_mut(at)
        {
            *slot = place as u32;
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
        self.add(Symbol::new(name, address, global));
    }

    pub(super) fn add(&mut self, symbol: Symbol) {
        if (self.all.len() + 1) * 3 > self.slots.len() * 2 {
            self.make_slots(self.all.len() * 2);
        }
        self.all.push(symbol);
        self.enter(self.all.len() - 1);
    }

    /// Where they come from.
    pub fn origin(&self) -> SymbolOrigin {
        self.origin
    }

    /// The address of a symbol as its source has it.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.by_hash(hash(name.as_bytes()))
    }

    /// Whether the source tells if there is such a symbol. A profile tells of the names that were
    /// asked for when it was written, and of those with a number behind (`ct_id_seed.0`).
    pub fn tells_of(&self, name: &str) -> bool {
        let asked = |name: &str| {
            let hash = hash(name.as_bytes());
            self.by_hash(hash).is_some() || self.absent.contains(&hash)
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
        let called = |symbol: &Symbol| Some((*wanted.get(&symbol.hash)?, symbol.address));
        self.all.iter().filter_map(called).collect()
    }

    fn by_hash(&self, hash: u64) -> Option<u64> {
        self.slot(hash).1.map(|symbol| symbol.address)
    }

    /// The next address above `address` that has a name: nothing there is longer than up to it.
    pub fn next_above(&self, address: u64) -> Option<u64> {
        let all = self.all.iter().map(|symbol| symbol.address);
        all.filter(|at| *at > address).min()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// All symbols of `.symtab`, in its order; names are hashed on all cores.
fn all_in_elf(file: &DebugFile) -> Result<Vec<Symbol>, TypeError> {
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
    let read = |symbol: &Sym64<LittleEndian>| {
        let kind = symbol.st_type();
        let named = kind != object::elf::STT_FILE && kind != object::elf::STT_SECTION;
        let name = named.then(|| symbol.name(LittleEndian, table.strings()).ok());
        let global = symbol.st_bind() != object::elf::STB_LOCAL;
        Symbol::new(
            name.flatten().unwrap_or_default(),
            symbol.st_value(LittleEndian),
            global,
        )
    };
    // Into place at once: twice the memory would take as long again as hashing does.
    let symbols = table.symbols().par_iter().with_min_len(MUCH);
    let mut symbols: Vec<Symbol> = symbols.with_max_len(MUCH).map(read).collect();
    let nameless = hash(b"");
    symbols.retain(|symbol| symbol.hash != nameless);
    Ok(symbols)
}
