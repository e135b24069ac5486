//! The part of `modules`.

use serde::Serialize;

use crate::subsys::modules::ModuleFacts;

/// The modules that were loaded.
#[derive(Clone, Debug, Serialize)]
pub struct ModulesReport {
    /// In the order of /proc/modules: the last loaded first.
    pub modules: Vec<ModuleFacts>,
}
