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

use super::buckets::Buckets;
use super::{DebugFile, TypeError, hash};

/// How many symbols are worth a core of their own.
pub(super) const MUCH: usize = 8192;

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
    /// Of places in `all`.
    buckets: Buckets,
    /// Of a profile: names known not to exist.
    absent: FxHashSet<u64>,
}

/// By hash of the name. Two names of 200,000 share one of 63 bits once in 10^8 kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    /// The hash, but in the lowest bit whether the symbol is global: there are many of them.
    key: u64,
    address: u64,
}

/// The bits of a key that are not the hash.
const GLOBAL: u64 = 1;

impl Symbol {
    pub(super) fn new(name: &[u8], address: u64, global: bool) -> Self {
        Self {
            key: hash(name) & !GLOBAL | u64::from(global),
            address,
        }
    }

    fn has(&self, hash: u64) -> bool {
        (self.key ^ hash) & !GLOBAL == 0
    }

    fn is_global(&self) -> bool {
        self.key & GLOBAL != 0
    }
}

impl SymbolTable {
    /// Indexes `.symtab`.
    ///
    /// # Errors
    /// If the file has no symbols.
    pub fn from_elf(file: &DebugFile) -> Result<Self, TypeError> {
        Ok(Self::new(SymbolOrigin::Vmlinux, all_in_elf(file)?))
    }

    pub(super) fn new(origin: SymbolOrigin, all: Vec<Symbol>) -> Self {
        Self {
            origin,
            buckets: Buckets::new(all.iter().map(|symbol| symbol.key)),
            all,
            absent: FxHashSet::default(),
        }
    }

    /// Of a profile; `absent` are the names of symbols that the kernel does not have.
    pub(super) fn of_profile<'n>(all: Vec<Symbol>, absent: impl Iterator<Item = &'n [u8]>) -> Self {
        Self {
            absent: absent.map(hash).collect(),
            ..Self::new(SymbolOrigin::Profile, all)
        }
    }

    /// The symbol that a name stands for: the first global one, else the first.
    fn by_hash(&self, hash: u64) -> Option<&Symbol> {
        let places = self.buckets.of(hash).iter();
        let symbols = places.filter_map(|at| self.all.get(*at as usize));
        let mut called = symbols.filter(|symbol| symbol.has(hash));
        let first = called.next()?;
        match first.is_global() {
            true => Some(first),
            false => called.find(|symbol| symbol.is_global()).or(Some(first)),
        }
    }

    /// Where they come from.
    pub fn origin(&self) -> SymbolOrigin {
        self.origin
    }

    /// The address of a symbol as its source has it.
    pub fn address(&self, name: &str) -> Option<u64> {
        let symbol = self.by_hash(hash(name.as_bytes()));
        symbol.map(|symbol| symbol.address)
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
            .map(|(index, name)| (hash(name.as_bytes()) & !GLOBAL, index))
            .collect();
        let called =
            |symbol: &Symbol| Some((*wanted.get(&(symbol.key & !GLOBAL))?, symbol.address));
        self.all.iter().filter_map(called).collect()
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
    symbols.retain(|symbol| !symbol.has(nameless));
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_global_symbol_of_a_name_stands_else_the_first() {
        let symbol = |number: u64, name: u64, global| {
            Symbol::new(format!("name{name}").as_bytes(), number, global)
        };
        // Each name three times, by the remainder: all local, the second global, the last two.
        let all = (0..3000u64).map(|number| {
            let (round, name) = (number / 1000, number % 1000);
            symbol(
                number,
                name,
                round > 0 && name % 3 == 1 || round == 2 && name % 3 == 2,
            )
        });
        let table = SymbolTable::new(SymbolOrigin::Vmlinux, all.collect());
        for name in 0..1000 {
            let wanted = [0, 1000, 2000][name as usize % 3] + name;
            assert_eq!(table.address(&format!("name{name}")), Some(wanted));
        }
        assert_eq!(table.address("name1000"), None);
        assert_eq!(SymbolTable::default().address("name1"), None);
    }
}
