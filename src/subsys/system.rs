//! What machine it was, when it died and of what.

use serde::Serialize;

use super::clock::Clock;
use super::log;
use crate::kernel::{Kernel, cpus};
use crate::space::boot::Fact;

/// Facts about the whole system.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SystemFacts {
    /// `uname -r`.
    pub release: Option<String>,
    /// Of vmlinux, hex; none before 5.9.
    pub build_id: Option<String>,
    /// Seconds since 1970.
    pub crash_time: Option<i64>,
    /// Seconds since boot.
    pub uptime_seconds: Option<f64>,
    /// The panic message, as the log has it.
    pub panic: Option<String>,
    /// CPUs present.
    pub nr_cpus: Option<usize>,
    /// RAM that the kernel managed: MemTotal of /proc/meminfo, in bytes.
    pub memory_bytes: Option<u64>,
}

impl SystemFacts {
    /// When it died, RFC 3339, UTC.
    pub fn crash_time_text(&self) -> Option<String> {
        let time = jiff::Timestamp::from_second(self.crash_time?).ok()?;
        Some(time.to_string())
    }
}

/// Reads what there is; what the dump lacks is `None`.
pub fn collect(kernel: &Kernel) -> SystemFacts {
    let info = kernel.vmcoreinfo();
    let boot = kernel.space.boot();
    let fact = |fact: &Option<Fact<String>>| fact.as_ref().map(|fact| fact.value.clone());
    let page_size = kernel.dump().page_size() as u64;
    SystemFacts {
        release: fact(&boot.release),
        build_id: fact(&boot.build_id),
        crash_time: info.crash_time(),
        uptime_seconds: Clock::read(kernel).ok().flatten().and_then(|c| c.uptime()),
        panic: panic_message(kernel),
        nr_cpus: cpus::mask(kernel, "__cpu_present_mask")
            .ok()
            .map(|cpus| cpus.len()),
        // `totalram_pages` before 5.0.
        memory_bytes: kernel
            .read_u64_symbol("_totalram_pages")
            .or_else(|| kernel.read_u64_symbol("totalram_pages"))
            .map(|pages| pages.saturating_mul(page_size)),
    }
}

/// The last line of the log that says why: panic() prints "Kernel panic - not syncing: …", an
/// oops that does not panic starts with "BUG:" or "Oops".
fn panic_message(kernel: &Kernel) -> Option<String> {
    let records = log::records(kernel).ok()?.value;
    let line_with = |marks: &[&str]| {
        records
            .iter()
            .rev()
            .flat_map(|record| record.text.lines())
            .find(|line| marks.iter().any(|mark| line.starts_with(mark)))
            .map(str::to_owned)
    };
    line_with(&["Kernel panic"]).or_else(|| line_with(&["BUG:", "Oops", "general protection"]))
}
