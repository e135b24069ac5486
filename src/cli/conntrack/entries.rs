//! `conntrack`: the entries, one by one.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::Document;
use vmleak::report::conntrack::{EntryDoc, ExpectationDoc};
use vmleak::subsys::net::conntrack::entry::Entry;
use vmleak::subsys::net::conntrack::table::WalkFacts;
use vmleak::subsys::net::conntrack::{Conntrack, Reconciliation};

use super::{Selection, rest, stream, warn_of_losses};
use crate::cli::conntrack_args::{ConntrackArgs, ConntrackFormat};
use crate::cli::output::output;
use crate::cli::session::{Session, exit};

/// Writes the entries as the table is walked.
pub(super) fn entries(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let now = conntrack.clock().now;
    let mut complete = true;
    let document = |entry: &Entry| EntryDoc::of(entry, conntrack.namespaces(), conntrack.id(entry));
    let dump = session.identity();
    let json_lines = render::JsonLines::new(&dump)?;
    let render = |out: &mut Vec<u8>, entry: &Entry| match args.format {
        ConntrackFormat::Proc => render::conntrack::proc_line(out, entry, now),
        ConntrackFormat::Conntrack => {
            render::conntrack::conntrack_line(out, entry, conntrack.id(entry), now)
        }
        ConntrackFormat::Json => render::conntrack::json_entry(out, &document(entry)),
        ConntrackFormat::Jsonl => json_lines.write(out, &document(entry)),
        ConntrackFormat::Csv => render::conntrack::csv_row(out, &dump, &document(entry)),
        ConntrackFormat::Table => render::conntrack::table_row(out, &document(entry)),
    };
    output(&args.common, args.format.reader(), |out, _| {
        let to_io = |error: anyhow::Error| io::Error::other(error);
        head(out, args, session)?;
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
        let lists = !matches!(
            args.format,
            ConntrackFormat::Proc | ConntrackFormat::Conntrack
        );
        let (walk, known) = stream(conntrack, selection, lists, render, |lines| {
            write(out, lines)
        })?;
        complete &= warn_of_losses(session, &walk);
        let mut reconciliation = None;
        if lists {
            let (others, adds_up) = rest(session, conntrack, &walk, known, None).map_err(to_io)?;
            let mut lines = Vec::new();
            for entry in others.iter().filter(|e| selection.matches(conntrack, e)) {
                render(&mut lines, entry)?;
            }
            write(out, &lines)?;
            reconciliation = Some(adds_up);
        }
        let frame = session.document(&args.common, complete, ());
        complete = frame.complete;
        match reconciliation {
            Some(adds_up) => tail(out, args.format, &frame, conntrack, &walk, &adds_up),
            None => Ok(()),
        }
    })?;
    Ok(exit(complete))
}

/// Hands every connection to `add`, some at a time: those of the table in its order, then those on
/// no list. Says whether nothing was missing.
pub(in crate::cli) fn each_entry(
    session: &Session,
    modules: &Modules,
    mut add: impl FnMut(Vec<EntryDoc>) -> io::Result<()>,
) -> Result<bool> {
    let symbols = (&*session.kernel, modules);
    let conntrack = session.explain(Conntrack::open(&session.kernel, &symbols))?;
    let document = |entry: &Entry| EntryDoc::of(entry, conntrack.namespaces(), conntrack.id(entry));
    let mut known = Vec::new();
    let mut written = Ok(());
    let walk = conntrack.table.walk(
        Vec::new,
        |entries, entry| entries.push((entry.address, document(entry))),
        |entries| {
            let (addresses, entries): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
            known.extend(addresses);
            written = add(entries);
            match written.is_ok() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        },
    );
    written?;
    let complete = warn_of_losses(session, &walk);
    let (others, _) = rest(session, &conntrack, &walk, known, None)?;
    add(others.iter().map(document).collect())?;
    Ok(complete)
}

/// What comes before the entries.
fn head(out: &mut dyn Write, args: &ConntrackArgs, session: &Session) -> io::Result<()> {
    match args.format {
        ConntrackFormat::Table => {
            let head = session.document(&args.common, true, ());
            render::conntrack::table_head(out, &head)
        }
        ConntrackFormat::Csv => render::conntrack::csv_head(out),
        ConntrackFormat::Json => out.write_all(b"{\n\"entries\": ["),
        _ => Ok(()),
    }
}

/// What comes behind the entries, and behind those that no table holds.
fn tail(
    out: &mut dyn Write,
    format: ConntrackFormat,
    frame: &Document<()>,
    conntrack: &Conntrack<'_>,
    walk: &WalkFacts,
    adds_up: &Reconciliation,
) -> io::Result<()> {
    match format {
        ConntrackFormat::Json => {
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
                reconciliation: adds_up,
                walk,
            };
            render::conntrack::json_tail(out, frame, &parts)
        }
        ConntrackFormat::Table => render::conntrack::table_tail(out, &conntrack.limits, adds_up),
        _ => Ok(()),
    }
}
