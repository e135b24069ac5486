//! `modules`: what was loaded.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::modules::ModulesReport;
use vmleak::subsys::modules as subsys;

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::args::{ModulesArgs, ModulesFormat};

/// Runs `vmleak modules`.
pub(crate) fn modules(args: &ModulesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let all = Modules::read(&session.kernel)?;
    let (report, complete) = collected(&session, &all)?;
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            ModulesFormat::Table => render::modules::write_text(out, &document, width),
            ModulesFormat::Json => render::json(out, &document),
            ModulesFormat::Jsonl => json_lines(out, &document.dump, &document.body.modules),
            ModulesFormat::Csv => render::modules::write_csv(out, &document),
            ModulesFormat::Proc => render::modules::write_proc(out, &document.body),
        },
    )?;
    Ok(exit(document.complete))
}

/// What was loaded, and whether nothing is missing.
pub(crate) fn collected(session: &Session, all: &Modules) -> Result<(ModulesReport, bool)> {
    let facts = session.explain(subsys::collect(&session.kernel, all))?;
    let report = ModulesReport {
        modules: facts.modules,
    };
    Ok((report, facts.complete))
}
