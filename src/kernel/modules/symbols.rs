//! Symbols of one module, from the table that the kernel keeps for kallsyms.
//!
//! `struct mod_kallsyms` (up to 4.4 the module) has an array of `Elf64_Sym` with final addresses, and
//! the names. Invariants: both tables are read no further than the end of the
//! module's region that holds them; entries in pages that the dump lacks are counted as
//! lost, the others stand; a name is printable ASCII (but for labels) and at most [`MAX_NAME`] long.

use std::cmp::Reverse;
use std::ops::Range;

use super::Region;
use super::layouts::Layouts;
use crate::addr::VirtAddr;
use crate::bytes::{u32_at, u64_at};
use crate::kernel::Kernel;
use crate::space::{AddressSpace, MemFault};

/// Size of an `Elf64_Sym`.
const ENTRY: usize = 24;
/// KSYM_NAME_LEN since 6.1; 128 before.
const MAX_NAME: usize = 512;
/// The largest modules have some 20,000 symbols with 2 MiB of names.
const MAX_SYMBOLS: u64 = 1 << 20;
const MAX_STRINGS: u64 = 64 << 20;

#[derive(Debug)]
struct Symbol {
    address: u64,
    /// Where in `strings` its name is.
    name: Range<u32>,
    global: bool,
}

/// Name and address of every symbol of one module.
#[derive(Debug, Default)]
pub struct ModuleSymbols {
    /// The kernel's table of names.
    strings: Vec<u8>,
    /// In the order of the module's table.
    all: Vec<Symbol>,
    /// Indices into `all`, by name; of those with one name, the one to take comes first.
    by_name: Vec<u32>,
    /// Indices of those in the module's memory, by address.
    by_address: Vec<u32>,
    regions: Vec<Region>,
    lost: u64,
}

impl ModuleSymbols {
    pub(super) fn read(
        kernel: &Kernel,
        layouts: &Layouts,
        module: &[u8],
        regions: &[Region],
        name: &str,
    ) -> Self {
        let mut symbols = Self {
            regions: regions.to_vec(),
            ..Self::default()
        };
        let Some(tables) = Tables::of(kernel, layouts, module) else {
            kernel.diag.note(
                "no-module-symbols",
                "the kernel keeps no symbols of its modules (no CONFIG_KALLSYMS): their variables can't be found",
            );
            return symbols;
        };
        let lost = match tables {
            Ok(tables) => {
                symbols.fill(&kernel.space, &tables);
                (symbols.lost > 0).then(|| format!("{} of {}", symbols.lost, tables.count))
            }
            Err(_) => Some("all".to_owned()),
        };
        if let Some(lost) = lost {
            kernel.diag.warn(
                "module-symbols-damaged",
                format!("module {name}: {lost} symbols can't be read, what needs them is left out; its memory is damaged or not in the dump: take the dump with kernel pages included, and to its end"),
            );
        }
        symbols
    }

    fn fill(&mut self, space: &AddressSpace, tables: &Tables) {
        let rest = |at: VirtAddr| self.regions.iter().map(|r| r.rest(at)).max().unwrap_or(0);
        let fit = (rest(tables.symtab) / ENTRY as u64).min(MAX_SYMBOLS);
        let count = tables.count.min(fit);
        self.lost = tables.count - count;
        let entries = Table::read(space, tables.symtab, count as usize * ENTRY);
        let last_name = (0..count as usize)
            .filter_map(|index| u32_at(&entries.bytes, index * ENTRY))
            .max()
            .unwrap_or(0);
        let strings = (u64::from(last_name) + MAX_NAME as u64)
            .min(rest(tables.strtab))
            .min(MAX_STRINGS);
        let strings = Table::read(space, tables.strtab, strings as usize);
        // The first entry of every ELF symbol table is the null symbol.
        for index in 1..count as usize {
            match Entry::at(&entries, index) {
                None => self.lost += 1,
                Some(entry) if entry.undefined || entry.name == 0 => {}
                Some(entry) => match strings.name(entry.name) {
                    Some(name) => self.all.push(Symbol {
                        address: entry.value,
                        name,
                        global: tables.bindings && entry.info >> 4 != object::elf::STB_LOCAL.0,
                    }),
                    None => self.lost += 1,
                },
            }
        }
        self.strings = strings.bytes;
        self.index();
    }

    fn index(&mut self) {
        let all: Vec<u32> = (0..self.all.len() as u32).collect();
        let mut by_name = all.clone();
        by_name.sort_by_key(|index| {
            self.get(Some(index))
                .map(|symbol| (self.name(symbol), Reverse(symbol.global)))
        });
        let mut by_address = all;
        by_address.retain(|index| {
            self.get(Some(index)).is_some_and(|symbol| {
                // No marks of the compiler (is_mapping_symbol), nor numbers' places for BTF.
                let name = self.name(symbol);
                let mark = name.starts_with(['.', '$']) || name.starts_with("__BTF_ID__");
                let address = VirtAddr(symbol.address);
                !mark && self.regions.iter().any(|region| region.contains(address))
            })
        });
        by_address.sort_by_key(|index| self.get(Some(index)).map(|symbol| symbol.address));
        (self.by_name, self.by_address) = (by_name, by_address);
    }

