//! Is it a leak: evidence of several kinds about each cache, weighed.
//!
//! Input: slab facts, what can be reached, counters, the log. Output: a [`LeakVerdict`] per
//! cache with what speaks for a leak, what against it and what could not be checked, and
//! the findings over all, worst first. Invariant: no single kind of evidence makes a leak.

mod alike;
pub mod areas;
mod benign;
pub mod blocks;
mod checks;
mod coverage;
pub mod findings;
pub mod held;
pub mod history;
mod owners;
pub mod page_pools;
pub mod pages;
pub mod percpu;
mod rules;

use serde::Serialize;

pub use coverage::Trust;
pub use owners::Owner;
pub use rules::{Context, judge, may_pile_up};

use super::accounting::{Level, Reason};
use crate::graph::{AgeField, Charge, Cluster};

/// What is known about a leak in one cache.
#[derive(Clone, Debug, Serialize)]
pub struct LeakVerdict {
    /// How likely.
    pub level: Level,
    /// What speaks for a leak, the strongest first.
    pub r#for: Vec<Reason>,
    /// What speaks against one.
    pub against: Vec<Reason>,
    /// What could not be looked at, and why.
    pub not_checked: Vec<Reason>,
}

/// One reason, of its parts.
fn reason(code: &'static str, basis: &'static str, message: String) -> Reason {
    Reason {
        code,
        basis,
        message,
    }
}

impl LeakVerdict {
    /// Nothing is known yet but what can't be.
    fn undecided(trust: &Trust) -> Self {
        Self {
            level: Level::Clean,
            r#for: Vec::new(),
            against: Vec::new(),
            not_checked: trust.reasons.clone(),
        }
    }

    /// The level that what speaks for a leak makes, beside nothing that speaks against it: no single
    /// kind of evidence makes one.
    fn by_evidence(&self) -> Level {
        match self.r#for.len() {
            0 => Level::Inconclusive,
            1 => Level::Suspect,
            _ => Level::Leak,
        }
    }
}

/// The objects of a cache that nothing points to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unreachable {
    /// Objects in use whose state is certain: those that were looked for.
    pub judged: u64,
    /// How many nothing points to; `None` if the search could not tell.
    pub objects: Option<u64>,
    /// Their size.
    pub bytes: Option<u64>,
    /// How many the others hang on.
    pub sources: Option<u64>,
    /// How many of them are known to be meant so, and no leak.
    pub benign: u64,
    /// Memory cgroups that they are charged to.
    pub charged_to: Vec<Charge>,
    /// What they look like.
    pub clusters: Vec<Cluster>,
    /// When they were made, where they say so themselves.
    pub ages: Vec<AgeField>,
}

impl Unreachable {
    /// Those that are no part of the kernel's own habits; `None` if the search could not tell.
    pub fn lost(&self) -> Option<u64> {
        Some(self.objects?.saturating_sub(self.benign))
    }
}

/// A verdict with all that belongs to it.
#[derive(Clone, Debug, Serialize)]
pub struct CacheJudgement {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// What nothing points to.
    pub unreachable: Unreachable,
    /// Who may have made them, the likeliest first.
    pub owners: Vec<Owner>,
    /// Command lines of crash and drgn that check it.
    pub check_with: Vec<String>,
}

impl LeakVerdict {
    /// The strongest reason for the level, in words.
    pub fn headline(&self) -> &str {
        let first = match self.level {
            Level::Leak | Level::Suspect => self.r#for.first(),
            Level::Inconclusive => self.not_checked.first().or(self.r#for.first()),
            Level::Clean => self.against.first(),
        };
        first.map_or("", |reason| reason.message.as_str())
    }
}
