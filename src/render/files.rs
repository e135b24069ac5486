//! `files` as tables and as CSV.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::files::FilesReport;
use crate::subsys::fs::Opener;

/// For people: by mount, then the largest files.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<FilesReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    writeln!(
        out,
        "{} of files are in memory: {} are tmpfs and shared memory, which nothing but swap can take; {} swapped out; {} of deleted files\n",
        size(totals.cached_bytes),
        size(totals.shmem_bytes),
        size(totals.swapped_bytes),
        size(totals.deleted_bytes),
    )?;
    mounts(out, report, layout)?;
    files(out, report, layout)?;
    segments(out, report, layout)
}

fn mounts(out: &mut dyn Write, report: &FilesReport, layout: Layout) -> io::Result<()> {
    let header = [
        Column::text("MOUNTED ON").shorten(16),
        Column::text("TYPE"),
        Column::text("DEVICE").shorten(10).rank(3),
        Column::number("IN MEMORY"),
        Column::number("SWAPPED").rank(1),
        Column::number("DELETED"),
        Column::number("FILES").rank(2),
        Column::number("INODES").rank(2),
    ];
    let mut rows = Table::new(header, layout);
    for mount in &report.mounts {
        if mount.files == 0 {
            continue;
        }
        rows.add_row([
            mount
                .path
                .as_deref()
                .map_or("(the kernel's own)".to_owned(), printable),
            printable(&mount.kind),
            printable(&mount.device),
            size(mount.cached_bytes),
            size(mount.swapped_bytes),
            size(mount.deleted_bytes),
            thousands(mount.files),
            thousands(mount.inodes),
        ]);
    }
    rows.write(out)
}

fn files(out: &mut dyn Write, report: &FilesReport, layout: Layout) -> io::Result<()> {
    if report.files.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Files with the most in memory{bold:#}")?;
    let header = [
        Column::number("IN MEMORY"),
        Column::number("SWAPPED").rank(1),
        Column::number("LENGTH").rank(2),
        Column::text(""),
        Column::text("OPEN BY").shorten(16),
        Column::flow("FILE"),
    ];
    let red = AnsiColor::Red.on_default();
    let mut rows = Table::new(header, layout);
    for file in &report.files {
        rows.add_row([
            size(file.cached_bytes),
            size(file.swapped_bytes),
            size(file.size),
            match file.deleted {
                true => format!("{red}deleted{red:#}"),
                false => String::new(),
            },
            openers(&file.openers),
            file.path.as_deref().map_or_else(
                || format!("{} inode {}", printable(&file.kind), file.inode),
                printable,
            ),
        ]);
    }
    rows.write(out)
}

fn segments(out: &mut dyn Write, report: &FilesReport, layout: Layout) -> io::Result<()> {
    if report.segments.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Segments of shared memory (System V){bold:#}")?;
    let header = [
        Column::number("SHMID"),
        Column::text("KEY"),
        Column::number("IN MEMORY"),
        Column::number("SWAPPED").rank(1),
        Column::number("LENGTH").rank(2),
        Column::number("UID").rank(3),
        Column::number("MADE BY PID"),
        Column::number("LAST PID").rank(2),
        Column::flow("ATTACHED BY"),
    ];
    let red = AnsiColor::Red.on_default();
    let pid = |pid: Option<u32>| pid.map_or("gone".to_owned(), |pid| pid.to_string());
    let mut rows = Table::new(header, layout);
    for one in &report.segments {
        rows.add_row([
            one.shmid.to_string(),
            one.key.clone(),
            size(one.cached_bytes),
            size(one.swapped_bytes),
            size(one.size),
            one.uid.to_string(),
            pid(one.creator_pid),
            pid(one.last_pid),
            match one.attached {
                0 => format!("{red}nobody: it stays until it is removed{red:#}"),
                count if one.removed => format!("{}, removed", thousands(count)),
                count => thousands(count),
            },
        ]);
    }
    rows.write(out)
}

/// `cat (pid 12, fd 3), 2 more`.
fn openers(openers: &[Opener]) -> String {
    let Some(first) = openers.first() else {
        return String::new();
    };
    let comm = printable(&first.comm);
    let text = format!("{comm} (pid {}, fd {})", first.pid, first.fd);
    match openers.len() {
        1 => text,
        more => format!("{text}, {} more", more - 1),
    }
}

/// One row a file.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<FilesReport>) -> io::Result<()> {
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "path",
        "kind",
        "inode",
        "address",
        "cached_bytes",
        "swapped_bytes",
        "size",
        "deleted",
        "shmem",
        "openers",
    ])?;
    for file in &document.body.files {
        let openers = file.openers.iter();
        let openers = openers.map(|one| format!("{}:{}", one.pid, one.fd));
        csv.write_record([
            file.path.as_deref().map_or(String::new(), printable),
            printable(&file.kind),
            file.inode.to_string(),
            file.address.to_string(),
            file.cached_bytes.to_string(),
            file.swapped_bytes.to_string(),
            file.size.to_string(),
            file.deleted.to_string(),
            file.shmem.to_string(),
            openers.collect::<Vec<_>>().join(" "),
        ])?;
    }
    csv.flush()
}
