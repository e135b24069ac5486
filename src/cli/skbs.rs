//! `sockets --skbs`: where the socket buffers are.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::subsys::mm::slab::SlabHeap;
use vmleak::subsys::net::{skbs as buffers, sockets};

use super::output::{Reader, output};
use super::session::{Session, exit};
use super::sockets::{SocketsArgs, SocketsFormat};
use super::wrong::wrong;

/// Queueing disciplines in modules whose own queues are read.
const QDISCS: [&str; 2] = ["sch_netem", "sch_fq_codel"];

/// Runs `vmleak sockets --skbs`.
pub(crate) fn skbs(args: &SocketsArgs) -> Result<ExitCode> {
    if !matches!(args.format, SocketsFormat::Table | SocketsFormat::Json) {
        return Err(wrong("--skbs has the formats table and json"));
    }
    let mut session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    for module in QDISCS {
        // Without them, what such a discipline holds is said to be unknown, if there is one.
        let _ = session.add_module_types(&modules, &args.common, &[module]);
    }
    let facts = session.settled(|session| {
        let names = Symbolizer::new(&session.kernel, &modules);
        let sockets = sockets::collect_keeping(&session.kernel, true);
        let sockets = session.explain(sockets)?;
        let heap = SlabHeap::read(&session.kernel, &*session.progress);
        let heap = session.explain(heap)?;
        let mut facts = session.explain(buffers::collect(&heap, &sockets.buffers, &|at| {
            names.print(at)
        }))?;
        facts.complete &= sockets.complete && heap.is_complete();
        Ok(facts)
    })?;
    let complete = facts.complete;
    let document = session.document(&args.common, complete, facts);
    let reader = match args.format {
        SocketsFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        SocketsFormat::Table => render::skbs::write_text(out, &document, width),
        _ => render::json(out, &document),
    })?;
    Ok(exit(document.complete))
}
