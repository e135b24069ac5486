//! The kernel's own symbol table, decoded from the tables that lie in its memory.
//!
//! Input: the tables' bytes, as `kernel::kallsyms` reads them. Output: [`Kallsyms`], a
//! [`SymbolTable`] at run-time addresses with the encodings that were found. A kernel
//! does not state how it encodes lengths and addresses; each way is tried, and the one
//! stands by which `_stext` is where VMCOREINFO says. Source: kernel/kallsyms.c,
//! scripts/kallsyms.c.

use thiserror::Error;

use super::SymbolTable;
use crate::bytes::{slice, u32_at, u64_at};

/// Names are at most KSYM_NAME_LEN (512) long, with room for what may come.
const MAX_NAME: usize = 1024;

/// The bytes of the tables; each may be longer than the table is.
#[derive(Debug, Default)]
pub struct KallsymsTables {
    /// `kallsyms_num_syms`.
    pub count: usize,
    /// `kallsyms_names` and what follows.
    pub names: Vec<u8>,
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

/// How the address of a symbol is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    /// 64-bit words.
    Absolute,
    /// Distance from its own place in the table (7.0 and later).
    PlaceRelative,
    /// Per-CPU symbols as they are, others negative: distance from the base, less one (x86 up to
    /// 6.14).
    AbsolutePercpu,
    /// Unsigned distance from the base.
    BaseRelative,
}

impl Addresses {
    /// Newest first.
    const ALL: [Self; 4] = [
        Self::PlaceRelative,
        Self::BaseRelative,
        Self::AbsolutePercpu,
        Self::Absolute,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::PlaceRelative => "place-relative",
            Self::AbsolutePercpu => "absolute-percpu",
            Self::BaseRelative => "base-relative",
        }
    }

    fn get(self, tables: &KallsymsTables, index: usize) -> Option<u64> {
        if self == Self::Absolute {
            return u64_at(&tables.addresses, index.checked_mul(8)?);
        }
        let at = index.checked_mul(4)?;
        let raw = u32_at(&tables.offsets, at)?;
        let signed = i64::from(raw.cast_signed());
        Some(match self {
            Self::PlaceRelative => tables
                .offsets_at
                .wrapping_add(at as u64)
                .wrapping_add_signed(signed),
            Self::AbsolutePercpu if signed >= 0 => u64::from(raw),
            Self::AbsolutePercpu => tables
                .relative_base?
                .wrapping_sub(1)
                .wrapping_add_signed(-signed),
            _ => tables.relative_base?.wrapping_add(u64::from(raw)),
        })
    }
}

/// How the length of a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// From 128 on in two bytes (6.1 and later, commit 73bbb94466fd).
    TwoBytes,
    /// Always in one.
    OneByte,
}

impl Lengths {
    /// Length of the name at `at`, and where its tokens begin.
    fn get(self, names: &[u8], at: usize) -> Option<(usize, usize)> {
        let first = usize::from(*names.get(at)?);
        if first < 0x80 || self == Self::OneByte {
            return Some((first, at + 1));
        }
        let high = usize::from(*names.get(at + 1)?);
        Some((first & 0x7f | high << 7, at + 2))
    }
}

/// The symbols, and how they were written.
#[derive(Debug)]
pub struct Kallsyms {
    /// The symbols at run-time addresses.
    pub symbols: SymbolTable,
    /// How addresses and lengths are encoded, for people.
    pub encoding: String,
}

impl Kallsyms {
    /// Finds the encoding and decodes all symbols.
    ///
    /// # Errors
    /// If no encoding makes sense of the tables.
    pub fn decode(tables: &KallsymsTables) -> Result<Self, KallsymsError> {
        let (symbols, encoding) = decode_into(
            tables,
            SymbolTable::at_run_time,
            |symbols, name, address, global| symbols.insert(name, address, global),
        )?;
        Ok(Self { symbols, encoding })
    }
}

