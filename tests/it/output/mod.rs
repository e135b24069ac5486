//! Arguments, texts, pages and exit codes.

pub(crate) mod arguments;
pub(crate) mod bundle;
pub(crate) mod cli;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod looks;
pub(crate) mod manual;
pub(crate) mod report;
mod report_page;
pub(crate) mod series;
