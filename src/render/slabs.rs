//! `slabs` as a table, CSV, /proc/slabinfo, and one cache in depth.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{percent, printable, size, table, thousands, write_table};
use crate::analysis::accounting::{Level, Verdict, share};
use crate::report::{CacheReport, Document, SlabsReport};

fn style(level: Level) -> Style {
    match level {
        Level::Leak => AnsiColor::Red.on_default().bold(),
        Level::Suspect => AnsiColor::Yellow.on_default().bold(),
        Level::Inconclusive => AnsiColor::Cyan.on_default(),
        Level::Clean => Style::new().dimmed(),
    }
}

/// The verdict's word and, unless it is that there is nothing to say, its first reason.
fn verdict(verdict: &Verdict, in_words: bool) -> String {
    let style = style(verdict.level);
    let word = verdict.level.word();
    let reason = verdict
        .reasons
        .first()
        .filter(|_| in_words && verdict.level > Level::Clean);
    match reason {
        Some(reason) => format!("{style}{word}{style:#}: {}", reason.message),
        None => format!("{style}{word}{style:#}"),
    }
}

/// What a reader must know of a cache besides its numbers.
fn marks(cache: &CacheReport) -> String {
    let facts = &cache.facts;
    let mut marks = Vec::new();
    if !facts.exact.complete {
        marks.push("incomplete".to_owned());
    }
    if !facts.aliases.is_empty() {
        marks.push(format!("+{} merged", facts.aliases.len()));
    }
    if facts.occupancy.fallback_order > 0 {
        marks.push("small slabs".to_owned());
    }
    marks.join(", ")
}

/// Largest first, for people. Rows of nothing are left out and counted below.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<SlabsReport>,
    width: Option<u16>,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    let of_ram = |bytes| match totals.memory_bytes {
        Some(_) => format!(" ({} of RAM)", percent(bytes, totals.memory_bytes)),
        None => String::new(),
    };
    writeln!(
        out,
        "Slab {}{}: {} unreclaimable{}, {} reclaimable{}\n",
        size(totals.slab_bytes),
        of_ram(totals.slab_bytes),
        size(totals.unreclaimable_bytes),
        of_ram(totals.unreclaimable_bytes),
        size(totals.reclaimable_bytes),
        of_ram(totals.reclaimable_bytes),
    )?;
    let wide = width.is_none_or(|width| width >= 110);
    let mut header = vec!["CACHE", "SIZE", "RAM", "ALLOCATED", "OBJECTS", "USED"];
    if wide {
        header.extend(["OBJSIZE", "SLABS"]);
    }
    header.extend(["RECLAIM", "VERDICT"]);
    if wide {
        header.push("NOTES");
    }
    let right: Vec<usize> = (1..if wide { 8 } else { 6 }).collect();
    let mut rows = table(&header, &right, width);
    let mut empty = 0;
    for cache in &report.caches {
        let exact = &cache.facts.exact;
        if exact.slabs == 0 && !all {
            empty += 1;
            continue;
        }
        let mut row = vec![
            printable(&cache.facts.name),
            size(exact.bytes),
            percent(exact.bytes, totals.memory_bytes),
            thousands(exact.allocated),
            thousands(exact.objects),
            format!("{:.0}%", share(exact.allocated, exact.objects) * 100.0),
        ];
        if wide {
            row.push(thousands(u64::from(cache.facts.object_size)));
            row.push(thousands(exact.slabs));
        }
        row.push(if cache.facts.reclaimable { "yes" } else { "no" }.to_owned());
        row.push(verdict(&cache.verdict, wide));
        if wide {
            row.push(marks(cache));
        }
        rows.add_row(row);
    }
    write_table(out, &rows)?;
    if empty > 0 {
        writeln!(out, "\n{empty} caches without a slab not shown (--all)")?;
    }
    Ok(())
}

/// The lines that say which dump this is.
pub(super) fn head<T>(out: &mut dyn Write, document: &Document<T>) -> io::Result<()> {
    let dump = &document.dump;
    let bold = Style::new().bold();
    write!(
        out,
        "{bold}{}{bold:#}",
        printable(dump.release.as_deref().unwrap_or("unknown kernel"))
    )?;
    if let Some(time) = &dump.crash_time {
        write!(out, ", crashed {time}")?;
    }
    if let Some(uptime) = dump.uptime_seconds {
        write!(out, " after {}", duration(uptime))?;
    }
    if let Some(bytes) = dump.memory_bytes {
        write!(out, ", {} RAM", size(bytes))?;
    }
    writeln!(out)?;
    if let Some(panic) = &dump.panic {
        writeln!(out, "{}", printable(panic))?;
    }
    Ok(())
}

/// Seconds as days, hours, minutes, of which the two largest.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let parts = [
        (whole / 86_400, "d"),
        (whole / 3600 % 24, "h"),
        (whole / 60 % 60, "min"),
        (whole % 60, "s"),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .skip_while(|(value, unit)| *value == 0 && *unit != "s")
        .take(2)
        .map(|(value, unit)| format!("{value} {unit}"))
        .collect();
    shown.join(" ")
}

/// One cache in depth.
///
/// # Errors
/// If writing fails.
pub fn write_detail(
    out: &mut dyn Write,
    document: &Document<SlabsReport>,
    width: Option<u16>,
) -> io::Result<()> {
    head(out, document)?;
    for cache in &document.body.caches {
        writeln!(out)?;
        detail(out, cache, document.body.totals.memory_bytes, width)?;
    }
    Ok(())
}

