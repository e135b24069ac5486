//! The arguments of these commands.

use clap::{Args, ValueEnum};

use super::super::args::Common;
use super::super::output::Reader;

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
    /// One line of it a line
    Jsonl,
    /// One line of it a row
    Csv,
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

/// Of `log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = LogFormat::Table, help_heading = "Output")]
    pub(crate) format: LogFormat,
    /// Only the reports of the out-of-memory killer, as tables
    #[arg(long)]
    pub(crate) oom: bool,
    /// Only records of LEVEL and worse
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "oom")]
    pub(crate) level: Option<LogLevel>,
    /// With who printed each record: task or CPU
    #[arg(long, conflicts_with = "oom")]
    pub(crate) callers: bool,
}

/// Levels of records, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as dmesg names them
pub(crate) enum LogLevel {
    Emerg = 0,
    Alert = 1,
    Crit = 2,
    Err = 3,
    Warn = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// Formats of `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// As dmesg prints it
    Table,
    /// One document
    Json,
    /// One record a line
    Jsonl,
    /// One record a row
    Csv,
}

impl LogFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            LogFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Of `vmalloc`.
#[derive(Debug, Args)]
pub(crate) struct VmallocArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = VmallocFormat::Table, help_heading = "Output")]
    pub(crate) format: VmallocFormat,
    /// With --format proc: addresses as they are, not hashed as the kernel prints them
    #[arg(long)]
    pub(crate) real_addresses: bool,
}

/// Formats of `vmalloc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VmallocFormat {
    /// By caller, for people
    Table,
    /// One document
    Json,
    /// One area a line
    Jsonl,
    /// One area a row
    Csv,
    /// /proc/vmallocinfo to the letter
    Proc,
}

impl VmallocFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            VmallocFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Of `modules`.
#[derive(Debug, Args)]
pub(crate) struct ModulesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ModulesFormat::Table, help_heading = "Output")]
    pub(crate) format: ModulesFormat,
}

/// Formats of `modules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModulesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One module a line
    Jsonl,
    /// One module a row
    Csv,
    /// /proc/modules to the letter
    Proc,
}

impl ModulesFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            ModulesFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}
