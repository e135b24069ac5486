//! The arguments of `leaks`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::args::{Common, FailOn};
use super::output::Reader;

/// Of `leaks`.
#[derive(Debug, Args)]
pub(crate) struct LeaksArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = LeaksFormat::Table, help_heading = "Output")]
    pub(crate) format: LeaksFormat,
    /// Show all caches
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
    /// Exit with 1 if a cache is at least this
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "Output")]
    pub(crate) fail_on: Option<FailOn>,
    /// Stop searching after this time (for example 60s or 5m) with what there is
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Resources")]
    pub(crate) budget: Option<Duration>,
}

/// Of `whatis`.
#[derive(Debug, Args)]
pub(crate) struct WhatisArgs {
    /// The address, in hexadecimal, or a symbol (jiffies, tcp_prot+0x10), a page by its number
    /// (pfn:4660), or a physical address (phys:0x1234000)
    ///
    /// The address of a page's structure tells of the page too.
    #[arg(value_name = "ADDRESS|SYMBOL|pfn:N|phys:ADDRESS")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Why it is alive: the chain of owners from a root to it, and who else holds it
    #[arg(long)]
    pub(crate) path: bool,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = WhatisFormat::Table, help_heading = "Output")]
    pub(crate) format: WhatisFormat,
}

/// Forms of `whatis`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhatisFormat {
    /// For people
    Table,
    /// One document
    Json,
}

/// Forms of `leaks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LeaksFormat {
    /// For people: findings with their evidence
    Table,
    /// One document
    Json,
    /// One cache a line
    Jsonl,
    /// One cache a row
    Csv,
}

impl LeaksFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            LeaksFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Seconds, or a number with `ms`, `s`, `m` or `h`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: u64 = digits
        .parse()
        .map_err(|_| "give a time such as 60s or 5m".to_owned())?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("the units are ms, s, m and h".to_owned()),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}
