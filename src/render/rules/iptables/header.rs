//! Addresses, interfaces and protocol of an entry (`struct ipt_ip`, `ip6t_ip6`, `arpt_arp`).

use std::net::IpAddr;

use super::info::{Info, not, prefix};
use crate::subsys::net::rules::Hex;

/// Where members lie; uapi.
#[derive(Debug)]
struct Shape {
    addresses: [(usize, usize); 2],
    len: usize,
    interfaces: [(usize, usize); 2],
    proto: usize,
    flags: usize,
    inverted: usize,
    size: usize,
}

const IP: Shape = Shape {
    addresses: [(0, 8), (4, 12)],
    len: 4,
    interfaces: [(16, 48), (32, 64)],
    proto: 80,
    flags: 82,
    inverted: 83,
    size: 84,
};
const IP6: Shape = Shape {
    addresses: [(0, 32), (16, 48)],
    len: 16,
    interfaces: [(64, 96), (80, 112)],
    proto: 128,
    flags: 131,
    inverted: 132,
    size: 136,
};

/// One end of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    From = 0,
    To = 1,
}

/// A header that is put together: `struct ipt_ip` or `ip6t_ip6`.
#[derive(Debug)]
pub(super) struct Header {
    bytes: Vec<u8>,
    shape: &'static Shape,
}

impl Header {
    /// One that fits all packets.
    pub(super) fn new(family: u8) -> Self {
        let shape = if family == 10 { &IP6 } else { &IP };
        let bytes = vec![0; shape.size];
        Self { bytes, shape }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }

    fn invert(&mut self, bit: u8, inverted: bool) {
        if let Some(all) = self.bytes.get_mut(self.shape.inverted) {
            *all |= if inverted { bit } else { 0 };
        }
    }

    /// Bytes of an address and its mask, as many as an address has.
    pub(super) fn set_address(&mut self, side: Side, address: &[u8], mask: &[u8], inverted: bool) {
        let [from, to] = self.shape.addresses;
        let (at, mask_at) = if side == Side::From { from } else { to };
        let len = self.shape.len;
        self.put(at, address.get(..len).unwrap_or(address));
        self.put(mask_at, mask.get(..len).unwrap_or(mask));
        self.invert(8 << side as u8, inverted);
    }

    /// A name with the zero at its end, or without one the beginning of names.
    pub(super) fn set_interface(&mut self, side: Side, name: &[u8], inverted: bool) {
        let [from, to] = self.shape.interfaces;
        let (at, mask_at) = if side == Side::From { from } else { to };
        let name = name.get(..INTERFACE).unwrap_or(name);
        self.put(at, name);
        self.put(mask_at, &vec![0xff; name.len()]);
        self.invert(1 << side as u8, inverted);
    }

    pub(super) fn set_protocol(&mut self, number: u8, inverted: bool) {
        self.put(self.shape.proto, &[number]);
        // IPT_INV_PROTO.
        self.invert(0x40, inverted);
    }

    /// Second and further fragments; of IPv4.
    pub(super) fn set_fragments(&mut self, inverted: bool) {
        self.put(self.shape.flags, &[1]);
        self.invert(0x20, inverted);
    }

    pub(super) fn protocol(&self) -> u8 {
        self.bytes.get(self.shape.proto).copied().unwrap_or(0)
    }

    pub(super) fn hex(self) -> Hex {
        Hex(self.bytes)
    }
}

/// IFNAMSIZ.
const INTERFACE: usize = 16;

/// Behind the name of the chain.
pub(super) fn text(family: u8, bytes: &[u8]) -> String {
    let text = match family {
        3 => arp(Info(bytes)),
        10 => ip(Info(bytes), &IP6, family),
        _ => ip(Info(bytes), &IP, family),
    };
    text.unwrap_or_else(|| " # damaged".to_owned())
}

