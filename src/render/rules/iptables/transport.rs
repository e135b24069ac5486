//! Matches on headers behind that of IP: `sctp`, `dccp`, `esp`, `ah`, `ipcomp`, `ecn`, `osf`
//! (include/uapi/linux/netfilter/xt_*.h, netfilter_ipv4/ipt_ah.h).

use super::Around;
use super::info::Info;
use super::options::{Options, only, span};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("sctp", 0) => sctp(info),
        ("dccp", 0) => dccp(info),
        ("esp", 0) => identifiers(info, "espspi").map(Options::text),
        ("ah", 0) if around.family != 10 => identifiers(info, "ahspi").map(Options::text),
        ("ipcomp", 0) => {
            let mut options = identifiers(info, "ipcompspi")?;
            options.flags(u32::from(info.u8(9)? != 0), &[(1, "compres")]);
            Some(options.text())
        }
        ("ecn", 0) => ecn(info),
        ("osf", 0) => system(info),
        _ => None,
    }
}

/// A range of security parameter indices, which all three begin with.
fn identifiers(info: Info<'_>, name: &str) -> Option<Options> {
    let inverted = info.u8(8)?;
    only(u32::from(inverted), 1)?;
    let mut options = Options::default();
    let ends = (info.u32(0)?, info.u32(4)?);
    options.range(name, inverted & 1 != 0, ends, u32::MAX);
    Some(options)
}

/// `struct xt_osf_info`: the system that a SYN looks like one of.
fn system(info: Info<'_>) -> Option<String> {
    let flags = info.u32(36)?;
    only(flags, 0xf)?;
    let mut options = Options::default();
    options.value("genre", flags & 8 != 0, info.text(0, 32)?);
    if flags & 2 != 0 {
        options.value("ttl", false, info.u32(44)?);
    }
    if flags & 4 != 0 {
        options.value("log", false, info.u32(40)?);
    }
    Some(options.text())
}

/// `struct xt_ecn_info`.
fn ecn(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u8(0)?, info.u8(1)?);
    only(u32::from(asked | inverted), 0x31)?;
    let mut options = Options::default();
    for (bit, name) in [(0x10, "ecn-tcp-ece"), (0x20, "ecn-tcp-cwr")] {
        if asked & bit != 0 {
            options.flag(name, inverted & bit != 0);
        }
    }
    if asked & 1 != 0 {
        options.value("ecn-ip-ect", inverted & 1 != 0, info.u8(2)?);
    }
    Some(options.text())
}

/// Ports of both; those of the destination lie first.
fn ports(info: Info<'_>, asked: u32, inverted: u32) -> Option<Options> {
    let mut options = Options::default();
    for (bit, name, at) in [(1, "sport", 4), (2, "dport", 0)] {
        if asked & bit != 0 {
            let range = span(info.u16(at)?, info.u16(at + 2)?);
            options.value(name, inverted & bit != 0, range);
        }
    }
    Some(options)
}

const PACKETS: [&str; 10] = [
    "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC",
    "SYNCACK",
];

/// `struct xt_dccp_info`.
fn dccp(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (u32::from(info.u16(8)?), u32::from(info.u16(10)?));
    only(asked | inverted, 0xf)?;
    let mut options = ports(info, asked, inverted)?;
    if asked & 4 != 0 {
        let mask = info.u16(12)?;
        let kinds = PACKETS.iter().enumerate();
        let kinds = kinds.filter(|(bit, _)| mask >> bit & 1 == 1);
        let mut kinds: Vec<&str> = kinds.map(|(_, name)| *name).collect();
        // The first that has no meaning stands for all of them.
        match mask >> PACKETS.len() {
            0 => {}
            all if all & 1 == 1 => kinds.push("INVALID"),
            _ => return None,
        }
        options.value("dccp-types", inverted & 4 != 0, kinds.join(","));
    }
    if asked & 8 != 0 {
        options.value("dccp-option", inverted & 8 != 0, info.u8(14)?);
    }
    Some(options.text())
}

/// Chunks by number, and letters of their flags from the highest on; those that all lack have none.
const CHUNKS: [(usize, &str, &str); 22] = [
    (0, "DATA", "IUBE"),
    (1, "INIT", ""),
    (2, "INIT_ACK", ""),
    (3, "SACK", ""),
    (4, "HEARTBEAT", ""),
    (5, "HEARTBEAT_ACK", ""),
    (6, "ABORT", "T"),
    (7, "SHUTDOWN", ""),
    (8, "SHUTDOWN_ACK", ""),
    (9, "ERROR", ""),
    (10, "COOKIE_ECHO", ""),
    (11, "COOKIE_ACK", ""),
    (12, "ECN_ECNE", ""),
    (13, "ECN_CWR", ""),
    (14, "SHUTDOWN_COMPLETE", "T"),
    (64, "I_DATA", "IUBE"),
    (128, "ASCONF_ACK", ""),
    (130, "RE_CONFIG", ""),
    (132, "PAD", ""),
    (192, "FORWARD_TSN", ""),
    (193, "ASCONF", ""),
    (194, "I_FORWARD_TSN", ""),
];

/// `struct xt_sctp_info`.
fn sctp(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u32(284)?, info.u32(288)?);
    only(asked | inverted, 7)?;
    let mut options = ports(info, asked, inverted)?;
    if asked & 4 != 0 {
        let how = match info.u32(264)? {
            1 => "any",
            2 => "all",
            4 => "only",
            _ => return None,
        };
        let chunks = format!("{how} {}", chunks(info)?);
        options.value("chunk-types", inverted & 4 != 0, chunks);
    }
    Some(options.text())
}

fn chunks(info: Info<'_>) -> Option<String> {
    // It has a word for each four kinds, of which the first eight are used.
    let map = info.0.get(8..264)?;
    if map.iter().all(|byte| *byte == 0) {
        return Some("NONE".to_owned());
    }
    if map.iter().all(|byte| *byte == 0xff) {
        return Some("ALL".to_owned());
    }
    let is_set = |number: usize| {
        map.get(number / 8)
            .is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    };
    let mut names = Vec::new();
    for number in (0..256).filter(|number| is_set(*number)) {
        let (_, name, letters) = CHUNKS.iter().find(|(of, ..)| *of == number)?;
        names.push(format!("{name}{}", chunk_flags(info, number, letters)?));
    }
    Some(names.join(","))
}

/// What is asked of a chunk's flags: capital letters of those that must be set, small ones of those
/// that must not.
fn chunk_flags(info: Info<'_>, number: usize, letters: &str) -> Option<String> {
    let mut text = String::new();
    let count = usize::try_from(info.u32(280)?).ok()?;
    if count > 4 {
        return None;
    }
    for at in (0..count).map(|index| 268 + index * 3) {
        if usize::from(info.u8(at)?) != number {
            continue;
        }
        let (set, mask) = (info.u8(at + 1)?, info.u8(at + 2)?);
        if mask == 0 {
            continue;
        }
        only(u32::from(mask), (1 << letters.len()) - 1)?;
        let bits = (0..letters.len()).rev();
        let asked = bits
            .zip(letters.chars())
            .filter(|(bit, _)| mask >> bit & 1 == 1);
        text.push(':');
        text.extend(asked.map(|(bit, letter)| match set >> bit & 1 {
            1 => letter,
            _ => letter.to_ascii_lowercase(),
        }));
    }
    Some(text)
}
