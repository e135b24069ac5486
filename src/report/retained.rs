//! The part of `retained`.

use serde::Serialize;

use crate::graph::alive::RetainedFacts;

/// The part of `retained`.
#[derive(Clone, Debug, Serialize)]
pub struct RetainedReport {
    /// What was found.
    #[serde(flatten)]
    pub facts: RetainedFacts,
    /// Owners that are not listed.
    pub more_owners: u64,
}

impl RetainedReport {
    /// The `top` owners, and as many of those who share.
    pub fn new(mut facts: RetainedFacts, top: usize) -> Self {
        let more = facts.owners.len().saturating_sub(top) as u64;
        facts.owners.truncate(top);
        facts.shared.truncate(top);
        Self {
            facts,
            more_owners: more,
        }
    }

    /// Whether nothing was missing.
    pub fn is_complete(&self) -> bool {
        self.facts.graph.complete && self.facts.graph.missing_pages == 0
    }
}
