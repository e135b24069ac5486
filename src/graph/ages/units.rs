//! The clocks that kernel code takes times from, and what can be a time of each.

use crate::kernel::Kernel;
use crate::subsys::clock::Clock;

/// Clocks are read one after the other.
const SLACK: f64 = 2.0;
/// Smaller numbers are no times in nanoseconds, but more likely sizes, or seconds since 1970 that
/// are before boot, as those of files are.
const FIRST_NS: u64 = 2_200_000_000;

/// A clock and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `jiffies`: from INITIAL_JIFFIES on, five minutes before the low half is zero.
    Jiffies,
    /// ktime_get() and its kind.
    SinceBoot,
    /// ktime_get_real_seconds().
    EpochSeconds,
    /// ktime_get_real().
    EpochNs,
}

impl Unit {
    /// Those first whose range is the narrower: seconds since 1970, and jiffies, would be times in
    /// nanoseconds too, a few seconds after boot.
    pub(super) const ALL: [Unit; 4] = [
        Unit::Jiffies,
        Unit::EpochSeconds,
        Unit::SinceBoot,
        Unit::EpochNs,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Jiffies => "jiffies",
            Unit::SinceBoot => "ns_since_boot",
            Unit::EpochSeconds => "epoch_seconds",
            Unit::EpochNs => "epoch_ns",
        }
    }
}

/// When the machine was started, and when it crashed, by each clock.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Times {
    pub(super) first_jiffy: u64,
    pub(super) jiffies: u64,
    pub(super) hz: u64,
    /// Seconds.
    pub(super) uptime: f64,
    /// Seconds since 1970.
    pub(super) now: Option<i64>,
}

impl Times {
    /// `None` if the dump does not tell.
    pub(in super::super) fn read(kernel: &Kernel) -> Option<Self> {
        let clock = Clock::read(kernel).ok()??;
        let uptime = clock.uptime()?;
        Some(Self {
            first_jiffy: clock
                .jiffies
                .checked_sub((uptime * clock.hz as f64) as u64)?,
            jiffies: clock.jiffies,
            hz: clock.hz,
            uptime,
            now: clock.now,
        })
    }

    /// Whether a number can be a time of this clock between boot and crash.
    pub(super) fn is_within(&self, unit: Unit, value: u64) -> bool {
        match unit {
            Unit::Jiffies => (self.first_jiffy..=self.jiffies).contains(&value),
            Unit::SinceBoot => {
                let last = (self.uptime + SLACK) * 1e9;
                (FIRST_NS..=last as u64).contains(&value)
            }
            Unit::EpochSeconds => self.epoch(1.0).is_some_and(|all| all.contains(&value)),
            Unit::EpochNs => self.epoch(1e9).is_some_and(|all| all.contains(&value)),
        }
    }

    /// Whether a member that is a time has one: the kernel itself starts before the first second.
    pub(super) fn is_known(&self, unit: Unit, value: u64) -> bool {
        let early = unit == Unit::SinceBoot && (1..FIRST_NS).contains(&value);
        early || self.is_within(unit, value)
    }

    fn epoch(&self, per_second: f64) -> Option<std::ops::RangeInclusive<u64>> {
        let now = self.now? as f64;
        let first = (now - self.uptime - SLACK) * per_second;
        Some(first as u64..=((now + SLACK) * per_second) as u64)
    }

    /// Seconds before the crash.
    pub(super) fn age(&self, unit: Unit, value: u64) -> f64 {
        let age = match unit {
            Unit::Jiffies => self.jiffies.saturating_sub(value) as f64 / self.hz as f64,
            Unit::SinceBoot => self.uptime - value as f64 / 1e9,
            Unit::EpochSeconds => self.now.unwrap_or(0) as f64 - value as f64,
            Unit::EpochNs => self.now.unwrap_or(0) as f64 - value as f64 / 1e9,
        };
        age.max(0.0)
    }
}
