//! kmemleak's own list: what the kernel itself found to be pointed to by nothing (mm/kmemleak.c).
//!
//! Layer: subsys. Input: `object_list`, one entry for everything allocated. Output:
//! [`KmemleakFacts`], those that kmemleak shows in its file, in its order, with how old its last
//! scan is. Invariants: nothing is judged anew, it is the kernel's finding as of that scan; an
//! entry that can't be read is counted, never guessed.

mod format;
mod list;
mod trace;

use serde::Serialize;

pub use self::format::{Form, Frames};

use self::list::KmemleakObjectLayout;
use self::trace::Traces;
use crate::addr::VirtAddr;
use crate::bytes::c_string;
use crate::kernel::cpus::Cpus;
use crate::kernel::symbolize::{Symbolized, Symbolizer};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

/// OBJECT_ALLOCATED, OBJECT_REPORTED, OBJECT_PHYS (6.0 and later), OBJECT_PERCPU (6.12 and later).
const ALLOCATED: u64 = 1 << 0;
const REPORTED: u64 = 1 << 1;
const PHYS: u64 = 1 << 4;
const PERCPU: u64 = 1 << 5;
/// KMEMLEAK_BLACK: to be ignored.
const BLACK: i32 = -1;
/// Shown of an object: two lines of 16.
const DUMPED: u64 = 32;

/// What sort of address an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// The kernel's memory.
    Virtual,
    /// Physical memory; its bytes are not shown.
    Physical,
    /// An offset into every CPU's own memory.
    Percpu,
}

/// An object that kmemleak says nothing points to.
#[derive(Clone, Debug, Serialize)]
pub struct Unreferenced {
    /// Where it lies.
    pub address: VirtAddr,
    /// Bytes.
    pub size: u64,
    /// What sort of address that is.
    pub kind: ObjectKind,
    /// Name of the task that allocated it, or `softirq`, `hardirq`.
    pub comm: String,
    /// Its number.
    pub pid: i32,
    /// When it was allocated.
    pub jiffies: u64,
    /// Seconds from then to the crash; `None` if the dump does not tell the kernel's clock.
    pub age_seconds: Option<f64>,
    /// kmemleak's checksum of its bytes at the last scan.
    pub checksum: Option<u32>,
    /// Its first bytes at the crash; `None` of physical memory, and if the dump lacks them.
    #[serde(serialize_with = "as_hex")]
    pub bytes: Option<Vec<u8>>,
    /// Who allocated it, by its place in [`KmemleakFacts::stacks`]; `None` if the trace is gone.
    pub stack: Option<usize>,
    /// Address of the `struct kmemleak_object`.
    pub entry: VirtAddr,
}

/// A function on the way to an allocation.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    /// Return address.
    pub address: VirtAddr,
    /// Its name, as the kernel prints it; `None` if it has none, as code of an unloaded module.
    pub symbol: Option<Symbolized>,
}

/// How kmemleak was doing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct KmemleakState {
    /// Whether it was watching; if not, what was freed since is still in its list.
    pub enabled: Option<bool>,
    /// Whether it gave up because of an error (out of memory for its own entries, for one).
    pub stopped_by_error: Option<bool>,
    /// Whether it ever scanned memory.
    pub scanned: Option<bool>,
    /// `jiffies_last_scan`: when the last scan began.
    pub last_scan_jiffies: Option<u64>,
    /// Seconds from then to the crash.
    pub last_scan_age_seconds: Option<f64>,
    /// How long before the scan an object has to be allocated to be shown.
    pub min_age_seconds: Option<f64>,
    /// Seconds between automatic scans; `None` if there are none.
    pub scan_interval_seconds: Option<f64>,
}

/// What is in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// Allocated objects that it watches over.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the last scan found no pointer to, but that kmemleak does not show: too young,
    /// or changed between two scans.
    pub suspected: u64,
    /// Objects allocated after the last scan: nothing is known of them.
    pub since_last_scan: u64,
}

