//! The part of `diff`.

use serde::Serialize;

use crate::analysis::growth::{Growth, View};
use crate::analysis::series::Besides;

/// Two samples, and what grew between them.
#[derive(Clone, Debug, Serialize)]
pub struct DiffReport {
    /// The older sample.
    pub old: SampleIdentity,
    /// The newer one.
    pub new: SampleIdentity,
    /// Which counts are compared.
    pub compared: View,
    /// Whether both are of one boot of one kernel; `None` if a sample does not tell. If not,
    /// nothing grew: what one boot held stands beside what another did.
    pub same_boot: Option<bool>,
    /// Seconds from the one to the other, if both say when they were taken.
    pub seconds_between: Option<f64>,
    /// What grew.
    #[serde(flatten)]
    pub growth: Growth,
    /// What else is compared, of two dumps.
    #[serde(flatten)]
    pub besides: Option<Besides>,
}

/// Where a sample comes from.
#[derive(Clone, Debug, Serialize)]
pub struct SampleIdentity {
    /// The file.
    pub path: String,
    /// `dump` or `slabinfo`.
    pub kind: &'static str,
    /// Of a dump: its kernel.
    pub release: Option<String>,
    /// Of a dump: when it was taken, RFC 3339, UTC.
    pub crash_time: Option<String>,
}
