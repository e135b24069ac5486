//! `leaks` as text.

use std::io::{self, Write};

use super::finding;
use super::head::head;
use super::layout::Layout;
use super::slabs::level_style;
use super::table::{Column, Table};
use super::whatis::named;
use super::{leaks_areas, leaks_blocks};
use super::{percent, printable, size, thousands};
use crate::analysis::accounting::{Level, share};
use crate::graph::AgeField;
use crate::report::Document;
use crate::report::leaks::{LeakCache, LeaksReport};

/// Caches in the table of the others, unless all are wanted.
const OTHERS: usize = 15;

/// The findings in words, the evidence of each, and the other caches as a table.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<LeaksReport>,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    writeln!(out)?;
    memory(out, report, layout)?;
    finding::none(out, &report.findings, report.trust.reliable)?;
    let memory_bytes = report.totals.memory_bytes;
    for found in &report.findings {
        finding::headline(out, found, memory_bytes)?;
        match (&found.cache, found.code) {
            (Some(name), _) => of_cache(out, report, name)?,
            (None, "vmalloc") => leaks_areas::write(out, &report.vmalloc)?,
            (None, "large-kmalloc") => leaks_blocks::write(out, &report.large_kmalloc)?,
            _ => {}
        }
        finding::proof(out, found)?;
    }
    history(out, report)?;
    writeln!(out)?;
    let accused = |cache: &&LeakCache| cache.judgement.verdict.level >= Level::Suspect;
    let others = report.caches.iter().filter(|cache| !accused(cache));
    table_of(out, &others.collect::<Vec<_>>(), memory_bytes, layout, all)?;
    writeln!(out)?;
    coverage(out, report)
}

fn memory(out: &mut dyn Write, report: &LeaksReport, layout: Layout) -> io::Result<()> {
    let header = [
        Column::text("MEMORY"),
        Column::number("SIZE"),
        Column::number("RAM"),
    ];
    let mut rows = Table::new(header, layout);
    for part in &report.memory.parts {
        rows.add_row([
            part.name.to_owned(),
            size(part.bytes),
            percent(part.bytes, report.totals.memory_bytes),
        ]);
    }
    rows.write(out)?;
    let outside = report.memory.boot_memmap_bytes;
    if outside > 0 {
        let outside = size(outside);
        writeln!(
            out,
            "Besides, {outside} of page structures were set aside at boot, outside of the RAM that the kernel counts."
        )?;
    }
    if let Some(note) = &report.memory.large_kmalloc.note {
        writeln!(out, "Large kmalloc: {note}")?;
    }
    Ok(())
}

/// What only a cache has: its size in all, what its objects are like, when they were made.
fn of_cache(out: &mut dyn Write, report: &LeaksReport, name: &str) -> io::Result<()> {
    let Some(cache) = report.caches.iter().find(|cache| cache.facts.name == name) else {
        return Ok(());
    };
    let held = format!(
        "{} in all, {} objects of {} B in use",
        size(cache.facts.exact.bytes),
        thousands(cache.facts.exact.allocated),
        cache.facts.object_size,
    );
    finding::line(out, "cache", &held)?;
    if let Some(guess) = cache.types.first() {
        let text = format!(
            "struct {}: {} of {} objects with a typed reference ({})",
            printable(&guess.name),
            thousands(guess.count),
            thousands(guess.of),
            printable(&guess.members.join(", ")),
        );
        finding::line(out, "types", &text)?;
    }
    ages(out, &cache.judgement.unreachable.ages)?;
    let charges = cache.judgement.unreachable.charged_to.iter().map(|charge| {
        let objects = thousands(charge.objects);
        format!("{}: {objects} of them", named(&charge.group))
    });
    finding::list(out, "charged to", charges)
}

/// When the unreachable objects were made, with a bar for each tenth of the time since boot.
fn ages(out: &mut dyn Write, ages: &[AgeField]) -> io::Result<()> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    for (index, field) in ages.iter().enumerate() {
        let most = field.histogram.iter().max().copied().unwrap_or(0).max(1);
        let bar = |count: &u64| match count {
            0 => '·',
            _ => BARS
                .get((count * 7 / most) as usize)
                .copied()
                .unwrap_or('█'),
        };
        let bars: String = field.histogram.iter().map(bar).collect();
        let by = match field.member {
            Some(member) => member.to_owned(),
            None => format!("what looks like {}", field.unit.replace('_', " ")),
        };
        writeln!(
            out,
            "  {:<12} {:.0} to {:.0} s before the crash, {} {bars} (by {by} at offset {:#x} of {} of {})",
            if index == 0 { "made" } else { "" },
            field.oldest_seconds,
            field.youngest_seconds,
            field.shape.word(),
            field.offset,
            thousands(field.objects),
            thousands(field.of),
        )?;
    }
    Ok(())
}

fn history(out: &mut dyn Write, report: &LeaksReport) -> io::Result<()> {
    if report.history.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThe log before the crash")?;
    for event in &report.history {
        let bytes = event
            .unreclaimable_slab_bytes
            .map(|bytes| format!("  (unreclaimable slab {})", size(bytes)));
        let line = printable(&event.line);
        writeln!(
            out,
            "  {:>12.3} s  {line}{}",
            event.seconds,
            bytes.unwrap_or_default()
        )?;
    }
    Ok(())
}

fn table_of(
    out: &mut dyn Write,
    caches: &[&LeakCache],
    memory: Option<u64>,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let header = [
        Column::text("CACHE").shorten(28),
        Column::number("SIZE"),
        Column::number("RAM"),
        Column::number("ALLOCATED"),
        Column::number("UNREACHABLE"),
        Column::text("VERDICT"),
        Column::text("HELD BY").shorten(16).rank(1),
    ];
    let mut rows = Table::new(header, layout);
    let shown = if all { usize::MAX } else { OTHERS };
    for cache in caches.iter().take(shown) {
        let verdict = &cache.judgement.verdict;
        let style = level_style(verdict.level);
        let lost = cache.judgement.unreachable.objects;
        let holders = cache.holders.iter().take(2);
        let holders: Vec<String> = holders.map(|held| printable(&held.holder)).collect();
        rows.add_row([
            printable(&cache.facts.name),
            size(cache.facts.exact.bytes),
            percent(cache.facts.exact.bytes, memory),
            thousands(cache.facts.exact.allocated),
            lost.map_or("?".to_owned(), thousands),
            format!("{style}{}{style:#}", verdict.level.word()),
            holders.join(", "),
        ]);
    }
    rows.write(out)?;
    let hidden = caches.len().saturating_sub(shown);
    if hidden > 0 {
        writeln!(out, "\n{hidden} smaller caches not shown (--all)")?;
    }
    Ok(())
}

fn coverage(out: &mut dyn Write, report: &LeaksReport) -> io::Result<()> {
    let seen = &report.coverage;
    writeln!(
        out,
        "Searched {} of kernel data and {} of slabs: {} words, {} pointers to objects.",
        size(seen.root_pages.saturating_mul(seen.page_bytes)),
        size(seen.slab_pages.saturating_mul(seen.page_bytes)),
        thousands(seen.words),
        thousands(seen.pointers),
    )?;
    let stale = share(seen.free_objects_pointed_to, seen.free_objects) * 100.0;
    writeln!(
        out,
        "Stale pointers lead to {stale:.1} % of the free objects: about that share of a leak may be hidden."
    )?;
    Ok(())
}
