//! `pageowner`: who allocated the pages.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::pageowner::PageOwnerReport;
use vmleak::subsys::mm::page_owner;

use super::args::Common;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};

/// Of `pageowner`.
#[derive(Debug, Args)]
pub(crate) struct PageOwnerArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = PageOwnerFormat::Table, help_heading = "Output")]
    pub(crate) format: PageOwnerFormat,
    /// Show all stacks
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
}

/// Formats of `pageowner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageOwnerFormat {
    /// By stack, for people
    Table,
    /// One document
    Json,
    /// One stack a line
    Jsonl,
    /// One stack a row
    Csv,
    /// /sys/kernel/debug/page_owner_stacks/show_stacks to the letter
    Proc,
}

/// Runs `vmleak pageowner`.
pub(crate) fn pageowner(args: &PageOwnerArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    let (report, complete) = collected(&session, &modules)?;
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        PageOwnerFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, _| match args.format {
        PageOwnerFormat::Table => render::pageowner::write_text(out, &document, args.all),
        PageOwnerFormat::Json => render::json(out, &document),
        PageOwnerFormat::Jsonl => json_lines(out, &document.dump, &document.body.facts.sites),
        PageOwnerFormat::Csv => render::pageowner::write_csv(out, &document),
        PageOwnerFormat::Proc => render::pageowner::write_proc(out, &document.body),
    })?;
    Ok(exit(document.complete))
}

/// The owners, and whether none is missing.
pub(super) fn collected(session: &Session, modules: &Modules) -> Result<(PageOwnerReport, bool)> {
    let kernel = &session.kernel;
    let names = Symbolizer::new(kernel, modules);
    let Some(facts) = session.explain(page_owner::collect(kernel, &names))? else {
        bail!(
            "the kernel recorded no owners of pages: it does with CONFIG_PAGE_OWNER and page_owner=on on its command line"
        );
    };
    let listed = facts.listed.is_none() || facts.list_complete;
    let complete = facts.lost == 0 && facts.lost_stacks == 0 && listed;
    let report = PageOwnerReport {
        facts,
        page_size: kernel.dump().page_size() as u64,
    };
    Ok((report, complete))
}
