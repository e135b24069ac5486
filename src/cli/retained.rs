//! `retained`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::graph::{self, alive};
use vmleak::render;
use vmleak::report::retained::RetainedReport;

use super::args::Common;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};
use super::wrong::nothing_so;

/// What would go with it: a thing is retained by an owner if every way to it leads through that one.
///
/// Searches the whole dump, as leaks does, and keeps all references in memory (--max-memory
/// bounds them). Lists are held by their heads, whatever else finds what is on them.
///
/// Example: which of a module's variables keeps what, `vmleak retained --root hoard vmcore`
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RetainedArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Only what is called so: a module, a process's name or number, a variable
    #[arg(long, value_name = "NAME")]
    pub(crate) root: Option<String>,
    /// At most N owners; 20 in the table, and all for programs, unless said otherwise
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = RetainedFormat::Table, help_heading = "Output")]
    pub(crate) format: RetainedFormat,
}

/// Forms of `retained`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RetainedFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One owner a line
    Jsonl,
    /// One owner a row
    Csv,
    /// Stacks with bytes, for flame graphs
    Folded,
}

/// Owners that people are shown.
const TOP: usize = 20;

/// Runs `vmleak retained`.
pub(crate) fn retained(args: &RetainedArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let options = graph::Options {
        deadline: None,
        memory: args.common.max_memory,
        list: None,
        suspects: None,
        own_pages: false,
        progress: &*session.progress,
    };
    let facts = alive::retained(&session.kernel, &options, args.root.as_deref());
    let facts = session.explain(facts)?;
    if let Some(root) = &args.root
        && facts.owners.is_empty()
        && facts.shared.is_empty()
    {
        let message = format!("nothing is retained by what is called {root:?}");
        return Err(nothing_so(&session.kernel.diag, message));
    }
    let default = match args.format {
        RetainedFormat::Table => TOP,
        _ => usize::MAX,
    };
    let report = RetainedReport::new(facts, args.top.unwrap_or(default));
    let complete = report.is_complete();
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        RetainedFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        RetainedFormat::Table => render::retained::write_text(out, &document, width),
        RetainedFormat::Json => render::json(out, &document),
        RetainedFormat::Jsonl => json_lines(out, &document.dump, &document.body.facts.owners),
        RetainedFormat::Csv => {
            render::flat::csv(out, &document.dump, "", &document.body.facts.owners)
        }
        RetainedFormat::Folded => render::retained::write_folded(out, &document.body),
    })?;
    Ok(exit(document.complete))
}
