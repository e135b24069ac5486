//! `log --oom` as tables: who asked, what there was, who was running, who was killed.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::log::escaped;
use super::table::{Column, Table};
use super::{more, size, thousands};
use crate::analysis::oom::OomReport;
use crate::report::Document;
use crate::report::log::OomReports;

/// The kernel gives the tables of tasks and slabs whole; this many of the largest are shown.
const ROWS: usize = 20;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<OomReports>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    let reports = &document.body.oom;
    if reports.is_empty() {
        return writeln!(
            out,
            "\nThe log has no report of the out-of-memory killer (older ones may have been overwritten)"
        );
    }
    for report in reports {
        writeln!(out)?;
        write_report(out, report, layout)?;
    }
    Ok(())
}

fn write_report(out: &mut dyn Write, report: &OomReport, layout: Layout) -> io::Result<()> {
    let text = |value: &Option<String>| value.as_deref().map_or("-".to_owned(), escaped);
    writeln!(
        out,
        "[{:>12.6}] out of memory: {} asked for {} pages with {}",
        report.time,
        text(&report.invoked_by),
        report
            .order
            .filter(|order| (0..32).contains(order))
            .map_or("?".to_owned(), |order| (1u64 << order).to_string()),
        text(&report.gfp_mask),
    )?;
    if let Some(constraint) = &report.constraint {
        let memcg = report.memcg.as_deref().map(escaped);
        let memcg = memcg.map_or(String::new(), |memcg| format!(" in {memcg}"));
        writeln!(out, "constraint {}{memcg}", escaped(constraint))?;
    }
    for victim in &report.killed {
        let number = |key: &str| victim.numbers.get(key).copied().unwrap_or(0);
        let kb = |key: &str| size(number(key).max(0).unsigned_abs().saturating_mul(1024));
        writeln!(
            out,
            "killed {} ({}): {} of address space, {} anonymous, {} of files, {} shared",
            victim.pid,
            escaped(&victim.name),
            kb("total-vm"),
            kb("anon-rss"),
            kb("file-rss"),
            kb("shmem-rss"),
        )?;
    }
    write_memory(out, report, layout)?;
    write_slabs(out, report, layout)?;
    write_tasks(out, report, layout)
}

fn write_memory(out: &mut dyn Write, report: &OomReport, layout: Layout) -> io::Result<()> {
    let pages: Vec<_> = report.meminfo.iter().filter(|(_, n)| **n > 0).collect();
    if !pages.is_empty() {
        writeln!(out)?;
        let mut rows = Table::new([Column::text("MEM-INFO"), Column::number("PAGES")], layout);
        for (name, pages) in pages {
            rows.add_row([escaped(name), thousands(*pages)]);
        }
        rows.write(out)?;
    }
    let zones: Vec<_> = report
        .zones
        .iter()
        .filter(|z| z.kb.contains_key("free"))
        .collect();
    if !zones.is_empty() {
        writeln!(out)?;
        let mut rows = Table::new(
            [
                Column::text("ZONE"),
                Column::number("FREE"),
                Column::number("MIN"),
                Column::number("LOW"),
                Column::number("HIGH"),
            ],
            layout,
        );
        for zone in zones {
            let kb = |key: &str| kib(&zone.kb, key);
            rows.add_row([
                escaped(&zone.name),
                kb("free"),
                kb("min"),
                kb("low"),
                kb("high"),
            ]);
        }
        rows.write(out)?;
    }
    Ok(())
}

fn kib(numbers: &BTreeMap<String, u64>, key: &str) -> String {
    let value = numbers.get(key);
    value.map_or("-".to_owned(), |kb| size(kb.saturating_mul(1024)))
}

fn write_slabs(out: &mut dyn Write, report: &OomReport, layout: Layout) -> io::Result<()> {
    if report.slabs.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut slabs: Vec<_> = report.slabs.iter().collect();
    slabs.sort_by_key(|slab| std::cmp::Reverse(slab.total_kb));
    let header = [
        Column::text("UNRECLAIMABLE SLAB"),
        Column::number("USED"),
        Column::number("TOTAL"),
    ];
    let mut rows = Table::new(header, layout);
    for slab in slabs.iter().take(ROWS) {
        let kb = |kb: u64| size(kb.saturating_mul(1024));
        rows.add_row([escaped(&slab.name), kb(slab.used_kb), kb(slab.total_kb)]);
    }
    rows.write(out)?;
    more(out, slabs.len(), ROWS)
}

fn write_tasks(out: &mut dyn Write, report: &OomReport, layout: Layout) -> io::Result<()> {
    if report.tasks.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut tasks: Vec<_> = report.tasks.iter().collect();
    let rss = |task: &&crate::analysis::oom::OomTask| task.columns.get("rss").copied();
    tasks.sort_by_key(|task| std::cmp::Reverse(rss(task)));
    let header = [
        Column::number("PID"),
        Column::number("UID").rank(2),
        Column::number("TOTAL_VM"),
        Column::number("RSS"),
        Column::number("PGTABLES").rank(1),
        Column::number("SWAPENTS"),
        Column::number("ADJ"),
        Column::text("TASK").shorten(15),
    ];
    let mut rows = Table::new(header, layout);
    for task in tasks.iter().take(ROWS) {
        let number = |key: &str| task.columns.get(key).map_or("-".into(), i64::to_string);
        rows.add_row([
            task.pid.to_string(),
            number("uid"),
            number("total_vm"),
            number("rss"),
            number("pgtables_bytes"),
            number("swapents"),
            number("oom_score_adj"),
            escaped(&task.name),
        ]);
    }
    rows.write(out)?;
    more(out, tasks.len(), ROWS)
}
