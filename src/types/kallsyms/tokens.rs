//! Names, and the tokens that they are made of.

use super::encoding::Lengths;
use super::{KallsymsError, KallsymsTables};
use crate::bytes::{slice, u64_at};

/// Names are at most KSYM_NAME_LEN (512) long, with room for what may come.
const MAX_NAME: usize = 1024;

/// Room for a name, and for what is copied beyond the end of its last token.
pub(super) type Spelled = [u8; MAX_NAME + SHORT];
pub(super) const ROOM: Spelled = [0; MAX_NAME + SHORT];

/// Nearly all tokens are this short: copying so many bytes is one instruction.
const SHORT: usize = 16;

/// The text that a byte of a name stands for.
#[derive(Clone, Debug, Default)]
struct Token {
    len: usize,
    start: [u8; SHORT],
    /// All of it, if it is longer.
    long: Vec<u8>,
}

impl Token {
    fn new(text: &[u8]) -> Self {
        let mut token = Self {
            len: text.len(),
            ..Self::default()
        };
        match token.start.get_mut(..text.len()) {
            Some(start) => start.copy_from_slice(text),
            None => token.long = text.to_vec(),
        }
        token
    }
}

/// The text of each byte.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    pub(super) fn new(table: &[u8], index: &[u8]) -> Result<Self, KallsymsError> {
        let token = |entry: &[u8]| {
            let (low, high) = (*entry.first()?, *entry.get(1)?);
            let rest = table.get(usize::from(u16::from_le_bytes([low, high]))..)?;
            rest.get(..memchr::memchr(0, rest)?).map(Token::new)
        };
        let entries = slice(index, 0, 512).ok_or(KallsymsError::BadTokens)?;
        let all: Option<Vec<_>> = entries.chunks_exact(2).map(token).collect();
        all.map(Self).ok_or(KallsymsError::BadTokens)
    }

    /// Spells a name: its type, one character, and the name itself.
    pub(super) fn spell<'o>(&self, name: &[u8], out: &'o mut Spelled) -> Option<(u8, &'o [u8])> {
        let mut len = 0;
        for byte in name {
            let token = self.0.get(usize::from(*byte))?;
            let rest = out.get_mut(len..)?;
            if token.long.is_empty() {
                // Of a known size, so that no function is called for it.
                *rest.first_chunk_mut::<SHORT>()? = token.start;
            } else {
                rest.get_mut(..token.len)?.copy_from_slice(&token.long);
            }
            len += token.len;
        }
        out.get(..len)?
            .split_first()
            .map(|(kind, name)| (*kind, name))
    }
}

/// Where each name is, as tokens.
#[derive(Debug)]
pub(super) struct Names {
    /// Where each begins, with its length.
    starts: Vec<u32>,
    lengths: Lengths,
    long: bool,
    /// Where the last ends.
    end: usize,
}

impl Names {
    /// Walks over all names without spelling them. `None` if the bytes end before, or do not
    /// end as the table does: with zeros up to `kallsyms_markers`, whose first word is 0 and whose
    /// second is where name 256 begins. Only lengths of 128 and more tell the rules apart.
    pub(super) fn walk(tables: &KallsymsTables, lengths: Lengths) -> Option<Self> {
        let bytes = &tables.names;
        let mut at = 0;
        let mut long = false;
        let mut starts = Vec::with_capacity(tables.count.min(bytes.len()));
        for _ in 0..tables.count {
            let (len, start) = lengths.get(bytes, at)?;
            long |= len >= 0x80;
            slice(bytes, start, len)?;
            starts.push(u32::try_from(at).ok()?);
            at = start + len;
        }
        // The markers say where every 256th name begins.
        let second = starts.get(256).map_or(at, |start| *start as usize);
        if long && !ends_at_markers(bytes, at, second as u64) {
            return None;
        }
        Some(Self {
            starts,
            lengths,
            long,
            end: at,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Bytes up to the end of the last.
    pub(super) fn bytes(&self) -> usize {
        self.end
    }

    /// Whether the rule for long names matters.
    pub(super) fn has_long(&self) -> bool {
        self.long
    }

    /// The tokens of a name.
    pub(super) fn get<'b>(&self, bytes: &'b [u8], index: u32) -> Option<&'b [u8]> {
        let start = *self.starts.get(index as usize)?;
        let (len, start) = self.lengths.get(bytes, start as usize)?;
        slice(bytes, start, len)
    }
}

/// Whether the markers follow that fit the names: 32-bit words since 4.20, 64-bit ones before.
fn ends_at_markers(bytes: &[u8], end: usize, position: u64) -> bool {
    (end..end + 8).any(|at| {
        let padding = bytes.get(end..at).unwrap_or(&[1]);
        let zeros = padding.iter().all(|byte| *byte == 0);
        let short = u64_at(bytes, at) == Some(position << 32);
        let wide = u64_at(bytes, at) == Some(0) && u64_at(bytes, at + 8) == Some(position);
        zeros && (short || wide)
    })
}
