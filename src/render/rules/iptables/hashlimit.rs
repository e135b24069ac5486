//! `hashlimit`: packets or bytes in a time, counted for each source, destination, port.

use super::Around;
use super::info::{Info, rate};
use super::options::{Options, only};

/// XT_HASHLIMIT_*: what is counted apart, and how the limit is meant.
const DIP: u32 = 1;
const SIP: u32 = 4;
const ABOVE: u32 = 0x10;
const BYTES: u32 = 0x20;
const RATE_MATCH: u32 = 0x40;

/// What revisions have in common.
struct Limit {
    name: String,
    mode: u32,
    avg: u64,
    burst: u64,
    /// Buckets, entries, milliseconds between cleanings, milliseconds until one is forgotten.
    table: [u32; 4],
    interval: u32,
    masks: (u8, u8),
}

/// Revision 1 has 32 bits and a shorter name, 2 and 3 have 64; 3 can ask whether a rate is exceeded.
fn limit(info: Info<'_>, revision: u8) -> Option<Limit> {
    let wide = revision > 1;
    let name = info.text(0, if wide { 255 } else { 16 })?;
    let (mode, avg, burst, rest) = match wide {
        true => (info.u32(272)?, info.u64(256)?, info.u64(264)?, 276),
        false => (
            info.u32(16)?,
            u64::from(info.u32(20)?),
            u64::from(info.u32(24)?),
            28,
        ),
    };
    let (interval, masks) = match revision {
        3 => (info.u32(rest + 16)?, rest + 20),
        _ => (1, rest + 16),
    };
    Some(Limit {
        name,
        mode,
        avg,
        burst,
        table: [
            info.u32(rest)?,
            info.u32(rest + 4)?,
            info.u32(rest + 8)?,
            info.u32(rest + 12)?,
        ],
        interval,
        masks: (info.u8(masks)?, info.u8(masks + 1)?),
    })
}

pub(super) fn text(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<String> {
    let limit = limit(info, revision)?;
    let mode = limit.mode;
    only(mode, if revision == 3 { 0x7f } else { 0x3f })?;
    let mut options = Options::default();
    let way = if mode & ABOVE != 0 { "above" } else { "upto" };
    let way = format!("hashlimit-{way}");
    // After as long as this entries are forgotten unless something else was asked for.
    let forgotten = if mode & BYTES != 0 {
        let per_second = bytes_per_second(limit.avg)?;
        options.value(
            &way,
            false,
            short(per_second, |rate| cost(rate) == Some(limit.avg)) + "/s",
        );
        if limit.burst == 0 {
            15_000
        } else {
            let burst = short(per_second.checked_mul(limit.burst)?, |_| true);
            options.value("hashlimit-burst", false, burst);
            60_000
        }
    } else {
        let scale = if revision > 1 { 1_000_000 } else { 10_000 };
        let (rate, unit) = rate(limit.avg, scale);
        options.value(&way, false, rate);
        options.value("hashlimit-burst", false, limit.burst);
        unit
    };
    let parts = [
        (SIP, "srcip"),
        (8, "srcport"),
        (DIP, "dstip"),
        (2, "dstport"),
    ];
    let parts = parts.iter().filter(|(bit, _)| mode & bit != 0);
    let parts: Vec<&str> = parts.map(|(_, name)| *name).collect();
    if !parts.is_empty() {
        options.value("hashlimit-mode", false, parts.join(","));
    }
    options.value("hashlimit-name", false, &limit.name);
    let [size, max, interval, expire] = limit.table;
    for (name, value, usual) in [
        ("size", size, 0),
        ("max", max, 0),
        ("gcinterval", interval, 1000),
        ("expire", expire, forgotten as u32),
    ] {
        if value != usual {
            options.value(&format!("hashlimit-htable-{name}"), false, value);
        }
    }
    let whole = if around.family == 10 { 128 } else { 32 };
    for (name, mask) in [("srcmask", limit.masks.0), ("dstmask", limit.masks.1)] {
        if mask != whole {
            options.value(&format!("hashlimit-{name}"), false, mask);
        }
    }
    if mode & RATE_MATCH != 0 {
        options.flag("hashlimit-rate-match", false);
        if limit.interval != 1 {
            options.value("hashlimit-rate-interval", false, limit.interval);
        }
    }
    Some(options.text())
}

/// What the kernel was told is what a piece of 16 bytes costs, of 2³² a second.
fn bytes_per_second(cost: u64) -> Option<u64> {
    let pieces = u64::from(u32::MAX).checked_div(cost.max(1))?;
    Some(pieces.checked_sub(1)? << 4)
}

/// The other way round.
fn cost(bytes: u64) -> Option<u64> {
    u64::from(u32::MAX).checked_div((bytes >> 4) + 1)
}

/// In the largest unit that says the same by `same`, which is asked about whole units.
fn short(bytes: u64, same: impl Fn(u64) -> bool) -> String {
    for (unit, name) in [(1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes >= unit && same(bytes & !(unit - 1)) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}b")
}
