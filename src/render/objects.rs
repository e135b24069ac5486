//! `objects` as a table with or without hexdump, as bare addresses, as a script for
//! crash, as CSV.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::rows::Csv;
use super::{printable, thousands};
use crate::addr::VirtAddr;
use crate::report::{Document, ObjectsReport};
use crate::subsys::mm::slab::objects::ObjectState;

/// Reads an object's bytes for the hexdump; `Err` is the reason in words.
pub type ReadObject<'a> = &'a dyn Fn(VirtAddr, usize) -> Result<Vec<u8>, String>;

fn style(state: ObjectState) -> Style {
    match state {
        ObjectState::Allocated => Style::new(),
        ObjectState::Free => Style::new().dimmed(),
        ObjectState::PendingFree => AnsiColor::Cyan.on_default(),
        ObjectState::Unknown => AnsiColor::Yellow.on_default(),
    }
}

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<ObjectsReport>,
    hexdump: Option<ReadObject<'_>>,
) -> io::Result<()> {
    let report = &document.body;
    let counts = &report.counts;
    head(out, document)?;
    write!(
        out,
        "\n{}: {} allocated, {} free",
        printable(&report.cache),
        thousands(counts.allocated),
        thousands(counts.free)
    )?;
    if counts.pending_free > 0 {
        write!(out, ", {} pending free", thousands(counts.pending_free))?;
    }
    if counts.unknown > 0 {
        write!(out, ", {} unknown", thousands(counts.unknown))?;
    }
    writeln!(out, "; {} B each", report.object_size)?;
    let listed = report.objects.len() as u64;
    let what = match report.chosen {
        Some("unreachable") => " are unreachable",
        Some(_) => " are of this cluster",
        None => " are asked for",
    };
    let Some(matching) = report.matching else {
        return writeln!(
            out,
            "which of them{what} is not known: the search did not see all memory"
        );
    };
    if report.chosen.is_some() || listed < matching {
        write!(out, "{}{what}", thousands(matching))?;
        match listed < matching {
            true => writeln!(out, "; the first {} are listed", thousands(listed))?,
            false => writeln!(out)?,
        }
    }
    writeln!(out)?;
    if let Some(read) = hexdump {
        return write_hexdumps(out, report, read);
    }
    // All but the index have a fixed width; a table that measures them would hold them all.
    writeln!(
        out,
        "{:<18}  {:<12}  {:<18}  {:>5}  CPU",
        "ADDRESS", "STATE", "SLAB", "INDEX"
    )?;
    for object in &report.objects {
        let style = style(object.state);
        write!(
            out,
            "{}  {style}{:<12}{style:#}  {}  {:>5}",
            object.address,
            object.state.describe(),
            object.slab,
            object.index
        )?;
        match object.cpu {
            Some(cpu) => writeln!(out, "  {cpu}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn write_hexdumps(
    out: &mut dyn Write,
    report: &ObjectsReport,
    read: ReadObject<'_>,
) -> io::Result<()> {
    for object in &report.objects {
        let style = style(object.state);
        writeln!(
            out,
            "{style}{} {}{style:#}",
            object.address,
            object.state.describe()
        )?;
        match read(object.address, report.object_size as usize) {
            Ok(bytes) => hexdump(out, &bytes)?,
            Err(why) => writeln!(out, "  {why}")?,
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Offset, sixteen bytes as two words in memory order, and the printable ones of them.
fn hexdump(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk
            .chunks(8)
            .map(|word| word.iter().map(|b| format!("{b:02x} ")).collect())
            .collect();
        let text: String = chunk
            .iter()
            .map(|b| {
                if (0x20..0x7f).contains(b) {
                    char::from(*b)
                } else {
                    '.'
                }
            })
            .collect();
        writeln!(out, "  {:04x}  {:<50} {text}", line * 16, hex.join(" "))?;
    }
    Ok(())
}

/// One bare address a line, as crash and drgn take them.
///
/// # Errors
/// If writing fails.
pub fn write_addrs(out: &mut dyn Write, report: &ObjectsReport) -> io::Result<()> {
    for object in &report.objects {
        writeln!(out, "{:016x}", object.address.0)?;
    }
    Ok(())
}

/// A command file for crash (`crash> < FILE`).
///
/// # Errors
/// If writing fails.
pub fn write_crash(out: &mut dyn Write, report: &ObjectsReport) -> io::Result<()> {
    writeln!(
        out,
        "# {} objects of {}",
        report.objects.len(),
        printable(&report.cache)
    )?;
    for object in &report.objects {
        writeln!(out, "# {}", object.state.describe())?;
        writeln!(out, "kmem -s {:x}", object.address.0)?;
        writeln!(
            out,
            "rd {:x} {}",
            object.address.0,
            report.object_size.div_ceil(8)
        )?;
    }
    Ok(())
}

/// One row an object.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<ObjectsReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["address", "state", "slab", "index", "cpu"])?;
    for object in &report.objects {
        csv.write_record([
            object.address.to_string(),
            // As in JSON: one word.
            object.state.describe().replace(' ', "_"),
            object.slab.to_string(),
            object.index.to_string(),
            object.cpu.map_or(String::new(), |cpu| cpu.to_string()),
        ])?;
    }
    csv.flush()
}
