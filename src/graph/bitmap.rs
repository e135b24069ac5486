//! One bit per object, set from all threads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bitmap that grows no more.
#[derive(Debug)]
pub(crate) struct Bitmap(Vec<AtomicU64>);

impl Bitmap {
    pub(crate) fn new(bits: u32) -> Self {
        let words = bits.div_ceil(64);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets a bit; whether it was clear.
    pub(crate) fn set(&self, bit: u32) -> bool {
        let mask = 1 << (bit % 64);
        self.0.get((bit / 64) as usize).is_some_and(|word| {
            // Most words are met more than once: reading first keeps the line shared.
            word.load(Ordering::Relaxed) & mask == 0
                && word.fetch_or(mask, Ordering::Relaxed) & mask == 0
        })
    }

    pub(crate) fn get(&self, bit: u32) -> bool {
        let word = self.0.get((bit / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (bit % 64) & 1 == 1)
    }

    /// The bits of a range that are set here and not in `other`, in order.
    pub(crate) fn without<'a>(
        &'a self,
        other: &'a Self,
        range: Range<u32>,
    ) -> impl Iterator<Item = u32> + 'a {
        let words = range.start / 64..range.end.div_ceil(64);
        words.flat_map(move |index| {
            let mut rest = self.word(index) & !other.word(index) & within(&range, index);
            std::iter::from_fn(move || {
                let low = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(index * 64 + low)
            })
        })
    }

    /// How many those are.
    pub(crate) fn count_without(&self, other: &Self, range: Range<u32>) -> u32 {
        let words = range.start / 64..range.end.div_ceil(64);
        let left = |index| self.word(index) & !other.word(index) & within(&range, index);
        words.map(|index| left(index).count_ones()).sum()
    }

    /// How many bits of a range are set.
    pub(crate) fn count(&self, range: Range<u32>) -> u32 {
        let words = range.start / 64..range.end.div_ceil(64);
        let set = |index| (self.word(index) & within(&range, index)).count_ones();
        words.map(set).sum()
    }

    fn word(&self, index: u32) -> u64 {
        let word = self.0.get(index as usize);
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// How many bits are set here, and in both.
    pub(crate) fn count_with(&self, other: &Self) -> (u64, u64) {
        let words = self.0.iter().zip(&other.0);
        words.fold((0, 0), |(mine, both), (here, there)| {
            let here = here.load(Ordering::Relaxed);
            let there = there.load(Ordering::Relaxed);
            (
                mine + u64::from(here.count_ones()),
                both + u64::from((here & there).count_ones()),
            )
        })
    }
}

/// The bits of a word that lie in a range.
fn within(range: &Range<u32>, word: u32) -> u64 {
    let first = word * 64;
    let above = u64::MAX << range.start.saturating_sub(first).min(63);
    let end = range.end.saturating_sub(first).min(64);
    above & u64::MAX.checked_shr(64 - end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_in_one_comes_in_order() {
        let (a, b) = (Bitmap::new(200), Bitmap::new(200));
        for bit in [199, 3, 64, 65] {
            assert!(a.set(bit));
        }
        assert!(!a.set(64) && a.get(64) && !a.get(63) && !a.set(4000));
        b.set(64);
        assert_eq!(a.without(&b, 0..200).collect::<Vec<_>>(), [3, 65, 199]);
        assert_eq!(a.without(&b, 3..199).collect::<Vec<_>>(), [3, 65]);
        assert_eq!(a.without(&b, 4..65).count(), 0);
        for (range, count) in [
            (0..200, 4),
            (64..66, 2),
            (65..65, 0),
            (65..128, 1),
            (4..64, 0),
        ] {
            assert_eq!(a.count(range), count);
        }
        assert_eq!(a.count_without(&b, 0..66), 2);
        assert_eq!(a.count_with(&b), (4, 1));
    }
}
