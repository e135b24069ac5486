//! The arguments of the commands about what the kernel itself kept account of.

use clap::{Args, ValueEnum};

use super::super::args::Common;
use super::super::output::Reader;

/// Of `allocinfo`.
#[derive(Debug, Args)]
pub(crate) struct AllocinfoArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = AllocinfoFormat::Table, help_heading = "Output")]
    pub(crate) format: AllocinfoFormat,
    /// Show places with nothing allocated too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Formats of `allocinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AllocinfoFormat {
    /// The largest first, for people
    Table,
    /// One document
    Json,
    /// One place a line
    Jsonl,
    /// One place a row
    Csv,
    /// /proc/allocinfo to the letter
    Proc,
}

impl AllocinfoFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            AllocinfoFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Of `memcg`.
#[derive(Debug, Args)]
pub(crate) struct MemcgArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = MemcgFormat::Table, help_heading = "Output")]
    pub(crate) format: MemcgFormat,
    /// Order of the cgroups
    #[arg(long, value_enum, default_value_t = MemcgSort::Tree)]
    pub(crate) sort: MemcgSort,
    /// Only those that were removed but are not gone
    #[arg(long)]
    pub(crate) dying: bool,
}

/// Orders of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemcgSort {
    /// Each before those below it
    Tree,
    /// Largest first
    Size,
}

/// Formats of `memcg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemcgFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One cgroup a line
    Jsonl,
    /// One cgroup a row
    Csv,
}

impl MemcgFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            MemcgFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Of `kmemleak`.
#[derive(Debug, Args)]
pub(crate) struct KmemleakArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = KmemleakFormat::Table, help_heading = "Output")]
    pub(crate) format: KmemleakFormat,
    /// Show all stack traces, not the largest alone
    #[arg(long)]
    pub(crate) all: bool,
}

/// Formats of `kmemleak`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KmemleakFormat {
    /// By stack trace, for people
    Table,
    /// One document
    Json,
    /// One object a line
    Jsonl,
    /// One object a row
    Csv,
    /// /sys/kernel/debug/kmemleak to the letter
    Proc,
}

impl KmemleakFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            KmemleakFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}
