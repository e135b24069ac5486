//! `conntrack` and `nat`: the table is walked once, and written as it is walked.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use rustc_hash::FxHashSet;
use vmleak::addr::VirtAddr;
use vmleak::analysis::conntrack::{Counts, Fullness};
use vmleak::analysis::nat::{Nat, PortCounter};
use vmleak::kernel::Kernel;
use vmleak::kernel::modules::{self, Modules};
use vmleak::render;
use vmleak::report::conntrack::{
    DetailDoc, DirectionDoc, EntryDoc, ExpectationDoc, NatEntryDoc, NatReport, SummaryReport,
};
use vmleak::subsys::conntrack::entry::{Entry, List};
use vmleak::subsys::conntrack::table::WalkFacts;
use vmleak::subsys::conntrack::{Conntrack, Reconciliation, Symbols};
use vmleak::subsys::{local_ports, log};

use super::args::Common;
use super::conntrack_args::{ConntrackArgs, ConntrackFormat, NatArgs, NatFormat, Netns, Wanted};
use super::modules::add_types;
use super::session::{Session, exit, json_lines, output};

/// The kernel's symbols and those of its modules.
struct AllSymbols<'k> {
    kernel: &'k Kernel,
    modules: Modules,
}

impl Symbols for AllSymbols<'_> {
    fn address(&self, name: &str) -> Option<VirtAddr> {
        modules::resolve(self.kernel, &self.modules, name)
    }
}

