//! Which words of memory were read: what a smaller dump must hold so that the same questions get
//! the same answers.
//!
//! Who reads a structure or a text notes its words; a pass that looks through whole pages for
//! pointers notes the pages. Words are of 8 bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use super::Dump;
use crate::addr::Pfn;

/// Bytes of a word.
pub const WORD: usize = 8;
/// So many locks, as all threads note what they read.
const SHARDS: usize = 64;

/// What was read of one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageReads {
    /// A bit a word that was read for what it says.
    words: Vec<u64>,
    /// Whether a pass went through it for pointers.
    pub passed: bool,
}

impl PageReads {
    /// Whether any word was read for what it says.
    pub fn has_words(&self) -> bool {
        self.words.iter().any(|bits| *bits != 0)
    }

    /// Whether the word at this number was read for what it says.
    pub fn has_word(&self, word: usize) -> bool {
        let bits = self.words.get(word / 64).copied().unwrap_or(0);
        bits >> (word % 64) & 1 == 1
    }

    /// Adds `len` bytes from `start` on.
    pub fn add(&mut self, start: usize, len: usize) {
        let Some(last) = (start + len).checked_sub(1).filter(|_| len > 0) else {
            return;
        };
        for word in start / WORD..=last / WORD {
            if self.words.len() <= word / 64 {
                self.words.resize(word / 64 + 1, 0);
            }
            if let Some(bits) = self.words.get_mut(word / 64) {
                *bits |= 1 << (word % 64);
            }
        }
    }
}

/// What was read of a dump, or of several that are one.
#[derive(Debug)]
pub struct Reads {
    shards: Vec<Mutex<FxHashMap<u64, PageReads>>>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reads {
    fn page(&self, pfn: Pfn, note: impl FnOnce(&mut PageReads)) {
        // Always one: the number is bounded by how many there are.
        if let Some(shard) = self.shards.get(pfn.0 as usize % SHARDS) {
            note(lock(shard).entry(pfn.0).or_default());
        }
    }

    /// Notes that these bytes of a page were read.
    pub(crate) fn note(&self, pfn: Pfn, start: usize, len: usize) {
        self.page(pfn, |page| page.add(start, len));
    }

    /// Notes that a pass went through the page.
    pub(crate) fn note_pass(&self, pfn: Pfn) {
        self.page(pfn, |page| page.passed = true);
    }

    /// All pages, in their order.
    pub fn pages(&self) -> BTreeMap<Pfn, PageReads> {
        let shards = self.shards.iter();
        let pages = shards.flat_map(|shard| {
            let pages = lock(shard).clone();
            pages.into_iter().map(|(pfn, page)| (Pfn(pfn), page))
        });
        pages.collect()
    }
}

impl Dump {
    /// The same dump, of which `reads` learns what is read from now on.
    #[must_use]
    pub fn recording(self, reads: Arc<Reads>) -> Self {
        Self {
            reads: Some(reads),
            ..self
        }
    }

    /// Notes that bytes of a page were read for what they say.
    pub(crate) fn note_read(&self, pfn: Pfn, start: usize, len: usize) {
        if let Some(reads) = &self.reads {
            reads.note(pfn, start, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_touched_are_noted_whole() {
        let reads = Reads::default();
        reads.note(Pfn(3), 7, 2);
        reads.note(Pfn(3), 4088, 8);
        reads.note(Pfn(3), 100, 0);
        reads.note_pass(Pfn(70));
        let pages = reads.pages();
        let page = &pages[&Pfn(3)];
        let words: Vec<usize> = (0..512).filter(|word| page.has_word(*word)).collect();
        assert_eq!(words, [0, 1, 511]);
        assert!(pages[&Pfn(70)].passed && !pages[&Pfn(70)].has_words());
    }
}
