//! Warnings and assumptions: what a reader of the result must know besides it.
//!
//! Layer: vocabulary. A warning has a stable code for programs, a message for
//! people that ends in a remedy, a severity, and a count: a thousand broken freelists
//! are one warning with a count of a thousand. Invariants: each question to a kernel has
//! its own [`Diagnostics`], which start with what was said when the dump was opened; any
//! loss makes the answer incomplete; memory that was read and is missing is a loss even
//! where nobody says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::addr::Pfn;

/// What a warning does to the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The answer is whole: this is how the machine was, or what was asked for.
    Note,
    /// Something is missing, broken or doubtful: the answer is incomplete.
    Loss,
}

/// A warning as it stands in every JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// Stable, for programs: `excluded-pages`, `freelist-corrupt`, ….
    pub code: &'static str,
    /// What it does to the answer.
    pub severity: Severity,
    /// For people, with a remedy.
    pub message: String,
    /// How many times it happened.
    pub count: u64,
}

/// A choice that nothing in the dump states, made by what validates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Assumption {
    /// What was chosen, `freelist_encoding` for one.
    pub name: &'static str,
    /// The value chosen.
    pub value: String,
    /// How it was arrived at.
    pub how: String,
}

/// The code of the warning that tells of missing memory where no other does.
pub const MISSING_MEMORY: &str = "memory-missing";

/// Collects warnings and assumptions from all threads of one question.
///
/// Output is sorted by code and message, so that it does not depend on the
/// order in which threads came.
#[derive(Debug, Default)]
pub struct Diagnostics {
    said: Mutex<Said>,
    missing: Mutex<Missing>,
}

#[derive(Clone, Debug, Default)]
struct Said {
    warnings: BTreeMap<(&'static str, String), (Severity, u64)>,
    assumptions: BTreeMap<&'static str, Assumption>,
}

/// Pages that were wanted and could not be had.
#[derive(Clone, Debug, Default)]
struct Missing {
    pages: BTreeSet<Pfn>,
    /// Why the lowest of them is missing.
    why: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy goes on by itself from what was said so far.
impl Clone for Diagnostics {
    fn clone(&self) -> Self {
        Self {
            said: Mutex::new(lock(&self.said).clone()),
            missing: Mutex::new(lock(&self.missing).clone()),
        }
    }
}

impl Diagnostics {
    /// Records that something is missing, broken or doubtful, or one more of it.
    pub fn warn(&self, code: &'static str, message: impl Into<String>) {
        self.warn_many(code, message, 1);
    }

    /// Records `count` more of what is missing, broken or doubtful.
    pub fn warn_many(&self, code: &'static str, message: impl Into<String>, count: u64) {
        self.add(code, Severity::Loss, message.into(), count);
    }

    /// Records a warning of which the result is none the less whole: what it tells is how the
    /// machine was, or what was asked for.
    pub fn note(&self, code: &'static str, message: impl Into<String>) {
        self.note_many(code, message, 1);
    }

    /// Records `count` more of a note.
    pub fn note_many(&self, code: &'static str, message: impl Into<String>, count: u64) {
        self.add(code, Severity::Note, message.into(), count);
    }

    fn add(&self, code: &'static str, severity: Severity, message: String, count: u64) {
        let mut said = lock(&self.said);
        let entry = said.warnings.entry((code, message));
        let (worst, sum) = entry.or_insert((severity, 0));
        *worst = (*worst).max(severity);
        *sum += count;
    }

    /// Records that memory which the answer needs lies in a page that can't be had.
    pub fn miss(&self, page: Pfn, why: impl FnOnce() -> String) {
        let mut missing = lock(&self.missing);
        if missing.pages.first().is_none_or(|lowest| page < *lowest) {
            missing.why = why();
        }
        missing.pages.insert(page);
    }

    /// Records an assumption; the first under a name stays.
    pub fn assume(&self, name: &'static str, value: impl Into<String>, how: impl Into<String>) {
        let mut said = lock(&self.said);
        said.assumptions.entry(name).or_insert_with(|| Assumption {
            name,
            value: value.into(),
            how: how.into(),
        });
    }

    /// Whether something is missing, broken or doubtful.
    pub fn has_loss(&self) -> bool {
        let of_said = |said: &Said| said.warnings.values().any(|(s, _)| *s == Severity::Loss);
        of_said(&lock(&self.said)) || !lock(&self.missing).pages.is_empty()
    }

