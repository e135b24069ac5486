//! The kernel's own symbol table, decoded from the tables that lie in its memory.
//!
//! Input: the tables' bytes, as `kernel::kallsyms` reads them. Output: [`Kallsyms`], which
//! keeps them and spells a name when it is asked for: an index of all by name
//! ([`Kallsyms::symbols`]) and what an address is called ([`Kallsyms::find`]). A kernel
//! does not state how it encodes lengths and addresses; each way is tried, and the one
//! stands by which `_stext` is where VMCOREINFO says. Source: kernel/kallsyms.c,
//! scripts/kallsyms.c.

mod encoding;
mod lookup;
#[cfg(test)]
mod tests;
mod tokens;

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use super::symbols::{MUCH, Symbol, SymbolOrigin, SymbolTable};
use encoding::{Addresses, Lengths};
pub use lookup::Named;
use tokens::{Names, ROOM, Spelled, Tokens};

/// The bytes of the tables; each may be longer than the table is.
#[derive(Debug, Default)]
pub struct KallsymsTables {
    /// `kallsyms_num_syms`.
    pub count: usize,
    /// `kallsyms_names` and what follows.
    pub names: Vec<u8>,
    /// Address of `kallsyms_names`.
    pub names_at: u64,
    /// `kallsyms_token_table`.
    pub token_table: Vec<u8>,
    /// `kallsyms_token_index`.
    pub token_index: Vec<u8>,
    /// `kallsyms_offsets`, where addresses are 32-bit offsets.
    pub offsets: Vec<u8>,
    /// Address of `kallsyms_offsets`.
    pub offsets_at: u64,
    /// `kallsyms_addresses`, where they are 64-bit words (optional up to 6.10).
    pub addresses: Vec<u8>,
    /// Value of `kallsyms_relative_base`, which 7.0 no longer has.
    pub relative_base: Option<u64>,
    /// Where `_stext` is.
    pub stext: u64,
}

/// Why the tables don't decode.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KallsymsError {
    /// The tokens that names are made of.
    #[error("its table of tokens is damaged")]
    BadTokens,
    /// No rule makes names of all of them.
    #[error("its names do not decode")]
    BadNames,
    /// Without it no encoding can be told from the others.
    #[error("it has no symbol _stext")]
    NoStext,
    /// No rule places `_stext`.
    #[error("no known encoding of addresses puts _stext where VMCOREINFO has it")]
    UnknownEncoding,
}

/// The kernel's own symbols, at run-time addresses, as they lie in its memory.
#[derive(Debug)]
pub struct Kallsyms {
    tables: KallsymsTables,
    tokens: Tokens,
    names: Names,
    addresses: Addresses,
    /// Indices by address, then by place in the table, where the table has not that order itself.
    order: OnceLock<Option<Vec<u32>>>,
    /// How addresses and lengths are encoded, for people.
    pub encoding: String,
}

impl Kallsyms {
    /// Finds the encoding.
    ///
    /// # Errors
    /// If none makes sense of the tables.
    pub fn decode(tables: KallsymsTables) -> Result<Self, KallsymsError> {
        let tokens = Tokens::new(&tables.token_table, &tables.token_index)?;
        let mut why = KallsymsError::BadNames;
        for lengths in [Lengths::TwoBytes, Lengths::OneByte] {
            let Some(names) = Names::walk(&tables, lengths) else {
                continue;
            };
            match find_addresses(&tables, &tokens, &names) {
                Ok(addresses) => {
                    let encoding = describe(addresses, lengths, &names);
                    return Ok(Self::new(tables, tokens, names, addresses, encoding));
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn new(
        tables: KallsymsTables,
        tokens: Tokens,
        names: Names,
        addresses: Addresses,
        encoding: String,
    ) -> Self {
        Self {
            tables,
            tokens,
            names,
            addresses,
            order: OnceLock::new(),
            encoding,
        }
    }

    /// The order of addresses, found out when the first is asked for.
    fn order(&self) -> Option<&[u32]> {
        let order = self.order.get_or_init(|| {
            let indices = 0..self.names.len() as u32;
            let is_sorted = indices
                .clone()
                .is_sorted_by_key(|index| self.address(index));
            (!is_sorted).then(|| {
                let mut order: Vec<u32> = indices.collect();
                order.sort_by_key(|index| self.address(*index));
                order
            })
        });
        order.as_deref()
    }

    /// The address of a symbol by its place in the table.
    fn address(&self, index: u32) -> u64 {
        let address = self.addresses.get(&self.tables, index as usize);
        address.unwrap_or_default()
    }

    /// Spells the name at a place in the table; its type comes first.
    fn spell<'o>(&self, index: u32, out: &'o mut Spelled) -> Option<(u8, &'o [u8])> {
        let name = self.names.get(&self.tables.names, index)?;
        self.tokens.spell(name, out)
    }

    /// The addresses of the two large tables: they hold names and numbers, and no pointers.
    pub fn tables_at(&self) -> [Range<u64>; 2] {
        let range = |at: u64, len: usize| at..at.saturating_add(len as u64);
        [
            range(self.tables.names_at, self.names.bytes()),
            range(self.tables.offsets_at, self.tables.offsets.len()),
        ]
    }

    /// All of them by name.
    ///
    /// # Errors
    /// If a name can't be spelled.
    pub fn symbols(&self) -> Result<SymbolTable, KallsymsError> {
        let bad = AtomicBool::new(false);
        let symbol = |room: &mut Spelled, index: u32| {
            let Some((kind, name)) = self.spell(index, room) else {
                bad.store(true, Ordering::Relaxed);
                return Symbol::new(b"", 0, false);
            };
            Symbol::new(name, self.address(index), kind.is_ascii_uppercase())
        };
        let indices = (0..self.names.len() as u32).into_par_iter();
        let indices = indices.with_min_len(MUCH).with_max_len(MUCH);
        // Into place at once: twice the memory would take as long again as spelling does.
        let symbols = indices.map_init(|| ROOM, symbol).collect();
        match bad.into_inner() {
            true => Err(KallsymsError::BadNames),
            false => Ok(SymbolTable::new(SymbolOrigin::Kallsyms, symbols)),
        }
    }
}

/// The encoding by which `_stext` is where it has to be.
fn find_addresses(
    tables: &KallsymsTables,
    tokens: &Tokens,
    names: &Names,
) -> Result<Addresses, KallsymsError> {
    let mut room = ROOM;
    let mut is_stext = |index: &u32| {
        let name = names.get(&tables.names, *index);
        let spelled = name.and_then(|name| tokens.spell(name, &mut room));
        spelled.is_some_and(|(_, name)| name == b"_stext")
    };
    let stext = (0..names.len() as u32).find(|index| is_stext(index));
    let stext = stext.ok_or(KallsymsError::NoStext)? as usize;
    let last = names.len() - 1;
    Addresses::ALL
        .into_iter()
        .find(|way| way.get(tables, stext) == Some(tables.stext))
        .filter(|way| way.get(tables, last).is_some())
        .ok_or(KallsymsError::UnknownEncoding)
}

fn describe(addresses: Addresses, lengths: Lengths, names: &Names) -> String {
    let lengths = match (names.has_long(), lengths) {
        (false, _) => "one byte",
        (true, Lengths::TwoBytes) => "two bytes where needed",
        (true, Lengths::OneByte) => "always one byte",
    };
    format!("{} addresses, lengths in {lengths}", addresses.name())
}
