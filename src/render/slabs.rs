//! `slabs` as a table, CSV and /proc/slabinfo.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{percent, printable, size, thousands};
use crate::analysis::accounting::{Level, SlabTotals, Verdict, share};
use crate::analysis::families::Family;
use crate::report::{CacheReport, Document, SlabsReport};
use crate::subsys::mm::slab::ExactView;

/// The colour of a level.
pub(super) fn level_style(level: Level) -> Style {
    match level {
        Level::Leak => AnsiColor::Red.on_default().bold(),
        Level::Suspect => AnsiColor::Yellow.on_default().bold(),
        Level::Inconclusive => AnsiColor::Cyan.on_default(),
        Level::Clean => Style::new().dimmed(),
    }
}

/// The verdict's word and its first reason. Of what is small there is nothing to say but that
/// nothing was searched for.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let dimmed = Style::new().dimmed();
    if verdict.is_small() && verdict.level <= Level::Inconclusive {
        return format!("{dimmed}not searched{dimmed:#}");
    }
    let style = level_style(verdict.level);
    let word = verdict.level.word();
    match verdict.reasons.first() {
        Some(reason) => format!("{style}{word}{style:#}: {}", reason.message),
        None => format!("{style}{word}{style:#}"),
    }
}

/// How many objects are allocated, or from how many to how many if that is not certain.
pub(super) fn allocated(exact: &ExactView) -> String {
    if exact.allocated_min == exact.allocated_max {
        return thousands(exact.allocated);
    }
    format!(
        "{}..{}",
        thousands(exact.allocated_min),
        thousands(exact.allocated_max)
    )
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
    if facts.memcg_children > 0 {
        marks.push(format!("+{} memcg", facts.memcg_children));
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
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    let memory = report.totals.memory_bytes;
    head(out, document)?;
    write_totals(out, &report.totals)?;
    let mut rows = Table::new(header(), layout);
    let has_slabs = |cache: &&CacheReport| cache.facts.exact.slabs > 0;
    for cache in report.caches.iter().filter(|cache| all || has_slabs(cache)) {
        rows.add_row(row(cache, memory));
    }
    rows.write(out)?;
    let empty = report.caches.len() - report.caches.iter().filter(has_slabs).count();
    writeln!(
        out,
        "\nVerdicts are by size alone: unreachable objects were not searched for (vmleak leaks does)."
    )?;
    if empty > 0 && !all {
        writeln!(out, "{empty} caches without a slab not shown (--all)")?;
    }
    write_families(out, report, layout, all)
}

fn write_totals(out: &mut dyn Write, totals: &SlabTotals) -> io::Result<()> {
    let of_ram = match totals.memory_bytes {
        Some(_) => format!(
            " ({} of RAM)",
            percent(totals.unreclaimable_bytes, totals.memory_bytes)
        ),
        None => String::new(),
    };
    writeln!(
        out,
        "Slab {}: unreclaimable {}{of_ram}, reclaimable {}\n",
        size(totals.slab_bytes),
        size(totals.unreclaimable_bytes),
        size(totals.reclaimable_bytes),
    )
}

fn header() -> [Column; 11] {
    [
        Column::text("CACHE").shorten(28),
        Column::number("SIZE"),
        Column::number("RAM"),
        Column::number("ALLOCATED"),
        Column::number("OBJECTS").rank(5),
        Column::number("USED"),
        Column::number("OBJSIZE").rank(4),
        Column::number("SLABS").rank(6),
        Column::text("RECLAIM").rank(1),
        Column::text("NOTES").rank(3),
        Column::flow("VERDICT"),
    ]
}

fn used(exact: &ExactView) -> String {
    format!("{:.0}%", share(exact.allocated, exact.objects) * 100.0)
}

fn reclaimable(cache: &CacheReport) -> &'static str {
    if cache.facts.reclaimable { "yes" } else { "no" }
}

