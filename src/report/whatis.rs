//! The part of `whatis`.

use serde::Serialize;

use crate::analysis::leaks::Trust;
use crate::graph::WhatIs;
use crate::graph::alive::PathFacts;

/// The part of `whatis`.
#[derive(Clone, Debug, Serialize)]
pub struct WhatIsReport {
    /// What was found.
    #[serde(flatten)]
    pub found: WhatIs,
    /// Whether what was not reached can be called unreachable.
    pub trust: Trust,
    /// Why it is alive, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathFacts>,
}

impl WhatIsReport {
    /// Says of nothing that it is unreachable where the search can't be believed on it.
    pub fn new(mut found: WhatIs) -> Self {
        let trust = Trust::of(&found.coverage);
        if !trust.reliable {
            found.doubt();
        }
        Self {
            found,
            trust,
            path: None,
        }
    }

    /// Whether nothing was missing.
    pub fn is_complete(&self) -> bool {
        self.trust.reliable && self.found.coverage.is_complete()
    }
}