fn ip(info: Info<'_>, shape: &Shape, family: u8) -> Option<String> {
    let inverted = info.u8(shape.inverted)?;
    let mut text = String::new();
    for ((name, bit), (at, mask)) in [("s", 8), ("d", 16)].into_iter().zip(shape.addresses) {
        let address = info.address(family, at)?;
        let mask = info.0.get(mask..mask + shape.len)?;
        text.push_str(&self::address(name, address, mask, inverted & bit != 0));
    }
    for ((name, bit), (at, mask)) in [("i", 1), ("o", 2)].into_iter().zip(shape.interfaces) {
        if let Some(device) = interface(info, at, mask)? {
            text.push_str(&format!("{} -{name} {device}", not(inverted & bit != 0)));
        }
    }
    let proto = info.u16(shape.proto)?;
    if proto != 0 {
        // IPT_INV_PROTO.
        let not = not(inverted & 0x40 != 0);
        text.push_str(&format!("{not} -p {}", protocol(proto, family)));
    }
    // IPT_F_FRAG; of IPv6 that bit tells that there is a protocol.
    if family != 10 && info.u8(shape.flags)? & 1 != 0 {
        text.push_str(&format!("{} -f", not(inverted & 0x20 != 0)));
    }
    Some(text)
}

/// Without a mask any address is meant.
fn address(name: &str, address: IpAddr, mask: &[u8], inverted: bool) -> String {
    let any = mask.iter().all(|byte| *byte == 0);
    if any && !inverted {
        return String::new();
    }
    let mask = match (prefix(mask), mask) {
        (Some(len), _) => len.to_string(),
        (None, [a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        (None, other) => {
            let bytes: [u8; 16] = other.try_into().unwrap_or_default();
            std::net::Ipv6Addr::from(bytes).to_string()
        }
    };
    format!("{} -{name} {address}/{mask}", not(inverted))
}

/// A name as long as its mask; one that is not compared to its end stands for all that begin so.
pub(super) fn interface(info: Info<'_>, at: usize, mask: usize) -> Option<Option<String>> {
    let name = info.text(at, 16)?;
    let mask = info.0.get(mask..mask + 16)?;
    let compared = mask.iter().take_while(|byte| **byte != 0).count();
    if compared == 0 {
        return Some(None);
    }
    if compared > name.len() {
        return Some(Some(name));
    }
    let begun: String = name.chars().take(compared).collect();
    Some(Some(format!("{}+", begun.trim_end_matches('+'))))
}

/// As iptables knows it by itself (`xtables_chain_protos`): in what it saves it asks nobody else.
pub(super) fn protocol(number: u16, family: u8) -> String {
    let name = match number {
        1 if family != 10 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        132 => "sctp",
        135 => "mobility-header",
        136 => "udplite",
        _ => return number.to_string(),
    };
    name.to_owned()
}

/// `struct arpt_arp`.
fn arp(info: Info<'_>) -> Option<String> {
    let inverted = info.u16(160)?;
    let mut text = String::new();
    for (name, bit, at, mask) in [("s", 4, 0, 8), ("d", 8, 4, 12)] {
        let mask = info.0.get(mask..mask + 4)?;
        let of = info.address(2, at)?;
        text.push_str(&address(name, of, mask, inverted & bit != 0));
    }
    for (name, bit, at, mask) in [("i", 1, 94, 126), ("o", 2, 110, 142)] {
        if let Some(device) = interface(info, at, mask)? {
            text.push_str(&format!("{} -{name} {device}", not(inverted & bit != 0)));
        }
    }
    for (name, bit, at) in [("source-mac", 0x10, 18), ("destination-mac", 0x20, 50)] {
        let mac = info.0.get(at..at + 6)?;
        let mask = info.0.get(at + 16..at + 22)?;
        if mask.iter().any(|byte| *byte != 0) {
            let of = |bytes: &[u8]| {
                let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                parts.join(":")
            };
            let mask = match mask.iter().all(|byte| *byte == 0xff) {
                true => String::new(),
                false => format!("/{}", of(mask)),
            };
            text.push_str(&format!(
                "{} --{name} {}{mask}",
                not(inverted & bit != 0),
                of(mac)
            ));
        }
    }
    if info.be16(84)? != 0 {
        let not = not(inverted & 0x40 != 0);
        text.push_str(&format!("{not} --opcode {}", info.be16(82)?));
    }
    Some(text)
}
