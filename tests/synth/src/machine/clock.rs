//! What time it was: the timekeeper, and on newer kernels the length of a tick.

use super::identity::{CRASHTIME, TICK_NSEC};
use super::kernel::Kernel;

/// `tk_read_base.shift`.
const SHIFT: u64 = 24;

/// Lays the clock of the crash: half a second past `CRASHTIME`.
pub(super) fn lay(kernel: &mut Kernel) {
    let start = if kernel.image.has("tk_core") {
        // A struct without a tag: a sequence count, then the timekeeper.
        kernel.symbol("tk_core") + 8
    } else if kernel.image.has("timekeeper_data") {
        let offset = kernel.types.offset("tk_data", "timekeeper");
        kernel.symbol("timekeeper_data") + offset
    } else {
        return;
    };
    let uptime = super::identity::JIFFIES.wrapping_sub(0xffff_ffff - 75_000) * TICK_NSEC;
    let mono = uptime / 1_000_000_000;
    for (path, value) in [
        ("xtime_sec", CRASHTIME),
        ("ktime_sec", mono),
        ("tkr_mono.shift", SHIFT),
        ("tkr_mono.mult", 1 << SHIFT),
        ("tkr_mono.xtime_nsec", 500_000_000 << SHIFT),
        ("tkr_mono.base", mono * 1_000_000_000),
        ("wall_to_monotonic.tv_sec", mono.wrapping_sub(CRASHTIME)),
        ("offs_real", (CRASHTIME - mono) * 1_000_000_000),
    ] {
        kernel.set(start, "timekeeper", path, value);
    }
    if kernel.image.has("tk_ntp_data") {
        let ntp = kernel.symbol("tk_ntp_data");
        // Nanoseconds with 32 bits of fraction.
        kernel.set(ntp, "ntp_data", "tick_length", TICK_NSEC << 32);
        kernel.set(ntp, "ntp_data", "tick_usec", TICK_NSEC / 1000);
    }
}
