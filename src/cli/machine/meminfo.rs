//! `meminfo`: what the kernel counted of its memory.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::render;
use vmleak::report::meminfo::MeminfoReport;
use vmleak::subsys::mm::large_kmalloc::KmallocPages;
use vmleak::subsys::mm::{large_kmalloc, meminfo as subsys};

use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::args::{MeminfoArgs, MeminfoFormat};

/// Runs `vmleak meminfo`.
pub(crate) fn meminfo(args: &MeminfoArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    // The file is counters alone.
    let kmalloc = match args.format {
        MeminfoFormat::Proc => Kmalloc::Unasked,
        _ => Kmalloc::PageStructures,
    };
    let (report, complete) = collected(&session, args.precise, kmalloc)?;
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            MeminfoFormat::Table => render::meminfo::write_text(out, &document, width),
            MeminfoFormat::Json => render::json(out, &document),
            MeminfoFormat::Jsonl => json_lines(out, &document.dump, &document.body.meminfo),
            MeminfoFormat::Csv => {
                render::flat::csv(out, &document.dump, "", &document.body.meminfo)
            }
            MeminfoFormat::Proc => render::meminfo::write_proc(out, &document.body),
        },
    )?;
    Ok(exit(document.complete))
}

/// Who knows how much is large kmalloc.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kmalloc {
    /// It is not wanted.
    Unasked,
    /// All page structures, which are read for it.
    PageStructures,
    /// Who has read them before.
    Known(KmallocPages),
}

/// What was counted, and whether nothing was missing.
pub(crate) fn collected(
    session: &Session,
    precise: bool,
    kmalloc: Kmalloc,
) -> Result<(MeminfoReport, bool)> {
    let facts = session.explain(subsys::collect(&session.kernel, precise))?;
    let complete = facts.complete;
    let page_size = session.kernel.dump().page_size() as u64;
    let collect = || {
        large_kmalloc::collect(&session.kernel, &*session.progress)
            .map_err(|error| {
                let text = format!("how much is large kmalloc can't be told: {error}");
                session.kernel.diag.warn("large-kmalloc-unknown", text);
            })
            .ok()
    };
    let pages = match kmalloc {
        Kmalloc::Unasked => None,
        Kmalloc::PageStructures => collect(),
        Kmalloc::Known(pages) => Some(pages),
    };
    Ok((MeminfoReport::new(facts, pages, page_size), complete))
}
