//! `allocinfo`: what each place in the code allocated and did not free.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::render;
use vmleak::report::allocinfo::AllocReport;
use vmleak::subsys::mm::allocinfo as subsys;

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::own_args::{AllocinfoArgs, AllocinfoFormat};

/// Runs `vmleak allocinfo`.
pub(crate) fn allocinfo(args: &AllocinfoArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let (mut report, complete) = collected(&session)?;
    if args.format != AllocinfoFormat::Proc {
        report.sort_by_size();
    }
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            AllocinfoFormat::Table => {
                render::allocinfo::write_text(out, &document, width, args.all)
            }
            AllocinfoFormat::Json => render::json(out, &document),
            AllocinfoFormat::Jsonl => json_lines(out, &document.dump, &document.body.sites),
            AllocinfoFormat::Csv => render::allocinfo::write_csv(out, &document),
            AllocinfoFormat::Proc => render::allocinfo::write_proc(out, &document.body),
        },
    )?;
    Ok(exit(document.complete))
}

/// The places, and whether none is missing.
pub(crate) fn collected(session: &Session) -> Result<(AllocReport, bool)> {
    let facts = session.explain(subsys::collect(&session.kernel))?;
    let complete = facts.complete;
    Ok((AllocReport::new(facts), complete))
}
