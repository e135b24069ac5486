//! What stands above every text: which dump this is.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{printable, size, thousands};
use crate::diag::Severity;
use crate::report::{Document, DumpIdentity};
use crate::subsys::system::PanicTask;

/// The lines that say which dump this is.
pub(super) fn head<T>(out: &mut dyn Write, document: &Document<T>) -> io::Result<()> {
    let dump = &document.dump;
    let bold = Style::new().bold();
    write!(
        out,
        "{bold}{}{bold:#}",
        printable(dump.release.as_deref().unwrap_or("unknown kernel"))
    )?;
    if let Some(host) = host(dump) {
        write!(out, " on {}", printable(host))?;
    }
    if let Some(time) = &dump.crash_time {
        let what = if dump.is_live() {
            "running at"
        } else {
            "crashed"
        };
        write!(out, ", {what} {time}")?;
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
    writeln!(out, "{}", moment(dump))?;
    incomplete(out, document)
}

/// That the answer is not whole, and the first reason: who silenced the warnings sees it too.
fn incomplete<T>(out: &mut dyn Write, document: &Document<T>) -> io::Result<()> {
    if document.complete {
        return Ok(());
    }
    let losses = document
        .warnings
        .iter()
        .filter(|warning| warning.severity == Severity::Loss);
    let mut losses = losses.map(|warning| printable(&warning.message));
    let why = losses
        .next()
        .map_or(String::new(), |why| format!(": {why}"));
    let more = match losses.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let style = AnsiColor::Yellow.on_default();
    writeln!(out, "{style}incomplete{style:#}{why}{more}")
}

/// A machine that nobody gave a name (DEFAULT_HOSTNAME of the kernel).
const UNNAMED: &str = "(none)";

/// The machine's name, if it was given one.
pub(super) fn host(dump: &DumpIdentity) -> Option<&str> {
    dump.host.as_deref().filter(|host| *host != UNNAMED)
}

/// Who ran at the crash and how much there was to do.
pub(super) fn moment(dump: &DumpIdentity) -> String {
    let mut parts = Vec::new();
    if let Some(task) = &dump.panic_task {
        parts.push(format!("in {}", panic_task(task)));
    }
    if let Some(tasks) = dump.tasks {
        parts.push(format!("{} tasks", thousands(tasks)));
    }
    if let Some(averages) = dump.load {
        parts.push(format!("load {}", load(averages)));
    }
    parts.push(format!("dump {}", dump.id));
    parts.join(", ")
}

/// Who died, and where.
pub(super) fn panic_task(task: &PanicTask) -> String {
    let comm = printable(&task.comm);
    format!("{comm} (pid {}) on CPU {}", task.pid, task.cpu)
}

/// As `uptime` shows it.
pub(super) fn load([one, five, fifteen]: [f64; 3]) -> String {
    format!("{one:.2} {five:.2} {fifteen:.2}")
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
