//! A page bitmap of a kdump file, with the rank of each bit.
//!
//! Page descriptors are stored for the set bits of the second bitmap only, in
//! order; the descriptor's index is the number of set bits before the page's.
//! The bitmap stays in the file; what is kept is one running count per 512 bits.

use std::borrow::Cow;

use super::storage::Bytes;

const BLOCK_BYTES: u64 = 64;
const BLOCK_BITS: u64 = BLOCK_BYTES * 8;

/// Bits of the bitmap at `offset` of the dump, least significant bit first.
#[derive(Debug)]
pub(crate) struct Bitmap {
    offset: u64,
    /// As many as the file has.
    bits: u64,
    /// As many as it should have.
    stated: u64,
    ranks: Vec<u64>,
    ones: u64,
}

impl Bitmap {
    /// Counts the bits of a bitmap of `bits` bits. Nobody knows what those are that the file lacks.
    pub(crate) fn new(bytes: &Bytes, offset: u64, bits: u64) -> Self {
        let mut ranks = Vec::new();
        let mut ones = 0;
        let mut at = offset;
        let end = offset.saturating_add(bits.div_ceil(8));
        // In pieces: a flattened file has to put each piece together.
        while at < end {
            let piece = bytes.get_up_to(at, (end - at).min(1 << 20));
            if piece.is_empty() {
                break;
            }
            for block in piece.chunks(BLOCK_BYTES as usize) {
                ranks.push(ones);
                ones += count_ones(block);
            }
            at += piece.len() as u64;
        }
        // Never more than there are bytes, whatever the header claims: a flattened file can say
        // that it is 2^62 bytes long.
        let there = bits.min((at - offset).saturating_mul(8));
        Self {
            offset,
            bits: there,
            stated: bits,
            ranks,
            ones,
        }
    }

    /// How many bits the file holds.
    pub(crate) fn bits(&self) -> u64 {
        self.bits
    }

    /// How many bits are set.
    pub(crate) fn ones(&self) -> u64 {
        self.ones
    }

    /// Whether the bit is known to be set.
    pub(crate) fn contains(&self, bytes: &Bytes, bit: u64) -> bool {
        self.state(bytes, bit) == Bit::Set(())
    }

    /// The number of set bits before `bit`, if `bit` is set.
    pub(crate) fn rank_of_set(&self, bytes: &Bytes, bit: u64) -> Bit<u64> {
        self.look(bytes, bit, |base, part| base + ones_below(part, bit))
    }

    /// Whether the bit is set, without its rank.
    pub(crate) fn state(&self, bytes: &Bytes, bit: u64) -> Bit<()> {
        self.look(bytes, bit, |_, _| ())
    }

    /// The number of set bits before `bit`, set or not.
    pub(crate) fn rank(&self, bytes: &Bytes, bit: u64) -> u64 {
        let found = (bit < self.bits).then(|| self.part(bytes, bit));
        found
            .flatten()
            .map_or(self.ones, |(base, part)| base + ones_below(&part, bit))
    }

    /// What `of_set` makes of the rank of the bit's block and of that block up to the bit, if the
    /// bit is set: most bits that are asked for in a pass over all memory are not.
    fn look<T>(&self, bytes: &Bytes, bit: u64, of_set: impl FnOnce(u64, &[u8]) -> T) -> Bit<T> {
        if bit >= self.bits {
            let beyond = bit >= self.stated;
            return if beyond { Bit::Clear } else { Bit::Lost };
        }
        match self.part(bytes, bit) {
            None => Bit::Lost,
            Some((base, part)) => match part.last() {
                Some(last) if last >> (bit % 8) & 1 == 1 => Bit::Set(of_set(base, &part)),
                _ => Bit::Clear,
            },
        }
    }

    /// The rank of the bit's block, and the block up to the byte that holds the bit.
    fn part<'b>(&self, bytes: &'b Bytes, bit: u64) -> Option<(u64, Cow<'b, [u8]>)> {
        let block = bit / BLOCK_BITS;
        let base = self.ranks.get(usize::try_from(block).ok()?)?;
        let len = usize::try_from(bit % BLOCK_BITS / 8 + 1).ok()?;
        let part = bytes.get(self.offset + block * BLOCK_BYTES, len)?;
        Some((*base, part))
    }
}

/// What a bitmap says of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bit<T> {
    Set(T),
    /// Clear, or beyond the end.
    Clear,
    /// The file should have it and has not: it lacks a piece, or was cut short since it was opened.
    Lost,
}

/// The set bits of a block up to the byte that holds `bit`, but for `bit` and those above it.
fn ones_below(part: &[u8], bit: u64) -> u64 {
    let Some((last, before)) = part.split_last() else {
        return 0;
    };
    let below = last & ((1u8 << (bit % 8)) - 1);
    count_ones(before) + u64::from(below.count_ones())
}

fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let whole: u32 = words
        .iter()
        .map(|word| u64::from_le_bytes(*word).count_ones())
        .sum();
    let tail: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    u64::from(whole + tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::file::Access;

    #[test]
    fn ranks_agree_with_counting() {
        let pattern: Vec<u8> = (0..300u32).map(|i| (i * 37 % 256) as u8).collect();
        let mut content = vec![0xff; 100];
        content.extend(&pattern);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let bytes = Bytes::open(file.path(), Access::Read).unwrap();
        let bitmap = Bitmap::new(&bytes, 100, 2400);
        let mut rank = 0;
        for bit in 0..2400u64 {
            let set = pattern[bit as usize / 8] >> (bit % 8) & 1 == 1;
            assert_eq!(bitmap.rank(&bytes, bit), rank);
            let expected = if set { Bit::Set(rank) } else { Bit::Clear };
            assert_eq!(bitmap.rank_of_set(&bytes, bit), expected);
            rank += u64::from(set);
        }
        assert_eq!(bitmap.ones(), rank);
        assert_eq!(bitmap.rank(&bytes, 5000), rank);
        assert!(!bitmap.contains(&bytes, 5000));
    }
}
