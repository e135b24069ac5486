//! `memcg` as a table and CSV.

use std::io::{self, Write};

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
            size(memcg.current),
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
    let root = report
        .memcgs
        .iter()
        .find(|of| of.path.as_deref() == Some("/"));
    let more = root.filter(|root| root.stat("file") > Some(root.current));
    match more {
        Some(_) => writeln!(
            out,
            "\nThe root has no limit, so the kernel charges it nothing: its TOTAL is what its children are charged, and its other columns are of all pages and objects below it and its own."
        ),
        None => Ok(()),
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
