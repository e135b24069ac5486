//! `conntrack` and `nat`: the table is walked once, and written as it is walked.

mod entries;
mod nat;
mod summary;

pub(super) use entries::each_entry;
pub(crate) use nat::nat;
pub(super) use nat::{each_translation, translated};

use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use rayon::slice::ParallelSliceMut;
use vmleak::addr::VirtAddr;
use vmleak::diag::Diagnostics;
use vmleak::kernel::modules::Modules;
use vmleak::render::{self, flat};
use vmleak::report::conntrack::{ExpectationDoc, SummaryReport};
use vmleak::subsys::net::conntrack::entry::{Entry, List};
use vmleak::subsys::net::conntrack::table::WalkFacts;
use vmleak::subsys::net::conntrack::{Conntrack, Reconciliation};

use super::args::Common;
use super::conntrack_args::{ConntrackArgs, ConntrackFormat, Netns, Wanted};
use super::output::{json_lines, output};
use super::session::{Session, exit};
use super::wrong::known_netns;

/// Opens the dump with the types of the modules that track and translate connections.
fn open(common: &Common) -> Result<(Session, Modules)> {
    let mut session = Session::open(common)?;
    let modules = Modules::read(&session.kernel)?;
    add_own_types(&mut session, &modules, common)?;
    Ok((session, modules))
}

/// Adds the types of these modules.
pub(super) fn add_own_types(
    session: &mut Session,
    modules: &Modules,
    common: &Common,
) -> Result<()> {
    session.add_module_types(modules, common, &["nf_conntrack"])?;
    if let Err(error) = session.add_module_types(modules, common, &["nf_nat"]) {
        session.kernel.diag.warn("nat-types", format!("{error:#}"));
    }
    Ok(())
}

/// Which connections are wanted, namespaces included.
struct Selection<'a> {
    wanted: &'a Wanted,
    netns: Netns,
    filter: vmleak::analysis::filter::Filter,
}

impl<'a> Selection<'a> {
    fn new(wanted: &'a Wanted, default: Netns) -> Self {
        Self {
            wanted,
            netns: wanted.netns.unwrap_or(default),
            filter: wanted.filter(),
        }
    }

    fn check(&self, diag: &Diagnostics, conntrack: &Conntrack<'_>) -> Result<()> {
        match self.wanted.netns {
            Some(Netns::Inum(inum)) => {
                let all = conntrack.namespaces().iter().map(|ns| ns.inum);
                known_netns(diag, inum, all)
            }
            _ => Ok(()),
        }
    }

    fn netns_matches(&self, conntrack: &Conntrack<'_>, netns: Option<usize>) -> bool {
        let namespace = netns.and_then(|index| conntrack.namespaces().get(index));
        match self.netns {
            Netns::All => true,
            Netns::Initial => namespace.is_some_and(|ns| ns.initial),
            Netns::Inum(inum) => namespace.is_some_and(|ns| ns.inum == inum),
        }
    }

    fn matches(&self, conntrack: &Conntrack<'_>, entry: &Entry) -> bool {
        self.netns_matches(conntrack, entry.netns) && self.filter.matches(entry)
    }
}

/// Runs `vmleak conntrack`.
pub(crate) fn conntrack(args: &ConntrackArgs) -> Result<ExitCode> {
    let (session, modules) = open(&args.common)?;
    let symbols = (&*session.kernel, &modules);
    let conntrack = session.explain(Conntrack::open(&session.kernel, &symbols))?;
    let default = match args.format {
        ConntrackFormat::Json | ConntrackFormat::Jsonl | ConntrackFormat::Csv => Netns::All,
        _ if args.summary => Netns::All,
        _ => Netns::Initial,
    };
    let selection = Selection::new(&args.wanted, default);
    selection.check(&session.kernel.diag, &conntrack)?;
    if args.expect {
        expectations(args, &session, &conntrack, &selection)
    } else if args.stats {
        stats(args, &session, &conntrack, &selection)
    } else if args.summary {
        summary::summary(args, &session, &conntrack, &selection)
    } else {
        entries::entries(args, &session, &conntrack, &selection)
    }
}

/// Allocated connections, by address; `None` if that can't be told.
pub(super) type Allocated = Option<Vec<VirtAddr>>;

/// All connections counted, and whether nothing was missing. What was `allocated` is looked for, if
/// it is not known.
pub(super) fn summarised(
    session: &Session,
    modules: &Modules,
    allocated: Option<Allocated>,
) -> Result<(SummaryReport, bool)> {
    let symbols = (&*session.kernel, modules);
    let conntrack = session.explain(Conntrack::open(&session.kernel, &symbols))?;
    let all = Wanted::default();
    let selection = Selection::new(&all, Netns::All);
    summary::counted(session, &conntrack, &selection, allocated)
}

