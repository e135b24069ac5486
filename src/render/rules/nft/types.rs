//! nft's types of values, by its own numbers, and how it writes them (nftables,
//! include/datatype.h).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::symbols::symbols;

/// A type with what its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ty {
    /// nft's number.
    pub(super) number: u32,
    /// Whether bytes are in the host's order.
    pub(super) host: bool,
}

pub(super) const INTEGER: u32 = 4;
pub(super) const STRING: u32 = 5;
pub(super) const IPV4: u32 = 7;
pub(super) const IPV6: u32 = 8;
pub(super) const ETHER: u32 = 9;
pub(super) const ETHER_TYPE: u32 = 10;
pub(super) const PROTO: u32 = 12;
pub(super) const SERVICE: u32 = 13;
pub(super) const ICMP_TYPE: u32 = 14;
pub(super) const TCP_FLAG: u32 = 15;
pub(super) const MARK: u32 = 19;
pub(super) const IFINDEX: u32 = 20;
pub(super) const CT_STATE: u32 = 26;
pub(super) const CT_DIR: u32 = 27;
pub(super) const CT_STATUS: u32 = 28;
pub(super) const ICMPV6_TYPE: u32 = 29;
pub(super) const CT_LABEL: u32 = 30;
pub(super) const PKT_TYPE: u32 = 31;
pub(super) const DSCP: u32 = 36;
pub(super) const FIB_TYPE: u32 = 38;
pub(super) const BOOLEAN: u32 = 39;
pub(super) const IFNAME: u32 = 41;
pub(super) const NFPROTO: u32 = 2;
pub(super) const ARP_OP: u32 = 11;
pub(super) const DAY: u32 = 45;
pub(super) const HOUR: u32 = 44;

const NAMES: [&str; 47] = [
    "invalid",
    "verdict",
    "nf_proto",
    "bitmask",
    "integer",
    "string",
    "ll_addr",
    "ipv4_addr",
    "ipv6_addr",
    "ether_addr",
    "ether_type",
    "arp_op",
    "inet_proto",
    "inet_service",
    "icmp_type",
    "tcp_flag",
    "dccp_pkttype",
    "mh_type",
    "time",
    "mark",
    "iface_index",
    "iface_type",
    "realm",
    "classid",
    "uid",
    "gid",
    "ct_state",
    "ct_dir",
    "ct_status",
    "icmpv6_type",
    "ct_label",
    "pkt_type",
    "icmp_code",
    "icmpv6_code",
    "icmpx_code",
    "devgroup",
    "dscp",
    "ecn",
    "fib_addrtype",
    "boolean",
    "ct_event",
    "ifname",
    "igmp_type",
    "time",
    "hour",
    "day",
    "cgroupsv2",
];

/// Bits of a concatenation's number that each of its types has.
const BITS: u32 = 6;

/// The types that a number is of, first field first.
pub(super) fn fields(number: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut rest = number;
    while rest > 0 && all.len() < 5 {
        all.push(rest & ((1 << BITS) - 1));
        rest >>= BITS;
    }
    all.reverse();
    all
}

/// As a set says its type.
pub(super) fn name(number: u32) -> String {
    let of = |number: u32| NAMES.get(number as usize).copied().unwrap_or("unknown");
    let names: Vec<&str> = fields(number).into_iter().map(of).collect();
    names.join(" . ")
}

/// Bytes of a value; `None` if the type does not tell.
pub(super) fn size(number: u32) -> Option<usize> {
    Some(match number {
        IPV4 | MARK | IFINDEX | CT_STATE | CT_STATUS | FIB_TYPE | HOUR => 4,
        22..=25 | 35 => 4,
        IPV6 | IFNAME | 30 => 16,
        ETHER => 6,
        ETHER_TYPE | SERVICE | ARP_OP | 21 => 2,
        NFPROTO | PROTO | ICMP_TYPE | TCP_FLAG | CT_DIR | ICMPV6_TYPE | PKT_TYPE => 1,
        32..=34 | DSCP | BOOLEAN | DAY => 1,
        _ => return None,
    })
}

/// Whether values lie in the host's order where the kernel loads them.
pub(super) fn is_host(number: u32) -> bool {
    matches!(
        number,
        MARK | IFINDEX | CT_STATE | CT_STATUS | FIB_TYPE | 21..=25 | 35 | HOUR | 43
    )
}

/// Whether a value is made of flags.
pub(super) fn is_flags(number: u32) -> bool {
    matches!(number, CT_STATE | CT_STATUS | TCP_FLAG | 30 | 40)
}

