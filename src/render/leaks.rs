//! `leaks` as text.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::slabs::level_style;
use super::traces::describe;
use super::whatis::named;
use super::{leaks_areas, leaks_blocks};
use super::{percent, printable, size, table, thousands, write_table};
use crate::analysis::accounting::{Level, Reason, share};
use crate::analysis::leaks::{LeakVerdict, Owner};
use crate::graph::AgeField;
use crate::report::Document;
use crate::report::leaks::{LeakCache, LeaksReport};
use crate::subsys::mm::slab::tracks::Site;

/// Caches in the table of the others, unless all are wanted.
const OTHERS: usize = 15;

/// The findings in words, the evidence of each, and the other caches as a table.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<LeaksReport>,
    width: Option<u16>,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    writeln!(out)?;
    memory(out, report, width)?;
    let (accused, others): (Vec<&LeakCache>, Vec<&LeakCache>) = report
        .caches
        .iter()
        .partition(|cache| cache.judgement.verdict.level >= Level::Suspect);
    let others_of = [&report.vmalloc.verdict, &report.large_kmalloc.verdict];
    let worst = others_of.map(|verdict| verdict.level).into_iter().max();
    if accused.is_empty() && worst < Some(Level::Suspect) {
        let bold = Style::new().bold();
        let text = match report.trust.reliable {
            true => "No cache looks like a leak.",
            false => "No cache can be called a leak.",
        };
        writeln!(out, "\n{bold}{text}{bold:#}")?;
    }
    for cache in accused {
        writeln!(out)?;
        evidence(out, cache, report.totals.memory_bytes)?;
    }
    leaks_areas::write(out, &report.vmalloc, report.totals.memory_bytes)?;
    leaks_blocks::write(out, &report.large_kmalloc, report.totals.memory_bytes)?;
    history(out, report)?;
    writeln!(out)?;
    table_of(out, &others, report.totals.memory_bytes, width, all)?;
    writeln!(out)?;
    coverage(out, report)
}

