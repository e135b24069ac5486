//! `memcg`: who is charged for how much.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::render;
use vmleak::report::memcg::MemcgReport;
use vmleak::subsys::mm::memcg as subsys;

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::own_args::{MemcgArgs, MemcgFormat, MemcgSort};

/// Runs `vmleak memcg`.
pub(crate) fn memcg(args: &MemcgArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let (mut report, complete) = collected(&session)?;
    if args.dying {
        report.keep_dying();
    }
    if args.sort == MemcgSort::Size {
        report.sort_by_size();
    }
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            MemcgFormat::Table => render::memcg::write_text(out, &document, width),
            MemcgFormat::Json => render::json(out, &document),
            MemcgFormat::Jsonl => json_lines(out, &document.dump, &document.body.memcgs),
            MemcgFormat::Csv => render::memcg::write_csv(out, &document),
        },
    )?;
    Ok(exit(document.complete))
}

/// The memory cgroups, and whether none is missing.
pub(crate) fn collected(session: &Session) -> Result<(MemcgReport, bool)> {
    let facts = session.explain(subsys::collect(&session.kernel))?;
    let complete = facts.complete;
    Ok((MemcgReport::new(facts), complete))
}
