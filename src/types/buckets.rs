//! Hashes of names in buckets: counted, and each put where it belongs. That takes less time than
//! a hash table, whose slots are written in any order and read to find a free one.

/// Places of hashes by their buckets.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Those of one bucket together, in their order.
    places: Vec<u32>,
    /// Where each bucket begins in `places`, and where the last ends.
    starts: Vec<u32>,
}

impl Buckets {
    pub(super) fn new(
        hashes: impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + Clone,
    ) -> Self {
        let len = hashes.len();
        let count = (len / 2).max(1).next_power_of_two();
        let mut starts = vec![0u32; count + 1];
        for hash in hashes.clone() {
            if let Some(count) = starts.get_mut(bucket(hash, count)) {
                *count += 1;
            }
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        // From the last on, each bucket's end moves to its begin.
        let mut places = vec![0; len];
        for (place, hash) in hashes.enumerate().rev() {
            if let Some(at) = starts.get_mut(bucket(hash, count)) {
                *at -= 1;
                if let Some(slot) = places.get_mut(*at as usize) {
                    *slot = place as u32;
                }
            }
        }
        Self { places, starts }
    }

    /// The places of all that may have this hash, in their order.
    pub(super) fn of(&self, hash: u64) -> &[u32] {
        let range = || {
            let at = bucket(hash, self.starts.len().checked_sub(1)?);
            let (start, end) = (*self.starts.get(at)?, *self.starts.get(at + 1)?);
            self.places.get(start as usize..end as usize)
        };
        range().unwrap_or_default()
    }
}

/// The bucket of a hash, of `count`, a power of two.
fn bucket(hash: u64, count: usize) -> usize {
    // The upper bits of the product are those that all of the name went into.
    (hash >> 20) as usize & (count - 1)
}
