//! The arguments of these commands.

use clap::{Args, ValueEnum};

use super::super::args::Common;
use super::super::session::Reader;

/// Of `meminfo`.
#[derive(Debug, Args)]
pub(crate) struct MeminfoArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = MeminfoFormat::Table, help_heading = "Output")]
    pub(crate) format: MeminfoFormat,
    /// Add what each CPU had counted, but not handed over yet (the kernel leaves it out)
    #[arg(long)]
    pub(crate) precise: bool,
}

/// Formats of `meminfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MeminfoFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// /proc/meminfo to the letter
    Proc,
}

impl MeminfoFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            MeminfoFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}
