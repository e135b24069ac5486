//! Matches that are used most (include/uapi/linux/netfilter/xt_*.h).

use super::Around;
use super::hashlimit;
use super::info::{Info, not, ports, quoted, rate};
use super::options::{masked, network};
use super::sets;
use crate::subsys::net::rules::xt::Extension;

/// The name that it is given by, and its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<(String, String)> {
    let info = Info(&one.info.0);
    let options = match (one.name.as_str(), one.revision) {
        ("tcp", 0) => tcp(info)?,
        ("udp" | "udplite", 0) => {
            let inverted = info.u8(8)?;
            let source = ports("sport", info.u16(0)?, info.u16(2)?, inverted & 1 != 0);
            source + &ports("dport", info.u16(4)?, info.u16(6)?, inverted & 2 != 0)
        }
        ("icmp", 0) => icmp(info, "icmp-type", 255)?,
        ("icmp6", 0) => icmp(info, "icmpv6-type", 256)?,
        ("conntrack", 1..=3) => return conntrack(around, info, one.revision),
        ("state", 0) => format!(" --state {}", states(info.u32(0)?)),
        ("multiport", 0 | 1) => multiport(info, one.revision)?,
        ("addrtype", 0 | 1) => addrtype(info, one.revision)?,
        ("comment", 0) => format!(" --comment {}", quoted(&info.text(0, 256)?)),
        ("mark" | "connmark", 1) => {
            let value = masked(info.u32(0)?, info.u32(4)?);
            format!("{} --mark {value}", not(info.u8(8)? != 0))
        }
        ("limit", 0) => {
            let (rate, _) = rate(u64::from(info.u32(0)?), 10_000);
            let burst = match info.u32(4)? {
                5 => String::new(),
                burst => format!(" --limit-burst {burst}"),
            };
            format!(" --limit {rate}{burst}")
        }
        ("hashlimit", 1..=3) => hashlimit::text(around, info, one.revision)?,
        ("set", 1..=4) => sets::matched(around, info, one.revision)?,
        _ => return None,
    };
    Some((one.name.clone(), options))
}

const TCP_FLAGS: [(u8, &str); 6] = [
    (1, "FIN"),
    (2, "SYN"),
    (4, "RST"),
    (8, "PSH"),
    (16, "ACK"),
    (32, "URG"),
];

fn tcp(info: Info<'_>) -> Option<String> {
    let inverted = info.u8(11)?;
    let mut text = ports("sport", info.u16(0)?, info.u16(2)?, inverted & 1 != 0);
    text.push_str(&ports(
        "dport",
        info.u16(4)?,
        info.u16(6)?,
        inverted & 2 != 0,
    ));
    let (mask, wanted) = (info.u8(9)?, info.u8(10)?);
    let option = info.u8(8)?;
    if option != 0 || inverted & 8 != 0 {
        text.push_str(&format!("{} --tcp-option {option}", not(inverted & 8 != 0)));
    }
    if mask != 0 || inverted & 4 != 0 {
        let names = |bits: u8| {
            let names = TCP_FLAGS.iter().filter(|(bit, _)| bits & bit != 0);
            let names: Vec<&str> = names.map(|(_, name)| *name).collect();
            if names.is_empty() {
                "NONE".to_owned()
            } else {
                names.join(",")
            }
        };
        let not = not(inverted & 4 != 0);
        text.push_str(&format!(
            "{not} --tcp-flags {} {}",
            names(mask),
            names(wanted)
        ));
    }
    Some(text)
}

fn icmp(info: Info<'_>, name: &str, any: u16) -> Option<String> {
    let (kind, low, high) = (info.u8(0)?, info.u8(1)?, info.u8(2)?);
    let not = not(info.u8(3)? & 1 != 0);
    Some(match (low, high) {
        _ if u16::from(kind) == any => format!("{not} --{name} any"),
        (0, 255) => format!("{not} --{name} {kind}"),
        (low, high) if low == high => format!("{not} --{name} {kind}/{low}"),
        (low, high) => format!("{not} --{name} {kind}/{low}-{high}"),
    })
}

/// XT_CONNTRACK_STATE_*: the kernel's states from 1 on, and those of translation.
fn states(mask: u32) -> String {
    let order = [
        (1, "INVALID"),
        (8, "NEW"),
        (4, "RELATED"),
        (2, "ESTABLISHED"),
        (0x100, "UNTRACKED"),
        (0x40, "SNAT"),
        (0x80, "DNAT"),
    ];
    let names = order.iter().filter(|(bit, _)| mask & bit != 0);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    names.join(",")
}

