//! The kernel's clocks at the crash: jiffies, ticks per second, wall clock.

use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, Known};

layout! {
    /// kernel/time/ntp.c, 6.14 and later.
    struct NtpLayout = "ntp_data" in "kernel/time/ntp.c" {
        need tick_length = "tick_length",
    }
}

/// The clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// `jiffies_64`.
    pub jiffies: u64,
    /// Ticks per second (CONFIG_HZ).
    pub hz: u64,
    /// Seconds since 1970, by VMCOREINFO's CRASHTIME.
    pub now: Option<i64>,
}

impl Clock {
    /// Reads the clocks; `None` if the dump lacks one of them.
    ///
    /// # Errors
    /// If the type information is damaged.
    pub fn read(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        let (Some(hz), Some(jiffies)) = (hz(kernel)?, kernel.u64_of("jiffies_64").value()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            jiffies,
            hz,
            now: kernel.vmcoreinfo().crash_time(),
        }))
    }

    /// Jiffies from now to a 32-bit time stamp; negative if it has passed (`nfct_time_stamp`).
    pub fn until(&self, timeout: u32) -> i64 {
        i64::from(timeout.wrapping_sub(self.jiffies as u32).cast_signed())
    }

    /// Seconds since boot. `jiffies_64` starts five minutes before zero (INITIAL_JIFFIES,
    /// include/linux/jiffies.h), so that wrap-arounds show early.
    pub fn uptime(&self) -> Option<f64> {
        let start = u64::from(0u32.wrapping_sub(u32::try_from(300 * self.hz).ok()?));
        let ticks = self.jiffies.checked_sub(start)?;
        Some((ticks as f64 / self.hz as f64 * 1000.0).round() / 1000.0)
    }
}

/// From the length of a tick in nanoseconds: a variable up to 6.13, since then the high half of
/// `ntp_data.tick_length`.
fn hz(kernel: &Kernel) -> Result<Option<u64>, KernelError> {
    let nsec = match kernel.u64_of("tick_nsec") {
        Known::Value(nsec) => Some(nsec),
        Known::Missing(_) => None,
        Known::Absent => match kernel.symbol("tk_ntp_data") {
            Some(at) => {
                let layout: NtpLayout = kernel.layout()?;
                let at = at.plus(u64::from(layout.tick_length.offset));
                kernel.space.read_u64(at).ok().map(|length| length >> 32)
            }
            None => None,
        },
    };
    let hz = nsec
        .filter(|nsec| *nsec > 0)
        .map(|nsec| (1_000_000_000 + nsec / 2) / nsec);
    Ok(hz.filter(|hz| (1..=100_000).contains(hz)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// include/linux/jiffies.h: INITIAL_JIFFIES is 300 seconds before 32 bits wrap around.
    #[test]
    fn seconds_since_boot() {
        let at = |hz, jiffies| {
            let clock = Clock {
                jiffies,
                hz,
                now: None,
            };
            clock.uptime()
        };
        let start = |hz: u64| (1 << 32) - 300 * hz;
        for hz in [100, 250, 300, 1000] {
            assert_eq!(at(hz, start(hz)), Some(0.0));
            assert_eq!(at(hz, 1 << 32), Some(300.0));
            assert_eq!(at(hz, start(hz) - 1), None);
        }
        assert_eq!(at(250, start(250) + 1), Some(0.004));
        assert_eq!(at(300, start(300) + 200), Some(0.667));
        // 300 seconds of such a tick are more than 32 bits.
        assert_eq!(at(1 << 30, u64::MAX), None);
    }

    /// Time stamps of 32 bits wrap around.
    #[test]
    fn time_until_a_stamp() {
        let until = |jiffies, stamp| {
            let clock = Clock {
                jiffies,
                hz: 250,
                now: None,
            };
            clock.until(stamp)
        };
        assert_eq!(until(1000, 1500), 500);
        assert_eq!(until(1000, 900), -100);
        assert_eq!(until((7 << 32) - 10, 20), 30);
        assert_eq!(until((7 << 32) + 10, 20u32.wrapping_neg()), -30);
    }
}
