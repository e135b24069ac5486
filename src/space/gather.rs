//! Structures that lie anywhere in memory, read in the order of the file.
//!
//! Who wants a million structures in an order that has nothing to do with where they lie would
//! unpack a page for each of them, once the cache of pages is too small. Here a page is unpacked
//! once for all that is wanted of it, and only that is kept, without its zeros.

use std::ops::Range;

use rayon::prelude::*;

use super::{AddressSpace, MemFault};
use crate::addr::VirtAddr;

/// How many structures one thread reads at a time: those of some thousand pages.
const CHUNK: usize = 8192;
/// Bytes that come into a processor's cache together.
const LINE: usize = 64;

/// What was read, by the place of its address among those that were wanted.
#[derive(Debug)]
pub(crate) struct Gathered {
    places: Vec<Place>,
    /// What each chunk read, packed, each with its length before it.
    chunks: Vec<Vec<u8>>,
}

/// A chunk, and where in it; [`LOST`] if it could not be read.
type Place = (u32, u32);
const LOST: Place = (u32::MAX, 0);

/// Reads something of at most 65,535 bytes at each of `wanted`: `read` appends to an empty vector
/// what is to be kept, gets a view that reads in passing, and says what else it learnt (for the
/// lost, nothing).
pub(crate) fn gather<T: Copy + Default + Send>(
    space: &AddressSpace,
    wanted: &[VirtAddr],
    read: impl Fn(&AddressSpace, VirtAddr, &mut Vec<u8>) -> Result<T, MemFault> + Sync,
) -> (Gathered, Vec<T>) {
    let space = space.in_passing();
    let mut order: Vec<(VirtAddr, u32)> = wanted.iter().copied().zip(0..).collect();
    order.par_sort_unstable();
    let chunks = order.par_chunks(CHUNK).map(|wanted| {
        let (mut bytes, mut packed) = (Vec::new(), Vec::new());
        let found = wanted.iter().map(|(at, _)| {
            bytes.clear();
            let start = packed.len() as u32;
            let learnt = read(&space, *at, &mut bytes).ok()?;
            let len = u16::try_from(bytes.len()).ok()?;
            packed.extend(len.to_le_bytes());
            pack(&bytes, &mut packed);
            Some((start, learnt))
        });
        let found: Vec<Option<(u32, T)>> = found.collect();
        packed.shrink_to_fit();
        (found, packed)
    });
    let chunks: Vec<_> = chunks.collect();
    let mut all = vec![T::default(); wanted.len()];
    let mut gathered = Gathered {
        places: vec![LOST; wanted.len()],
        chunks: Vec::with_capacity(chunks.len()),
    };
    for ((found, packed), (wanted, chunk)) in chunks.into_iter().zip(order.chunks(CHUNK).zip(0..)) {
        for (found, (_, index)) in found.into_iter().zip(wanted) {
            let index = *index as usize;
            let to = gathered.places.get_mut(index).zip(all.get_mut(index));
            if let (Some((place, what)), Some((start, learnt))) = (to, found) {
                (*place, *what) = ((chunk, start), learnt);
            }
        }
        gathered.chunks.push(packed);
    }
    (gathered, all)
}

impl Gathered {
    /// Has the memory at hand that [`get`](Self::get) will look at for each of `indexes`. They lie
    /// anywhere: asked for one behind the other, each would be waited for.
    pub(crate) fn touch(&self, indexes: Range<usize>) {
        let mut seen = 0;
        for (chunk, start) in self.places.get(indexes).unwrap_or_default() {
            let packed = self.chunks.get(*chunk as usize);
            let packed = packed.map_or(&[][..], |packed| packed.as_slice());
            for line in [0, LINE, 2 * LINE] {
                seen |= packed.get(*start as usize + line).copied().unwrap_or(0);
            }
        }
        std::hint::black_box(seen);
    }

    /// Puts into `out` what was read for the address that came as number `index`; `None` if it
    /// could not be read.
    pub(crate) fn get(&self, index: usize, out: &mut Vec<u8>) -> Option<()> {
        let (chunk, start) = *self.places.get(index)?;
        let packed = self.chunks.get(chunk as usize)?.get(start as usize..)?;
        let (len, packed) = packed.split_first_chunk()?;
        unpack(packed, usize::from(u16::from_le_bytes(*len)), out)
    }
}

/// Words that one mask tells of.
const WORDS: usize = 64;

/// Appends `bytes` to `packed`: a mask of the words that are not zero, and those. Most of what is
/// kept of a kernel's structure is zero.
fn pack(bytes: &[u8], packed: &mut Vec<u8>) {
    for bytes in bytes.chunks(WORDS * 8) {
        let at = packed.len();
        packed.extend([0; 8]);
        let mut mask = 0u64;
        for (bit, part) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            if let Some(word) = word.get_mut(..part.len()) {
                word.copy_from_slice(part);
            }
            if word != [0; 8] {
                mask |= 1 << bit;
                packed.extend_from_slice(&word);
            }
        }
        if let Some(to) = packed.get_mut(at..at + 8) {
            to.copy_from_slice(&mask.to_le_bytes());
        }
    }
}

/// Makes `out` the `len` bytes that `packed` begins with.
fn unpack(mut packed: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    out.resize(len.next_multiple_of(8), 0);
    for words in out.chunks_mut(WORDS * 8) {
        let (mask, rest) = packed.split_first_chunk()?;
        let mut mask = u64::from_le_bytes(*mask);
        packed = rest;
        while mask != 0 {
            let at = mask.trailing_zeros() as usize * 8;
            let (word, rest) = packed.split_first_chunk::<8>()?;
            words.get_mut(at..at + 8)?.copy_from_slice(word);
            packed = rest;
            mask &= mask - 1;
        }
    }
    out.truncate(len);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let mut all = Vec::new();
        let long: Vec<u8> = (0..1203).map(|at| (at % 7 == 3) as u8 * at as u8).collect();
        let pieces: [&[u8]; 6] = [
            &[],
            &[0; 24],
            &[1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[0, 0, 7, 0, 0, 0, 0, 0x80, 0, 0, 1],
            &[0xff; 7],
            &long,
        ];
        let starts: Vec<usize> = pieces
            .iter()
            .map(|piece| {
                let start = all.len();
                pack(piece, &mut all);
                start
            })
            .collect();
        for (piece, start) in pieces.iter().zip(starts) {
            let mut out = vec![1];
            unpack(&all[start..], piece.len(), &mut out).expect("it was packed");
            assert_eq!(out, *piece);
        }
        let cut = [1, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(unpack(&cut, 8, &mut Vec::new()), None);
    }
}