/// Opens the dump with the types of the modules that track and translate connections.
fn open(common: &Common) -> Result<(Session, Modules)> {
    let mut session = Session::open(common)?;
    let modules = Modules::read(&session.kernel)?;
    add_types(&mut session, &modules, common, &["nf_conntrack"])?;
    if let Err(error) = add_types(&mut session, &modules, common, &["nf_nat"]) {
        session.kernel.diag.warn("nat-types", format!("{error:#}"));
    }
    Ok((session, modules))
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

    fn check(&self, conntrack: &Conntrack<'_>) -> Result<()> {
        if let Some(Netns::Inum(inum)) = self.wanted.netns
            && !conntrack.namespaces().iter().any(|ns| ns.inum == inum)
        {
            let all: Vec<String> = conntrack
                .namespaces()
                .iter()
                .map(|ns| ns.inum.to_string())
                .collect();
            anyhow::bail!(
                "no network namespace has the number {inum}; there are {}",
                all.join(", ")
            );
        }
        Ok(())
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
    let symbols = AllSymbols {
        kernel: &session.kernel,
        modules,
    };
    let conntrack = session.explain(Conntrack::open(&session.kernel, &symbols))?;
    let default = match args.format {
        ConntrackFormat::Json | ConntrackFormat::Jsonl => Netns::All,
        _ if args.summary => Netns::All,
        _ => Netns::Initial,
    };
    let selection = Selection::new(&args.wanted, default);
    selection.check(&conntrack)?;
    if args.expect {
        expectations(args, &session, &conntrack, &selection)
    } else if args.stats {
        stats(args, &session, &conntrack, &selection)
    } else if args.summary {
        summary(args, &session, &conntrack, &selection)
    } else {
        entries(args, &session, &conntrack, &selection)
    }
}

/// Walks the table, hands what `render` makes of each wanted entry to `write` in the table's
/// order, and remembers which connections the table holds.
fn stream(
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
    render: impl Fn(&mut Vec<u8>, &Entry) -> io::Result<()> + Sync,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(WalkFacts, FxHashSet<VirtAddr>)> {
    let mut known = FxHashSet::default();
    let mut result = Ok(());
    let walk = conntrack.table.walk(
        || (Vec::new(), Vec::new()),
        |(lines, addresses), entry| {
            addresses.push(entry.address);
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
    mut known: FxHashSet<VirtAddr>,
) -> Result<(Vec<Entry>, Reconciliation)> {
    let mut others = session.explain(conntrack.listed())?;
    known.extend(others.iter().map(|entry| entry.address));
    let unlinked = conntrack.unlinked(&known);
    let on = |entries: &[Entry], list| entries.iter().filter(|e| e.list == list).count() as u64;
    let reconciliation = Reconciliation {
        allocated: unlinked.as_ref().map(|(alive, _)| *alive),
        in_hash: walk.entries,
        unconfirmed: on(&others, List::Unconfirmed),
        dying: on(&others, List::Dying),
        unlinked: unlinked.as_ref().map(|(_, entries)| entries.len() as u64),
        counted: conntrack.limits.count,
    };
    if let Some((_, entries)) = unlinked {
        others.extend(entries);
    }
    let diag = &session.kernel.diag;
    if let Some(lost) = reconciliation.unlinked.filter(|lost| *lost > 0) {
        diag.warn(
            "conntrack-unlinked",
            format!("{lost} connections are allocated but on no list: being made or torn down at the crash, or their last reference was never dropped (see --format json, list: unlinked)"),
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

fn entries(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let now = conntrack.clock().now;
    let mut complete = true;
    let document = |entry: &Entry| EntryDoc::of(entry, conntrack.namespaces(), conntrack.id(entry));
    let render = |out: &mut Vec<u8>, entry: &Entry| match args.format {
        ConntrackFormat::Proc => render::conntrack::proc_line(out, entry, now),
        ConntrackFormat::Conntrack => {
            render::conntrack::conntrack_line(out, entry, conntrack.id(entry), now)
        }
        ConntrackFormat::Json => render::conntrack::json_entry(out, &document(entry)),
        ConntrackFormat::Jsonl => render::json_line(out, &document(entry)),
        ConntrackFormat::Csv => render::conntrack::csv_row(out, &document(entry)),
        ConntrackFormat::Table => render::conntrack::table_row(out, &document(entry)),
    };
    output(&args.common, |out, width| {
        let to_io = |error: anyhow::Error| io::Error::other(error);
        match args.format {
            ConntrackFormat::Table => {
                let head = session.document(&args.common, true, ());
                render::conntrack::table_head(out, &head)?;
            }
            ConntrackFormat::Csv => render::conntrack::csv_head(out)?,
            ConntrackFormat::Json => out.write_all(b"{\n\"entries\": [")?,
            _ => {}
        }
        let mut first = true;
        let mut write = |out: &mut dyn Write, lines: &[u8]| {
            // JSON entries come with a comma before each; the first one has none.
            let lines = match (args.format, first, lines) {
                (ConntrackFormat::Json, true, [b',', rest @ ..]) => rest,
                (_, _, lines) => lines,
            };
            first &= lines.is_empty();
            out.write_all(lines)
        };
        let (walk, known) = stream(conntrack, selection, render, |lines| write(out, lines))?;
        complete &= warn_of_losses(session, &walk);
        let lists = !matches!(
            args.format,
            ConntrackFormat::Proc | ConntrackFormat::Conntrack
        );
        let mut reconciliation = None;
        if lists {
            let (others, adds_up) = rest(session, conntrack, &walk, known).map_err(to_io)?;
            let mut lines = Vec::new();
            for entry in others.iter().filter(|e| selection.matches(conntrack, e)) {
                render(&mut lines, entry)?;
            }
            write(out, &lines)?;
            reconciliation = Some(adds_up);
        }
        let frame = session.document(&args.common, complete, ());
        complete = frame.complete;
        match (args.format, reconciliation) {
            (ConntrackFormat::Json, Some(adds_up)) => {
                let ours: Vec<ExpectationDoc> = conntrack
                    .expectations
                    .iter()
                    .map(|e| ExpectationDoc::of(e, conntrack.namespaces()))
                    .collect();
                let parts = render::conntrack::JsonTail {
                    limits: &conntrack.limits,
                    namespaces: conntrack.namespaces(),
                    expectations: &ours,
                    stats: &conntrack.stats,
                    reconciliation: &adds_up,
                    walk: &walk,
                };
                render::conntrack::json_tail(out, &frame, &parts)
            }
            (ConntrackFormat::Table, Some(adds_up)) => {
                render::conntrack::table_tail(out, &conntrack.limits, &adds_up, width)
            }
            _ => Ok(()),
        }
    })?;
    Ok(exit(complete))
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
    let document = session.document(&args.common, true, Body { expectations: docs });
    output(&args.common, |out, _| match args.format {
        ConntrackFormat::Json => render::json(out, &document),
        ConntrackFormat::Jsonl => json_lines(out, &document.body.expectations),
        _ => {
            let mut lines = Vec::new();
            for expectation in chosen {
                render::conntrack::expect_line(&mut lines, expectation)?;
            }
            out.write_all(&lines)
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
        stats: &'a [&'a vmleak::subsys::conntrack::stats::CpuStats],
    }
    let document = session.document(&args.common, true, Body { stats: &rows });
    output(&args.common, |out, _| {
        let mut lines = Vec::new();
        match args.format {
            ConntrackFormat::Json => return render::json(out, &document),
            ConntrackFormat::Jsonl => return json_lines(out, document.body.stats),
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

fn summary(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let now = conntrack.clock().now;
    let mut counts = Counts::default();
    let mut known = FxHashSet::default();
    let walk = conntrack.table.walk(
        || (Counts::default(), Vec::new()),
        |(counts, addresses), entry| {
            addresses.push(entry.address);
            if selection.matches(conntrack, entry) {
                counts.add(entry, now);
            }
        },
        |(more, addresses)| {
            counts.merge(more);
            known.extend(addresses);
            ControlFlow::Continue(())
        },
    );
    let complete = warn_of_losses(session, &walk);
    let (_, reconciliation) = rest(session, conntrack, &walk, known)?;
    let fullness = fullness(session, conntrack, &walk);
    let body = SummaryReport {
        limits: conntrack.limits.clone(),
        namespaces: conntrack.namespaces().to_vec(),
        reconciliation,
        walk,
        fullness,
        summary: counts.finish(),
    };
    let document = session.document(&args.common, complete, body);
    output(&args.common, |out, _| match args.format {
        ConntrackFormat::Json | ConntrackFormat::Jsonl => render::json(out, &document),
        _ => render::conntrack::write_summary(out, &document),
    })?;
    Ok(exit(document.complete))
}

fn fullness(session: &Session, conntrack: &Conntrack<'_>, walk: &WalkFacts) -> Fullness {
    let limits = &conntrack.limits;
    let records = log::records(&session.kernel).map(|found| found.value);
    let full: Vec<u64> = records
        .unwrap_or_default()
        .iter()
        .filter(|record| record.text.contains("nf_conntrack: table full"))
        .map(|record| record.ts_nsec)
        .collect();
    let sum = |of: fn(&vmleak::subsys::conntrack::stats::CpuStats) -> u32| {
        conntrack.stats.iter().map(|row| u64::from(of(row))).sum()
    };
    let count = limits.count.unwrap_or(walk.entries);
    Fullness {
        percent_of_max: limits
            .max
            .filter(|max| *max > 0)
            .map(|max| (count as f64 * 1000.0 / max as f64).round() / 10.0),
        per_bucket: (limits.buckets > 0)
            .then(|| (count as f64 * 100.0 / limits.buckets as f64).round() / 100.0),
        longest_chain: walk.longest_chain,
        table_full_lines: full.len() as u64,
        last_table_full: full.last().map(|ns| *ns as f64 / 1e9),
        drop: sum(|row| row.drop),
        early_drop: sum(|row| row.early_drop),
        insert_failed: sum(|row| row.insert_failed),
        verdict: String::new(),
    }
    .conclude()
}

/// Runs `vmleak nat`.
pub(crate) fn nat(args: &NatArgs) -> Result<ExitCode> {
    let (session, modules) = open(&args.common)?;
    let symbols = AllSymbols {
        kernel: &session.kernel,
        modules,
    };
    let conntrack = session.explain(Conntrack::open(&session.kernel, &symbols))?;
    let selection = Selection::new(&args.wanted, Netns::All);
    selection.check(&conntrack)?;
    let mut ports = PortCounter::default();
    let mut translations = Vec::new();
    let walk = conntrack.table.walk(
        || (PortCounter::default(), Vec::new()),
        |(ports, translations), entry| {
            let nat = Nat::of(entry);
            if nat.kind().is_empty() || !selection.matches(&conntrack, entry) {
                return;
            }
            let document = nat_document(&conntrack, entry, nat);
            ports.add(entry, document.netns.unwrap_or(0));
            translations.push(document);
        },
        |(more, documents)| {
            ports.merge(more);
            translations.extend(documents);
            ControlFlow::Continue(())
        },
    );
    let complete = warn_of_losses(&session, &walk);
    let body = NatReport {
        local_port_range: session.explain(local_ports::range(&session.kernel))?,
        ports: ports.finish(),
        translations,
    };
    let document = session.document(&args.common, complete, body);
    output(&args.common, |out, _| match args.format {
        NatFormat::Json => render::json(out, &document),
        NatFormat::Jsonl => json_lines(out, &document.body.translations),
        NatFormat::Table => render::nat::write_text(out, &document),
    })?;
    Ok(exit(document.complete))
}

fn nat_document(conntrack: &Conntrack<'_>, entry: &Entry, nat: Nat) -> NatEntryDoc {
    let [orig, reply] = &entry.tuples;
    let direction = |tuple: &vmleak::subsys::conntrack::tuple::Tuple| DirectionDoc {
        src: tuple.src,
        dst: tuple.dst,
        detail: DetailDoc::of(tuple),
        packets: None,
        bytes: None,
    };
    NatEntryDoc {
        address: entry.address,
        netns: entry
            .netns
            .and_then(|index| conntrack.namespaces().get(index))
            .map(|ns| ns.inum),
        l4proto: orig.l4name(),
        kind: nat.kind(),
        nat,
        original: direction(orig),
        reply: direction(reply),
        timeout_seconds: entry.seconds_left,
        expired: entry.expired(),
    }
}