fn row(cache: &CacheReport, memory: Option<u64>) -> [String; 11] {
    let exact = &cache.facts.exact;
    [
        printable(&cache.facts.name),
        size(exact.bytes),
        percent(exact.bytes, memory),
        allocated(exact),
        thousands(exact.objects),
        used(exact),
        thousands(u64::from(cache.facts.object_size)),
        thousands(exact.slabs),
        reclaimable(cache).to_owned(),
        marks(cache),
        verdict(&cache.verdict),
    ]
}

/// A family below this share of the slab is left out of the table.
const SMALL_FAMILY: f64 = 0.01;

/// The kmalloc caches by size, largest first, where more than one cache makes up the sum.
fn write_families(
    out: &mut dyn Write,
    report: &SlabsReport,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let in_use = |family: &Family| {
        let of = |c: &&CacheReport| family.caches.contains(&c.facts.name);
        let caches = report.caches.iter().filter(of);
        caches.filter(|c| c.facts.exact.slabs > 0).count()
    };
    let mut shown: Vec<(&Family, usize)> = report
        .families
        .iter()
        .map(|family| (family, in_use(family)))
        .filter(|(family, caches)| {
            let small = share(family.exact.bytes, report.totals.slab_bytes) < SMALL_FAMILY;
            *caches > 1 && (all || !small)
        })
        .collect();
    if shown.is_empty() {
        return Ok(());
    }
    shown.sort_by_key(|(family, _)| std::cmp::Reverse(family.exact.bytes));
    let header = [
        Column::text("KMALLOC BY SIZE"),
        Column::number("SIZE"),
        Column::number("RAM"),
        Column::number("ALLOCATED"),
        Column::number("USED"),
        Column::number("CACHES"),
    ];
    let mut rows = Table::new(header, layout);
    for (family, caches) in shown {
        let exact = &family.exact;
        rows.add_row(vec![
            printable(&family.name),
            size(exact.bytes),
            percent(exact.bytes, report.totals.memory_bytes),
            allocated(exact),
            format!("{:.0}%", share(exact.allocated, exact.objects) * 100.0),
            caches.to_string(),
        ]);
    }
    writeln!(out)?;
    rows.write(out)
}

/// /proc/slabinfo 2.1 to the letter (mm/slab_common.c: print_slabinfo_header, cache_show).
/// Classic SLAB with CONFIG_DEBUG_SLAB adds statistics (mm/slab.c: slabinfo_show_stats).
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
        write!(
            out,
            "{:<17} {:>6} {:>6} {:>6} {:>4} {:>4} : tunables {:>4} {:>4} {:>4} : slabdata {:>6} {:>6} {:>6}",
            printable(&facts.name),
            view.active_objs,
            view.num_objs,
            facts.size,
            facts.objects_per_slab,
            facts.pages_per_slab,
            view.tunables.limit,
            view.tunables.batchcount,
            view.tunables.sharedfactor,
            view.active_slabs,
            view.num_slabs,
            view.shared_avail
        )?;
        if let Some(statistics) = &view.statistics {
            let [
                allocs,
                high,
                grown,
                reaped,
                errors,
                may_stay,
                allocated,
                freed,
                over,
            ] = statistics.globalstat;
            let [alloc_hit, alloc_miss, free_hit, free_miss] = statistics.cpustat;
            write!(
                out,
                " : globalstat {allocs:>7} {high:>6} {grown:>5} {reaped:>4} {errors:>4} {may_stay:>4} {allocated:>4} {freed:>4} {over:>4}"
            )?;
            write!(
                out,
                " : cpustat {alloc_hit:>6} {alloc_miss:>6} {free_hit:>6} {free_miss:>6}"
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// One row a cache, sizes in bytes.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<SlabsReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
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
        "allocated_min",
        "allocated_max",
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
            exact.allocated_min.to_string(),
            exact.allocated_max.to_string(),
        ])?;
    }
    csv.flush()
}
