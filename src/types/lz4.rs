//! LZ4 in its old framing, in which kernels are packed (`lz4 -l`): a magic number, then blocks,
//! each behind its size and understood without the others.

use std::io;

use crate::bytes;

/// What such a stream starts with.
pub(super) const MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// The shortest match has four bytes.
const MIN_MATCH: usize = 4;

/// Unpacks a whole stream, to at most `most` bytes.
pub(super) fn unpack(raw: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the LZ4 stream is damaged");
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut out = Vec::new();
    let mut rest = raw.get(MAGIC.len()..).unwrap_or_default();
    while !rest.is_empty() {
        let size = bytes::u32_at(rest, 0).ok_or_else(damaged)? as usize;
        let packed = bytes::slice(rest, 4, size).ok_or(io::ErrorKind::UnexpectedEof)?;
        block(packed, &mut out, most).ok_or_else(damaged)?;
        rest = rest.get(4 + size..).unwrap_or_default();
    }
    Ok(out)
}

/// Unpacks one block behind what is in `out`; `None` if it is damaged, or would make `out` longer
/// than `most`.
fn block(mut input: &[u8], out: &mut Vec<u8>, most: usize) -> Option<()> {
    let start = out.len();
    loop {
        let token = byte(&mut input)?;
        let literals = length(&mut input, token >> 4)?;
        let (plain, rest) = input.split_at_checked(literals)?;
        if plain.len() > most.checked_sub(out.len())? {
            return None;
        }
        out.extend_from_slice(plain);
        input = rest;
        // The last sequence is literals alone.
        if input.is_empty() {
            return Some(());
        }
        let back = usize::from(bytes::u16_at(input, 0)?);
        input = input.get(2..)?;
        let mut len = length(&mut input, token & 15)?.checked_add(MIN_MATCH)?;
        let from = out.len().checked_sub(back)?;
        if back == 0 || from < start || len > most.checked_sub(out.len())? {
            return None;
        }
        // A match may reach into what it makes: then it repeats itself.
        while len > 0 {
            let piece = len.min(out.len() - from);
            out.extend_from_within(from..from + piece);
            len -= piece;
        }
    }
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

/// Fifteen goes on in further bytes, up to the first that is not 255.
fn length(input: &mut &[u8], short: u8) -> Option<usize> {
    let mut sum = usize::from(short);
    if short == 15 {
        loop {
            let more = byte(input)?;
            sum = sum.checked_add(usize::from(more))?;
            if more != 255 {
                break;
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(blocks: &[&[u8]]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for block in blocks {
            out.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            out.extend(*block);
        }
        out
    }

    /// Three literals, a match of nine that goes three back, five literals.
    const BLOCK: &[u8] = b"\x35abc\x03\0\x50xyz12";

    #[test]
    fn literals_and_matches_that_overlap() {
        let unpacked = unpack(&stream(&[BLOCK, BLOCK]), 100).unwrap();
        assert_eq!(unpacked, b"abcabcabcabcxyz12abcabcabcabcxyz12");
        // 15 + 255 + 0 literals.
        let long = [&b"\xf0\xff\0"[..], &[7; 270]].concat();
        assert_eq!(unpack(&stream(&[&long]), 300).unwrap(), [7; 270]);
    }

    #[test]
    fn damage_is_an_error_and_nothing_grows_beyond_its_bound() {
        let whole = stream(&[BLOCK]);
        for len in 5..whole.len() {
            assert!(unpack(&whole[..len], 100).is_err(), "{len}");
        }
        assert!(unpack(&whole, 16).is_err());
        // Farther back than the block begins.
        let far = stream(&[BLOCK, b"\x10a\x05\0\x10b"]);
        assert!(unpack(&far, 100).is_err());
        assert!(unpack(&stream(&[b"\x10a\0\0\x10b"]), 100).is_err());
    }
}
