//! `memcg` as a table and CSV.

use std::io::{self, Write};

use super::head::head;
use super::rows::Csv;
use super::{printable, size, table, thousands, write_table};
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
    width: Option<u16>,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    write!(
        out,
        "{} memory cgroups; {} were removed but are not gone",
        thousands(totals.memcgs),
        thousands(totals.dying),
    )?;
    if totals.dying > 0 {
        write!(out, ", and hold {}", size(totals.dying_bytes))?;
    }
    writeln!(
        out,
        "\n{} are charged in advance for objects to come\n",
        size(totals.objcg_charged_bytes)
    )?;
    let header = [
        "CGROUP", "ID", "STATE", "TOTAL", "ANON", "FILE", "KERNEL", "SLAB", "PERCPU", "OBJCGS",
    ];
    let mut rows = table(&header, &[1, 3, 4, 5, 6, 7, 8, 9], 10, width);
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
    write_table(out, &rows)
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
