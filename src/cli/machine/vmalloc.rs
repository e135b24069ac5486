//! `vmalloc`: who holds memory that is mapped page by page.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::vmalloc::VmallocReport;
use vmleak::subsys::mm::vmalloc as subsys;

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::args::{VmallocArgs, VmallocFormat};

/// Runs `vmleak vmalloc`.
pub(crate) fn vmalloc(args: &VmallocArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    let (report, mut complete) = collected(&session, &modules)?;
    if args.format == VmallocFormat::Proc && !args.real_addresses && report.pointers.is_none() {
        complete = false;
        session.kernel.diag.warn(
            "pointer-key-unreadable",
            "the secret with which the kernel hashes addresses can't be read: they are printed as they are; take the dump with kernel pages included",
        );
    }
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            VmallocFormat::Table => render::vmalloc::write_text(out, &document, width),
            VmallocFormat::Json => render::json(out, &document),
            VmallocFormat::Jsonl => json_lines(out, &document.dump, &document.body.areas),
            VmallocFormat::Csv => render::vmalloc::write_csv(out, &document),
            VmallocFormat::Proc => {
                render::vmalloc::write_proc(out, &document.body, args.real_addresses)
            }
        },
    )?;
    Ok(exit(document.complete))
}

/// The areas, and whether none is missing.
pub(crate) fn collected(session: &Session, modules: &Modules) -> Result<(VmallocReport, bool)> {
    let kernel = &session.kernel;
    let names = Symbolizer::new(kernel, modules);
    let facts = session.explain(subsys::collect(kernel, &names))?;
    let complete = facts.complete && modules.end().is_complete();
    let page_size = kernel.dump().page_size() as u64;
    Ok((VmallocReport::new(facts, page_size), complete))
}
