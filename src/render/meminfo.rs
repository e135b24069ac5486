//! `meminfo` as text: /proc/meminfo, and what `free` and the sum of it say.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::{percent, size, thousands};
use crate::analysis::memory::{Accounting, FreeSummary};
use crate::report::Document;
use crate::report::meminfo::{MeminfoLine, MeminfoReport};

/// Labels are padded to this, numbers to [`NUMBER`].
const LABEL: usize = 16;
const NUMBER: usize = 8;

/// /proc/meminfo to the letter.
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &MeminfoReport) -> io::Result<()> {
    report
        .meminfo
        .iter()
        .try_for_each(|line| writeln!(out, "{}", proc_line(line)))
}

/// A label longer than its column takes from the number's; counts are three narrower.
fn proc_line(line: &MeminfoLine) -> String {
    let label = format!("{}:", line.name);
    let label = match line.unit {
        Some(_) => format!("{label:<LABEL$}"),
        None => format!("{label:<19}"),
    };
    match line.unit {
        Some(unit) => {
            // HardwareCorrupted: a blank and five digits.
            let (label, width) = match label.len() > LABEL {
                true => (format!("{label} "), 5),
                false => (label, NUMBER),
            };
            format!("{label}{:>width$} {unit}", line.value)
        }
        None => format!("{label}{:>5}", line.value),
    }
}

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<MeminfoReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    if let Some(free) = &report.free {
        writeln!(out)?;
        write_free(out, free)?;
    }
    match &report.accounting {
        Some(accounting) => {
            writeln!(out)?;
            write_accounting(out, accounting, layout)?;
            let large = report.large_kmalloc.as_ref();
            if let Some(note) = large.and_then(|large| large.note.as_ref()) {
                writeln!(out, "Large kmalloc: {note}")?;
            }
        }
        None => writeln!(
            out,
            "\nWhere the memory went can't be added up: a counter is missing"
        )?,
    }
    writeln!(out)?;
    let header = [
        Column::text("/PROC/MEMINFO"),
        Column::number("KB"),
        Column::number("SIZE"),
    ];
    let mut rows = Table::new(header, layout);
    for line in &report.meminfo {
        rows.add_row([
            line.name.to_owned(),
            thousands(line.value),
            line.unit
                .map_or(String::new(), |_| size(line.value.saturating_mul(1024))),
        ]);
    }
    rows.write(out)
}

/// As `free` prints it, in KiB.
fn write_free(out: &mut dyn Write, free: &FreeSummary) -> io::Result<()> {
    writeln!(
        out,
        "{:<6}{:>13}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "total", "used", "free", "shared", "buff/cache", "available"
    )?;
    let kib = |bytes: u64| bytes / 1024;
    writeln!(
        out,
        "{:<6}{:>13}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "Mem:",
        kib(free.total),
        kib(free.used),
        kib(free.free),
        kib(free.shared),
        kib(free.buff_cache),
        kib(free.available)
    )?;
    writeln!(
        out,
        "{:<6}{:>13}{:>12}{:>12}",
        "Swap:",
        kib(free.swap_total),
        kib(free.swap_used),
        kib(free.swap_free)
    )
}

fn write_accounting(
    out: &mut dyn Write,
    accounting: &Accounting,
    layout: Layout,
) -> io::Result<()> {
    let header = [
        Column::text("WHERE IT WENT"),
        Column::number("SIZE"),
        Column::number("OF ALL"),
    ];
    let mut rows = Table::new(header, layout);
    let total = accounting.total_bytes;
    for part in accounting.parts.iter().filter(|part| part.bytes > 0) {
        let share = percent(part.bytes, Some(total));
        rows.add_row([part.name.to_owned(), size(part.bytes), share]);
    }
    let rest = accounting.unexplained_bytes.unsigned_abs();
    let sign = if accounting.unexplained_bytes < 0 {
        "-"
    } else {
        ""
    };
    rows.add_row([
        "what no counter explains".to_owned(),
        format!("{sign}{}", size(rest)),
        format!("{sign}{}", percent(rest, Some(total))),
    ]);
    rows.write(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_the_kernels() {
        let line = |name, value, unit| proc_line(&MeminfoLine { name, value, unit });
        let kb = Some("kB");
        assert_eq!(line("MemTotal", 799_372, kb), "MemTotal:         799372 kB");
        assert_eq!(line("Inactive(anon)", 1, kb), "Inactive(anon):        1 kB");
        assert_eq!(
            line("VmallocTotal", 34_359_738_367, kb),
            "VmallocTotal:   34359738367 kB"
        );
        assert_eq!(
            line("HardwareCorrupted", 0, kb),
            "HardwareCorrupted:     0 kB"
        );
        assert_eq!(line("HugePages_Total", 0, None), "HugePages_Total:       0");
    }
}
