//! `info` as text.

use std::io::{self, Write};

use super::head::{duration, load, panic_task};
use super::layout::Layout;
use super::table::{Column, Table, pairs};
use super::{percent, printable, size, thousands};
use crate::kernel::layout::LayoutInfo;
use crate::kernel::shapes::{Era, Release};
use crate::report::{Document, InfoReport};

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<InfoReport>,
    layout: Layout,
) -> io::Result<()> {
    let (dump, body) = (&document.dump, &document.body);
    let held = &body.coverage;
    let mut rows = pairs("DUMP", &printable(&dump.path), layout);
    let mut row = |name: &str, value: Option<String>| {
        rows.add_row([name, value.as_deref().unwrap_or("unknown")]);
    };
    row("id", Some(dump.id.clone()));
    row("host", dump.host.as_deref().map(printable));
    row("kernel", dump.release.as_deref().map(printable));
    row("build-id", dump.build_id.as_deref().map(printable));
    row("crashed", dump.crash_time.clone());
    row("uptime", dump.uptime_seconds.map(duration));
    row("panic", dump.panic.as_deref().map(printable));
    row("panic task", dump.panic_task.as_ref().map(panic_task));
    row("tasks", dump.tasks.map(thousands));
    row("load", dump.load.map(load));
    row("CPUs", dump.nr_cpus.map(|cpus| cpus.to_string()));
    row("memory", dump.memory_bytes.map(size));
    row("format", Some(held.format.clone()));
    if let Some(level) = dump.dump_level {
        row(
            "dump level",
            Some(format!("{level}: {}", level_in_words(level))),
        );
    }
    let held_bytes = held.dumped_pages.saturating_mul(held.page_size.into());
    let ram_bytes = held.ram_pages.saturating_mul(held.page_size.into());
    row(
        "holds",
        Some(format!(
            "{} of {} ({})",
            size(held_bytes),
            size(ram_bytes),
            percent(held_bytes, Some(ram_bytes))
        )),
    );
    if held.incomplete {
        row(
            "lacks",
            Some(format!(
                "{} pages ({}): {}",
                thousands(held.missing_pages),
                size(held.missing_pages.saturating_mul(held.page_size.into())),
                match held.pages_of_absent_parts {
                    0 => "the file is incomplete",
                    _ => "not all parts of the split set are given",
                }
            )),
        );
    }
    // Any kdump's note says it: what is else is worth a line.
    if dump.boot_facts_from != "vmcoreinfo" {
        row("found by", Some(dump.boot_facts_from.to_owned()));
    }
    row("types from", Some(dump.types_from.to_owned()));
    row("symbols from", Some(dump.symbols_from.to_owned()));
    row("translation", Some(body.translation.clone()));
    row("slab allocator", Some(body.slab_allocator.to_owned()));
    rows.write(out)?;
    write_shapes(out, body, layout)?;
    for layout in body.layouts.iter().flatten() {
        writeln!(out)?;
        write_layout(out, layout)?;
    }
    Ok(())
}

/// What was recognised, and what can't be had.
fn write_shapes(out: &mut dyn Write, body: &InfoReport, layout: Layout) -> io::Result<()> {
    let columns = [
        Column::text("PART"),
        Column::text("THIS KERNEL'S"),
        Column::text("UPSTREAM"),
    ];
    let mut rows = Table::new(columns, layout);
    for shape in &body.shapes {
        let upstream = releases(shape.since, shape.until);
        rows.add_row([shape.part, shape.shape, &upstream]);
    }
    let era = match body.era {
        Era::Upstream { since, until } => ("of one release", releases(since, until)),
        Era::Backports { newest, oldest } => (
            "of several: with backports",
            format!(
                "{} beside {}",
                releases(Some(newest), None),
                releases(None, Some(oldest))
            ),
        ),
    };
    rows.add_row(["all together", era.0, &era.1]);
    for cannot in &body.cannot {
        rows.add_row([cannot.command, cannot.reason, "nothing to show"]);
    }
    writeln!(out)?;
    rows.write(out)
}

fn releases(since: Option<Release>, until: Option<Release>) -> String {
    let name = |(major, minor): Release| format!("{major}.{minor}");
    match (since, until) {
        (Some(since), Some(until)) if since == until => name(since),
        (Some(since), Some(until)) => format!("{} to {}", name(since), name(until)),
        (Some(since), None) => format!("{} and later", name(since)),
        (None, Some(until)) => format!("up to {}", name(until)),
        (None, None) => "any".to_owned(),
    }
}

fn write_layout(out: &mut dyn Write, layout: &LayoutInfo) -> io::Result<()> {
    writeln!(out, "struct {} ({} bytes)", layout.structure, layout.size)?;
    for member in &layout.members {
        match (member.offset, member.size) {
            (Some(offset), Some(bytes)) => {
                writeln!(out, "  {offset:>6}  {bytes:>5}  {}", member.name)?;
            }
            _ => writeln!(out, "       -      -  {} (not in this kernel)", member.name)?,
        }
    }
    Ok(())
}

/// makedumpfile's -d bits.
fn level_in_words(level: u32) -> String {
    const BITS: [(u32, &str); 5] = [
        (1, "zero"),
        (2, "non-private cache"),
        (4, "private cache"),
        (8, "user"),
        (16, "free"),
    ];
    let left_out: Vec<&str> = BITS
        .into_iter()
        .filter(|(bit, _)| level & bit != 0)
        .map(|(_, name)| name)
        .collect();
    if left_out.is_empty() {
        "nothing left out".to_owned()
    } else {
        format!("{} pages left out", left_out.join(", "))
    }
}
