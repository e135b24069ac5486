//! `meminfo`: what the kernel counted of its memory.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::render;
use vmleak::report::meminfo::MeminfoReport;
use vmleak::subsys::{large_kmalloc, meminfo as subsys};

use super::super::session::{Session, exit, output};
use super::args::{MeminfoArgs, MeminfoFormat};

/// Runs `vmleak meminfo`.
pub(crate) fn meminfo(args: &MeminfoArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let facts = session.explain(subsys::collect(&session.kernel, args.precise))?;
    let complete = facts.complete;
    let page_size = session.kernel.dump().page_size() as u64;
    // The file is counters alone; where the memory went takes a look at all page structures.
    let pages = match args.format {
        MeminfoFormat::Proc => None,
        MeminfoFormat::Table | MeminfoFormat::Json => {
            large_kmalloc::collect(&session.kernel, &session.progress)
                .map_err(|error| {
                    let text = format!("how much is large kmalloc can't be told: {error}");
                    session.kernel.diag.warn("large-kmalloc-unknown", text);
                })
                .ok()
        }
    };
    let report = MeminfoReport::new(facts, pages, page_size);
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            MeminfoFormat::Table => render::meminfo::write_text(out, &document, width),
            MeminfoFormat::Json => render::json(out, &document),
            MeminfoFormat::Proc => render::meminfo::write_proc(out, &document.body),
        },
    )?;
    Ok(exit(document.complete))
}
