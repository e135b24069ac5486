//! `dentries`: which directories and mounts hold names and inodes in memory.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::render;
use vmleak::report::dentries::DentriesReport;
use vmleak::subsys::fs::dentries;
use vmleak::subsys::mm::slab::SlabHeap;

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `dentries`.
#[derive(Debug, Args)]
pub(crate) struct DentriesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = DentriesFormat::Table, help_heading = "Output")]
    pub(crate) format: DentriesFormat,
    /// Show the N directories with the most names (20 for people, all for programs)
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub(crate) top: Option<usize>,
}

/// Formats of `dentries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DentriesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One directory a line
    Jsonl,
    /// One directory a row
    Csv,
}

/// As many rows as fit a screen.
const FOR_PEOPLE: usize = 20;

/// Runs `vmleak dentries`.
pub(crate) fn dentries(args: &DentriesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let top = args.top.unwrap_or(match args.format {
        DentriesFormat::Table => FOR_PEOPLE,
        _ => usize::MAX,
    });
    let facts = session.settled(|session| {
        let heap = SlabHeap::read(&session.kernel, &*session.progress);
        let heap = session.explain(heap)?;
        session.explain(dentries::collect(&heap, top))
    })?;
    let complete = facts.complete;
    let document = session.document(&args.common, complete, DentriesReport::new(facts));
    let reader = match args.format {
        DentriesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        DentriesFormat::Table => render::dentries::write_text(out, &document, width),
        DentriesFormat::Json => render::json(out, &document),
        DentriesFormat::Jsonl => json_lines(out, &document.dump, &document.body.directories),
        DentriesFormat::Csv => render::dentries::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}
