//! `conntrack --summary` as text.

use std::io::{self, Write};

use anstyle::Style;

use crate::analysis::conntrack::Top;
use crate::render::head::head;
use crate::render::layout::Layout;
use crate::render::table::{Column, Table};
use crate::render::{percent, printable, thousands};
use crate::report::Document;
use crate::report::conntrack::SummaryReport;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_summary(
    out: &mut dyn Write,
    document: &Document<SummaryReport>,
    layout: Layout,
) -> io::Result<()> {
    let body = &document.body;
    head(out, document)?;
    fullness(out, body)?;
    entries(out, body, layout)?;
    namespaces(out, body)
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Of which namespace the count is, if there are several with connections.
fn scope(body: &SummaryReport) -> String {
    let with_some = body.namespaces.iter().filter(|ns| ns.count != Some(0));
    let (Some(netns), Some(all), true) = (
        body.fullness.netns,
        body.limits.count,
        with_some.count() > 1,
    ) else {
        return String::new();
    };
    let all = thousands(all);
    format!(
        " in network namespace {netns}, the fullest: nf_conntrack_max bounds each by itself; {all} in all"
    )
}

/// How full the table is, and whether all adds up.
fn fullness(out: &mut dyn Write, body: &SummaryReport) -> io::Result<()> {
    let (limits, full) = (&body.limits, &body.fullness);
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Table{bold:#}      {}", full.verdict)?;
    writeln!(
        out,
        "count      {} of {} ({}){}",
        full.count.map_or_else(unknown, thousands),
        limits.max.map_or_else(unknown, thousands),
        full.percent_of_max
            .map_or_else(unknown, |p| format!("{p:.1}%")),
        scope(body),
    )?;
    writeln!(
        out,
        "buckets    {}, {} per bucket on average, longest chain {}",
        thousands(limits.buckets),
        full.per_bucket.map_or_else(unknown, |n| format!("{n:.2}")),
        full.longest_chain
    )?;
    writeln!(
        out,
        "log        {}{} \"table full\" lines{}",
        match full.log_is_whole {
            true => "",
            false => "not all of it is there; in what is: ",
        },
        full.table_full_lines,
        full.last_table_full
            .map_or(String::new(), |s| format!(", the last {s:.1} s after boot"))
    )?;
    writeln!(
        out,
        "dropped    {} packets, {} connections early; insert failed {} times",
        thousands(full.drop),
        thousands(full.early_drop),
        thousands(full.insert_failed)
    )?;
    if let Some(seconds) = body.gc.seconds_since_start {
        writeln!(
            out,
            "collector  began its last round {seconds:.1} s before the crash, would have gone on with bucket {}",
            body.gc.next_bucket.map_or_else(unknown, thousands)
        )?;
    }
    let adds_up = &body.reconciliation;
    writeln!(
        out,
        "adds up    {} in the table, {} unconfirmed, {} dying, {} on no list; allocated {}, counted {}",
        thousands(adds_up.in_hash),
        thousands(adds_up.unconfirmed),
        thousands(adds_up.dying),
        adds_up.unlinked.map_or_else(unknown, thousands),
        adds_up.allocated.map_or_else(unknown, thousands),
        adds_up.counted.map_or_else(unknown, thousands)
    )
}

/// What the entries are.
fn entries(out: &mut dyn Write, body: &SummaryReport, layout: Layout) -> io::Result<()> {
    let sums = &body.summary;
    let bold = Style::new().bold();
    let whole = Some(sums.entries);
    writeln!(
        out,
        "\n{bold}Entries{bold:#}    {}{}: {} unreplied ({}), {} assured ({}), {} translated, {} expired but not collected",
        thousands(sums.entries),
        match sums.flows == sums.entries {
            true => String::new(),
            false => format!(
                " of {} flows, some of them in several namespaces",
                thousands(sums.flows)
            ),
        },
        thousands(sums.unreplied),
        percent(sums.unreplied, whole),
        thousands(sums.assured),
        percent(sums.assured, whole),
        thousands(sums.translated),
        thousands(sums.expired)
    )?;
    let mut rows = Table::new(header(), layout);
    for kind in &sums.by_kind {
        rows.add_row([
            format!("{:>10}", thousands(kind.count)),
            percent(kind.count, whole),
            format!("{} {} {}", kind.l3proto, kind.l4proto, kind.state),
        ]);
    }
    rows.write(out)?;
    let none = Vec::new();
    for (title, tops) in [
        ("Sources", &sums.top_sources),
        ("Destinations", &sums.top_destinations),
        ("Ports", &sums.top_ports),
        ("Time left", &sums.time_left),
        ("Age", sums.ages.as_ref().unwrap_or(&none)),
    ] {
        let whole = match title {
            "Sources" | "Destinations" | "Ports" => sums.flows,
            _ => sums.entries,
        };
        section(out, title, tops, whole, layout)?;
    }
    Ok(())
}

fn section(
    out: &mut dyn Write,
    title: &str,
    tops: &[Top],
    whole: u64,
    layout: Layout,
) -> io::Result<()> {
    let shown: Vec<&Top> = tops.iter().filter(|top| top.count > 0).collect();
    if shown.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{title}{bold:#}")?;
    let mut rows = Table::new(header(), layout);
    for top in shown {
        rows.add_row([
            format!("{:>10}", thousands(top.count)),
            percent(top.count, Some(whole)),
            printable(&top.name),
        ]);
    }
    rows.write(out)
}

/// A count, its share, and of what: no header says more.
fn header() -> [Column; 3] {
    [Column::number(""), Column::number(""), Column::text("")]
}

fn namespaces(out: &mut dyn Write, body: &SummaryReport) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Network namespaces{bold:#}")?;
    for ns in &body.namespaces {
        let seconds = |value: Option<u64>| value.map_or("?".to_owned(), |s| s.to_string());
        writeln!(
            out,
            "{:>10}  {}{}; timeouts: tcp established {} s, udp {} s, udp stream {} s, generic {} s",
            ns.count.map_or("?".to_owned(), thousands),
            ns.inum,
            if ns.initial { " (initial)" } else { "" },
            seconds(ns.timeouts.tcp_established),
            seconds(ns.timeouts.udp),
            seconds(ns.timeouts.udp_stream),
            seconds(ns.timeouts.generic)
        )?;
    }
    Ok(())
}
