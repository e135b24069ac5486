//! `ps` as a table and as CSV.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{more, printable, size, thousands};
use crate::report::Document;
use crate::report::ps::{GroupSum, PsReport};
use crate::subsys::task::ProcessFacts;

/// Without `all`, so many processes.
const SHOWN: usize = 30;
/// And so many cgroups.
const GROUPS: usize = 10;

/// For people: who has the most memory, then sums by cgroup and by user.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<PsReport>,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    writeln!(
        out,
        "{} processes: {} anonymous, {} swapped out, {} page tables; {} kernel threads",
        thousands(totals.processes),
        size(totals.rss_anon_bytes),
        size(totals.swap_bytes),
        size(totals.page_table_bytes),
        thousands(report.kernel_threads),
    )?;
    writeln!(
        out,
        "Pages of files and shared memory count for each process that has them in RAM\n"
    )?;
    let header = [
        Column::number("PID"),
        Column::number("PPID").rank(4),
        Column::number("USER").rank(3),
        Column::text("S").rank(2),
        Column::number("ANON"),
        Column::number("FILE").rank(3),
        Column::number("SHMEM"),
        Column::number("SWAP").rank(1),
        Column::number("TABLES").rank(2),
        Column::number("THREADS").rank(4),
        Column::number("OOM").rank(4),
        Column::text("STARTED").rank(5),
        Column::text("COMMAND"),
        Column::text("CGROUP").shorten(20).rank(2),
    ];
    let mut rows = Table::new(header, layout);
    let shown = report.processes.iter();
    let shown = shown.filter(|process| all || process.memory.is_some() || process.panicked);
    let most = if all { usize::MAX } else { SHOWN };
    let listed: Vec<&ProcessFacts> = shown.collect();
    let red = AnsiColor::Red.on_default().bold();
    for process in listed.iter().take(most) {
        let number = |value: Option<u64>| value.map_or(String::new(), thousands);
        let memory = |of: fn(&crate::subsys::task::MmFacts) -> u64| {
            process
                .memory
                .as_ref()
                .map_or(String::new(), |memory| size(of(memory)))
        };
        let comm = match process.kernel_thread {
            true => format!("[{}]", printable(&process.comm)),
            false => printable(&process.comm),
        };
        rows.add_row([
            process.pid.to_string(),
            process.ppid.map_or(String::new(), |pid| pid.to_string()),
            process.uid.map_or(String::new(), |uid| uid.to_string()),
            process.state.map_or(String::new(), String::from),
            memory(|memory| memory.rss_anon_bytes),
            memory(|memory| memory.rss_file_bytes),
            memory(|memory| memory.rss_shmem_bytes),
            memory(|memory| memory.swap_bytes),
            memory(|memory| memory.page_table_bytes),
            number(process.threads),
            process
                .oom_badness
                .map_or(String::new(), |points| points.to_string()),
            process.start_time.clone().unwrap_or_default(),
            match process.panicked {
                true => format!("{red}{comm} (panicked){red:#}"),
                false => comm,
            },
            process.cgroup.as_deref().map_or(String::new(), printable),
        ]);
    }
    rows.write(out)?;
    if let Some(rest) = listed.len().checked_sub(most).filter(|rest| *rest > 0) {
        writeln!(out, "… and {rest} more (--all shows them)")?;
    }
    groups(out, "By cgroup", &report.cgroups, layout)?;
    groups(out, "By user", &report.users, layout)
}

fn groups(out: &mut dyn Write, title: &str, groups: &[GroupSum], layout: Layout) -> io::Result<()> {
    if groups.len() < 2 {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{title}{bold:#}")?;
    let header = [
        Column::text("NAME").shorten(20),
        Column::number("PROCESSES"),
        Column::number("ANON"),
        Column::number("SHMEM"),
        Column::number("SWAP"),
        Column::number("TABLES"),
    ];
    let mut rows = Table::new(header, layout);
    for group in groups.iter().take(GROUPS) {
        rows.add_row([
            printable(&group.name),
            thousands(group.sum.processes),
            size(group.sum.rss_anon_bytes),
            size(group.sum.rss_shmem_bytes),
            size(group.sum.swap_bytes),
            size(group.sum.page_table_bytes),
        ]);
    }
    rows.write(out)?;
    more(out, groups.len(), GROUPS)
}

/// One row a process.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<PsReport>) -> io::Result<()> {
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "pid",
        "ppid",
        "comm",
        "state",
        "uid",
        "rss_anon_bytes",
        "rss_file_bytes",
        "rss_shmem_bytes",
        "swap_bytes",
        "page_table_bytes",
        "locked_bytes",
        "threads",
        "oom_score_adj",
        "oom_badness",
        "cgroup",
        "start_time",
        "panicked",
    ])?;
    for process in &document.body.processes {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map_or(String::new(), |value| value.to_string())
        }
        let memory = process.memory.as_ref();
        csv.write_record([
            process.pid.to_string(),
            text(process.ppid),
            printable(&process.comm),
            text(process.state),
            text(process.uid),
            text(memory.map(|memory| memory.rss_anon_bytes)),
            text(memory.map(|memory| memory.rss_file_bytes)),
            text(memory.map(|memory| memory.rss_shmem_bytes)),
            text(memory.map(|memory| memory.swap_bytes)),
            text(memory.map(|memory| memory.page_table_bytes)),
            text(memory.map(|memory| memory.locked_bytes)),
            text(process.threads),
            text(process.oom_score_adj),
            text(process.oom_badness),
            process.cgroup.as_deref().map_or(String::new(), printable),
            text(process.start_time.as_deref()),
            process.panicked.to_string(),
        ])?;
    }
    csv.flush()
}