/// The number that bytes are; of more than 16 the last ones.
pub(super) fn number(bytes: &[u8], host: bool) -> u128 {
    let add = |sum: u128, byte: &u8| (sum << 8) | u128::from(*byte);
    match host {
        true => bytes.iter().rev().fold(0, add),
        false => bytes.iter().fold(0, add),
    }
}

/// The flags that are set, lowest first; what has no name comes last.
pub(super) fn flags(ty: u32, value: u128, between: &str) -> String {
    if ty == CT_LABEL {
        // Names of labels are in a file of the reader; without it they are numbers of bits.
        let bits = (0..128).filter(|bit| value >> bit & 1 == 1);
        let bits: Vec<String> = bits.map(|bit: u32| bit.to_string()).collect();
        return bits.join(between);
    }
    let known = symbols(ty).iter().filter(|(bit, _)| value & bit != 0);
    let mut names: Vec<String> = known.clone().map(|(_, name)| (*name).to_owned()).collect();
    let rest = known.fold(value, |rest, (bit, _)| rest & !bit);
    if rest != 0 || names.is_empty() {
        names.push(format!("{rest:#x}"));
    }
    names.join(between)
}

/// The devices of a namespace by index.
pub(super) type Devices = BTreeMap<u32, String>;

/// A value as nft writes it.
pub(super) fn value(ty: Ty, bytes: &[u8], devices: &Devices) -> String {
    let number = number(bytes, ty.host);
    let fixed = |len: usize| {
        let mut padded = [0u8; 16];
        for (to, from) in padded.iter_mut().zip(bytes.iter().take(len)) {
            *to = *from;
        }
        u128::from_be_bytes(padded)
    };
    match ty.number {
        IPV4 => Ipv4Addr::from((fixed(4) >> 96) as u32).to_string(),
        IPV6 => Ipv6Addr::from(fixed(16)).to_string(),
        ETHER => {
            let parts: Vec<String> = bytes
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            parts.join(":")
        }
        MARK => format!("{number:#010x}"),
        IFINDEX => match devices.get(&(number as u32)) {
            Some(name) => quoted(name),
            None => number.to_string(),
        },
        IFNAME | STRING => text(bytes),
        HOUR => hour(number as u64),
        other if is_flags(other) => flags(other, number, ","),
        ETHER_TYPE | DSCP => named(ty.number, number).unwrap_or_else(|| format!("{number:#x}")),
        other => named(other, number).unwrap_or_else(|| number.to_string()),
    }
}

fn named(ty: u32, number: u128) -> Option<String> {
    let found = symbols(ty).iter().find(|(known, _)| *known == number);
    found.map(|(_, name)| (*name).to_owned())
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Names of devices: what lacks its NUL is the beginning of one.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    let name = String::from_utf8_lossy(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
    match end {
        None if bytes.len() < 16 => format!("\"{name}*\""),
        _ => quoted(&name),
    }
}

/// Seconds of a day.
fn hour(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match rest {
        0 => format!("\"{hours:02}:{minutes:02}\""),
        rest => format!("\"{hours:02}:{minutes:02}:{rest:02}\""),
    }
}

/// Milliseconds, without parts that are zero.
pub(super) fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let parts = [
        (seconds / 86400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (milliseconds % 1000, "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| format!("{amount}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Bytes in the largest of nft's units that leaves nothing over.
pub(super) fn amount(bytes: u64) -> (u64, &'static str) {
    match bytes {
        0 => (0, "bytes"),
        bytes if bytes % (1 << 20) == 0 => (bytes >> 20, "mbytes"),
        bytes if bytes % (1 << 10) == 0 => (bytes >> 10, "kbytes"),
        bytes => (bytes, "bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nft prints them.
    #[test]
    fn values_and_times() {
        let none = Devices::new();
        let of = |number, host, bytes: &[u8]| value(Ty { number, host }, bytes, &none);
        assert_eq!(of(IPV4, false, &[10, 1, 2, 3]), "10.1.2.3");
        assert_eq!(of(MARK, true, &[5, 1, 0, 0]), "0x00000105");
        assert_eq!(of(SERVICE, false, &[1, 0xbb]), "443");
        assert_eq!(of(IFNAME, true, b"wan"), "\"wan*\"");
        assert_eq!(of(IFNAME, true, b"lo\0\0"), "\"lo\"");
        assert_eq!(of(CT_STATE, true, &[6, 0, 0, 0]), "established,related");
        assert_eq!(time(3_572_760), "59m32s760ms");
        assert_eq!(time(5_400_000), "1h30m");
        assert_eq!(time(0), "0s");
        assert_eq!(name(0x1cd), "ipv4_addr . inet_service");
    }
}
