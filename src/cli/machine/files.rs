//! `files`: what of which files is in memory.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::render;
use vmleak::report::files::FilesReport;
use vmleak::subsys::fs;

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `files`.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = FilesFormat::Table, help_heading = "Output")]
    pub(crate) format: FilesFormat,
    /// Show the N files of which most is in memory (20 for people, all for programs)
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub(crate) top: Option<usize>,
}

/// Formats of `files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One file a line
    Jsonl,
    /// One file a row
    Csv,
}

/// As many rows as fit a screen.
const FOR_PEOPLE: usize = 20;

/// Runs `vmleak files`.
pub(crate) fn files(args: &FilesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let top = args.top.unwrap_or(match args.format {
        FilesFormat::Table => FOR_PEOPLE,
        _ => usize::MAX,
    });
    let read = |session: &Session| session.explain(fs::collect(&session.kernel, top));
    let facts = session.settled(read)?;
    let complete = facts.complete;
    let document = session.document(&args.common, complete, FilesReport::new(facts));
    let reader = match args.format {
        FilesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        FilesFormat::Table => render::files::write_text(out, &document, width),
        FilesFormat::Json => render::json(out, &document),
        FilesFormat::Jsonl => json_lines(out, &document.dump, &document.body.files),
        FilesFormat::Csv => render::files::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}
