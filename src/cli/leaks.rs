//! `leaks`.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use vmleak::analysis::leaks::held::{ELEMENTS, Held};
use vmleak::analysis::leaks::history::{self, Event};
use vmleak::analysis::leaks::may_pile_up;
use vmleak::analysis::memory::{self, Counted, LargeKmalloc};
use vmleak::graph;
use vmleak::graph::alive::Container;
use vmleak::graph::{CacheReach, PagesFacts, ReachFacts, Searched, Suspects};
use vmleak::kernel::{Kernel, KernelError};
use vmleak::render;
use vmleak::report::leaks::{Facts, LeaksReport};
use vmleak::subsys::counters::Bound;
use vmleak::subsys::mm::large_kmalloc::KmallocPages;
use vmleak::subsys::mm::memcg::MemcgCount;
use vmleak::subsys::mm::meminfo::MeminfoFacts;
use vmleak::subsys::mm::slab::{Progress, SlabFacts};
use vmleak::subsys::mm::{memcg, meminfo};
use vmleak::subsys::net::conntrack::Conntrack;
use vmleak::subsys::{bpf, counters, log, rcu};

use super::conntrack::Allocated;
use super::leaks_args::{LeaksArgs, LeaksFormat};
use super::objects::warn_of_doubt;
use super::output::{json_lines, output};
use super::run::verdict_code;
use super::session::Session;

/// Runs `vmleak leaks`.
pub(crate) fn leaks(args: &LeaksArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let Judged {
        report, complete, ..
    } = judged(&session, args.common.max_memory, args.budget, false)?;
    let worst = report.worst();
    let document = session.document(&args.common, complete, report);
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            LeaksFormat::Table => render::leaks::write_text(out, &document, width, args.all),
            LeaksFormat::Json => render::json(out, &document),
            LeaksFormat::Jsonl => json_lines(out, &document.dump, &document.body.caches),
            LeaksFormat::Csv => render::flat::csv(out, &document.dump, "", &document.body.caches),
        },
    )?;
    Ok(verdict_code(args.fail_on, worst, document.complete))
}

/// What one search tells.
pub(super) struct Judged {
    /// The verdict.
    pub(super) report: LeaksReport,
    /// Whether nothing was missing.
    pub(super) complete: bool,
    /// Every page with its owner; `None` of a kernel that runs.
    pub(super) pages: Option<PagesFacts>,
    /// Pages of large kmalloc, by their structures.
    pub(super) kmalloc: KmallocPages,
    /// Connections that are allocated, if they are wanted.
    pub(super) connections: Option<Allocated>,
}

/// The verdict, and what else the search saw; `connections`: whether they are wanted.
pub(super) fn judged(
    session: &Session,
    memory: Option<u64>,
    budget: Option<Duration>,
    connections: bool,
) -> Result<Judged> {
    let kernel = &session.kernel;
    let options = graph::Options {
        deadline: budget.map(|budget| Instant::now() + budget),
        memory,
        list: None,
        suspects: None,
        own_pages: !kernel.dump().is_live(),
        progress: &*session.progress,
    };
    let suspects = first_search(session, &options)?;
    let options = graph::Options {
        suspects: suspects.as_ref(),
        ..options
    };
    let page_size = kernel.dump().page_size() as u64;
    // What needs no search fills its gaps.
    let meanwhile = |known: &Searched<'_>| {
        let connections = connections.then(|| Conntrack::allocated_in(known.heap));
        (bounds(kernel, known), connections)
    };
    let search = || graph::collect(kernel, &options, meanwhile);
    let (found, (history, meminfo)) = rayon::join(search, || besides(session));
    let (slabs, mut reach, ((counters, memcgs, held), connections)) = session.explain(found)?;
    let memory_bytes = session.run().system.memory_bytes;
    let complete =
        reach.coverage.is_complete() && slabs.caches.iter().all(|cache| cache.exact.complete);
    let whole = slabs.missing_page_structs == 0;
    let kmalloc = KmallocPages::of(&reach.pages, reach.blocks.marked, whole);
    let counted = counted(session, &meminfo, kmalloc, &reach);
    let counters = session.explain(counters)?;
    if !reach.coverage.live {
        // What else was found broken on the way casts doubt on the search, too.
        reach.coverage.losses = kernel.diag.losses();
    }
    let pages = reach.own_pages.clone();
    let report = LeaksReport::new(Facts {
        containers: containers(session, &options, &slabs, &reach),
        counters,
        memcgs,
        held,
        memory: memory::by_pages(&reach.pages, counted, page_size, memory_bytes),
        slabs,
        reach,
        history,
        memory_bytes,
        uptime_seconds: session.run().system.uptime_seconds,
    });
    warn_of_doubt(session, &report.trust);
    let complete = complete && report.trust.reliable;
    Ok(Judged {
        report,
        complete,
        pages,
        kmalloc,
        connections,
    })
}