/// Walks the table, hands what `render` makes of each wanted entry to `write` in the table's
/// order and, if asked to, remembers which connections the table holds.
fn stream(
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
    remember: bool,
    render: impl Fn(&mut Vec<u8>, &Entry) -> io::Result<()> + Sync,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(WalkFacts, Vec<VirtAddr>)> {
    let mut known: Vec<VirtAddr> = Vec::new();
    let mut result = Ok(());
    let walk = conntrack.table.walk(
        || (Vec::new(), Vec::new()),
        |(lines, addresses), entry| {
            if remember {
                addresses.push(entry.address);
            }
            if selection.matches(conntrack, entry) {
                // A Vec takes whatever is written.
                let _ = render(lines, entry);
            }
        },
        |(lines, addresses)| {
            known.extend(addresses);
            result = write(&lines);
            if result.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    );
    result.map(|()| (walk, known))
}

/// Those that are in no hash table, and how it all adds up.
fn rest(
    session: &Session,
    conntrack: &Conntrack<'_>,
    walk: &WalkFacts,
    mut known: Vec<VirtAddr>,
    allocated: Option<Allocated>,
) -> Result<(Vec<Entry>, Reconciliation)> {
    let (mut others, lists_broken) = session.explain(conntrack.listed())?;
    known.extend(others.iter().map(|entry| entry.address));
    known.par_sort_unstable();
    let allocated = allocated.unwrap_or_else(|| Conntrack::allocated(&session.kernel));
    let unlinked = allocated.map(|all| (all.len() as u64, conntrack.unlinked(&all, &known)));
    let on = |entries: &[Entry], list| entries.iter().filter(|e| e.list == list).count() as u64;
    let reconciliation = Reconciliation {
        allocated: unlinked.as_ref().map(|(alive, _)| *alive),
        in_hash: walk.entries,
        unconfirmed: on(&others, List::Unconfirmed),
        dying: on(&others, List::Dying),
        unlinked: unlinked.as_ref().map(|(_, entries)| entries.len() as u64),
        counted: conntrack.limits.count,
        lists_broken,
    };
    if let Some((_, entries)) = unlinked {
        others.extend(entries);
    }
    let diag = &session.kernel.diag;
    if let Some(lost) = reconciliation.unlinked.filter(|lost| *lost > 0) {
        let behind = if walk.is_complete() {
            ""
        } else {
            "not seen behind a break in the table, "
        };
        diag.note(
            "conntrack-unlinked",
            format!("{lost} connections are allocated but on no list: {behind}being made or torn down at the crash, or their last reference was never dropped (see --format json, list: unlinked)"),
        );
    }
    Ok((others, reconciliation))
}

/// Says what the walk lost; whether it lost nothing.
fn warn_of_losses(session: &Session, walk: &WalkFacts) -> bool {
    let losses = [
        (
            walk.broken_chains,
            "conntrack-chain",
            "chains of the connection table are circular, broken or enter missing memory: connections behind the break are not seen",
        ),
        (
            walk.lost_buckets,
            "conntrack-bucket",
            "buckets of the connection table are not in the dump: their connections are not seen",
        ),
        (
            walk.lost_entries,
            "conntrack-entry",
            "connections can't be read from the dump and are left out",
        ),
        (
            walk.lost_extensions,
            "conntrack-extension",
            "connections whose extensions can't be read: shown without counters, times, labels and helper",
        ),
        (
            walk.moved_chains,
            "conntrack-moved",
            "chains end with another bucket's marker: a connection was moved while the crash came; the rest of its chain may be missing",
        ),
    ];
    for (count, code, message) in losses {
        if count > 0 {
            session.kernel.diag.warn_many(code, message, count);
        }
    }
    walk.is_complete()
}

fn expectations(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let chosen = conntrack
        .expectations
        .iter()
        .filter(|e| selection.netns_matches(conntrack, e.netns));
    let docs: Vec<ExpectationDoc> = chosen
        .clone()
        .map(|e| ExpectationDoc::of(e, conntrack.namespaces()))
        .collect();
    #[derive(serde::Serialize)]
    struct Body {
        expectations: Vec<ExpectationDoc>,
    }
    let body = Body { expectations: docs };
    let document = session.document(&args.common, true, body);
    output(&args.common, args.format.reader(), |out, _| {
        match args.format {
            ConntrackFormat::Json => render::json(out, &document),
            ConntrackFormat::Jsonl => json_lines(out, &document.dump, &document.body.expectations),
            ConntrackFormat::Csv => flat::csv(out, &document.dump, "", &document.body.expectations),
            _ => {
                let mut lines = Vec::new();
                for expectation in chosen {
                    render::conntrack::expect_line(&mut lines, expectation)?;
                }
                out.write_all(&lines)
            }
        }
    })?;
    Ok(exit(document.complete))
}

fn stats(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let namespaces: Vec<_> = conntrack
        .namespaces()
        .iter()
        .enumerate()
        .filter(|(index, _)| selection.netns_matches(conntrack, Some(*index)))
        .map(|(_, namespace)| namespace)
        .collect();
    let rows: Vec<_> = conntrack
        .stats
        .iter()
        .filter(|row| namespaces.iter().any(|ns| ns.inum == row.netns))
        .collect();
    #[derive(serde::Serialize)]
    struct Body<'a> {
        stats: &'a [&'a vmleak::subsys::net::conntrack::stats::CpuStats],
    }
    let document = session.document(&args.common, true, Body { stats: &rows });
    output(&args.common, args.format.reader(), |out, _| {
        let mut lines = Vec::new();
        match args.format {
            ConntrackFormat::Json => return render::json(out, &document),
            ConntrackFormat::Jsonl => return json_lines(out, &document.dump, document.body.stats),
            ConntrackFormat::Csv => return flat::csv(out, &document.dump, "", document.body.stats),
            ConntrackFormat::Proc => {
                let count = namespaces.iter().filter_map(|ns| ns.count).sum();
                render::conntrack::stat_lines(&mut lines, &rows, count)?;
            }
            _ => render::conntrack::stats_lines(&mut lines, &rows)?,
        }
        out.write_all(&lines)
    })?;
    Ok(exit(document.complete))
}
