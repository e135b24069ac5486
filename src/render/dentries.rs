//! `dentries` as tables and as CSV.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::dentries::DentriesReport;
use crate::subsys::fs::dentries::DirectoryFacts;

/// For people: by mount, then the directories with the most names.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<DentriesReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    totals(out, report)?;
    mounts(out, report, layout)?;
    directories(out, report, layout)
}

fn totals(out: &mut dyn Write, report: &DentriesReport) -> io::Result<()> {
    let totals = &report.totals;
    let sums = &totals.sums;
    writeln!(
        out,
        "{} dentries ({}) in {} directories: {} in use, {} unused (on an LRU), {} negative, {} that no look-up finds; {} wait for RCU",
        thousands(sums.dentries),
        size(totals.bytes),
        thousands(totals.directories),
        thousands(sums.in_use),
        thousands(sums.unused),
        thousands(sums.negative),
        thousands(sums.unhashed),
        thousands(totals.dead),
    )?;
    writeln!(
        out,
        "{} inodes on lists of file systems, {} of them unused; {} dentries on {} chains of the hash table",
        thousands(totals.inodes),
        thousands(totals.inodes_unused),
        thousands(totals.hashed),
        thousands(totals.hash_buckets),
    )?;
    // CPUs count by themselves, so that a sum may be below zero.
    let counted = |value: Option<i64>| match value.map(u64::try_from) {
        None => "?".to_owned(),
        Some(Ok(value)) => thousands(value),
        Some(Err(_)) => value.unwrap_or_default().to_string(),
    };
    let counters = &report.counters;
    writeln!(
        out,
        "The kernel's counters: {} dentries, {} unused, {} of these negative; {} inodes, {} unused\n",
        counted(counters.dentries),
        counted(counters.unused),
        counted(counters.negative_unused),
        counted(counters.inodes),
        counted(counters.inodes_unused),
    )
}

fn mounts(out: &mut dyn Write, report: &DentriesReport, layout: Layout) -> io::Result<()> {
    let header = [
        Column::text("MOUNTED ON").shorten(16),
        Column::text("TYPE"),
        Column::text("DEVICE").shorten(10).rank(3),
        Column::number("DENTRIES"),
        Column::number("IN USE").rank(1),
        Column::number("UNUSED"),
        Column::number("NEGATIVE"),
        Column::number("UNHASHED").rank(2),
        Column::number("INODES"),
        Column::number("UNUSED INODES").rank(2),
    ];
    let mut rows = Table::new(header, layout);
    for mount in &report.mounts {
        if mount.sums.dentries + mount.inodes == 0 {
            continue;
        }
        let path = mount.path.as_deref();
        rows.add_row([
            path.map_or("(the kernel's own)".to_owned(), printable),
            printable(&mount.kind),
            printable(&mount.device),
            thousands(mount.sums.dentries),
            thousands(mount.sums.in_use),
            thousands(mount.sums.unused),
            thousands(mount.sums.negative),
            thousands(mount.sums.unhashed),
            thousands(mount.inodes),
            thousands(mount.inodes_unused),
        ]);
    }
    rows.write(out)
}

fn directories(out: &mut dyn Write, report: &DentriesReport, layout: Layout) -> io::Result<()> {
    if report.directories.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}Directories with the most names in memory{bold:#}"
    )?;
    let header = [
        Column::number("DENTRIES"),
        Column::number("IN USE").rank(1),
        Column::number("UNUSED"),
        Column::number("NEGATIVE"),
        Column::text(""),
        Column::flow("DIRECTORY"),
    ];
    let red = AnsiColor::Red.on_default();
    let mut rows = Table::new(header, layout);
    for directory in &report.directories {
        rows.add_row([
            thousands(directory.sums.dentries),
            thousands(directory.sums.in_use),
            thousands(directory.sums.unused),
            thousands(directory.sums.negative),
            match directory.deleted {
                true => format!("{red}deleted{red:#}"),
                false => String::new(),
            },
            name(directory),
        ]);
    }
    rows.write(out)
}

fn name(directory: &DirectoryFacts) -> String {
    let unnamed = || {
        format!(
            "{} dentry {}",
            printable(&directory.kind),
            directory.address
        )
    };
    directory.path.as_deref().map_or_else(unnamed, printable)
}

/// One row a directory.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<DentriesReport>) -> io::Result<()> {
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "path",
        "kind",
        "address",
        "deleted",
        "dentries",
        "negative",
        "unused",
        "negative_unused",
        "in_use",
        "unhashed",
    ])?;
    for directory in &document.body.directories {
        let sums = &directory.sums;
        csv.write_record([
            directory.path.as_deref().map_or(String::new(), printable),
            printable(&directory.kind),
            directory.address.to_string(),
            directory.deleted.to_string(),
            sums.dentries.to_string(),
            sums.negative.to_string(),
            sums.unused.to_string(),
            sums.negative_unused.to_string(),
            sums.in_use.to_string(),
            sums.unhashed.to_string(),
        ])?;
    }
    csv.flush()
}