    fn get(&self, index: Option<&u32>) -> Option<&Symbol> {
        self.all.get(*index? as usize)
    }

    /// Checked to be ASCII when it was read.
    fn name(&self, symbol: &Symbol) -> &str {
        let range = symbol.name.start as usize..symbol.name.end as usize;
        let name = self.strings.get(range).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The address of the symbol `name`; of several, the global one, else the first.
    pub fn address(&self, name: &str) -> Option<VirtAddr> {
        let at = self.by_name.partition_point(|index| {
            self.get(Some(index))
                .is_some_and(|symbol| self.name(symbol) < name)
        });
        self.get(self.by_name.get(at))
            .filter(|symbol| self.name(symbol) == name)
            .map(|symbol| VirtAddr(symbol.address))
    }

    /// The symbol that `address` lies in, and the offset from it. Of several at one address it is
    /// the first of the table, as in the kernel's own messages.
    pub fn symbolize(&self, address: VirtAddr) -> Option<(&str, u64)> {
        let region = self.regions.iter().find(|r| r.contains(address))?;
        let below = |limit: u64| {
            self.by_address.partition_point(|index| {
                self.get(Some(index))
                    .is_some_and(|symbol| symbol.address < limit)
            })
        };
        let after = below(address.0.checked_add(1)?);
        let last = self.get(self.by_address.get(after.checked_sub(1)?))?;
        let first = self.get(self.by_address.get(below(last.address)))?;
        let inside = region.contains(VirtAddr(first.address));
        inside.then(|| {
            let name = self.name(first);
            (name, address.0 - first.address)
        })
    }

    /// Where the next symbol above `address` is.
    pub fn next_after(&self, address: VirtAddr) -> Option<VirtAddr> {
        let after = self.by_address.partition_point(|index| {
            self.get(Some(index))
                .is_some_and(|symbol| symbol.address <= address.0)
        });
        let next = self.get(self.by_address.get(after))?;
        Some(VirtAddr(next.address))
    }

    /// All symbols in the order of the module's table; names may repeat.
    pub fn iter(&self) -> impl Iterator<Item = (&str, VirtAddr)> + '_ {
        self.all
            .iter()
            .map(|symbol| (self.name(symbol), VirtAddr(symbol.address)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many the kernel counts that could not be read.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// What `struct mod_kallsyms` or the module says.
struct Tables {
    symtab: VirtAddr,
    count: u64,
    strtab: VirtAddr,
    /// Whether `st_info` still is what the compiler wrote.
    bindings: bool,
}

impl Tables {
    /// By the module's bytes; `None` in kernels that keep no such tables.
    fn of(kernel: &Kernel, layouts: &Layouts, module: &[u8]) -> Option<Result<Self, MemFault>> {
        if let Some(layout) = &layouts.own_kallsyms {
            return Some(Ok(Self {
                symtab: VirtAddr(layout.symtab.get(module)),
                count: layout.num_symtab.get(module),
                strtab: VirtAddr(layout.strtab.get(module)),
                bindings: false,
            }));
        }
        let (pointer, layout) = (layouts.module.kallsyms?, layouts.kallsyms.as_ref()?);
        let at = VirtAddr(pointer.get(module));
        let record = kernel.space.read_bytes(at, layout.len);
        Some(record.map(|record| Self {
            symtab: VirtAddr(layout.symtab.get(&record)),
            count: layout.num_symtab.get(&record),
            strtab: VirtAddr(layout.strtab.get(&record)),
            bindings: layout.typetab.is_some(),
        }))
    }
}

/// The members of an `Elf64_Sym` that are used.
struct Entry {
    name: u32,
    info: u8,
    undefined: bool,
    value: u64,
}

impl Entry {
    fn at(table: &Table, index: usize) -> Option<Self> {
        let at = index * ENTRY;
        let entry = table.get(at..at + ENTRY)?;
        let word = u32_at(entry, 4)?;
        Some(Self {
            name: u32_at(entry, 0)?,
            info: word as u8,
            // st_shndx: SHN_UNDEF.
            undefined: word >> 16 == 0,
            value: u64_at(entry, 8)?,
        })
    }
}

/// A table in memory of which pages may be missing.
struct Table {
    bytes: Vec<u8>,
    /// In order.
    holes: Vec<Range<usize>>,
}

impl Table {
    fn read(space: &AddressSpace, at: VirtAddr, len: usize) -> Self {
        let mut bytes = vec![0; len];
        let holes = space.read_there(at, &mut bytes);
        Self { bytes, holes }
    }

    /// `None` if not all of it could be read.
    fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        let next = self.holes.partition_point(|hole| hole.end <= range.start);
        let whole = self
            .holes
            .get(next)
            .is_none_or(|hole| hole.start >= range.end);
        self.bytes.get(range).filter(|_| whole)
    }

    /// Where the name at `offset` lies, if it is one.
    fn name(&self, offset: u32) -> Option<Range<u32>> {
        let start = offset as usize;
        let rest = self.bytes.get(start..)?;
        let len = memchr::memchr(0, rest.get(..MAX_NAME).unwrap_or(rest))?;
        let name = self.get(start..start + len + 1)?.get(..len)?;
        // The assembler puts \x01 and \x02 into the names of labels (`.L14472\x021`), of which some
        // are kept.
        let label = |byte: &u8| matches!(byte, 1 | 2) && name.starts_with(b".L");
        let is_name = |byte: &u8| byte.is_ascii_graphic() || label(byte);
        let printable = len > 0 && name.iter().all(is_name);
        printable.then_some(offset..offset + len as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: &[u8], holes: &[Range<usize>]) -> Table {
        Table {
            bytes: bytes.to_vec(),
            holes: holes.to_vec(),
        }
    }

    #[test]
    fn what_touches_a_hole_is_lost_and_nothing_else() {
        let table = table(&[1; 100], &[10..20, 50..60]);
        for whole in [0..10, 20..50, 60..100] {
            assert!(table.get(whole.clone()).is_some(), "{whole:?}");
        }
        for broken in [0..11, 19..21, 5..70, 59..61, 90..101] {
            assert!(table.get(broken.clone()).is_none(), "{broken:?}");
        }
    }

    #[test]
    fn a_name_is_printable_and_ends_in_time() {
        let mut bytes = b"\0nf_conn\0a b\0\xff\0".to_vec();
        let endless = bytes.len() as u32;
        bytes.extend([b'x'; MAX_NAME + 8]);
        let names = table(&bytes, &[]);
        assert_eq!(names.name(1), Some(1..8));
        for wrong in [0, 9, 13, endless, endless + 16, u32::MAX] {
            assert_eq!(names.name(wrong), None, "{wrong}");
        }
        assert_eq!(table(&bytes, &[7..9, 20..21]).name(1), None);
        // As gas writes them (doc/internals.texi, fb_label_name).
        let labels = table(b"\0.L14472\x021\0L14472\x021\0", &[]);
        assert_eq!((labels.name(1), labels.name(11)), (Some(1..10), None));
    }

    /// Two regions with a gap between them.
    fn symbols(all: &[(&str, u64, bool)]) -> ModuleSymbols {
        let region = |base| Region {
            base: VirtAddr(base),
            size: 0x100,
        };
        let mut symbols = ModuleSymbols {
            regions: vec![region(0x1000), region(0x2000)],
            ..ModuleSymbols::default()
        };
        for (name, address, global) in all {
            let start = symbols.strings.len() as u32;
            symbols.strings.extend(name.bytes());
            symbols.all.push(Symbol {
                address: *address,
                name: start..symbols.strings.len() as u32,
                global: *global,
            });
        }
        symbols.index();
        symbols
    }

    #[test]
    fn the_global_symbol_of_a_name_wins_then_the_first() {
        let symbols = symbols(&[
            ("get", 0x1010, false),
            ("get", 0x1020, true),
            ("put", 0x1040, false),
            ("put", 0x1030, false),
        ]);
        assert_eq!(symbols.address("get"), Some(VirtAddr(0x1020)));
        assert_eq!(symbols.address("put"), Some(VirtAddr(0x1040)));
        assert_eq!(symbols.address("ge"), None);
        assert_eq!(symbols.address("zzz"), None);
    }

    #[test]
    fn addresses_belong_to_the_symbol_below_in_their_region() {
        let symbols = symbols(&[
            ("alias", 0x1010, false),
            ("get", 0x1010, true),
            ("$mark", 0x1018, false),
            ("crc", 0x5000, false),
            ("data", 0x2010, true),
        ]);
        let at = |address| symbols.symbolize(VirtAddr(address));
        assert_eq!(at(0x1010), Some(("alias", 0)));
        assert_eq!(at(0x10ff), Some(("alias", 0xef)));
        assert_eq!(at(0x2011), Some(("data", 1)));
        // Before the first of its region, in the gap, and outside.
        for nowhere in [0x100f, 0x2000, 0x1100, 0x5000, 0, u64::MAX] {
            assert_eq!(at(nowhere), None, "{nowhere:#x}");
        }
    }
}