fn memory(out: &mut dyn Write, report: &LeaksReport, width: Option<u16>) -> io::Result<()> {
    let mut rows = table(&["MEMORY", "SIZE", "RAM", "WHAT"], &[1, 2], 3, width);
    for part in &report.memory.parts {
        rows.add_row([
            part.code.to_owned(),
            size(part.bytes),
            percent(part.bytes, report.totals.memory_bytes),
            part.name.to_owned(),
        ]);
    }
    write_table(out, &rows)?;
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

fn evidence(out: &mut dyn Write, cache: &LeakCache, memory: Option<u64>) -> io::Result<()> {
    let verdict = &cache.judgement.verdict;
    let style = level_style(verdict.level);
    let bold = Style::new().bold();
    writeln!(
        out,
        "{style}{}{style:#}  {bold}{}{bold:#}  {} ({} of RAM), {} objects of {} B in use",
        verdict.level.word().to_uppercase(),
        printable(&cache.facts.name),
        size(cache.facts.exact.bytes),
        percent(cache.facts.exact.bytes, memory),
        thousands(cache.facts.exact.allocated),
        cache.facts.object_size,
    )?;
    if let Some(guess) = cache.types.first() {
        writeln!(
            out,
            "  {:<12} struct {}: {} of {} objects with a typed reference ({})",
            "types",
            printable(&guess.name),
            thousands(guess.count),
            thousands(guess.of),
            printable(&guess.members.join(", ")),
        )?;
    }
    ages(out, &cache.judgement.unreachable.ages)?;
    let mut name = "charged to";
    for charge in &cache.judgement.unreachable.charged_to {
        let objects = thousands(charge.objects);
        writeln!(
            out,
            "  {name:<12} {}: {objects} of them",
            named(&charge.group)
        )?;
        name = "";
    }
    proof(
        out,
        verdict,
        &cache.judgement.owners,
        &cache.judgement.check_with,
    )
}

/// When the lost objects were made, with a bar for each tenth of the time since boot.
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

/// The line above what can't be reached of something that is no cache; nothing, and `false`,
/// unless it is a suspect at least.
pub(super) fn unreached(
    out: &mut dyn Write,
    level: Level,
    what: &str,
    bytes: Option<u64>,
    memory: Option<u64>,
) -> io::Result<bool> {
    if level < Level::Suspect {
        return Ok(false);
    }
    let (style, bold) = (level_style(level), Style::new().bold());
    let bytes = bytes.unwrap_or(0);
    writeln!(
        out,
        "\n{style}{}{style:#}  {bold}{what}{bold:#}  {} ({} of RAM) can't be reached",
        level.word().to_uppercase(),
        size(bytes),
        percent(bytes, memory),
    )?;
    Ok(true)
}

/// Whose they are, what speaks for it and against, and how to check it.
pub(super) fn proof(
    out: &mut dyn Write,
    verdict: &LeakVerdict,
    owners: &[Owner],
    check_with: &[String],
) -> io::Result<()> {
    let bold = Style::new().bold();
    for owner in owners.iter().filter(|owner| owner.module != "vmlinux") {
        let module = printable(&owner.module);
        writeln!(
            out,
            "  {:<12} module {bold}{module}{bold:#}: {}",
            "owner",
            printable(&owner.how)
        )?;
    }
    sites(out, owners)?;
    let mut list = |name: &str, reasons: &[Reason]| {
        let mut name = name;
        for reason in reasons {
            writeln!(out, "  {name:<12} {}", printable(&reason.message))?;
            name = "";
        }
        Ok::<(), io::Error>(())
    };
    let is_owner = |reason: &&Reason| reason.code != "owner";
    let speaks_for: Vec<Reason> = verdict.r#for.iter().filter(is_owner).cloned().collect();
    list("for", &speaks_for)?;
    list("against", &verdict.against)?;
    list("not checked", &verdict.not_checked)?;
    let mut name = "check with";
    for command in check_with {
        writeln!(out, "  {name:<12} {}", printable(command))?;
        name = "";
    }
    Ok(())
}

/// Places named of each cache.
const SITES: usize = 3;

/// Where the lost objects were allocated, if the kernel kept it.
fn sites(out: &mut dyn Write, owners: &[Owner]) -> io::Result<()> {
    let mut sites: Vec<&Site> = owners.iter().flat_map(|owner| &owner.sites).collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.objects));
    let mut name = "allocated";
    for site in sites.into_iter().take(SITES) {
        writeln!(
            out,
            "  {name:<12} {} at {}, {}",
            thousands(site.objects),
            printable(site.place().unwrap_or_default()),
            describe(site)
        )?;
        name = "";
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
    width: Option<u16>,
    all: bool,
) -> io::Result<()> {
    let wide = width.is_none_or(|width| width >= 110);
    let mut header = vec![
        "CACHE",
        "SIZE",
        "RAM",
        "ALLOCATED",
        "UNREACHABLE",
        "VERDICT",
    ];
    if wide {
        header.push("HELD BY");
    }
    let mut rows = table(&header, &[1, 2, 3, 4], header.len() - 1, width);
    let shown = if all { usize::MAX } else { OTHERS };
    for cache in caches.iter().take(shown) {
        let verdict = &cache.judgement.verdict;
        let style = level_style(verdict.level);
        let lost = cache.judgement.unreachable.objects;
        let mut row = vec![
            printable(&cache.facts.name),
            size(cache.facts.exact.bytes),
            percent(cache.facts.exact.bytes, memory),
            thousands(cache.facts.exact.allocated),
            lost.map_or("?".to_owned(), thousands),
            format!("{style}{}{style:#}", verdict.level.word()),
        ];
        if wide {
            let names: Vec<String> = cache
                .holders
                .iter()
                .take(2)
                .map(|h| printable(&h.holder))
                .collect();
            row.push(names.join(", "));
        }
        rows.add_row(row);
    }
    write_table(out, &rows)?;
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
    for reason in &report.trust.reasons {
        writeln!(out, "Not reliable: {}", printable(&reason.message))?;
    }
    Ok(())
}
