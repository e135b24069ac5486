//! Matches on what was counted: bytes of a connection or in all, rates; and the target that rates
//! are estimated by (include/uapi/linux/netfilter/xt_*.h).

use super::info::{Info, quoted};
use super::options::{Options, only};
use crate::subsys::net::rules::xt::Extension;

/// Options of a match; `None` of what is not known here.
pub(super) fn matched(one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("connbytes", 0) => connection_bytes(info),
        ("quota", 0) => {
            let flags = info.u32(0)?;
            only(flags, 1)?;
            let mut options = Options::default();
            options.value("quota", flags & 1 != 0, info.u64(8)?);
            Some(options.text())
        }
        // It prints one space more than others.
        ("nfacct", 0 | 1) => Some(format!(" --nfacct-name  {}", quoted(&info.text(0, 32)?))),
        ("rateest", 0) => rate(info),
        _ => None,
    }
}

/// `struct xt_connbytes_info`; a range that begins behind its end is meant the other way round.
fn connection_bytes(info: Info<'_>) -> Option<String> {
    let (from, to) = (info.u64(0)?, info.u64(8)?);
    let what = ["packets", "bytes", "avgpkt"];
    let what = what.get(usize::from(info.u8(16)?))?;
    let side = ["original", "reply", "both"];
    let side = side.get(usize::from(info.u8(17)?))?;
    let (low, high) = (from.min(to), from.max(to));
    let range = match high {
        0 | u64::MAX => low.to_string(),
        _ => format!("{low}:{high}"),
    };
    let mut options = Options::default();
    options.value("connbytes", from > to, range);
    options.value("connbytes-mode", false, what);
    options.value("connbytes-dir", false, side);
    Some(options.text())
}

const INVERT: u32 = 1;
const ABSOLUTE: u32 = 2;
const RELATIVE: u32 = 4;
const DELTA: u32 = 8;
const BYTES: u32 = 16;
const PACKETS: u32 = 32;

/// `struct xt_rateest_match_info`: an estimator against a rate or another, by themselves or by how
/// far they are from a rate of their own.
fn rate(info: Info<'_>) -> Option<String> {
    let flags = u32::from(info.u16(32)?);
    only(flags, 0x3f)?;
    let way = match info.u16(34)? {
        1 => "rateest-eq",
        2 => "rateest-lt",
        3 => "rateest-gt",
        _ => return None,
    };
    let mut options = Options::default();
    options.flags(flags, &[(DELTA, "rateest-delta")]);
    let relative = flags & RELATIVE != 0;
    let first = if relative { "rateest1" } else { "rateest" };
    options.value(first, false, info.text(0, 16)?);
    let kinds = [
        (BYTES, "rateest-bps", bits as fn(u32) -> String, 36),
        (PACKETS, "rateest-pps", plain as fn(u32) -> String, 40),
    ];
    for (bit, name, written, at) in kinds {
        if flags & bit == 0 {
            continue;
        }
        let second = written(info.u32(at + 8)?);
        if flags & DELTA != 0 {
            options.value(&format!("{name}1"), false, written(info.u32(at)?));
            options.flag(way, flags & INVERT != 0);
            options.value(&format!("{name}2"), false, second);
            continue;
        }
        options.flag(way, flags & INVERT != 0);
        match flags & ABSOLUTE {
            0 => options.flag(name, false),
            _ => options.value(name, false, second),
        }
    }
    if relative {
        options.value("rateest2", false, info.text(16, 16)?);
    }
    Some(options.text())
}

fn plain(number: u32) -> String {
    number.to_string()
}

/// Bytes a second as bits, from a thousand of a unit on in the next one.
fn bits(bytes: u32) -> String {
    let bits = f64::from(bytes) * 8.0;
    match bits {
        _ if bits >= 1e9 => format!("{:.0}Mbit", bits / 1e6),
        _ if bits >= 1e6 => format!("{:.0}Kbit", bits / 1e3),
        _ => format!("{bits:.0}bit"),
    }
}

/// `struct xt_rateest_target_info`: how often it looks, as the power of two of quarters of a second
/// less two, and how many times as long it takes to forget.
pub(super) fn estimator(info: Info<'_>) -> Option<String> {
    let interval = u32::from(info.u8(16)?.wrapping_add(2));
    let quarter = 1_000_000u32.checked_shl(interval)? / 4;
    let forgets = u32::from(info.u8(17)?);
    // iptables itself takes no more than these.
    if interval > 5 || forgets > 16 {
        return None;
    }
    let mut options = Options::default();
    options.value("rateest-name", false, info.text(0, 16)?);
    options.value("rateest-interval", false, time(quarter));
    options.value(
        "rateest-ewmalog",
        false,
        time(quarter.wrapping_shl(forgets)),
    );
    Some(options.text())
}

fn time(micros: u32) -> String {
    match f64::from(micros) {
        time if time >= 1e6 => format!("{:.1}s", time / 1e6),
        time if time >= 1e3 => format!("{:.1}ms", time / 1e3),
        _ => format!("{micros}us"),
    }
}
