//! `diff` of several states as a table and CSV.

use std::io::{self, Write};

use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::analysis::series::{Besides, Differing, FindingRow, Row, Series};
use crate::report::Document;

/// Rows of each table that are shown without `--all`.
const SHOWN: usize = 20;

/// For people: the states, then what changed, the most first.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    series: &Series,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let header = [
        Column::number("STATE"),
        Column::text("KIND"),
        Column::text("TIME"),
        Column::text("RELEASE"),
        Column::flow("FILE"),
    ];
    let mut rows = Table::new(header, layout);
    for (number, state) in (1..).zip(&series.states) {
        let time = state
            .time
            .and_then(|at| jiff::Timestamp::from_second(at).ok());
        rows.add_row([
            number.to_string(),
            state.kind.to_owned(),
            time.map_or("-".to_owned(), |time| time.to_string()),
            printable(state.release.as_deref().unwrap_or("-")),
            printable(&state.path),
        ]);
    }
    rows.write(out)?;
    if series.same_release == Some(false) {
        writeln!(
            out,
            "These are of several kernels: they are only set side by side"
        )?;
    } else if series.same_boot == Some(false) {
        writeln!(
            out,
            "These are of several boots: they are only set side by side"
        )?;
    }
    findings(out, &series.besides, layout)?;
    changes(out, "CACHE", &series.caches, layout, all)?;
    write_rest(out, &series.besides, layout, all)
}

/// What is compared besides caches and findings.
pub(super) fn write_rest(
    out: &mut dyn Write,
    besides: &Besides,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    changes(out, "LEDGER", &besides.ledger, layout, all)?;
    changes(out, "MEMINFO", &besides.meminfo, layout, all)?;
    if besides.connections.iter().flatten().count() > 1 {
        let counts = besides.connections.iter();
        let counts = counts.map(|one| one.map_or("-".to_owned(), thousands));
        writeln!(
            out,
            "\nConnections  {}",
            counts.collect::<Vec<_>>().join(" -> ")
        )?;
    }
    differing(out, "SYSCTL", &besides.sysctls, layout)?;
    differing(out, "MODULE", &besides.modules, layout)
}

fn signed_size(bytes: f64) -> String {
    let sign = match bytes {
        _ if bytes < 0.0 => "-",
        _ if bytes > 0.0 => "+",
        _ => "",
    };
    format!("{sign}{}", size(bytes.abs() as u64))
}

fn changes(
    out: &mut dyn Write,
    title: &'static str,
    rows: &[Row],
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let changed = |row: &&Row| all || row.change_bytes.is_some_and(|change| change != 0);
    let mut rows: Vec<&Row> = rows.iter().filter(changed).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // What shrank most is as telling as what grew most.
    rows.sort_by_key(|row| std::cmp::Reverse(row.change_bytes.unwrap_or(0).unsigned_abs()));
    let hidden = rows
        .len()
        .saturating_sub(if all { usize::MAX } else { SHOWN });
    rows.truncate(rows.len() - hidden);
    writeln!(out)?;
    let rated = rows.iter().any(|row| row.bytes_per_hour.is_some());
    let noted = rows.iter().any(|row| !note(row).is_empty());
    let mut header = vec![
        Column::text(title).shorten(20),
        Column::number("FIRST"),
        Column::number("LAST"),
        Column::number("CHANGE"),
    ];
    header.extend(rated.then(|| Column::number("AN HOUR")));
    header.extend(noted.then(|| Column::flow("NOTE")));
    let mut table = Table::new(header, layout);
    for row in rows {
        let mut known = row.bytes.iter().flatten();
        let text = |bytes: Option<&u64>| bytes.map_or("-".to_owned(), |bytes| size(*bytes));
        let (first, last) = (known.next(), row.bytes.iter().flatten().next_back());
        let mut cells = vec![
            printable(row.title.as_ref().unwrap_or(&row.name)),
            text(first),
            text(last),
            row.change_bytes
                .map_or("-".to_owned(), |by| signed_size(by as f64)),
        ];
        cells.extend(rated.then(|| row.bytes_per_hour.map_or("-".to_owned(), signed_size)));
        cells.extend(noted.then(|| note(row)));
        table.add_row(cells);
    }
    table.write(out)?;
    if hidden > 0 {
        writeln!(out, "… and {hidden} more (--all)")?;
    }
    Ok(())
}

