//! `objects --traces`: who allocated or freed the objects of a cache.

use std::process::ExitCode;

use anyhow::{Result, bail};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::traces::TracesReport;
use vmleak::subsys::mm::slab::SlabHeap;
use vmleak::subsys::mm::slab::tracks::{self, TrackOf, Tracks};

use super::args::{ObjectsArgs, ObjectsFormat, Traces};
use super::output::{json_lines, output};
use super::session::{Session, exit};

/// Runs `vmleak objects CACHE --traces`; `index` is the cache's.
pub(super) fn traces(
    session: &Session,
    args: &ObjectsArgs,
    heap: &SlabHeap<'_>,
    index: usize,
    of: Traces,
) -> Result<ExitCode> {
    let kernel = &session.kernel;
    let of = match of {
        Traces::Alloc => TrackOf::Alloc,
        Traces::Free => TrackOf::Free,
    };
    let tracks = session.explain(Tracks::open(heap))?;
    let found = match &tracks {
        Some(tracks) => tracks::of_cache(heap, tracks, index, of),
        None => None,
    };
    let (Some(tracks), Some((sites, whole)), Some(cache)) =
        (&tracks, found, heap.caches().get(index))
    else {
        bail!(
            "the kernel recorded no owners for {0:?}: it does with slub_debug=U, or slub_debug=U,{0}, on its command line",
            args.cache
        );
    };
    let modules = Modules::read(kernel)?;
    let names = Symbolizer::new(kernel, &modules);
    let limit = args.limit.unwrap_or(usize::MAX);
    let name = |address| names.find(address);
    let facts = session.explain(tracks.describe(sites, limit, &name))?;
    facts.warn(kernel, &cache.name);
    let complete = whole && heap.is_complete() && facts.lost_stacks == 0;
    let report = TracesReport::new(&cache.name, of, facts);
    let document = session.document(&args.common, complete, report);
    output(&args.common, args.format.reader(), |out, _| {
        match args.format {
            ObjectsFormat::Json => render::json(out, &document),
            ObjectsFormat::Jsonl => json_lines(out, &document.dump, &document.body.traces.sites),
            ObjectsFormat::Proc => render::traces::write_proc(out, &document.body),
            _ => render::traces::write_text(out, &document),
        }
    })?;
    Ok(exit(document.complete))
}
