//! `kmemleak`: what the kernel itself found lost.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::kmemleak::KmemleakReport;
use vmleak::subsys::mm::kmemleak as subsys;

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::own_args::{KmemleakArgs, KmemleakFormat};

/// Runs `vmleak kmemleak`.
pub(crate) fn kmemleak(args: &KmemleakArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    let (report, complete) = collected(&session, &modules)?;
    let document = session.document(&args.common, complete, report);
    output(&args.common, args.format.reader(), |out, _| {
        match args.format {
            KmemleakFormat::Table => render::kmemleak::write_text(out, &document, args.all),
            KmemleakFormat::Json => render::json(out, &document),
            KmemleakFormat::Jsonl => json_lines(out, &document.dump, &document.body.unreferenced),
            KmemleakFormat::Csv => render::kmemleak::write_csv(out, &document),
            KmemleakFormat::Proc => render::kmemleak::write_proc(out, &document.body),
        }
    })?;
    Ok(exit(document.complete))
}

/// What the kernel had found, and whether nothing is missing.
pub(crate) fn collected(session: &Session, modules: &Modules) -> Result<(KmemleakReport, bool)> {
    let names = Symbolizer::new(&session.kernel, modules);
    let facts = session.explain(subsys::collect(&session.kernel, &names))?;
    let complete = facts.complete && modules.end().is_complete();
    Ok((KmemleakReport::new(facts), complete))
}
