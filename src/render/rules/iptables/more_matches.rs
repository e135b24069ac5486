//! Other matches (include/uapi/linux/netfilter/xt_*.h).

use jiff::Timestamp;

use super::Around;
use super::header::interface;
use super::info::{Info, not, prefix, quoted};
use super::options::Options;
use super::{policy, programs};
use crate::subsys::net::rules::xt::Extension;

/// The name that it is given by, and its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<(String, String)> {
    let info = Info(&one.info.0);
    let options = match (one.name.as_str(), one.revision) {
        ("physdev", 0) => physdev(info)?,
        ("mac", 0) => {
            let parts: Vec<String> = info
                .0
                .get(..6)?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!(
                "{} --mac-source {}",
                not(info.u32(8)? != 0),
                parts.join(":")
            )
        }
        ("owner", 1) => owner(info)?,
        ("string", 1) => string(info)?,
        ("recent", 0 | 1) => recent(around, info, one.revision)?,
        ("connlimit", 1) => connlimit(around, info)?,
        ("iprange", 1) => iprange(around, info)?,
        ("time", 0) => time(info)?,
        ("length", 0) => {
            let range = span(info.u16(0)?, info.u16(2)?);
            format!("{} --length {range}", not(info.u8(4)? != 0))
        }
        ("tcpmss", 0) => {
            let range = span(info.u16(0)?, info.u16(2)?);
            format!("{} --mss {range}", not(info.u8(4)? != 0))
        }
        ("ttl", 0) => hops("ttl", info)?,
        ("hl", 0) => hops("hl", info)?,
        ("pkttype", 0) => {
            let kinds = ["unicast", "broadcast", "multicast"];
            let kind = kinds.get(info.u32(0)? as usize)?;
            format!("{} --pkt-type {kind}", not(info.u32(4)? != 0))
        }
        ("helper", 0) => {
            format!(
                "{} --helper {}",
                not(info.u32(0)? != 0),
                quoted(&info.text(4, 30)?)
            )
        }
        ("dscp", 0) => format!("{} --dscp {:#04x}", not(info.u8(1)? != 0), info.u8(0)?),
        ("tos", 0) if around.family == 2 => {
            format!("{} --tos {:#04x}", not(info.u8(1)? != 0), info.u8(0)?)
        }
        ("tos", 1) => {
            // Other than in the target, the mask lies first.
            let (mask, value) = (info.u8(0)?, info.u8(1)?);
            format!("{} --tos {value:#04x}/{mask:#04x}", not(info.u8(2)? != 0))
        }
        ("statistic", 0) => statistic(info)?,
        ("rpfilter", 0) => flags(
            u32::from(info.u8(0)?),
            &[
                (1, "loose"),
                (2, "validmark"),
                (4, "accept-local"),
                (8, "invert"),
            ],
        ),
        ("socket", 0) => String::new(),
        ("socket", 1..=3) => flags(
            u32::from(info.u8(0)?),
            &[(1, "transparent"), (2, "nowildcard"), (4, "restore-skmark")],
        ),
        ("u32", 0) => programs::u32_text(info)?,
        ("bpf", 0 | 1) => programs::bpf(info, one.revision)?,
        ("policy", 0) => policy::text(around, info)?,
        _ => return None,
    };
    Some((one.name.clone(), options))
}

fn flags(value: u32, names: &[(u32, &str)]) -> String {
    let named = names.iter().filter(|(bit, _)| value & bit != 0);
    named.map(|(_, name)| format!(" --{name}")).collect()
}

fn span(min: u16, max: u16) -> String {
    if min == max {
        min.to_string()
    } else {
        format!("{min}:{max}")
    }
}

fn hops(name: &str, info: Info<'_>) -> Option<String> {
    let value = info.u8(1)?;
    Some(match info.u8(0)? {
        0 => format!(" --{name}-eq {value}"),
        1 => format!(" ! --{name}-eq {value}"),
        2 => format!(" --{name}-lt {value}"),
        3 => format!(" --{name}-gt {value}"),
        _ => return None,
    })
}

fn physdev(info: Info<'_>) -> Option<String> {
    let (inverted, wanted) = (info.u8(64)?, info.u8(65)?);
    let mut options = Options::default();
    for (bit, name, at) in [
        (8, "is-in", None),
        (1, "in", Some((0, 16))),
        (16, "is-out", None),
        (2, "out", Some((32, 48))),
        (4, "is-bridged", None),
    ] {
        if wanted & bit == 0 {
            continue;
        }
        let name = format!("physdev-{name}");
        match at {
            Some((at, mask)) => {
                let device = interface(info, at, mask)??;
                options.value(&name, inverted & bit != 0, device);
            }
            None => options.flag(&name, inverted & bit != 0),
        }
    }
    Some(options.text())
}

fn owner(info: Info<'_>) -> Option<String> {
    let (wanted, inverted) = (info.u8(16)?, info.u8(17)?);
    let mut text = String::new();
    if wanted & 4 != 0 {
        text.push_str(&format!("{} --socket-exists", not(inverted & 4 != 0)));
    }
    for (bit, name, at) in [(1, "uid", 0), (2, "gid", 8)] {
        if wanted & bit != 0 {
            let (min, max) = (info.u32(at)?, info.u32(at + 4)?);
            let range = if min == max {
                min.to_string()
            } else {
                format!("{min}-{max}")
            };
            text.push_str(&format!(
                "{} --{name}-owner {range}",
                not(inverted & bit != 0)
            ));
        }
    }
    if wanted & 8 != 0 {
        text.push_str(&format!("{} --suppl-groups", not(inverted & 8 != 0)));
    }
    Some(text)
}