/// What kmemleak knew.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KmemleakFacts {
    /// How it was doing.
    pub state: KmemleakState,
    /// All that it watches over.
    pub tracked: Tracked,
    /// What its file lists, in its order.
    pub unreferenced: Vec<Unreferenced>,
    /// Their stack traces, each once, innermost frame first.
    pub stacks: Vec<Vec<Frame>>,
    /// How this kernel prints them.
    pub form: Form,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads the list.
///
/// # Errors
/// If the kernel has no kmemleak, or its types don't describe it.
pub fn collect(kernel: &Kernel, names: &Symbolizer<'_>) -> Result<KmemleakFacts, KernelError> {
    if kernel.symbol("kmemleak_enabled").is_none() {
        return Err(kernel.lacks(
            "kmemleak_enabled",
            "this kernel has no kmemleak: it needs CONFIG_DEBUG_KMEMLEAK; vmleak leaks looks for unreachable objects in any dump",
        ));
    }
    let layout: KmemleakObjectLayout = kernel.layout()?;
    let clock = Clock::read(kernel)?;
    let entries = list::entries(kernel, &layout)?;
    let mut reader = ObjectReader {
        state: state(kernel, clock.as_ref()),
        cpu: Cpus::read(kernel)?,
        traces: Traces::new(kernel, names, &layout)?,
        min_age: kernel.u64_of("jiffies_min_age").value(),
        tracked: Tracked::default(),
        found: Vec::new(),
        unreadable: 0,
        without_bytes: 0,
        layout,
        clock,
        kernel,
    };
    for at in entries.value {
        if reader.read(at).is_none() {
            reader.unreadable += 1;
        }
    }
    let complete = reader.warn() && entries.end.is_complete() && names.is_complete();
    Ok(KmemleakFacts {
        state: reader.state,
        tracked: reader.tracked,
        unreferenced: reader.found,
        form: format::form(kernel),
        stacks: reader.traces.into_stacks(),
        complete,
    })
}

fn state(kernel: &Kernel, clock: Option<&Clock>) -> KmemleakState {
    let flag = |value: Option<u32>| value.map(|value| value != 0);
    let last = kernel.u64_of("jiffies_last_scan").value();
    let seconds = |ticks: u64| clock.map(|clock| seconds(clock, ticks));
    let interval = kernel.u64_of("jiffies_scan_wait").value();
    let scanned = last.map(|last| last != 0);
    KmemleakState {
        enabled: flag(kernel.u32_of("kmemleak_enabled").value()),
        stopped_by_error: flag(kernel.u32_of("kmemleak_error").value()),
        scanned,
        last_scan_jiffies: last.filter(|last| *last != 0),
        last_scan_age_seconds: match (last, clock) {
            (Some(last), Some(clock)) if last != 0 => {
                Some(self::seconds(clock, clock.jiffies.wrapping_sub(last)))
            }
            _ => None,
        },
        min_age_seconds: kernel.u64_of("jiffies_min_age").value().and_then(seconds),
        scan_interval_seconds: interval.filter(|wait| *wait != 0).and_then(seconds),
    }
}

/// Ticks in seconds, to the millisecond; 0 for what lies ahead.
fn seconds(clock: &Clock, ticks: u64) -> f64 {
    let ticks = ticks.cast_signed().max(0);
    (ticks as f64 * 1000.0 / clock.hz as f64).floor() / 1000.0
}

struct ObjectReader<'k> {
    kernel: &'k Kernel,
    layout: KmemleakObjectLayout,
    clock: Option<Clock>,
    cpu: Cpus,
    traces: Traces<'k>,
    state: KmemleakState,
    min_age: Option<u64>,
    tracked: Tracked,
    found: Vec<Unreferenced>,
    unreadable: u64,
    without_bytes: u64,
}

