//! `diff` as a table and CSV.

use std::io::{self, Write};

use super::head::{duration, head};
use super::layout::Layout;
use super::rows::Csv;
use super::series;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::analysis::growth::{Counts, Grown, View};
use crate::report::Document;
use crate::report::diff::{DiffReport, SampleIdentity};

/// For people: what grew most first; caches that stayed as they were are counted below.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<DiffReport>,
    layout: Layout,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    let identity = |sample: &SampleIdentity| {
        let mut text = printable(&sample.path);
        for more in [&sample.release, &sample.crash_time].into_iter().flatten() {
            text = format!("{text}, {}", printable(more));
        }
        text
    };
    // Of two boots neither is the same machine earlier.
    let (old, new) = match report.same_boot {
        Some(false) => ("first ", "second"),
        _ => ("older ", "newer "),
    };
    writeln!(out, "\n{old} {}", identity(&report.old))?;
    writeln!(out, "{new} {}", identity(&report.new))?;
    let growth = &report.growth;
    let by = i128::from(growth.new_bytes) - i128::from(growth.old_bytes);
    let between = report.seconds_between.filter(|seconds| *seconds > 0.0);
    writeln!(
        out,
        "Slab   {} -> {} ({}{}), {}",
        size(growth.old_bytes),
        size(growth.new_bytes),
        signed_size(i64::try_from(by).unwrap_or(i64::MAX)),
        match (report.same_boot, between) {
            (Some(false), _) => " between two boots".to_owned(),
            (_, Some(seconds)) => format!(" in {}", duration(seconds)),
            (_, None) => String::new(),
        },
        match report.compared {
            View::Exact => "objects in use by walking",
            View::Slabinfo => "objects active by /proc/slabinfo's count",
        }
    )?;
    if let Some(besides) = &report.besides {
        series::findings(out, besides, layout)?;
    }
    caches(out, report, layout, all)?;
    match &report.besides {
        Some(besides) => series::write_rest(out, besides, layout, all),
        None => Ok(()),
    }
}

fn caches(out: &mut dyn Write, report: &DiffReport, layout: Layout, all: bool) -> io::Result<()> {
    // Between two boots nothing grew.
    let change = match report.same_boot {
        Some(false) => "DIFFERENCE",
        _ => "GREW BY",
    };
    let header = [
        Column::text("CACHE").shorten(20),
        Column::number("SIZE"),
        Column::number(change),
        Column::number("OBJECTS"),
        Column::number(change),
        Column::flow("NOTE"),
    ];
    let mut rows = Table::new(header, layout);
    let mut same = 0;
    for cache in &report.growth.caches {
        if !all && cache.bytes == 0 && cache.objects == 0 {
            same += 1;
            continue;
        }
        let count = |what: fn(&Counts) -> u64| cache.new.as_ref().map_or(0, what);
        rows.add_row([
            printable(&cache.name),
            size(count(|counts| counts.bytes)),
            signed_size(cache.bytes),
            thousands(count(|counts| counts.objects)),
            signed(cache.objects, thousands),
            note(cache),
        ]);
    }
    if same < report.growth.caches.len() {
        writeln!(out)?;
        rows.write(out)?;
    }
    if same > 0 {
        writeln!(out, "\n{same} caches as they were not shown (--all)")?;
    }
    Ok(())
}

fn note(cache: &Grown) -> String {
    let mut note = match (&cache.old, &cache.new) {
        (None, _) => "new",
        (_, None) => "gone",
        _ => "",
    }
    .to_owned();
    if !cache.merged.is_empty() {
        let names = printable(&cache.merged.join(", "));
        note = format!("{note} with {names}, merged in one of them");
    }
    note.trim_start().to_owned()
}

fn signed_size(bytes: i64) -> String {
    signed(bytes, size)
}

/// With its sign; nothing is `0` without one.
fn signed(value: i64, text: impl Fn(u64) -> String) -> String {
    match value {
        0 => "0".to_owned(),
        1.. => format!("+{}", text(value.unsigned_abs())),
        _ => format!("-{}", text(value.unsigned_abs())),
    }
}

/// One row a cache; what a sample lacks is empty.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<DiffReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "name",
        "old_objects",
        "new_objects",
        "objects",
        "old_bytes",
        "new_bytes",
        "bytes",
    ])?;
    for cache in &report.growth.caches {
        let of = |counts: &Option<Counts>, what: fn(&Counts) -> u64| {
            counts
                .as_ref()
                .map_or(String::new(), |c| what(c).to_string())
        };
        csv.write_record([
            printable(&cache.name),
            of(&cache.old, |c| c.objects),
            of(&cache.new, |c| c.objects),
            cache.objects.to_string(),
            of(&cache.old, |c| c.bytes),
            of(&cache.new, |c| c.bytes),
            cache.bytes.to_string(),
        ])?;
    }
    csv.flush()
}
