//! Targets (include/uapi/linux/netfilter/xt_*.h).

use super::Around;
use super::info::{Info, quoted};
use super::sets;
use crate::subsys::net::rules::xt::Extension;

/// The name that it is given by, and its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<(String, String)> {
    let info = Info(&one.info.0);
    let options = match (one.name.as_str(), one.revision) {
        ("REJECT", 0) => format!(" --reject-with {}", reject(around.family, info.u32(0)?)?),
        ("LOG", 0) => log(info)?,
        ("NFLOG", 0) => nflog(info)?,
        ("CT", 0..=2) => return ct(info, one.revision),
        ("TPROXY", 0 | 1) => tproxy(around, info, one.revision)?,
        ("NFQUEUE", 0..=3) => nfqueue(info, one.revision)?,
        ("SET", 1..=3) => sets::changed(around, info, one.revision)?,
        ("TRACE" | "NOTRACK", 0) => String::new(),
        _ => return None,
    };
    Some((one.name.clone(), options))
}

const REJECT: [&str; 9] = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "echo-reply",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "tcp-reset",
    "icmp-admin-prohibited",
];
const REJECT6: [&str; 9] = [
    "icmp6-no-route",
    "icmp6-adm-prohibited",
    "icmp6-not-neighbour",
    "icmp6-addr-unreachable",
    "icmp6-port-unreachable",
    "echo-reply",
    "tcp-reset",
    "icmp6-policy-fail",
    "icmp6-reject-route",
];

fn reject(family: u8, with: u32) -> Option<&'static str> {
    let names = if family == 10 { REJECT6 } else { REJECT };
    names.get(with as usize).copied()
}

fn log(info: Info<'_>) -> Option<String> {
    let mut text = String::new();
    let prefix = info.text(2, 30)?;
    if !prefix.is_empty() {
        text.push_str(&format!(" --log-prefix {}", quoted(&prefix)));
    }
    let level = info.u8(0)?;
    if level != 4 {
        text.push_str(&format!(" --log-level {level}"));
    }
    let names = [
        (1, "tcp-sequence"),
        (2, "tcp-options"),
        (4, "ip-options"),
        (8, "uid"),
        (32, "macdecode"),
    ];
    let flags = info.u8(1)?;
    for (_, name) in names.iter().filter(|(bit, _)| flags & bit != 0) {
        text.push_str(&format!(" --log-{name}"));
    }
    Some(text)
}

fn nflog(info: Info<'_>) -> Option<String> {
    let mut text = String::new();
    // That of nf_tables is longer, and was put into a longer one.
    let len = if info.0.len() > 80 { 128 } else { 64 };
    let prefix = info.text(12, len)?;
    if !prefix.is_empty() {
        text.push_str(&format!(" --nflog-prefix {}", quoted(&prefix)));
    }
    let group = info.u16(4)?;
    if group != 0 {
        text.push_str(&format!(" --nflog-group {group}"));
    }
    let len = info.u32(0)?;
    if info.u16(8)? & 1 != 0 {
        text.push_str(&format!(" --nflog-size {len}"));
    } else if len != 0 {
        text.push_str(&format!(" --nflog-range {len}"));
    }
    let threshold = info.u16(6)?;
    if threshold > 1 {
        text.push_str(&format!(" --nflog-threshold {threshold}"));
    }
    Some(text)
}

fn ct(info: Info<'_>, revision: u8) -> Option<(String, String)> {
    let flags = info.u16(0)?;
    if flags & 2 != 0 {
        return Some(("NOTRACK".to_owned(), String::new()));
    }
    let mut text = String::new();
    if flags & 1 != 0 {
        text.push_str(" --notrack");
    }
    let helper = info.text(12, 16)?;
    if !helper.is_empty() {
        text.push_str(&format!(" --helper {helper}"));
    }
    if revision > 0 {
        let timeout = info.text(28, 32)?;
        if !timeout.is_empty() {
            text.push_str(&format!(" --timeout {timeout}"));
        }
    }
    for (name, at, names) in [("ctevents", 4, &EVENTS[..]), ("expevents", 8, &["new"][..])] {
        let mask = info.u32(at)?;
        if mask != 0 {
            let set = names
                .iter()
                .enumerate()
                .filter(|(bit, _)| mask >> bit & 1 == 1);
            let set: Vec<&str> = set.map(|(_, name)| *name).collect();
            text.push_str(&format!(" --{name} {}", set.join(",")));
        }
    }
    let side = match flags & 0xc {
        4 => "zone-orig",
        8 => "zone-reply",
        _ => "zone",
    };
    let zone = info.u16(2)?;
    if flags & 16 != 0 {
        text.push_str(&format!(" --{side} mark"));
    } else if zone != 0 {
        text.push_str(&format!(" --{side} {zone}"));
    }
    Some(("CT".to_owned(), text))
}

const EVENTS: [&str; 10] = [
    "new",
    "related",
    "destroy",
    "reply",
    "assured",
    "protoinfo",
    "helper",
    "mark",
    "natseqinfo",
    "secmark",
];

fn tproxy(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<String> {
    let (mask, value) = (info.u32(0)?, info.u32(4)?);
    let address = info.address(if revision == 0 { 2 } else { around.family }, 8)?;
    let port = info.be16(if revision == 0 { 12 } else { 24 })?;
    Some(format!(
        " --on-port {port} --on-ip {address} --tproxy-mark {value:#x}/{mask:#x}"
    ))
}

fn nfqueue(info: Info<'_>, revision: u8) -> Option<String> {
    let number = info.u16(0)?;
    let total = if revision > 0 { info.u16(2)? } else { 1 };
    let flags = if revision > 1 { info.u16(4)? } else { 0 };
    let mut text = match total {
        0 | 1 => format!(" --queue-num {number}"),
        total => format!(
            " --queue-balance {number}:{}",
            number.saturating_add(total - 1)
        ),
    };
    if flags & 1 != 0 {
        text.push_str(" --queue-bypass");
    }
    if flags & 2 != 0 {
        text.push_str(" --queue-cpu-fanout");
    }
    Some(text)
}