impl ObjectReader<'_> {
    /// `None` if the entry can't be read.
    fn read(&mut self, at: VirtAddr) -> Option<()> {
        let layout = &self.layout;
        // As a whole: a layout's length counts of arrays the first element alone.
        let record = self.kernel.space.read_bytes(at, layout.struct_size).ok()?;
        let flags = layout.flags.get(&record);
        if flags & ALLOCATED == 0 {
            return Some(());
        }
        let size = layout.size.get(&record);
        self.tracked.objects += 1;
        self.tracked.bytes = self.tracked.bytes.saturating_add(size);
        let signed = |value: u64| (value as u32).cast_signed();
        let (count, least) = (
            signed(layout.count.get(&record)),
            signed(layout.min_count.get(&record)),
        );
        let jiffies = layout.jiffies.get(&record);
        let last = self.state.last_scan_jiffies.unwrap_or(0);
        if self.state.scanned == Some(false) || is_before(last, jiffies) {
            self.tracked.since_last_scan += 1;
        }
        if count == BLACK || count >= least {
            return Some(());
        }
        let old = jiffies.wrapping_add(self.min_age.unwrap_or(0));
        // `unreferenced_object`: the same from 4.18 to 7.2.
        if flags & REPORTED == 0 || is_before(last, old) {
            self.tracked.suspected += u64::from(!is_before(last, jiffies));
            return Some(());
        }
        let kind = match flags {
            _ if flags & PHYS != 0 => ObjectKind::Physical,
            _ if flags & PERCPU != 0 => ObjectKind::Percpu,
            _ => ObjectKind::Virtual,
        };
        let address = VirtAddr(layout.pointer.get(&record));
        let bytes = self.bytes(kind, address, size);
        self.without_bytes += u64::from(bytes.is_none() && kind != ObjectKind::Physical);
        let clock = self.clock.as_ref();
        self.found.push(Unreferenced {
            address,
            size,
            kind,
            comm: layout.comm(&record).map(c_string)?,
            pid: signed(layout.pid.get(&record)),
            jiffies,
            age_seconds: clock.map(|c| seconds(c, c.jiffies.wrapping_sub(jiffies))),
            checksum: layout.checksum.map(|field| field.get(&record) as u32),
            bytes,
            stack: self.traces.place(layout, &record),
            entry: at,
        });
        Some(())
    }

    /// Its first bytes; of per-CPU memory, those of the first CPU.
    fn bytes(&self, kind: ObjectKind, address: VirtAddr, size: u64) -> Option<Vec<u8>> {
        let at = match kind {
            ObjectKind::Virtual => address,
            ObjectKind::Percpu => self.cpu.instances(address).next()?.1,
            ObjectKind::Physical => return None,
        };
        let len = size.min(DUMPED) as usize;
        self.kernel.space.read_bytes(at, len).ok()
    }

    /// Says what is missing; whether nothing is.
    fn warn(&self) -> bool {
        let losses = [
            (
                self.unreadable,
                "kmemleak-entry",
                "an entry of kmemleak's list can't be read and is left out",
            ),
            (
                self.without_bytes,
                "kmemleak-bytes",
                "the bytes of an object that kmemleak reports can't be read: it is shown without them",
            ),
            (
                self.traces.lost(),
                "kmemleak-trace",
                "a stack trace of kmemleak's can't be read: objects are shown without it",
            ),
        ];
        for (count, code, message) in losses {
            if count > 0 {
                self.kernel.diag.warn_many(
                    code,
                    format!("{message}; take the dump with kernel pages included"),
                    count,
                );
            }
        }
        losses.iter().all(|(count, ..)| *count == 0)
    }
}

/// Whether `one` is earlier than `other`, by the kernel's clock that may wrap around.
fn is_before(one: u64, other: u64) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

fn as_hex<S: serde::Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            serializer.serialize_str(&hex)
        }
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_seconds_to_the_millisecond() {
        let at = |hz, ticks| {
            let clock = Clock {
                jiffies: 0,
                hz,
                now: None,
            };
            seconds(&clock, ticks)
        };
        assert_eq!(at(250, 250), 1.0);
        assert_eq!(at(250, 1), 0.004);
        assert_eq!(at(300, 1), 0.003);
        assert_eq!(at(300, 200), 0.666);
        assert_eq!(at(1000, 123_456), 123.456);
        assert_eq!(at(250, 1u64.wrapping_neg()), 0.0);
    }
}