/// So many unreachable objects of one cache are a finding.
const MANY_LOST: u64 = 100;

/// Where things pile up, if a module may have piled something up: that takes as long as the search.
/// `None` if that was not looked for.
/// What there is to warn of, the search has said.
fn containers(
    session: &Session,
    options: &graph::Options<'_>,
    slabs: &SlabFacts,
    reach: &ReachFacts,
) -> Option<Vec<Container>> {
    // Where much is lost that is the answer, and piles are a question for `retained`.
    let lost = |cache: &CacheReach| cache.unreachable >= MANY_LOST;
    let wanted = !session.kernel.dump().is_live()
        && options.deadline.is_none()
        && !reach.caches.iter().any(lost)
        && may_pile_up(slabs, reach);
    if !wanted {
        return None;
    }
    let question = session.question();
    graph::alive::containers(&question.kernel, options).ok()
}

/// Between the two searches of a kernel that runs: longer than anything is on its way, and than
/// RCU takes to free what was given to it.
const SETTLED: Duration = Duration::from_secs(5);

/// Of a kernel that runs: what was unreachable some seconds ago. `None` of a dump, which is
/// searched once.
pub(super) fn first_search(
    session: &Session,
    options: &graph::Options<'_>,
) -> Result<Option<Suspects>> {
    if !session.kernel.dump().is_live() {
        return Ok(None);
    }
    let first = session.question();
    let suspects = session.explain(graph::suspects(&first.kernel, options))?;
    session.progress.start("waiting to search once more", 1);
    thread::sleep(SETTLED);
    Ok(Some(suspects))
}

/// What the log tells of and the counters of pages, as far as they can be read: parts of memory
/// that these would tell are said to be unknown.
fn besides(session: &Session) -> (Vec<Event>, MeminfoFacts) {
    // Asked for at the end.
    session.run();
    let kernel = &session.kernel;
    let (records, _) = log::records_if_any(kernel);
    let (events, _) = history::events(&records, kernel.dump().page_size() as u64);
    let meminfo = meminfo::of_kernel(kernel).unwrap_or_default();
    (events, meminfo)
}

type Bounds = (Result<Vec<Bound>, KernelError>, Option<MemcgCount>, Held);

/// What bounds caches, and what is held; with memory cgroups, which a kernel without them has none
/// to count of.
fn bounds(kernel: &Kernel, known: &Searched<'_>) -> Bounds {
    let memcgs = memcg::count(kernel).ok();
    let counters = counters::collect(
        kernel,
        known.modules,
        &known.slabs.caches,
        known.all_tasks.then_some(known.tasks),
        memcgs.as_ref(),
    );
    let held = held(kernel, known, counters.as_deref().unwrap_or_default());
    (counters, memcgs, held)
}

/// What something holds. A file has one name, a task two directories.
fn held(kernel: &Kernel, known: &Searched<'_>, counters: &[Bound]) -> Held {
    let files = counters.iter().find(|bound| bound.counter == "nr_files");
    let files = files.filter(|_| known.all_tasks);
    Held {
        grace_period: rcu::grace_period(kernel),
        open: files.map(|files| files.limit + 2 * known.tasks.len() as u64),
        maps: bpf::with_elements(kernel, ELEMENTS).unwrap_or_default(),
    }
}

/// What counters tell of pages that do not say themselves what they are.
fn counted(
    session: &Session,
    meminfo: &MeminfoFacts,
    pages: KmallocPages,
    reach: &ReachFacts,
) -> Counted {
    let page_size = session.kernel.dump().page_size() as u64;
    Counted {
        large_kmalloc: LargeKmalloc::of(pages, meminfo, page_size),
        percpu: meminfo.percpu_since_boot,
        page_tables: meminfo.page_tables,
        zspages: meminfo.zspages,
        owners: reach.own_pages.as_ref().map(|pages| pages.unmarked.clone()),
    }
}
