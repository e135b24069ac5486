//! `pages`: all of RAM by owner.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::graph;
use vmleak::render;
use vmleak::report::pages::{Division, PagesReport};

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `pages`.
#[derive(Debug, Args)]
pub(crate) struct PagesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = PagesFormat::Table, help_heading = "Output")]
    pub(crate) format: PagesFormat,
    /// The ledger of each zone of each node, or of each node, in place of that of all RAM
    #[arg(long, value_enum, value_name = "zone|node")]
    pub(crate) by: Option<PagesBy>,
    /// Rows of each list
    #[arg(long, value_name = "N", default_value_t = 12, conflicts_with = "all")]
    pub(crate) top: usize,
    /// All rows
    #[arg(long)]
    pub(crate) all: bool,
}

/// Parts of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PagesBy {
    /// Zones of each node
    Zone,
    /// Nodes
    Node,
}

/// Formats of `pages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PagesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One row of the ledger a line
    Jsonl,
    /// One row a line, an owner, a holder
    Csv,
}

/// Runs `vmleak pages`.
pub(crate) fn pages(args: &PagesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let by = match args.by {
        Some(PagesBy::Node) => Division::Node,
        Some(PagesBy::Zone) | None => Division::Zone,
    };
    let (report, complete) = collected(&session, args.common.max_memory, by)?;
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        PagesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    let top = if args.all { usize::MAX } else { args.top };
    output(&args.common, reader, |out, width| match args.format {
        PagesFormat::Table if args.by.is_some() => {
            render::pages::write_zones(out, &document, width)
        }
        PagesFormat::Table => render::pages::write_text(out, &document, width, top),
        PagesFormat::Json => render::json(out, &document),
        PagesFormat::Jsonl if args.by.is_some() => {
            json_lines(out, &document.dump, &document.body.zones)
        }
        PagesFormat::Jsonl => json_lines(out, &document.dump, &document.body.rows),
        PagesFormat::Csv if args.by.is_some() => render::pages::write_zones_csv(out, &document),
        PagesFormat::Csv => render::pages::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}

/// All pages, and whether nothing was missing.
pub(in crate::cli) fn collected(
    session: &Session,
    memory: Option<u64>,
    by: Division,
) -> Result<(PagesReport, bool)> {
    let options = graph::Options {
        deadline: None,
        memory,
        list: None,
        suspects: None,
        own_pages: true,
        progress: &*session.progress,
    };
    let search = || graph::pages(&session.kernel, &options);
    let (facts, _) = rayon::join(search, || session.run());
    let facts = session.explain(facts)?;
    let report = PagesReport::new(facts.context("no page structures were gathered")?, by);
    for why in &report.trust.reasons {
        let message = format!("no page can be called lost: {}", why.message);
        session.kernel.diag.warn("lost-unknown", message);
    }
    let complete = report.is_complete();
    Ok((report, complete))
}
