//! Arguments, texts, pages and exit codes.

pub(crate) mod arguments;
pub(crate) mod bundle;
pub(crate) mod cli;
pub(crate) mod diff;
pub(crate) mod export;
mod formats;
pub(crate) mod looks;
pub(crate) mod manual;
mod redacted;
pub(crate) mod report;
mod report_page;
pub(crate) mod series;
