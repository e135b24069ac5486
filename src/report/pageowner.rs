//! The part of `pageowner`.

use serde::Serialize;

use crate::subsys::mm::page_owner::PageOwnerFacts;

/// The part of `pageowner`.
#[derive(Clone, Debug, Serialize)]
pub struct PageOwnerReport {
    /// What was recorded.
    #[serde(flatten)]
    pub facts: PageOwnerFacts,
    /// Bytes in a page.
    pub page_size: u64,
}
