//! Warnings and assumptions: what a reader of the result must know besides it.
//!
//! Layer: vocabulary. A warning has a stable code for programs, a message for
//! people that ends in a remedy, and a count: a thousand broken freelists are
//! one warning with a count of a thousand. Whatever is warned of makes the
//! result incomplete, unless it is a note.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A warning as it stands in every JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable, for programs: `excluded-pages`, `freelist-corrupt`, ….
    pub code: &'static str,
    /// For people, with a remedy.
    pub message: String,
    /// How many times it happened.
    pub count: u64,
}

/// A choice that nothing in the dump states, made by what validates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// What was chosen, `freelist_encoding` for one.
    pub name: &'static str,
    /// The value chosen.
    pub value: String,
    /// How it was arrived at.
    pub how: String,
}

/// Collects warnings and assumptions from all threads of one run.
///
/// Output is sorted by code and message, so that it does not depend on the
/// order in which threads came.
#[derive(Debug, Default)]
pub struct Diagnostics {
    warnings: Mutex<BTreeMap<(&'static str, String), u64>>,
    lost: AtomicBool,
    assumptions: Mutex<BTreeMap<&'static str, Assumption>>,
}

impl Diagnostics {
    /// Records that something is lost or doubtful, or one more of it.
    pub fn warn(&self, code: &'static str, message: impl Into<String>) {
        self.warn_many(code, message, 1);
    }

    /// Records `count` more of what is lost or doubtful.
    pub fn warn_many(&self, code: &'static str, message: impl Into<String>, count: u64) {
        self.lost.store(true, Ordering::Relaxed);
        self.add(code, message.into(), count);
    }

    /// Records a warning of which the result is none the less whole: what it tells is how the
    /// machine was, or what was asked for.
    pub fn note(&self, code: &'static str, message: impl Into<String>) {
        self.note_many(code, message, 1);
    }

    /// Records `count` more of a note.
    pub fn note_many(&self, code: &'static str, message: impl Into<String>, count: u64) {
        self.add(code, message.into(), count);
    }

    fn add(&self, code: &'static str, message: String, count: u64) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        *warnings.entry((code, message)).or_default() += count;
    }

    /// Records an assumption; the first under a name stays.
    pub fn assume(&self, name: &'static str, value: impl Into<String>, how: impl Into<String>) {
        let mut all = self
            .assumptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.entry(name).or_insert_with(|| Assumption {
            name,
            value: value.into(),
            how: how.into(),
        });
    }

    /// Whether a warning was more than a note.
    pub fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// All warnings so far, in a stable order.
    pub fn warnings(&self) -> Vec<Warning> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings
            .iter()
            .map(|((code, message), count)| Warning {
                code,
                message: message.clone(),
                count: *count,
            })
            .collect()
    }

    /// All assumptions so far, by name.
    pub fn assumptions(&self) -> Vec<Assumption> {
        let all = self
            .assumptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_warnings_are_counted_and_sorted() {
        let diag = Diagnostics::default();
        diag.note("b", "second");
        assert!(!diag.has_lost());
        diag.warn("a", "first");
        assert!(diag.has_lost());
        diag.warn_many("b", "second", 3);
        let warnings = diag.warnings();
        assert_eq!(warnings.len(), 2);
        assert_eq!((warnings[0].code, warnings[0].count), ("a", 1));
        assert_eq!((warnings[1].code, warnings[1].count), ("b", 4));
    }
}
