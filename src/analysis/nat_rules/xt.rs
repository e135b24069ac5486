//! Rules of x_tables, asked with what is known of a packet.

use std::net::IpAddr;

use super::{Found, Holds, Packet, RuleRef, Target};
use crate::bytes::{u16_at, u32_at};
use crate::subsys::net::rules::NetnsRules;
use crate::subsys::net::rules::xt::{Extension, XChain, XRule, XTable, XTarget, XVerdict};

/// As deep as chains may call each other before one must be calling itself.
const DEPTH: u32 = 64;

/// Whether the search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Stop,
}

/// Asks the chains of the table `nat` whose hook translates that end.
pub(super) fn ask(rules: &NetnsRules, packet: &Packet, found: &mut Found) {
    let tables = rules.x_tables.iter();
    let table = tables
        .filter(|table| table.family.0 == packet.family)
        .find(|table| table.name == "nat");
    let Some(table) = table else { return };
    let hooks = if packet.dnat { [0, 3] } else { [4, 1] };
    for hook in hooks {
        if let Some(chain) = table.chains.iter().find(|chain| chain.hook == Some(hook)) {
            ask_chain(table, chain, packet, found, 0, true);
        }
    }
}

pub(super) fn is_nat(name: &str) -> bool {
    matches!(name, "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP")
}

pub(super) fn named(table: &XTable, chain: &XChain, index: usize) -> RuleRef {
    RuleRef {
        filter: "x_tables",
        family: table.family.name(),
        table: table.name.clone(),
        chain: chain.name.clone(),
        handle: index as u64 + 1,
    }
}

fn ask_chain(
    table: &XTable,
    chain: &XChain,
    packet: &Packet,
    found: &mut Found,
    depth: u32,
    sure: bool,
) -> Flow {
    if depth > DEPTH {
        return Flow::Next;
    }
    for (index, rule) in chain.rules.iter().enumerate() {
        let certain = match holds(rule, packet) {
            Holds::No => continue,
            Holds::Yes => sure,
            Holds::Unknown => false,
        };
        let flow = match &rule.target {
            XTarget::Extension(one) => match target_of(packet, one) {
                Some(target) if target.fits(packet) => {
                    found.add(named(table, chain, index));
                    if certain { Flow::Stop } else { Flow::Next }
                }
                _ => Flow::Next,
            },
            XTarget::Verdict(XVerdict::Jump(to) | XVerdict::Goto(to)) => {
                match table.chains.iter().find(|chain| chain.name == *to) {
                    Some(to) => ask_chain(table, to, packet, found, depth + 1, certain),
                    None => Flow::Next,
                }
            }
            XTarget::Verdict(XVerdict::Return) if certain == sure => return Flow::Next,
            XTarget::Verdict(XVerdict::Accept | XVerdict::Drop) if certain => Flow::Stop,
            XTarget::Verdict(_) => Flow::Next,
        };
        if flow == Flow::Stop {
            return flow;
        }
    }
    Flow::Next
}

/// All conditions together.
fn holds(rule: &XRule, packet: &Packet) -> Holds {
    let mut all = header(&rule.header.0, packet);
    for one in &rule.matches {
        match (matches(one, packet), all) {
            (Holds::No, _) | (_, Holds::No) => return Holds::No,
            (Holds::Unknown, _) => all = Holds::Unknown,
            (Holds::Yes, _) => {}
        }
    }
    all
}

