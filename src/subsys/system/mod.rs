//! What machine it was, when it died and of what.

mod cannot;
mod crashed;

use crate::addr::VirtAddr;
use std::hash::Hasher;

use serde::Serialize;
use siphasher::sip::SipHasher13;

use super::clock::Clock;
use super::log;
use crate::bytes;
use crate::kernel::{Kernel, cpus};
use crate::space::boot::Fact;
pub use cannot::{Cannot, cannot};
use crashed::told;
pub use crashed::{PanicTask, RunningTask};
pub(super) use crashed::{panic_task_address, running_on, task_named};

/// Facts about the whole system.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SystemFacts {
    /// The same for each copy and form of one dump, and for no other dump: 16 hex digits over
    /// build-id, time of the crash and VMCOREINFO.
    pub id: String,
    /// `uname -n` in the initial namespace; `(none)` where nobody named the machine.
    pub host: Option<String>,
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
    /// The task that it died in.
    pub panic_task: Option<PanicTask>,
    /// Threads of all processes, as /proc/loadavg counts them.
    pub tasks: Option<u64>,
    /// Over 1, 5 and 15 minutes, as /proc/loadavg shows them.
    pub load: Option<[f64; 3]>,
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
        id: dump_id(kernel),
        host: host(kernel),
        panic_task: crashed::panic_task(kernel),
        tasks: told(kernel, "nr_threads")
            .and_then(|at| kernel.space.read_u32(at).ok())
            .map(u64::from),
        load: load(kernel),
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
            .u64_of("_totalram_pages")
            .or_else(|| kernel.u64_of("totalram_pages"))
            .value()
            .map(|pages| pages.saturating_mul(page_size)),
    }
}

fn dump_id(kernel: &Kernel) -> String {
    let info = kernel.vmcoreinfo();
    // Its keys are fixed: the next version of vmleak gives the same id.
    let mut hasher = SipHasher13::new();
    hasher.write(info.build_id().unwrap_or_default().as_bytes());
    hasher.write(&info.crash_time().unwrap_or_default().to_le_bytes());
    hasher.write(info.text().as_bytes());
    format!("{:016x}", hasher.finish())
}

/// Of a field of `struct new_utsname`, which user space has by heart.
const UTS_FIELD: u64 = 65;

/// `init_uts_ns.name.nodename`, and where it lies. Where the name lies in the namespace is in VMCOREINFO since 5.11
/// (commit ca4a9241cc5e); before, it was behind a reference count. It is right if it has the
/// kernel's release.
pub fn host_at(kernel: &Kernel) -> Option<(VirtAddr, String)> {
    let info = kernel.vmcoreinfo();
    let namespace = info
        .symbol("init_uts_ns")
        .or_else(|| told(kernel, "init_uts_ns"))?;
    let stated = info.get("OFFSET(uts_namespace.name)");
    let stated = stated.and_then(|offset| offset.parse().ok());
    let field = |offset: u64, number: u64| {
        let at = namespace.plus(offset + number * UTS_FIELD);
        let field = kernel.space.read_bytes(at, UTS_FIELD as usize).ok()?;
        Some(bytes::c_string(&field))
    };
    let offset = [stated, Some(0), Some(4)]
        .into_iter()
        .flatten()
        .find(|offset| field(*offset, 2).as_deref() == info.release())?;
    let name = field(offset, 1).filter(|name| !name.is_empty())?;
    Some((namespace.plus(offset + UTS_FIELD), name))
}

/// `uname -v`.
pub fn version(kernel: &Kernel) -> Option<String> {
    let (name, _) = host_at(kernel)?;
    let at = name.plus(2 * UTS_FIELD);
    let text = kernel.space.read_c_string(at, UTS_FIELD as usize).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// The machine's name.
pub fn host(kernel: &Kernel) -> Option<String> {
    host_at(kernel).map(|(_, name)| name)
}

/// `avenrun` is in 2048ths; rounded as fs/proc/loadavg.c rounds.
fn load(kernel: &Kernel) -> Option<[f64; 3]> {
    const ONE: u64 = 1 << 11;
    let all = kernel.space.read_bytes(told(kernel, "avenrun")?, 24).ok()?;
    let average = |index: usize| {
        let value = bytes::u64_at(&all, index * 8)?.checked_add(ONE / 200)?;
        Some((value.checked_mul(100)? / ONE) as f64 / 100.0)
    };
    Some([average(0)?, average(1)?, average(2)?])
}

/// The last line of the log that says why: panic() prints "Kernel panic - not syncing: …", an
/// oops that does not panic starts with "BUG:" or "Oops".
fn panic_message(kernel: &Kernel) -> Option<String> {
    let (records, _) = log::records_if_any(kernel);
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
