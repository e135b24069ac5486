//! The kernel's log, as dmesg reads it: records with level, time and caller.
//!
//! Layer: subsys. Input: the ring of descriptors since 5.10, the plain buffer before.
//! Output: [`LogRecord`]s, oldest first. Invariants: a walk is bounded by what the ring can
//! hold; bytes that are no UTF-8 stand as `\xNN` in a text, control characters as they are
//! (whoever prints them must escape them).

mod buffer;
mod ring;

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::{Kernel, KernelError, Known};
use crate::partial::{End, Partial};

/// Who printed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A task, by its number.
    Task(u32),
    /// A CPU in an interrupt.
    Cpu(u32),
}

impl Caller {
    /// From `caller_id` (kernel/printk/printk.c).
    fn from_kernel(id: u32) -> Self {
        const CPU: u32 = 1 << 31;
        match id & CPU {
            0 => Self::Task(id),
            _ => Self::Cpu(id & !CPU),
        }
    }

    /// As the kernel prints it: `T1`, `C0`.
    pub fn name(self) -> String {
        match self {
            Self::Task(id) => format!("T{id}"),
            Self::Cpu(id) => format!("C{id}"),
        }
    }
}

/// One record of the log.
#[derive(Clone, Debug, Serialize)]
pub struct LogRecord {
    /// Its number since boot.
    pub seq: u64,
    /// Nanoseconds since boot.
    pub ts_nsec: u64,
    /// 0 (emerg) to 7 (debug).
    pub level: u8,
    /// 0 is the kernel; what programs wrote to /dev/kmsg has another.
    pub facility: u8,
    /// Who printed it; `None` before 5.1, or without CONFIG_PRINTK_CALLER before 5.10.
    pub caller: Option<Caller>,
    /// `SUBSYSTEM` of the device that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// `DEVICE` that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its text, which may have several lines.
    pub text: String,
    /// Where that lies, and how many bytes it is.
    #[serde(skip)]
    pub place: Option<(VirtAddr, usize)>,
}

/// All records, oldest first, and whether none is missing; that some are is warned of.
///
/// # Errors
/// If the kernel has a log, but its types don't describe it.
pub fn records(kernel: &Kernel) -> Result<(Vec<LogRecord>, bool), KernelError> {
    let found = walk(kernel)?;
    let complete = found.is_complete();
    if !complete {
        kernel.diag.warn(
            INCOMPLETE,
            format!(
                "the log {} after {} records, the others are missing: its memory is damaged or not in the dump; take the dump with kernel pages included",
                found.end.describe(),
                found.value.len()
            ),
        );
    }
    Ok((found.value, complete))
}

/// The records for who can do without them: what can't be read is warned of, whatever the reason.
pub fn records_if_any(kernel: &Kernel) -> (Vec<LogRecord>, bool) {
    records(kernel).unwrap_or_else(|error| {
        kernel
            .diag
            .warn(INCOMPLETE, format!("the log can't be read: {error}"));
        (Vec::new(), false)
    })
}

/// The code of the warning that records are missing.
const INCOMPLETE: &str = "log-incomplete";

fn walk(kernel: &Kernel) -> Result<Partial<Vec<LogRecord>>, KernelError> {
    match kernel.u64_of("prb") {
        Known::Value(ring) if ring != 0 => ring::records(kernel, ring),
        Known::Absent if kernel.symbol("log_first_idx").is_some() => buffer::records(kernel),
        _ => Ok(Partial::new(Vec::new(), End::Fault, 0)),
    }
}

/// Bytes of a record as text.
fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_tasks_or_cpus() {
        assert_eq!(Caller::from_kernel(1).name(), "T1");
        assert_eq!(Caller::from_kernel(0x8000_0003).name(), "C3");
    }

    #[test]
    fn what_is_no_text_is_spelled_out() {
        assert_eq!(text(b"ok \xc3\xa4 \xff\x1b"), "ok \u{e4} \\xff\u{1b}");
    }
}
