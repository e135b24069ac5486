//! One bit per object, set from all threads.

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

    /// The bits that are set here and not in `other`.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let words = self.0.iter().zip(&other.0).enumerate();
        words.flat_map(|(index, (here, there))| {
            let mut rest = here.load(Ordering::Relaxed) & !there.load(Ordering::Relaxed);
            std::iter::from_fn(move || {
                // From the lowest, so that the order is that of addresses.
                let low = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(index as u32 * 64 + low)
            })
        })
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
        assert_eq!(a.without(&b).collect::<Vec<_>>(), [3, 65, 199]);
        assert_eq!(a.count_with(&b), (4, 1));
    }
}
