//! Matches of what is in frames: IPv4, IPv6, ARP. The same bits tell what is asked and what of it
//! is turned round.

use super::super::iptables::info::Info;
use super::address;
use super::{names, not, range};

/// Words of what is asked, each with a space behind it.
struct Words {
    text: String,
    inverted: u8,
}

impl Words {
    fn add(&mut self, name: &str, bit: u8, value: &str) {
        let not = not(self.inverted & bit != 0);
        self.text.push_str(&format!("--{name} {not}{value} "));
    }
}

fn pair(info: Info<'_>, at: usize) -> Option<[u8; 2]> {
    Some([info.u8(at)?, info.u8(at + 1)?])
}

fn ports(info: Info<'_>, at: usize) -> Option<String> {
    Some(range(info.u16(at)?, info.u16(at + 2)?))
}

/// `struct ebt_ip_info`.
pub(super) fn ip(info: Info<'_>) -> Option<String> {
    of_ip(info, 4, "ip", "tos")
}

/// `struct ebt_ip6_info`.
pub(super) fn ip6(info: Info<'_>) -> Option<String> {
    of_ip(info, 16, "ip6", "tclass")
}

/// Both have the same members, but for how long addresses are, and IGMP.
fn of_ip(info: Info<'_>, len: usize, of: &str, class: &str) -> Option<String> {
    let rest = len * 4;
    let (asked, inverted) = (info.u8(rest + 2)?, info.u8(rest + 3)?);
    let mut words = Words {
        text: String::new(),
        inverted,
    };
    let (first, second) = (rest + 4, rest + 8);
    if asked & 1 != 0 {
        let value = address::ip(info, len, 0, len * 2)?;
        words.add(&format!("{of}-src"), 1, &value);
    }
    if asked & 2 != 0 {
        let value = address::ip(info, len, len, len * 3)?;
        words.add(&format!("{of}-dst"), 2, &value);
    }
    if asked & 4 != 0 {
        let value = format!("0x{:02X}", info.u8(rest)?);
        words.add(&format!("{of}-{class}"), 4, &value);
    }
    if asked & 8 != 0 {
        let value = names::protocol(info.u8(rest + 1)?);
        words.add(&format!("{of}-proto"), 8, &value);
    }
    if asked & 0x10 != 0 {
        words.add(&format!("{of}-sport"), 0x10, &ports(info, first)?);
    }
    if asked & 0x20 != 0 {
        words.add(&format!("{of}-dport"), 0x20, &ports(info, second)?);
    }
    if asked & 0x40 != 0 {
        let known: &[_] = if len == 16 {
            &names::ICMP6
        } else {
            &names::ICMP
        };
        let value = names::icmp(known, pair(info, first)?, Some(pair(info, second)?));
        words.add(&format!("{of}-icmp-type"), 0x40, &value);
    }
    if asked & 0x80 != 0 && len == 4 {
        let value = names::icmp(&names::IGMP, pair(info, first)?, None);
        words.add("ip-igmp-type", 0x80, &value);
    }
    Some(words.text)
}

const OPERATIONS: [&str; 9] = [
    "Request",
    "Reply",
    "Request_Reverse",
    "Reply_Reverse",
    "DRARP_Request",
    "DRARP_Reply",
    "DRARP_Error",
    "InARP_Request",
    "ARP_NAK",
];

/// `struct ebt_arp_info`.
pub(super) fn arp(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (info.u8(48)?, info.u8(49)?);
    let mut words = Words {
        text: String::new(),
        inverted,
    };
    if asked & 1 != 0 {
        let number = info.be16(4)?;
        let known = usize::from(number)
            .checked_sub(1)
            .and_then(|at| OPERATIONS.get(at));
        let value = known.map_or_else(|| number.to_string(), |name| (*name).to_owned());
        words.add("arp-op", 1, &value);
    }
    if asked & 2 != 0 {
        words.add("arp-htype", 2, &info.be16(0)?.to_string());
    }
    if asked & 4 != 0 {
        words.add("arp-ptype", 4, &names::ethertype(info.be16(2)?));
    }
    for (name, bit, at) in [("arp-ip-src", 8, 8), ("arp-ip-dst", 0x10, 16)] {
        if asked & bit != 0 {
            words.add(name, bit, &address::ip(info, 4, at, at + 4)?);
        }
    }
    for (name, bit, at) in [("arp-mac-src", 0x20, 24), ("arp-mac-dst", 0x40, 36)] {
        if asked & bit != 0 {
            words.add(name, bit, &address::masked_mac(info, at, at + 6)?);
        }
    }
    if asked & 0x80 != 0 {
        let not = not(inverted & 0x80 != 0);
        words.text.push_str(&format!("{not}--arp-gratuitous "));
    }
    Some(words.text)
}
