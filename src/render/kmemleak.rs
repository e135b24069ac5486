//! `kmemleak` by stack trace, as CSV, and as the kernel's own file.

use std::io::{self, Write};

use super::head::{duration, head};
use super::rows::Csv;
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::kmemleak::KmemleakReport;
use crate::subsys::mm::kmemleak::{Form, Frame, Frames, KmemleakState, ObjectKind, Unreferenced};

/// Of groups, so many are shown.
const SHOWN: usize = 25;
/// Bytes in a line of a dump (HEX_ROW_SIZE).
const ROW: usize = 16;

/// For people: who allocated what was lost. All groups with `all`, else the largest.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<KmemleakReport>,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    write_state(out, &report.state)?;
    let tracked = &report.tracked;
    writeln!(
        out,
        "watches over {} objects, {}; {} were allocated after the last scan, {} more are suspected",
        thousands(tracked.objects),
        size(tracked.bytes),
        thousands(tracked.since_last_scan),
        thousands(tracked.suspected),
    )?;
    writeln!(
        out,
        "reports {} objects, {}, allocated on {} ways",
        thousands(report.totals.objects),
        size(report.totals.bytes),
        thousands(report.stacks.len() as u64),
    )?;
    let shown = if all { usize::MAX } else { SHOWN };
    for group in report.stacks.iter().take(shown) {
        writeln!(
            out,
            "\n{} objects, {}, first by {}",
            thousands(group.objects),
            size(group.bytes),
            printable(&group.comm)
        )?;
        for frame in &group.frames {
            writeln!(out, "    {}", symbol(frame))?;
        }
        if group.frames.is_empty() {
            writeln!(out, "    (no stack trace)")?;
        }
    }
    if let Some(more) = report
        .stacks
        .len()
        .checked_sub(shown)
        .filter(|more| *more > 0)
    {
        writeln!(
            out,
            "\n{} more ways (--all shows them)",
            thousands(more as u64)
        )?;
    }
    Ok(())
}

fn write_state(out: &mut dyn Write, state: &KmemleakState) -> io::Result<()> {
    let what = match (state.enabled, state.stopped_by_error) {
        (_, Some(true)) => "stopped by an error of its own: what was freed since is still listed",
        (Some(false), _) => "was off: what was freed since is still listed",
        (Some(true), _) => "was on",
        (None, _) => "may have been on: the dump does not tell",
    };
    writeln!(out, "kmemleak {what}")?;
    match (state.scanned, state.last_scan_age_seconds) {
        (Some(false), _) => writeln!(out, "it never scanned memory: nothing is known"),
        (_, Some(age)) => {
            write!(out, "its last scan was {} before the crash", duration(age))?;
            if let Some(least) = state.min_age_seconds {
                write!(out, ", of objects older than {}", duration(least))?;
            }
            writeln!(out)
        }
        _ => writeln!(out, "when its last scan was is not known"),
    }
}

fn symbol(frame: &Frame) -> String {
    match &frame.symbol {
        Some(symbol) => printable(&symbol.to_string()),
        None => format!("{:#x}", frame.address.0),
    }
}

/// The file /sys/kernel/debug/kmemleak to the letter (mm/kmemleak.c).
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &KmemleakReport) -> io::Result<()> {
    let none = Vec::new();
    for object in &report.unreferenced {
        let group = object.stack.and_then(|place| report.stacks.get(place));
        let frames = group.map_or(&none, |group| &group.frames);
        write_object(out, object, frames, &report.form)?;
    }
    Ok(())
}

fn write_object(
    out: &mut dyn Write,
    object: &Unreferenced,
    frames: &[Frame],
    form: &Form,
) -> io::Result<()> {
    let kind = match object.kind {
        ObjectKind::Physical if form.kind => " (phys)",
        ObjectKind::Percpu if form.kind => " (percpu)",
        _ => "",
    };
    writeln!(
        out,
        "unreferenced object{kind} 0x{:08x} (size {}):",
        object.address.0, object.size
    )?;
    write!(
        out,
        "  comm \"{}\", pid {}, jiffies {}",
        printable(&object.comm),
        object.pid,
        object.jiffies
    )?;
    match object.age_seconds {
        Some(age) if form.age => writeln!(out, " (age {age:.3}s)")?,
        _ => writeln!(out)?,
    }
    if let Some(bytes) = &object.bytes {
        let cpu = match object.kind {
            ObjectKind::Percpu => " on cpu 0",
            _ => "",
        };
        writeln!(out, "  hex dump (first {} bytes{cpu}):", bytes.len())?;
        bytes
            .chunks(ROW)
            .try_for_each(|row| writeln!(out, "    {}", hex_line(row)))?;
    }
    match object.checksum {
        Some(crc) if form.checksum => writeln!(out, "  backtrace (crc {crc:x}):")?,
        _ => writeln!(out, "  backtrace:")?,
    }
    frames.iter().try_for_each(|frame| match form.frames {
        Frames::Bare => writeln!(out, "    {}", symbol(frame)),
        Frames::Hashed(pointers) => {
            let address = pointers.print(frame.address);
            writeln!(out, "    [<{address}>] {}", symbol(frame))
        }
    })
}