fn statuses(mask: u16) -> String {
    let all = [
        (1, "EXPECTED"),
        (2, "SEEN_REPLY"),
        (4, "ASSURED"),
        (8, "CONFIRMED"),
    ];
    let names = all.iter().filter(|(bit, _)| mask & bit != 0);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    if names.is_empty() {
        "NONE".to_owned()
    } else {
        names.join(",")
    }
}

/// `struct xt_conntrack_mtinfo1` to 3: the later ones know ranges of ports.
fn conntrack(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<(String, String)> {
    // Of revision 1 both masks behind the flags have 8 bits.
    let (flags, inverted) = (info.u16(146)?, info.u16(148)?);
    let (state, status) = match revision {
        1 => (u16::from(info.u8(150)?), u16::from(info.u8(151)?)),
        _ => (info.u16(150)?, info.u16(152)?),
    };
    let is = |bit: u16| flags & bit != 0;
    let turned = |bit: u16| not(inverted & bit != 0);
    let mut text = String::new();
    let alias = is(0x2000);
    if is(1) {
        let name = if alias { "state" } else { "ctstate" };
        text.push_str(&format!(
            "{} --{name} {}",
            turned(1),
            states(u32::from(state))
        ));
    }
    if is(2) {
        text.push_str(&format!("{} --ctproto {}", turned(2), info.u16(136)?));
    }
    let addresses = [
        (4, "ctorigsrc", 0),
        (8, "ctorigdst", 32),
        (0x10, "ctreplsrc", 64),
        (0x20, "ctrepldst", 96),
    ];
    for (bit, name, at) in addresses.into_iter().filter(|(bit, ..)| is(*bit)) {
        let net = network(info, around.family, at, at + 16)?;
        text.push_str(&format!("{} --{name} {net}", turned(bit)));
    }
    let all = [
        (0x100, "ctorigsrcport", 138, 154),
        (0x200, "ctorigdstport", 140, 156),
        (0x400, "ctreplsrcport", 142, 158),
        (0x800, "ctrepldstport", 144, 160),
    ];
    for (bit, name, at, high) in all.into_iter().filter(|(bit, ..)| is(*bit)) {
        let (low, high) = match revision {
            3 => (info.u16(at)?, info.u16(high)?),
            _ => (info.be16(at)?, info.be16(at)?),
        };
        text.push_str(&ports(name, low, high.max(low), inverted & bit != 0));
    }
    if is(0x40) {
        text.push_str(&format!("{} --ctstatus {}", turned(0x40), statuses(status)));
    }
    if is(0x80) {
        let (low, high) = (info.u32(128)?, info.u32(132)?);
        let range = if low == high {
            low.to_string()
        } else {
            format!("{low}:{high}")
        };
        text.push_str(&format!("{} --ctexpire {range}", turned(0x80)));
    }
    if is(0x1000) {
        let way = if inverted & 0x1000 != 0 {
            "REPLY"
        } else {
            "ORIGINAL"
        };
        text.push_str(&format!(" --ctdir {way}"));
    }
    let name = if alias { "state" } else { "conntrack" };
    Some((name.to_owned(), text))
}

fn multiport(info: Info<'_>, revision: u8) -> Option<String> {
    let name = match info.u8(0)? {
        0 => "sports",
        1 => "dports",
        _ => "ports",
    };
    let mut text = String::new();
    for index in 0..usize::from(info.u8(1)?.min(15)) {
        let starts = revision == 1 && index > 0 && info.u8(32 + index - 1)? != 0;
        if index > 0 {
            text.push(if starts { ':' } else { ',' });
        }
        text.push_str(&info.u16(2 + index * 2)?.to_string());
    }
    let inverted = revision == 1 && info.u8(47)? != 0;
    Some(format!("{} --{name} {text}", not(inverted)))
}

const KINDS: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

fn addrtype(info: Info<'_>, revision: u8) -> Option<String> {
    let names = |mask: u16| {
        let names = KINDS
            .iter()
            .enumerate()
            .filter(|(bit, _)| mask >> bit & 1 == 1);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        names.join(",")
    };
    let flags = match revision {
        1 => info.u32(4)?,
        _ => u32::from(info.u32(4)? != 0) | u32::from(info.u32(8)? != 0) << 1,
    };
    let mut text = String::new();
    for (mask, name, bit) in [(info.u16(0)?, "src-type", 1), (info.u16(2)?, "dst-type", 2)] {
        if mask != 0 {
            text.push_str(&format!(
                "{} --{name} {}",
                not(flags & bit != 0),
                names(mask)
            ));
        }
    }
    for (bit, name) in [(4, "limit-iface-in"), (8, "limit-iface-out")] {
        if flags & bit != 0 {
            text.push_str(&format!(" --{name}"));
        }
    }
    Some(text)
}