fn detail(
    out: &mut dyn Write,
    cache: &CacheReport,
    memory: Option<u64>,
    width: Option<u16>,
) -> io::Result<()> {
    let facts = &cache.facts;
    let (exact, view, lie) = (&facts.exact, &facts.slabinfo, &facts.occupancy);
    let mut rows = table(&["CACHE", &printable(&facts.name)], &[], width);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.add_row([name, &value]);
        }
    };
    row("address", facts.address.to_string());
    row("aliases", printable(&facts.aliases.join(", ")));
    row("flags", facts.flags.join(" "));
    row(
        "objects",
        format!(
            "{} B asked for, {} B apart, aligned to {}; {} in a slab of {}",
            facts.object_size,
            facts.size,
            facts.align,
            facts.objects_per_slab,
            pages(u64::from(facts.pages_per_slab))
        ),
    );
    row(
        "memory",
        format!(
            "{} in {} slabs ({} of RAM), {} of it allocated",
            size(exact.bytes),
            thousands(exact.slabs),
            percent(exact.bytes, memory),
            size(exact.allocated_bytes)
        ),
    );
    row(
        "exact",
        format!(
            "{} allocated, {} free, {} pending free, of {}",
            thousands(exact.allocated),
            thousands(exact.free),
            thousands(exact.pending_free),
            thousands(exact.objects)
        ),
    );
    row(
        "/proc/slabinfo",
        format!(
            "{} active of {} objects in {} slabs",
            thousands(view.active_objs),
            thousands(view.num_objs),
            thousands(view.num_slabs)
        ),
    );
    row(
        "slabs",
        format!(
            "{} full, {} partial, {} empty; current on a CPU {}, on CPUs' lists {}, on nodes' lists {}",
            lie.full, lie.partial, lie.empty, lie.cpu, lie.cpu_partial, lie.node_partial
        ),
    );
    let mut apart = Vec::new();
    if facts.rcu_slabs > 0 {
        apart.push(format!("{} slabs wait for RCU", facts.rcu_slabs));
    }
    if facts.kfence_pages > 0 {
        apart.push(format!("{} objects in KFENCE pages", facts.kfence_pages));
    }
    if lie.fallback_order > 0 {
        apart.push(format!(
            "{} slabs of less than the preferred order: memory was short",
            lie.fallback_order
        ));
    }
    row("besides", apart.join("; "));
    row(
        "complete",
        if exact.complete {
            "yes"
        } else {
            "no, see warnings"
        }
        .to_owned(),
    );
    row("verdict", verdict(&cache.verdict, false));
    for reason in &cache.verdict.reasons {
        row("", format!("{} ({})", reason.message, reason.basis));
    }
    row(
        "look further",
        format!(
            "vmleak objects {} …   crash> kmem -s {}",
            printable(&facts.name),
            printable(&facts.name)
        ),
    );
    write_table(out, &rows)
}

fn pages(count: u64) -> String {
    format!("{count} page{}", if count == 1 { "" } else { "s" })
}

/// /proc/slabinfo 2.1 to the letter (mm/slab_common.c: print_slabinfo_header, cache_show).
/// SLUB has no tunables.
///
/// # Errors
/// If writing fails.
pub fn write_slabinfo(out: &mut dyn Write, report: &SlabsReport) -> io::Result<()> {
    writeln!(out, "slabinfo - version: 2.1")?;
    writeln!(
        out,
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>"
    )?;
    for cache in &report.caches {
        let facts = &cache.facts;
        let view = &facts.slabinfo;
        writeln!(
            out,
            "{:<17} {:>6} {:>6} {:>6} {:>4} {:>4} : tunables {:>4} {:>4} {:>4} : slabdata {:>6} {:>6} {:>6}",
            printable(&facts.name),
            view.active_objs,
            view.num_objs,
            facts.size,
            facts.objects_per_slab,
            facts.pages_per_slab,
            0,
            0,
            0,
            view.active_slabs,
            view.num_slabs,
            0
        )?;
    }
    Ok(())
}

/// One row a cache, sizes in bytes.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, report: &SlabsReport) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "name",
        "address",
        "object_size",
        "size",
        "objects_per_slab",
        "pages_per_slab",
        "reclaimable",
        "slabs",
        "objects",
        "allocated",
        "free",
        "pending_free",
        "bytes",
        "allocated_bytes",
        "complete",
        "slabinfo_active_objs",
        "slabinfo_num_objs",
        "slabinfo_num_slabs",
        "verdict",
        "aliases",
    ])?;
    for cache in &report.caches {
        let (facts, exact, view) = (&cache.facts, &cache.facts.exact, &cache.facts.slabinfo);
        csv.write_record([
            printable(&facts.name),
            facts.address.to_string(),
            facts.object_size.to_string(),
            facts.size.to_string(),
            facts.objects_per_slab.to_string(),
            facts.pages_per_slab.to_string(),
            facts.reclaimable.to_string(),
            exact.slabs.to_string(),
            exact.objects.to_string(),
            exact.allocated.to_string(),
            exact.free.to_string(),
            exact.pending_free.to_string(),
            exact.bytes.to_string(),
            exact.allocated_bytes.to_string(),
            exact.complete.to_string(),
            view.active_objs.to_string(),
            view.num_objs.to_string(),
            view.num_slabs.to_string(),
            cache.verdict.level.word().to_owned(),
            printable(&facts.aliases.join(" ")),
        ])?;
    }
    csv.flush()
}
