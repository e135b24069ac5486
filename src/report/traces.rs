//! The part of `objects --traces`.

use serde::Serialize;

use crate::subsys::mm::slab::tracks::{SiteFacts, TrackOf};

/// The part of `objects --traces`.
#[derive(Clone, Debug, Serialize)]
pub struct TracesReport {
    /// The cache's name.
    pub cache: String,
    /// `alloc` or `free`: what the places did.
    pub of: &'static str,
    /// The places.
    #[serde(flatten)]
    pub traces: SiteFacts,
}

impl TracesReport {
    /// Of the cache called `cache`.
    pub fn new(cache: &str, of: TrackOf, traces: SiteFacts) -> Self {
        Self {
            cache: cache.to_owned(),
            of: match of {
                TrackOf::Alloc => "alloc",
                TrackOf::Free => "free",
            },
            traces,
        }
    }
}
