//! The part of `whatis`.

use serde::Serialize;

use crate::analysis::leaks::Trust;
use crate::graph::WhatIs;

/// The part of `whatis`.
#[derive(Clone, Debug, Serialize)]
pub struct WhatIsReport {
    /// What was found.
    #[serde(flatten)]
    pub found: WhatIs,
    /// Whether what was not reached can be called unreachable.
    pub trust: Trust,
}

impl WhatIsReport {
    /// Says of nothing that it is unreachable where the search can't be believed on it.
    pub fn new(mut found: WhatIs) -> Self {
        let trust = Trust::of(&found.coverage);
        if !trust.reliable {
            found.doubt();
        }
        Self { found, trust }
    }

    /// Whether nothing was missing.
    pub fn is_complete(&self) -> bool {
        self.trust.reliable && self.found.coverage.is_complete()
    }
}
