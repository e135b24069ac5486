//! `memcg` as a table and CSV.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::memcg::MemcgReport;
use crate::subsys::mm::memcg::Memcg;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<MemcgReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    write!(
        out,
        "{} memory cgroup{}; {} {} removed but not gone",
        thousands(totals.memcgs),
        if totals.memcgs == 1 { "" } else { "s" },
        thousands(totals.dying),
        if totals.dying == 1 { "is" } else { "are" },
    )?;
    if totals.dying > 0 {
        write!(out, ", and hold {}", size(totals.dying_bytes))?;
    }
    writeln!(out)?;
    if let Some(bytes) = totals.objcg_charged_bytes {
        let bytes = size(bytes);
        writeln!(out, "{bytes} are charged in advance for objects to come")?;
    }
    writeln!(out)?;
    let mut rows = Table::new(header(), layout);
    let bytes = |bytes: Option<u64>| bytes.map_or("-".to_owned(), size);
    for memcg in &report.memcgs {
        rows.add_row([
            path(memcg),
            memcg.id.to_string(),
            if memcg.dying { "dying" } else { "" }.to_owned(),
            bytes(charged(memcg)),
            bytes(memcg.stat("anon")),
            bytes(memcg.stat("file")),
            bytes(memcg.stat("kernel")),
            bytes(memcg.slab()),
            bytes(memcg.stat("percpu")),
            memcg.objcgs.map_or("-".to_owned(), |objcgs| {
                thousands(objcgs.own.saturating_add(objcgs.inherited))
            }),
        ]);
    }
    rows.write(out)?;
    dying(out, report, layout)?;
    let root = report
        .memcgs
        .iter()
        .find(|of| of.path.as_deref() == Some("/"));
    let more = root.filter(|root| root.stat("file") > Some(root.current));
    match more.map(charged) {
        Some(None) => writeln!(
            out,
            "\nThe root has no limit, and its children do not count in it: the kernel charges it nothing. Its other columns are of all pages and objects below it and its own."
        ),
        Some(Some(_)) => writeln!(
            out,
            "\nThe root has no limit, so the kernel charges it nothing: its TOTAL is what its children are charged, and its other columns are of all pages and objects below it and its own."
        ),
        None => Ok(()),
    }
}

/// What it is charged; `None` of a root that has pages and is charged nothing, for cgroup v1 adds
/// its children only with `use_hierarchy`.
fn charged(memcg: &Memcg) -> Option<u64> {
    let is_root = memcg.path.as_deref() == Some("/");
    let has_pages = memcg.stat("file").max(memcg.stat("anon")) > Some(0);
    (memcg.current > 0 || !is_root || !has_pages).then_some(memcg.current)
}

/// Removed cgroups whose pages are told.
const SHOWN: usize = 20;

/// What holds those that were removed, the largest first.
fn dying(out: &mut dyn Write, report: &MemcgReport, layout: Layout) -> io::Result<()> {
    let all = report.memcgs.iter();
    let mut held: Vec<_> = all
        .filter_map(|memcg| Some((memcg, memcg.held_by.as_ref()?)))
        .collect();
    if held.is_empty() {
        return Ok(());
    }
    held.sort_by_key(|(memcg, _)| std::cmp::Reverse(memcg.current));
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}What is charged to the removed ones{bold:#}")?;
    let header = [
        Column::text("CGROUP").shorten(20),
        Column::number("ANON").rank(1),
        Column::number("CACHE"),
        Column::number("SHMEM"),
        Column::number("KERNEL").rank(1),
        Column::number("FILES"),
        Column::flow("LARGEST"),
    ];
    let mut rows = Table::new(header, layout);
    for (memcg, held) in held.iter().take(SHOWN) {
        let names = held.largest.iter().map(|file| match &file.path {
            Some(path) => printable(path),
            None => format!("inode {}", file.inode),
        });
        rows.add_row([
            path(memcg),
            size(held.anon_bytes),
            size(held.file_bytes),
            size(held.shmem_bytes),
            size(held.kernel_bytes),
            thousands(held.files),
            names.collect::<Vec<_>>().join(", "),
        ]);
    }
    rows.write(out)?;
    match held.len().checked_sub(SHOWN) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "… {more} more (--format json)"),
    }
}

/// A long path keeps its start: what matters less goes before it is cut.
fn header() -> [Column; 10] {
    [
        Column::text("CGROUP").shorten(30),
        Column::number("ID").rank(3),
        Column::text("STATE"),
        Column::number("TOTAL"),
        Column::number("ANON"),
        Column::number("FILE"),
        Column::number("KERNEL").rank(1),
        Column::number("SLAB"),
        Column::number("PERCPU").rank(2),
        Column::number("OBJCGS").rank(4),
    ]
}

fn path(memcg: &Memcg) -> String {
    match &memcg.path {
        Some(path) => printable(path),
        None => "?".to_owned(),
    }
}

/// One row a cgroup.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<MemcgReport>) -> io::Result<()> {
    let report = &document.body;
    const STATS: [&str; 12] = [
        "anon",
        "file",
        "kernel",
        "kernel_stack",
        "pagetables",
        "percpu",
        "sock",
        "vmalloc",
        "shmem",
        "slab_reclaimable",
        "slab_unreclaimable",
        "file_mapped",
    ];
    let mut csv = Csv::new(out, &document.dump);
    let own = ["path", "id", "cgroup_id", "dying", "current", "max", "swap"];
    let objcgs = ["objcgs", "objcg_charged_bytes", "address"];
    csv.write_record(own.iter().chain(&STATS).chain(&objcgs))?;
    let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    for memcg in &report.memcgs {
        let mut row = vec![
            memcg.path.as_ref().map_or(String::new(), |p| printable(p)),
            memcg.id.to_string(),
            number(memcg.cgroup_id),
            memcg.dying.to_string(),
            memcg.current.to_string(),
            number(memcg.max),
            number(memcg.swap),
        ];
        row.extend(STATS.iter().map(|name| number(memcg.stat(name))));
        row.push(number(
            memcg.objcgs.map(|o| o.own.saturating_add(o.inherited)),
        ));
        row.push(number(memcg.objcgs.map(|o| o.charged_bytes)));
        row.push(memcg.address.to_string());
        csv.write_record(&row)?;
    }
    csv.flush()
}
