//! Matches of bridges (include/uapi/linux/netfilter_bridge/ebt_*.h), each with a space behind its
//! words; those of what is in frames are in `packets`.

use super::super::iptables::info::{Info, rate};
use super::address::mac;
use super::{names, not, packets, stp};

/// `None` of what is not known here.
pub(super) fn text(name: &str, info: Info<'_>) -> Option<String> {
    match name {
        "802_3" => length(info),
        "among" => among(info),
        "arp" => packets::arp(info),
        "ip" => packets::ip(info),
        "ip6" => packets::ip6(info),
        "limit" => limit(info),
        "mark_m" => mark(info),
        "pkttype" => kind(info),
        "stp" => stp::text(info),
        "vlan" => vlan(info),
        _ => None,
    }
}

/// `struct ebt_802_3_info`.
fn length(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u8(4)?, info.u8(5)?);
    let mut text = String::new();
    if asked & 1 != 0 {
        let not = not(inverted & 1 != 0);
        text.push_str(&format!("--802_3-sap {not}{:#04x} ", info.u8(0)?));
    }
    if asked & 2 != 0 {
        let not = not(inverted & 2 != 0);
        text.push_str(&format!("--802_3-type {not}{:#06x} ", info.be16(2)?));
    }
    Some(text)
}

/// `struct ebt_among_info`: where the pools of destinations and sources begin, each a table by the
/// last byte of addresses (257 places), how many there are, and these.
fn among(info: Info<'_>) -> Option<String> {
    const POOL_LEN: usize = 257 * 4;
    const ONE: usize = 12;
    let inverted = info.u32(8)?;
    let mut text = String::new();
    for (name, bit, at) in [("dst", 1, 0), ("src", 2, 4)] {
        let pool = info.u32(at)? as usize;
        if pool == 0 {
            continue;
        }
        let begin = pool.checked_add(POOL_LEN)?;
        let count = info.u32(begin)? as usize;
        let all = info.0.get(begin + 4..)?;
        text.push_str(&format!("--among-{name} {}", not(inverted & bit != 0)));
        for one in all.get(..count.checked_mul(ONE)?)?.chunks_exact(ONE) {
            text.push_str(&mac(one.get(2..8)?));
            let ip = Info(one).ipv4(8)?;
            if !ip.is_unspecified() {
                text.push_str(&format!("={ip}"));
            }
            text.push(',');
        }
        text.push(' ');
    }
    Some(text)
}

/// `struct ebt_limit_info`.
fn limit(info: Info<'_>) -> Option<String> {
    let (rate, _) = rate(info.u32(0)?.into(), 10_000);
    Some(format!("--limit {rate} --limit-burst {} ", info.u32(4)?))
}

/// `struct ebt_mark_m_info`.
fn mark(info: Info<'_>) -> Option<String> {
    const ANY_OF: u8 = 2;
    let (mark, mask) = (info.u64(0)?, info.u64(8)?);
    let value = match (info.u8(17)?, mask) {
        (ANY_OF, mask) => format!("/{mask:#x}"),
        (_, 0xffff_ffff | u64::MAX) => format!("{mark:#x}"),
        (_, mask) => format!("{mark:#x}/{mask:#x}"),
    };
    Some(format!("--mark {}{value} ", not(info.u8(16)? != 0)))
}

const KINDS: [&str; 7] = [
    "host",
    "broadcast",
    "multicast",
    "otherhost",
    "outgoing",
    "loopback",
    "fastroute",
];

/// `struct ebt_pkttype_info`.
fn kind(info: Info<'_>) -> Option<String> {
    let number = info.u8(0)?;
    let known = KINDS.get(usize::from(number));
    let kind = known.map_or_else(|| number.to_string(), |name| (*name).to_owned());
    Some(format!("--pkttype-type {}{kind} ", not(info.u8(1)? != 0)))
}

/// `struct ebt_vlan_info`.
fn vlan(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u8(6)?, info.u8(7)?);
    let encapsulated = info.be16(4)?;
    let of_frame = names::known_ethertype(encapsulated);
    let all = [
        ("id", 1, info.u16(0)?.to_string()),
        ("prio", 2, info.u8(2)?.to_string()),
        (
            "encap",
            4,
            of_frame.map_or_else(|| format!("{encapsulated:04X}"), str::to_owned),
        ),
    ];
    let one = |(name, bit, value): &(&str, u8, String)| {
        format!("--vlan-{name} {}{value} ", not(inverted & bit != 0))
    };
    let there = all.iter().filter(|(_, bit, _)| asked & bit != 0);
    Some(there.map(one).collect())
}
