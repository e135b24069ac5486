//! `vmalloc`: who holds memory that is mapped page by page.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::vmalloc::VmallocReport;
use vmleak::subsys::vmalloc as subsys;

use super::super::session::{Session, exit, json_lines, output};
use super::args::{VmallocArgs, VmallocFormat};

/// Runs `vmleak vmalloc`.
pub(crate) fn vmalloc(args: &VmallocArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let kernel = &session.kernel;
    let modules = Modules::read(kernel)?;
    let names = Symbolizer::new(kernel, &modules);
    let facts = session.explain(subsys::collect(kernel, &names))?;
    let mut complete = facts.complete && modules.end().is_complete();
    if args.format == VmallocFormat::Proc && !args.real_addresses && facts.pointers.is_none() {
        complete = false;
        kernel.diag.warn(
            "pointer-key-unreadable",
            "the secret with which the kernel hashes addresses can't be read: they are printed as they are; take the dump with kernel pages included",
        );
    }
    let report = VmallocReport::new(facts, kernel.dump().page_size() as u64);
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            VmallocFormat::Table => render::vmalloc::write_text(out, &document, width),
            VmallocFormat::Json => render::json(out, &document),
            VmallocFormat::Jsonl => json_lines(out, &document.body.areas),
            VmallocFormat::Csv => render::vmalloc::write_csv(out, &document.body),
            VmallocFormat::Proc => {
                render::vmalloc::write_proc(out, &document.body, args.real_addresses)
            }
        },
    )?;
    Ok(exit(document.complete))
}
