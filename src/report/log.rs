//! The part of `log`: records, or the reports of the out-of-memory killer among them.

use serde::Serialize;

use crate::analysis::oom::OomReport;
use crate::subsys::log::LogRecord;

/// The part of `log`.
#[derive(Clone, Debug, Serialize)]
pub struct LogReport {
    /// The records asked for, oldest first.
    pub records: Vec<LogRecord>,
}

/// The part of `log --oom`.
#[derive(Clone, Debug, Serialize)]
pub struct OomReports {
    /// The reports, oldest first.
    pub oom: Vec<OomReport>,
}
