//! The parts of `sysctl` and of `sysctl --check`.

use serde::Serialize;

use crate::analysis::sysctl_check::Check;
use crate::subsys::sysctl::Entry;
use crate::subsys::sysctl::usage::Usage;

/// The part of `sysctl`.
#[derive(Clone, Debug, Serialize)]
pub struct SysctlReport {
    /// In the order of `sysctl -a`.
    pub sysctls: Vec<Entry>,
}

/// The part of `sysctl --check`.
#[derive(Clone, Debug, Serialize)]
pub struct SysctlCheckReport {
    /// What was in use.
    pub usage: Usage,
    /// Worst first.
    pub checks: Vec<Check>,
}
