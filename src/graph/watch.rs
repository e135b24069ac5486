//! Looking out for the words that point into one range of addresses.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::holders::Source;
use super::words::words;
use crate::addr::VirtAddr;

/// Kept at most, some 40 MiB; beyond that they are only counted.
const MAX: usize = 1 << 20;

/// A range of addresses, and who points into it.
#[derive(Debug)]
pub(crate) struct Watch {
    range: Range<u64>,
    found: Mutex<Vec<(Source, VirtAddr, u64)>>,
    beyond: AtomicU64,
}

impl Watch {
    pub(crate) fn new(range: Range<VirtAddr>) -> Self {
        Self {
            range: range.start.0..range.end.0,
            found: Mutex::default(),
            beyond: AtomicU64::new(0),
        }
    }

    /// Looks at the words of some memory; `place` says of an offset what it is and where.
    pub(crate) fn look(&self, bytes: &[u8], place: impl Fn(usize) -> (Source, VirtAddr)) {
        for (index, word) in words(bytes).enumerate() {
            if self.range.contains(&word) {
                let mut found = self.lock();
                if found.len() < MAX {
                    let (source, at) = place(index * 8);
                    found.push((source, at, word));
                } else {
                    self.beyond.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// What was found: what kind of place, where, and the word there; by address. And of how many.
    pub(crate) fn take(&self) -> (Vec<(Source, VirtAddr, u64)>, u64) {
        let mut found = std::mem::take(&mut *self.lock());
        found.sort_by_key(|(_, at, _)| *at);
        let all = found.len() as u64 + self.beyond.load(Ordering::Relaxed);
        (found, all)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Source, VirtAddr, u64)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