fn string(info: Info<'_>) -> Option<String> {
    let len = usize::from(info.u8(148)?).min(128);
    let pattern = info.0.get(20..20 + len)?;
    let flags = info.u8(149)?;
    let printable = |byte: &u8| (0x20..0x7f).contains(byte);
    let pattern = match pattern.iter().all(printable) {
        true => {
            let text = String::from_utf8_lossy(pattern);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("--string \"{text}\"")
        }
        false => {
            let digits: String = pattern.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("--hex-string \"|{digits}|\"")
        }
    };
    let mut text = format!(
        "{} {pattern} --algo {}",
        not(flags & 1 != 0),
        info.text(4, 16)?
    );
    let (from, to) = (info.u16(0)?, info.u16(2)?);
    if from != 0 {
        text.push_str(&format!(" --from {from}"));
    }
    if to != u16::MAX {
        text.push_str(&format!(" --to {to}"));
    }
    if flags & 2 != 0 {
        text.push_str(" --icase");
    }
    Some(text)
}

fn recent(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<String> {
    let (what, inverted) = (info.u8(8)?, info.u8(9)?);
    let ways = [(2, "set"), (1, "rcheck"), (4, "update"), (8, "remove")];
    let way = ways.iter().find(|(bit, _)| what & bit != 0)?;
    let mut text = format!("{} --{}", not(inverted != 0), way.1);
    for (name, at, bit, flag) in [("seconds", 0, 32, "reap"), ("hitcount", 4, 16, "rttl")] {
        let value = info.u32(at)?;
        if value != 0 {
            text.push_str(&format!(" --{name} {value}"));
        }
        text.push_str(&flags(u32::from(what), &[(bit, flag)]));
    }
    text.push_str(&format!(" --name {}", info.text(10, 200)?));
    let mask = match revision {
        1 => info.address(around.family, 212)?.to_string(),
        _ if around.family == 10 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
        _ => "255.255.255.255".to_owned(),
    };
    let side = if info.u8(210)? == 0 {
        "rsource"
    } else {
        "rdest"
    };
    text.push_str(&format!(" --mask {mask} --{side}"));
    Some(text)
}

fn connlimit(around: Around<'_>, info: Info<'_>) -> Option<String> {
    let (limit, flags) = (info.u32(16)?, info.u32(20)?);
    let len = if around.family == 10 { 16 } else { 4 };
    let mask = prefix(info.0.get(..len)?)?;
    let way = if flags & 1 != 0 { "upto" } else { "above" };
    let side = if flags & 2 != 0 { "daddr" } else { "saddr" };
    Some(format!(
        " --connlimit-{way} {limit} --connlimit-mask {mask} --connlimit-{side}"
    ))
}

fn iprange(around: Around<'_>, info: Info<'_>) -> Option<String> {
    let flags = info.u8(64)?;
    let mut text = String::new();
    for (bit, turned, name, at) in [(1, 16, "src", 0), (2, 32, "dst", 32)] {
        if flags & bit != 0 {
            let from = info.address(around.family, at)?;
            let to = info.address(around.family, at + 16)?;
            text.push_str(&format!(
                "{} --{name}-range {from}-{to}",
                not(flags & turned != 0)
            ));
        }
    }
    Some(text)
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn time(info: Info<'_>) -> Option<String> {
    let mut text = String::new();
    let (start, stop) = (info.u32(8)?, info.u32(12)?);
    if start != 0 || stop != 86_399 {
        for (name, at) in [("start", start), ("stop", stop)] {
            let (hours, minutes, seconds) = (at / 3600, at / 60 % 60, at % 60);
            text.push_str(&format!(
                " --time{name} {hours:02}:{minutes:02}:{seconds:02}"
            ));
        }
    }
    let (months, weeks, flags) = (info.u32(16)?, info.u8(20)?, info.u8(21)?);
    if months != 0xffff_fffe {
        let days: Vec<String> = (1..32)
            .filter(|day| months >> day & 1 == 1)
            .map(|day| day.to_string())
            .collect();
        text.push_str(&format!(" --monthdays {}", days.join(",")));
    }
    if weeks != 0xfe {
        let days: Vec<&str> = (1..8)
            .filter(|day| weeks >> day & 1 == 1)
            .filter_map(|day| DAYS.get(day - 1).copied())
            .collect();
        text.push_str(&format!(" --weekdays {}", days.join(",")));
    }
    for (name, at, silent) in [("start", info.u32(0)?, 0), ("stop", info.u32(4)?, u32::MAX)] {
        if at != silent {
            let date = Timestamp::from_second(i64::from(at)).ok()?;
            let date = date.strftime("%Y-%m-%dT%H:%M:%S");
            text.push_str(&format!(" --date{name} {date}"));
        }
    }
    if flags & 1 != 0 {
        text.push_str(" --kerneltz");
    }
    if flags & 2 != 0 {
        text.push_str(" --contiguous");
    }
    Some(text)
}

fn statistic(info: Info<'_>) -> Option<String> {
    let not = not(info.u16(2)? & 1 != 0);
    Some(match info.u16(0)? {
        0 => {
            let share = f64::from(info.u32(4)?) / f64::from(0x8000_0000u32);
            format!(" --mode random{not} --probability {share:.11}")
        }
        1 => {
            let (every, packet) = (info.u32(4)?, info.u32(8)?);
            format!(
                " --mode nth{not} --every {} --packet {packet}",
                every.saturating_add(1)
            )
        }
        _ => return None,
    })
}