fn note(row: &Row) -> String {
    let missing = row.bytes.iter().filter(|one| one.is_none()).count();
    let mut notes = Vec::new();
    if missing > 0 {
        notes.push(format!("not in {missing} of {}", row.bytes.len()));
    }
    if !row.merged.is_empty() {
        notes.push(format!(
            "with {}, merged",
            printable(&row.merged.join(", "))
        ));
    }
    notes.join("; ")
}

/// What was found, by state.
pub(super) fn findings(out: &mut dyn Write, besides: &Besides, layout: Layout) -> io::Result<()> {
    if besides.findings.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let header = [
        Column::text("FINDING"),
        Column::flow("STATES"),
        Column::text("FINGERPRINT"),
    ];
    let mut table = Table::new(header, layout);
    for row in &besides.findings {
        let levels = by_state(row, &besides.searched);
        table.add_row([
            printable(&row.subject),
            levels.join(" -> "),
            row.fingerprint.clone(),
        ]);
    }
    table.write(out)
}

/// Its level and bytes in each state.
fn by_state(row: &FindingRow, searched: &[bool]) -> Vec<String> {
    let states = row.levels.iter().zip(&row.bytes).zip(searched);
    let text = states.map(|((level, bytes), searched)| match (level, bytes) {
        (Some(level), Some(bytes)) => format!("{level} {}", size(*bytes)),
        _ if *searched => "-".to_owned(),
        _ => "not searched".to_owned(),
    });
    text.collect()
}

fn differing(
    out: &mut dyn Write,
    title: &'static str,
    rows: &[Differing],
    layout: Layout,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = Table::new([Column::text(title), Column::flow("STATES")], layout);
    for row in rows {
        let values = row.values.iter();
        // Tabs stand between numbers.
        let text = |value: &str| printable(&value.replace('\t', " "));
        let values = values.map(|value| value.as_deref().map_or("-".to_owned(), text));
        table.add_row([
            printable(&row.name),
            values.collect::<Vec<_>>().join(" -> "),
        ]);
    }
    table.write(out)
}

/// One row a thing and state: `bytes` where there are some, else `value`.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<Series>) -> io::Result<()> {
    let series = &document.body;
    let besides = &series.besides;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "part",
        "name",
        "state",
        "path",
        "time",
        "bytes",
        "bytes_per_hour",
        "value",
    ])?;
    let mut write =
        |part: &str, name: &str, state: usize, bytes: Option<u64>, rate, value: &str| {
            let Some(of) = series.states.get(state) else {
                return Ok(());
            };
            csv.write_record([
                part.to_owned(),
                printable(name),
                (state + 1).to_string(),
                printable(&of.path),
                of.time.map_or(String::new(), |time| time.to_string()),
                bytes.map_or(String::new(), |bytes| bytes.to_string()),
                rate,
                printable(value),
            ])
        };
    for (part, rows) in [
        ("cache", &series.caches),
        ("meminfo", &besides.meminfo),
        ("ledger", &besides.ledger),
    ] {
        for row in rows {
            let rate = row
                .bytes_per_hour
                .map_or(String::new(), |rate| rate.to_string());
            for (state, bytes) in row.bytes.iter().enumerate() {
                write(part, &row.name, state, *bytes, rate.clone(), "")?;
            }
        }
    }
    for row in &besides.findings {
        for (state, (level, bytes)) in row.levels.iter().zip(&row.bytes).enumerate() {
            let level = level.as_deref().unwrap_or_default();
            write(
                "finding",
                &row.fingerprint,
                state,
                *bytes,
                String::new(),
                level,
            )?;
        }
    }
    for (part, rows) in [("sysctl", &besides.sysctls), ("module", &besides.modules)] {
        for row in rows {
            for (state, value) in row.values.iter().enumerate() {
                let value = value.as_deref().unwrap_or_default();
                write(part, &row.name, state, None, String::new(), value)?;
            }
        }
    }
    for (state, count) in besides.connections.iter().enumerate() {
        if let Some(count) = count {
            write(
                "connections",
                "",
                state,
                None,
                String::new(),
                &count.to_string(),
            )?;
        }
    }
    csv.flush()
}