/// `struct ipt_ip` or `ip6t_ip6`.
fn header(bytes: &[u8], packet: &Packet) -> Holds {
    let wide = packet.family == 10;
    let len = if wide { 16 } else { 4 };
    let (masks, proto, turned, devices) = if wide {
        (32, 128, 132, 64)
    } else {
        (8, 80, 83, 16)
    };
    let inverted = bytes.get(turned).copied().unwrap_or(0);
    let sides = [(packet.src, 0, 8), (packet.dst, 1, 16)];
    for (address, index, bit) in sides {
        let part = |at: usize| bytes.get(at..at + len);
        let (Some(wanted), Some(mask)) = (part(index * len), part(masks + index * len)) else {
            return Holds::Unknown;
        };
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let same = octets
            .iter()
            .zip(mask)
            .zip(wanted)
            .all(|((own, mask), wanted)| own & mask == *wanted);
        if same == (inverted & bit != 0) {
            return Holds::No;
        }
    }
    let wanted = u16_at(bytes, proto).unwrap_or(0);
    if wanted != 0 && (wanted == u16::from(packet.l4)) == (inverted & 0x40 != 0) {
        return Holds::No;
    }
    let named = |at: usize| bytes.get(at).is_some_and(|byte| *byte != 0);
    let out = bytes
        .get(devices + 16..devices + 32)
        .zip(bytes.get(devices + 48..devices + 64));
    if let (Some((_, name)), Some((wanted, mask))) = (&packet.out, out) {
        let mut own = name.clone().into_bytes();
        own.resize(16, 0);
        let same = own
            .iter()
            .zip(mask)
            .zip(wanted)
            .all(|((own, mask), wanted)| own & mask == wanted & mask);
        if same == (inverted & 2 != 0) {
            return Holds::No;
        }
    } else if named(devices + 48) {
        return Holds::Unknown;
    }
    // By which device it came is not known.
    if named(devices + 32) {
        Holds::Unknown
    } else {
        Holds::Yes
    }
}

fn matches(one: &Extension, packet: &Packet) -> Holds {
    let info = &one.info.0;
    let byte = |at: usize| info.get(at).copied().unwrap_or(0);
    match one.name.as_str() {
        "comment" => Holds::Yes,
        "tcp" | "udp" | "udplite" if one.revision == 0 => {
            let inverted = byte(if one.name == "tcp" { 11 } else { 8 });
            let Some((src, dst)) = packet.ports else {
                return Holds::No;
            };
            for (port, at, bit) in [(src, 0, 1), (dst, 4, 2)] {
                let (Some(min), Some(max)) = (u16_at(info, at), u16_at(info, at + 2)) else {
                    return Holds::Unknown;
                };
                if (min <= port && port <= max) == (inverted & bit != 0) {
                    return Holds::No;
                }
            }
            // Flags and options of the first packet are gone.
            let asks = one.name == "tcp" && (byte(9) != 0 || byte(8) != 0);
            if asks { Holds::Unknown } else { Holds::Yes }
        }
        "mark" | "connmark" => {
            let of = u32_at(info, 0).zip(u32_at(info, 4));
            let fits = of
                .zip(packet.mark)
                .is_some_and(|((mark, mask), own)| own & mask == mark);
            if fits && byte(8) == 0 && one.name == "connmark" {
                Holds::Yes
            } else {
                Holds::Unknown
            }
        }
        _ => Holds::Unknown,
    }
}

fn target_of(packet: &Packet, one: &Extension) -> Option<Target> {
    target(
        packet.dnat,
        packet.family,
        &one.name,
        one.revision,
        &one.info.0,
    )
}

/// What a target translates to (include/uapi/linux/netfilter/nf_nat.h).
pub(super) fn target(
    dnat: bool,
    family: u8,
    name: &str,
    revision: u8,
    info: &[u8],
) -> Option<Target> {
    if !is_nat(name) {
        return None;
    }
    // `struct nf_nat_ipv4_multi_range_compat`, else `nf_nat_range`.
    let old = revision == 0 && family != 10;
    let (flags, min, max, ports) = if old { (4, 8, 12, 16) } else { (0, 4, 20, 36) };
    let flags = u32_at(info, flags)?;
    let address = |at: usize| match family {
        10 => Some(IpAddr::from(
            <[u8; 16]>::try_from(info.get(at..at + 16)?).ok()?,
        )),
        _ => Some(IpAddr::from(
            <[u8; 4]>::try_from(info.get(at..at + 4)?).ok()?,
        )),
    };
    let port = |at: usize| u16_at(info, at).map(u16::swap_bytes);
    // NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED.
    let addresses = match flags & 1 {
        0 => None,
        _ => Some((address(min)?, address(max)?)),
    };
    let ports = match flags & 2 {
        0 => None,
        _ => Some((port(ports)?, port(ports + 2)?)),
    };
    let own_address = matches!(name, "MASQUERADE" | "REDIRECT");
    Some(Target {
        // NETMAP translates whichever end its chain is for.
        dnat: matches!(name, "DNAT" | "REDIRECT") || (name == "NETMAP" && dnat),
        addresses,
        ports,
        own_address,
    })
}