/// `hex_dump_to_buffer` (lib/hexdump.c) of single bytes, with their characters.
fn hex_line(row: &[u8]) -> String {
    let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = row.iter().map(|byte| match byte {
        0x20..=0x7e => char::from(*byte),
        _ => '.',
    });
    let width = ROW * 3 + 1;
    format!("{:width$}{}", hex.join(" "), text.collect::<String>())
}

/// One row an object.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<KmemleakReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "address", "size", "kind", "comm", "pid", "jiffies", "age", "checksum", "stack", "trace",
    ])?;
    for object in &report.unreferenced {
        let group = object.stack.and_then(|place| report.stacks.get(place));
        let frames = group.map_or(Vec::new(), |g| g.frames.iter().map(symbol).collect());
        csv.write_record([
            object.address.to_string(),
            object.size.to_string(),
            match object.kind {
                ObjectKind::Virtual => "virtual",
                ObjectKind::Physical => "physical",
                ObjectKind::Percpu => "percpu",
            }
            .to_owned(),
            printable(&object.comm),
            object.pid.to_string(),
            object.jiffies.to_string(),
            object.age_seconds.map_or(String::new(), |n| n.to_string()),
            object
                .checksum
                .map_or(String::new(), |n| format!("{n:08x}")),
            object.stack.map_or(String::new(), |n| n.to_string()),
            frames.join(" < "),
        ])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;
    use crate::kernel::pointers::Pointers;

    fn object() -> Unreferenced {
        Unreferenced {
            address: VirtAddr(0xffff_8880_0123_4560),
            size: 4,
            kind: ObjectKind::Percpu,
            comm: "insmod".to_owned(),
            pid: 143,
            jiffies: 4_294_893_990,
            age_seconds: Some(12.5),
            checksum: Some(0xbeef),
            bytes: Some(vec![0x41, 0, 0xff, 0x7f]),
            stack: None,
            entry: VirtAddr(0),
        }
    }

    fn printed(form: &Form) -> String {
        let frames = [Frame {
            address: VirtAddr(0xffff_ffff_8110_0000),
            symbol: None,
        }];
        let mut out = Vec::new();
        write_object(&mut out, &object(), &frames, form).expect("a Vec takes it");
        String::from_utf8(out).expect("UTF-8")
    }

    /// As mm/kmemleak.c of 5.10 and of 6.18 has them.
    #[test]
    fn objects_are_printed_in_the_kernels_form() {
        let old = Form {
            kind: false,
            age: true,
            checksum: false,
            frames: Frames::Hashed(Pointers::Unknown),
        };
        let wanted = "\
unreferenced object 0xffff888001234560 (size 4):
  comm \"insmod\", pid 143, jiffies 4294893990 (age 12.500s)
  hex dump (first 4 bytes on cpu 0):
    41 00 ff 7f                                      A...
  backtrace:
    [<(____ptrval____)>] 0xffffffff81100000
";
        assert_eq!(printed(&old), wanted);
        let new = Form {
            kind: true,
            age: false,
            checksum: true,
            frames: Frames::Bare,
        };
        let wanted = "\
unreferenced object (percpu) 0xffff888001234560 (size 4):
  comm \"insmod\", pid 143, jiffies 4294893990
  hex dump (first 4 bytes on cpu 0):
    41 00 ff 7f                                      A...
  backtrace (crc beef):
    0xffffffff81100000
";
        assert_eq!(printed(&new), wanted);
    }

    #[test]
    fn lines_of_a_dump_are_the_kernels() {
        let line = hex_line(b"leaky-buf-000000");
        let wanted = "6c 65 61 6b 79 2d 62 75 66 2d 30 30 30 30 30 30  leaky-buf-000000";
        assert_eq!(line, wanted);
        let short = hex_line(&[0x41, 0x00, 0xff, 0x7f]);
        assert_eq!(short, format!("41 00 ff 7f{}A...", " ".repeat(38)));
    }
}
