//! `allocinfo` as a table, CSV and /proc/allocinfo.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{percent, printable, size, thousands};
use crate::report::Document;
use crate::report::allocinfo::AllocReport;
use crate::subsys::mm::allocinfo::AllocSite;

/// For people, in the report's order; places with nothing allocated only with `all`.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<AllocReport>,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    let whole = totals.bytes.max(0).cast_unsigned();
    writeln!(
        out,
        "{} of {} places in the code hold {} ({} of RAM)",
        thousands(totals.used_sites),
        thousands(totals.sites),
        size(whole),
        percent(whole, document.dump.memory_bytes),
    )?;
    if report.enabled == Some(false) {
        writeln!(
            out,
            "profiling was off at the crash: what was allocated since is not counted"
        )?;
    }
    if totals.inaccurate > 0 {
        writeln!(
            out,
            "* by the kernel's own word some allocations are missing there"
        )?;
    }
    writeln!(out)?;
    let header = [
        Column::number("SIZE"),
        Column::number("OF ALL"),
        Column::number("CALLS"),
        Column::text("MODULE").rank(1),
        Column::text("FUNCTION").shorten(24),
        Column::text("PLACE").shorten(24),
    ];
    let mut rows = Table::new(header, layout);
    let shown = report
        .sites
        .iter()
        .filter(|site| all || site.bytes != Some(0) || site.calls != Some(0));
    for site in shown {
        let share = site
            .bytes
            .and_then(|bytes| u64::try_from(bytes).ok())
            .map_or("-".to_owned(), |bytes| percent(bytes, Some(whole)));
        rows.add_row([
            site.bytes.map_or("?".to_owned(), signed_size),
            share,
            site.calls.map_or("?".to_owned(), thousands),
            site.module.as_deref().map_or(String::new(), printable),
            printable(&site.function),
            format!(
                "{}:{}{}",
                printable(&site.file),
                site.line,
                if site.accurate { "" } else { " *" }
            ),
        ]);
    }
    rows.write(out)
}

fn signed_size(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", size(bytes.unsigned_abs()))
}

/// /proc/allocinfo to the letter (lib/alloc_tag.c), less the places whose counters can't be read.
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &AllocReport) -> io::Result<()> {
    writeln!(out, "allocinfo - version: {}", printable(&report.version))?;
    writeln!(out, "#     <size>  <calls> <tag info>")?;
    report
        .sites
        .iter()
        .filter_map(proc_line)
        .try_for_each(|line| writeln!(out, "{line}"))
}

/// Ends in a blank, as the kernel's does.
fn proc_line(site: &AllocSite) -> Option<String> {
    let module = site
        .module
        .as_deref()
        .map_or(String::new(), |name| format!(" [{}]", printable(name)));
    Some(format!(
        "{:>12} {:>8} {}:{}{module} func:{}{} ",
        site.bytes?,
        site.calls?,
        printable(&site.file),
        site.line,
        printable(&site.function),
        if site.accurate { "" } else { " accurate:no" },
    ))
}

/// One row a place.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<AllocReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "bytes", "calls", "file", "line", "module", "function", "accurate", "address",
    ])?;
    for site in &report.sites {
        csv.write_record([
            site.bytes.map_or(String::new(), |n| n.to_string()),
            site.calls.map_or(String::new(), |n| n.to_string()),
            printable(&site.file),
            site.line.to_string(),
            site.module.as_deref().map_or(String::new(), printable),
            printable(&site.function),
            site.accurate.to_string(),
            site.address.to_string(),
        ])?;
    }
    csv.flush()
}
