//! `ps`: processes and kernel threads, with their memory.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::render;
use vmleak::report::ps::PsReport;
use vmleak::subsys::task;

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `ps`.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = PsFormat::Table, help_heading = "Output")]
    pub(crate) format: PsFormat,
    /// Show all processes, and kernel threads
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
}

/// Formats of `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PsFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One process a line
    Jsonl,
    /// One process a row
    Csv,
}

/// Runs `vmleak ps`.
pub(crate) fn ps(args: &PsArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let facts = session.settled(|session| session.explain(task::collect(&session.kernel)))?;
    let complete = facts.complete;
    let document = session.document(&args.common, complete, PsReport::new(facts));
    let reader = match args.format {
        PsFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        PsFormat::Table => render::ps::write_text(out, &document, width, args.all),
        PsFormat::Json => render::json(out, &document),
        PsFormat::Jsonl => json_lines(out, &document.dump, &document.body.processes),
        PsFormat::Csv => render::ps::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}