    /// Takes over what another question said. What both said is one thing that both met.
    pub fn absorb(&self, other: &Self) {
        let (theirs, missing) = (lock(&other.said).clone(), lock(&other.missing).clone());
        let mut said = lock(&self.said);
        for (warning, (severity, count)) in theirs.warnings {
            let (worst, most) = said.warnings.entry(warning).or_insert((severity, count));
            *worst = (*worst).max(severity);
            *most = (*most).max(count);
        }
        for (name, assumption) in theirs.assumptions {
            said.assumptions.entry(name).or_insert(assumption);
        }
        drop(said);
        for page in missing.pages {
            self.miss(page, || missing.why.clone());
        }
    }

    /// Takes over what another question lost, and what it assumed, but not its notes.
    pub fn absorb_losses(&self, other: &Self) {
        let losses = other.clone();
        lock(&losses.said)
            .warnings
            .retain(|_, (severity, _)| *severity == Severity::Loss);
        self.absorb(&losses);
    }

    /// All warnings so far, in a stable order. What memory is missing is said where no other loss
    /// is: those say what became of it.
    pub fn warnings(&self) -> Vec<Warning> {
        let said = lock(&self.said);
        let warnings = said.warnings.iter();
        let warnings = warnings.map(|((code, message), (severity, count))| Warning {
            code,
            severity: *severity,
            message: message.clone(),
            count: *count,
        });
        let mut all: Vec<Warning> = warnings.collect();
        let missing = lock(&self.missing);
        let untold = all.iter().all(|warning| warning.severity == Severity::Note);
        if untold && !missing.pages.is_empty() {
            all.push(missing.warning());
            all.sort_by(|a, b| (a.code, &a.message).cmp(&(b.code, &b.message)));
        }
        all
    }

    /// Those warnings by which the answer is incomplete.
    pub fn losses(&self) -> Vec<Warning> {
        let mut losses = self.warnings();
        losses.retain(|warning| warning.severity == Severity::Loss);
        losses
    }

    /// All assumptions so far, by name.
    pub fn assumptions(&self) -> Vec<Assumption> {
        lock(&self.said).assumptions.values().cloned().collect()
    }
}

impl Missing {
    fn warning(&self) -> Warning {
        Warning {
            code: MISSING_MEMORY,
            severity: Severity::Loss,
            message: format!(
                "memory that this needs can't be had from the dump, and what is made of it is missing: {}; take the dump with kernel pages included, or copy it again if it is cut or corrupt",
                self.why
            ),
            count: self.pages.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_warnings_are_counted_and_sorted() {
        let diag = Diagnostics::default();
        diag.note("b", "second");
        assert!(!diag.has_loss());
        diag.warn("a", "first");
        assert!(diag.has_loss());
        diag.warn_many("b", "second", 3);
        let warnings = diag.warnings();
        assert_eq!(warnings.len(), 2);
        assert_eq!((warnings[0].code, warnings[0].count), ("a", 1));
        assert_eq!((warnings[1].code, warnings[1].count), ("b", 4));
        // What was a note once and a loss once is a loss.
        assert_eq!(warnings[1].severity, Severity::Loss);
    }

    #[test]
    fn a_question_starts_with_what_was_said_and_taints_no_other() {
        let opened = Diagnostics::default();
        opened.note("opened", "with a word");
        let (one, other) = (opened.clone(), opened.clone());
        one.warn("broken", "only here");
        assert!(one.has_loss() && !other.has_loss() && !opened.has_loss());
        assert_eq!(other.warnings(), opened.warnings());
        one.warn_many("broken", "only here", 2);
        other.warn("broken", "only here");
        other.absorb(&one);
        let counts: Vec<u64> = other
            .warnings()
            .iter()
            .map(|warning| warning.count)
            .collect();
        assert_eq!(counts, [3, 1]);
        assert!(other.has_loss());
    }

    #[test]
    fn missing_memory_is_said_where_nothing_else_is() {
        let diag = Diagnostics::default();
        diag.miss(Pfn(7), || "page 7".to_owned());
        diag.miss(Pfn(5), || "page 5".to_owned());
        diag.miss(Pfn(7), || "page 7 again".to_owned());
        assert!(diag.has_loss());
        let warnings = diag.warnings();
        assert_eq!((warnings[0].code, warnings[0].count), (MISSING_MEMORY, 2));
        assert!(warnings[0].message.contains("page 5"));
        diag.note("a", "note");
        assert_eq!(diag.warnings().len(), 2);
        diag.warn("list", "ends early");
        let codes: Vec<_> = diag.warnings().iter().map(|w| w.code).collect();
        assert_eq!(codes, ["a", "list"]);
        assert!(diag.has_loss());
    }
}