/// Finds the encoding, and adds every name in the table's order, with its address and whether it
/// is global, to what `new` makes for so many; hands that back with how it was encoded.
pub(super) fn decode_into<T>(
    tables: &KallsymsTables,
    new: impl Fn(usize) -> T,
    add: impl Fn(&mut T, &[u8], u64, bool),
) -> Result<(T, String), KallsymsError> {
    let tokens = Tokens::new(&tables.token_table, &tables.token_index)?;
    let mut why = KallsymsError::BadNames;
    for lengths in [Lengths::TwoBytes, Lengths::OneByte] {
        let Some(names) = tokens.names(tables, lengths) else {
            continue;
        };
        match names.place(tables, &tokens, &new, &add) {
            Ok((symbols, addresses)) => {
                let lengths = match (names.long, lengths) {
                    (false, _) => "one byte",
                    (true, Lengths::TwoBytes) => "two bytes where needed",
                    (true, Lengths::OneByte) => "always one byte",
                };
                let encoding = format!("{} addresses, lengths in {lengths}", addresses.name());
                return Ok((symbols, encoding));
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The text that each byte of a name stands for.
struct Tokens<'a>(Vec<&'a [u8]>);

impl<'a> Tokens<'a> {
    fn new(table: &'a [u8], index: &[u8]) -> Result<Self, KallsymsError> {
        let token = |entry: &[u8]| {
            let (low, high) = (*entry.first()?, *entry.get(1)?);
            let rest = table.get(usize::from(u16::from_le_bytes([low, high]))..)?;
            rest.get(..memchr::memchr(0, rest)?)
        };
        let entries = slice(index, 0, 512).ok_or(KallsymsError::BadTokens)?;
        let all: Option<Vec<_>> = entries.chunks_exact(2).map(token).collect();
        all.map(Self).ok_or(KallsymsError::BadTokens)
    }

    /// Walks over all names without spelling them. `None` if the bytes end before, or do not
    /// end as the table does: with zeros up to `kallsyms_markers`, whose first word is 0 and whose
    /// second is where name 256 begins. Only lengths of 128 and more tell the rules apart.
    fn names(&self, tables: &'a KallsymsTables, lengths: Lengths) -> Option<Names<'a>> {
        let bytes = &tables.names;
        let mut at = 0;
        let mut long = false;
        let mut spans = Vec::with_capacity(tables.count.min(bytes.len()));
        for _ in 0..tables.count {
            let (len, start) = lengths.get(bytes, at)?;
            long |= len >= 0x80;
            spans.push(slice(bytes, start, len)?);
            at = start + len;
        }
        if long && !ends_at_markers(bytes, at, &spans, lengths) {
            return None;
        }
        Some(Names { spans, long })
    }

    /// Spells a name; the first character is its type.
    fn spell(&self, name: &[u8], out: &mut Vec<u8>) -> Option<u8> {
        out.clear();
        for byte in name {
            out.extend_from_slice(self.0.get(usize::from(*byte))?);
            if out.len() > MAX_NAME {
                return None;
            }
        }
        out.first().copied()
    }
}

/// Whether the markers follow that fit the names: 32-bit words since 4.20, 64-bit ones before.
fn ends_at_markers(bytes: &[u8], end: usize, spans: &[&[u8]], lengths: Lengths) -> bool {
    let position = spans.iter().take(256).fold(0, |sum, span| {
        let two = span.len() >= 0x80 && lengths == Lengths::TwoBytes;
        sum + span.len() + 1 + usize::from(two)
    }) as u64;
    (end..end + 8).any(|at| {
        let padding = bytes.get(end..at).unwrap_or(&[1]);
        let zeros = padding.iter().all(|byte| *byte == 0);
        let short = u64_at(bytes, at) == Some(position << 32);
        let wide = u64_at(bytes, at) == Some(0) && u64_at(bytes, at + 8) == Some(position);
        zeros && (short || wide)
    })
}

struct Names<'a> {
    spans: Vec<&'a [u8]>,
    long: bool,
}

impl Names<'_> {
    /// Puts each name at its address.
    fn place<T>(
        &self,
        tables: &KallsymsTables,
        tokens: &Tokens<'_>,
        new: &impl Fn(usize) -> T,
        add: &impl Fn(&mut T, &[u8], u64, bool),
    ) -> Result<(T, Addresses), KallsymsError> {
        let mut text = Vec::new();
        let is_stext = |span: &&[u8]| {
            tokens.spell(span, &mut text).is_some() && text.get(1..) == Some(b"_stext")
        };
        let stext = self.spans.iter().position(is_stext);
        let stext = stext.ok_or(KallsymsError::NoStext)?;
        let addresses = Addresses::ALL
            .into_iter()
            .find(|way| way.get(tables, stext) == Some(tables.stext))
            .ok_or(KallsymsError::UnknownEncoding)?;
        let mut symbols = new(self.spans.len());
        let mut text = Vec::new();
        for (index, span) in self.spans.iter().enumerate() {
            let kind = tokens
                .spell(span, &mut text)
                .ok_or(KallsymsError::BadNames)?;
            let address = addresses.get(tables, index);
            let address = address.ok_or(KallsymsError::BadNames)?;
            let name = text.get(1..).unwrap_or_default();
            add(&mut symbols, name, address, kind.is_ascii_uppercase());
        }
        Ok((symbols, addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEXT: u64 = 0xffff_ffff_8100_0000;

    /// Names of `T_stext` and others, each character a token of its own.
    fn tables(lengths: Lengths, long: usize) -> KallsymsTables {
        let mut names = Vec::new();
        let mut first = Vec::new();
        let all = [
            "T_stext".into(),
            "dpercpu".into(),
            format!("t{}", "x".repeat(long)),
        ];
        let filler = (0..300).map(|n| format!("tf{n}"));
        let all: Vec<String> = all.into_iter().chain(filler).collect();
        for name in &all {
            first.push(names.len());
            match (lengths, name.len()) {
                (Lengths::TwoBytes, len @ 128..) => {
                    names.extend([(len & 0x7f | 0x80) as u8, (len >> 7) as u8]);
                }
                (_, len) => names.push(len as u8),
            }
            names.extend(name.bytes());
        }
        names.resize(names.len().next_multiple_of(4), 0);
        names.extend(0u32.to_le_bytes());
        names.extend((first[256] as u32).to_le_bytes());
        let token_table: Vec<u8> = (0..=255u8).flat_map(|c| [c.max(1), 0]).collect();
        let token_index = (0..256u16).flat_map(|n| (n * 2).to_le_bytes()).collect();
        KallsymsTables {
            count: all.len(),
            names,
            token_table,
            token_index,
            offsets_at: STEXT + 0x1000,
            relative_base: Some(STEXT - 0x100),
            stext: STEXT,
            ..Default::default()
        }
    }

    fn with_offsets(mut tables: KallsymsTables, offset: impl Fn(u64) -> i64) -> KallsymsTables {
        let all = 0..tables.count as u64;
        tables.offsets = all.flat_map(|n| (offset(n) as i32).to_le_bytes()).collect();
        tables
    }

    #[test]
    fn every_encoding_of_addresses() {
        let plain = || tables(Lengths::OneByte, 20);
        let base_relative = with_offsets(plain(), |n| 0x100 + n as i64 * 16);
        let percpu = with_offsets(plain(), |n| match n {
            1 => 0x40,
            n => -1 - 0x100 - n as i64 * 16,
        });
        let place = with_offsets(plain(), |n| n as i64 * 12 - 0x1000);
        let mut absolute = plain();
        let all = 0..absolute.count as u64;
        absolute.addresses = all.flat_map(|n| (STEXT + n * 16).to_le_bytes()).collect();
        for (tables, name, percpu) in [
            (base_relative, "base-relative", STEXT + 16),
            (percpu, "absolute-percpu", 0x40),
            (place, "place-relative", STEXT + 16),
            (absolute, "absolute", STEXT + 16),
        ] {
            let found = Kallsyms::decode(&tables).unwrap();
            assert!(found.encoding.starts_with(name), "{}", found.encoding);
            assert_eq!(found.symbols.address("_stext"), Some(STEXT));
            assert_eq!(found.symbols.address("percpu"), Some(percpu));
            assert_eq!(found.symbols.address("f7"), Some(STEXT + 160));
        }
    }

    #[test]
    fn long_names_by_either_rule() {
        for (lengths, name) in [
            (Lengths::TwoBytes, "two bytes where needed"),
            (Lengths::OneByte, "always one byte"),
        ] {
            let tables = with_offsets(tables(lengths, 199), |n| 0x100 + n as i64 * 16);
            let found = Kallsyms::decode(&tables).unwrap();
            assert!(found.encoding.ends_with(name), "{}", found.encoding);
            let long = "x".repeat(199);
            assert_eq!(found.symbols.address(&long), Some(STEXT + 32));
        }
    }

    #[test]
    fn damage_is_an_error() {
        let good = with_offsets(tables(Lengths::OneByte, 20), |n| 0x100 + n as i64 * 16);
        let error = |change: &dyn Fn(&mut KallsymsTables)| {
            let mut tables = with_offsets(tables(Lengths::OneByte, 20), |n| 0x100 + n as i64 * 16);
            change(&mut tables);
            Kallsyms::decode(&tables).unwrap_err()
        };
        assert!(Kallsyms::decode(&good).is_ok());
        assert_eq!(error(&|t| t.stext += 1), KallsymsError::UnknownEncoding);
        assert_eq!(error(&|t| t.count = usize::MAX), KallsymsError::BadNames);
        assert_eq!(error(&|t| t.names.truncate(99)), KallsymsError::BadNames);
        assert_eq!(
            error(&|t| t.token_index.truncate(9)),
            KallsymsError::BadTokens
        );
        assert_eq!(
            error(&|t| t.token_table.truncate(9)),
            KallsymsError::BadTokens
        );
        assert_eq!(error(&|t| t.count = 0), KallsymsError::NoStext);
    }
}
