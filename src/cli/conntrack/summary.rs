//! `conntrack --summary`.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use vmleak::addr::VirtAddr;
use vmleak::analysis::conntrack::{Counts, Fullness};
use vmleak::render::{self, flat};
use vmleak::report::conntrack::SummaryReport;
use vmleak::subsys::log;
use vmleak::subsys::net::conntrack::Conntrack;
use vmleak::subsys::net::conntrack::table::WalkFacts;

use super::super::conntrack_args::{ConntrackArgs, ConntrackFormat};
use super::super::output::{json_lines, output};
use super::super::session::{Session, exit};
use super::{Allocated, Selection, rest, warn_of_losses};

/// Counts all wanted connections, and says whether the table was full.
pub(super) fn summary(
    args: &ConntrackArgs,
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
) -> Result<ExitCode> {
    let (body, complete) = counted(session, conntrack, selection, None)?;
    let document = session.document(&args.common, complete, body);
    output(
        &args.common,
        args.format.reader(),
        |out, layout| match args.format {
            ConntrackFormat::Json => render::json(out, &document),
            ConntrackFormat::Jsonl => json_lines(out, &document.dump, &[&document.body]),
            ConntrackFormat::Csv => flat::csv(out, &document.dump, "", &[&document.body]),
            _ => render::conntrack::write_summary(out, &document, layout),
        },
    )?;
    Ok(exit(document.complete))
}

/// The wanted connections counted, and whether nothing was missing.
pub(super) fn counted(
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
    allocated: Option<Allocated>,
) -> Result<(SummaryReport, bool)> {
    let now = conntrack.clock().now;
    let in_use = conntrack.namespaces().iter().enumerate();
    let in_use = in_use.filter(|(index, ns)| {
        selection.netns_matches(conntrack, Some(*index)) && ns.count != Some(0)
    });
    let several = in_use.count() > 1;
    let mut counts = Counts::new(several);
    let mut known: Vec<VirtAddr> = Vec::new();
    let walk = conntrack.table.walk(
        || (Counts::new(several), Vec::new()),
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
    let (_, reconciliation) = rest(session, conntrack, &walk, known, allocated)?;
    let fullness = fullness(session, conntrack, selection, &walk);
    let body = SummaryReport {
        limits: conntrack.limits.clone(),
        namespaces: conntrack.namespaces().to_vec(),
        reconciliation,
        walk,
        fullness,
        gc: conntrack.gc.clone(),
        summary: counts.finish(),
    };
    Ok((body, complete))
}

fn fullness(
    session: &Session,
    conntrack: &Conntrack<'_>,
    selection: &Selection<'_>,
    walk: &WalkFacts,
) -> Fullness {
    let limits = &conntrack.limits;
    let (records, log_is_whole) = log::records_if_any(&session.kernel);
    let full: Vec<u64> = records
        .iter()
        .filter(|record| record.text.contains("nf_conntrack: table full"))
        .map(|record| record.ts_nsec)
        .collect();
    let sum = |of: fn(&vmleak::subsys::net::conntrack::stats::CpuStats) -> u32| {
        conntrack.stats.iter().map(|row| u64::from(of(row))).sum()
    };
    let namespaces = conntrack.namespaces().iter().enumerate();
    let wanted = namespaces.filter(|(index, _)| selection.netns_matches(conntrack, Some(*index)));
    let counted = wanted.filter_map(|(_, ns)| Some((ns.count?, ns.inum)));
    let fullest = counted.max_by_key(|(count, _)| *count);
    let count = limits.count.unwrap_or(walk.entries);
    Fullness {
        percent_of_max: limits
            .max
            .filter(|max| *max > 0)
            .zip(fullest)
            .map(|(max, (count, _))| (count as f64 * 1000.0 / max as f64).round() / 10.0),
        netns: fullest.map(|(_, inum)| inum),
        count: fullest.map(|(count, _)| count),
        per_bucket: (limits.buckets > 0)
            .then(|| (count as f64 * 100.0 / limits.buckets as f64).round() / 100.0),
        longest_chain: walk.longest_chain,
        table_full_lines: full.len() as u64,
        log_is_whole,
        last_table_full: full.last().map(|ns| *ns as f64 / 1e9),
        drop: sum(|row| row.drop),
        early_drop: sum(|row| row.early_drop),
        insert_failed: sum(|row| row.insert_failed),
        verdict: String::new(),
    }
    .conclude()
}
