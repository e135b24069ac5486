//! The vocabulary of what is missing from a walk.
//!
//! Layer: vocabulary. A dump is broken by nature: a walker hands back what it
//! found together with how it ended, and the caller decides what that is worth.

use serde::Serialize;

/// How a bounded walk over memory from the dump came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It reached the structure's own end marker.
    Complete,
    /// It came back to an element it had seen.
    Cycle,
    /// A pointer or back-link makes no sense.
    BrokenLink,
    /// Memory on the way is not in the dump.
    Fault,
    /// It exceeded the independent bound on its length.
    Limit,
}

impl End {
    /// Whether nothing was lost.
    pub fn is_complete(self) -> bool {
        self == End::Complete
    }

    /// The reason in words, for a table or a warning.
    pub fn describe(self) -> &'static str {
        match self {
            End::Complete => "complete",
            End::Cycle => "runs in a circle",
            End::BrokenLink => "has a link that makes no sense",
            End::Fault => "enters memory that the dump lacks",
            End::Limit => "is longer than it can be",
        }
    }
}

/// What a walk found, and how it ended.
#[derive(Clone, Debug)]
#[must_use = "a walk may have ended early"]
pub struct Partial<T> {
    /// What was found before the end.
    pub value: T,
    /// How the walk ended.
    pub end: End,
    /// How many elements were visited.
    pub seen: u64,
    /// How many there should be by an independent count, where there is one.
    pub expected: Option<u64>,
}

impl<T> Partial<T> {
    /// A walk that ended with `end` after `seen` elements.
    pub fn new(value: T, end: End, seen: u64) -> Self {
        Self {
            value,
            end,
            seen,
            expected: None,
        }
    }

    /// Adds the count that an independent source gives.
    pub fn expecting(mut self, expected: u64) -> Self {
        self.expected = Some(expected);
        self
    }

    /// Whether the walk reached its end and agrees with the independent count.
    pub fn is_complete(&self) -> bool {
        self.end.is_complete() && self.expected.is_none_or(|n| n == self.seen)
    }
}
