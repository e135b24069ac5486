//! `bpf`: maps and programs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::processes::Processes;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::bpf::BpfReport;
use vmleak::subsys::bpf;
use vmleak::subsys::mm::vmalloc;

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `bpf`.
#[derive(Debug, Args)]
pub(crate) struct BpfArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = BpfFormat::Table, help_heading = "Output")]
    pub(crate) format: BpfFormat,
}

/// Formats of `bpf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BpfFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One map a line
    Jsonl,
    /// One row a map or a program
    Csv,
}

/// Runs `vmleak bpf`.
pub(crate) fn bpf(args: &BpfArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let kernel = &session.kernel;
    let modules = Modules::read(kernel)?;
    let areas = session.explain(vmalloc::collect(kernel, &Symbolizer::new(kernel, &modules)))?;
    let processes = session.explain(Processes::read(kernel))?;
    let facts = session.explain(bpf::collect(kernel, &processes, Some(&areas)))?;
    let complete = facts.complete && areas.all_read;
    let document = session.document(&args.common, complete, BpfReport::new(facts));
    let reader = match args.format {
        BpfFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        BpfFormat::Table => render::bpf::write_text(out, &document, width),
        BpfFormat::Json => render::json(out, &document),
        BpfFormat::Jsonl => json_lines(out, &document.dump, &document.body.maps),
        BpfFormat::Csv => render::bpf::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}
