//! Fields of headers by where they lie, as nft calls them (nftables, src/proto.c, src/exthdr.c).

use super::types::*;

/// A part of a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// In bits from the header's start.
    pub(super) offset: u32,
    /// In bits.
    pub(super) len: u32,
    pub(super) name: &'static str,
    pub(super) ty: u32,
}

const fn field(offset: u32, len: u32, name: &'static str, ty: u32) -> Field {
    Field {
        offset,
        len,
        name,
        ty,
    }
}

const ETHER_FIELDS: [Field; 3] = [
    field(0, 48, "ether daddr", ETHER),
    field(48, 48, "ether saddr", ETHER),
    field(96, 16, "ether type", ETHER_TYPE),
];
/// Behind the addresses of Ethernet.
const VLAN_FIELDS: [Field; 4] = [
    field(112, 3, "vlan pcp", INTEGER),
    field(115, 1, "vlan dei", INTEGER),
    field(116, 12, "vlan id", INTEGER),
    field(128, 16, "vlan type", ETHER_TYPE),
];
const IP_FIELDS: [Field; 12] = [
    field(0, 4, "ip version", INTEGER),
    field(4, 4, "ip hdrlength", INTEGER),
    field(8, 6, "ip dscp", DSCP),
    field(14, 2, "ip ecn", INTEGER),
    field(16, 16, "ip length", INTEGER),
    field(32, 16, "ip id", INTEGER),
    field(48, 16, "ip frag-off", INTEGER),
    field(64, 8, "ip ttl", INTEGER),
    field(72, 8, "ip protocol", PROTO),
    field(80, 16, "ip checksum", INTEGER),
    field(96, 32, "ip saddr", IPV4),
    field(128, 32, "ip daddr", IPV4),
];
const IP6_FIELDS: [Field; 9] = [
    field(0, 4, "ip6 version", INTEGER),
    field(4, 6, "ip6 dscp", DSCP),
    field(10, 2, "ip6 ecn", INTEGER),
    field(12, 20, "ip6 flowlabel", INTEGER),
    field(32, 16, "ip6 length", INTEGER),
    field(48, 8, "ip6 nexthdr", PROTO),
    field(56, 8, "ip6 hoplimit", INTEGER),
    field(64, 128, "ip6 saddr", IPV6),
    field(192, 128, "ip6 daddr", IPV6),
];
const ARP_FIELDS: [Field; 9] = [
    field(0, 16, "arp htype", INTEGER),
    field(16, 16, "arp ptype", ETHER_TYPE),
    field(32, 8, "arp hlen", INTEGER),
    field(40, 8, "arp plen", INTEGER),
    field(48, 16, "arp operation", ARP_OP),
    field(64, 48, "arp saddr ether", ETHER),
    field(112, 32, "arp saddr ip", IPV4),
    field(144, 48, "arp daddr ether", ETHER),
    field(192, 32, "arp daddr ip", IPV4),
];
const TCP_FIELDS: [Field; 10] = [
    field(0, 16, "tcp sport", SERVICE),
    field(16, 16, "tcp dport", SERVICE),
    field(32, 32, "tcp sequence", INTEGER),
    field(64, 32, "tcp ackseq", INTEGER),
    field(96, 4, "tcp doff", INTEGER),
    field(100, 4, "tcp reserved", INTEGER),
    field(104, 8, "tcp flags", TCP_FLAG),
    field(112, 16, "tcp window", INTEGER),
    field(128, 16, "tcp checksum", INTEGER),
    field(144, 16, "tcp urgptr", INTEGER),
];
const UDP_FIELDS: [Field; 4] = [
    field(0, 16, "udp sport", SERVICE),
    field(16, 16, "udp dport", SERVICE),
    field(32, 16, "udp length", INTEGER),
    field(48, 16, "udp checksum", INTEGER),
];
const UDPLITE_FIELDS: [Field; 4] = [
    field(0, 16, "udplite sport", SERVICE),
    field(16, 16, "udplite dport", SERVICE),
    field(32, 16, "udplite csumcov", INTEGER),
    field(48, 16, "udplite checksum", INTEGER),
];
const SCTP_FIELDS: [Field; 4] = [
    field(0, 16, "sctp sport", SERVICE),
    field(16, 16, "sctp dport", SERVICE),
    field(32, 32, "sctp vtag", INTEGER),
    field(64, 32, "sctp checksum", INTEGER),
];
const DCCP_FIELDS: [Field; 2] = [
    field(0, 16, "dccp sport", SERVICE),
    field(16, 16, "dccp dport", SERVICE),
];
const ICMP_FIELDS: [Field; 6] = [
    field(0, 8, "icmp type", ICMP_TYPE),
    field(8, 8, "icmp code", INTEGER),
    field(16, 16, "icmp checksum", INTEGER),
    field(32, 16, "icmp id", INTEGER),
    field(48, 16, "icmp sequence", INTEGER),
    field(32, 32, "icmp gateway", INTEGER),
];
const ICMPV6_FIELDS: [Field; 5] = [
    field(0, 8, "icmpv6 type", ICMPV6_TYPE),
    field(8, 8, "icmpv6 code", INTEGER),
    field(16, 16, "icmpv6 checksum", INTEGER),
    field(32, 16, "icmpv6 id", INTEGER),
    field(48, 16, "icmpv6 sequence", INTEGER),
];
/// Of whatever has ports.
const PORTS: [Field; 2] = [
    field(0, 16, "th sport", SERVICE),
    field(16, 16, "th dport", SERVICE),
];

/// What a rule has found out of the packet so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Protocols {
    /// By its type in Ethernet.
    pub(super) network: Option<u32>,
    pub(super) transport: Option<u8>,
    /// Whether there is a tag behind the addresses of Ethernet.
    pub(super) vlan: bool,
}

/// The fields of a header that payload expressions of that base read.
pub(super) fn header(base: u8, known: Protocols) -> &'static [Field] {
    match (base, known.network, known.transport) {
        (0, ..) if known.vlan => &VLAN_FIELDS,
        (0, ..) => &ETHER_FIELDS,
        (1, Some(0x0800), _) => &IP_FIELDS,
        (1, Some(0x86dd), _) => &IP6_FIELDS,
        (1, Some(0x0806), _) => &ARP_FIELDS,
        (2, _, Some(6)) => &TCP_FIELDS,
        (2, _, Some(17)) => &UDP_FIELDS,
        (2, _, Some(136)) => &UDPLITE_FIELDS,
        (2, _, Some(132)) => &SCTP_FIELDS,
        (2, _, Some(33)) => &DCCP_FIELDS,
        (2, _, Some(1)) => &ICMP_FIELDS,
        (2, _, Some(58)) => &ICMPV6_FIELDS,
        (2, _, None) => &PORTS,
        _ => &[],
    }
}

/// The field of a protocol by nft's number of it and its place in nft's table, for types that sets
/// take from expressions.
pub(super) fn by_index(protocol: u32, index: u32) -> Option<&'static str> {
    let fields: &[Field] = match protocol {
        4 => &ICMP_FIELDS,
        6 => &UDP_FIELDS,
        7 => &UDPLITE_FIELDS,
        8 => &TCP_FIELDS,
        9 => &DCCP_FIELDS,
        10 => &SCTP_FIELDS,
        11 => &PORTS,
        12 => &IP_FIELDS,
        13 => &IP6_FIELDS,
        14 => &ICMPV6_FIELDS,
        15 => &ARP_FIELDS,
        16 => &VLAN_FIELDS,
        17 => &ETHER_FIELDS,
        _ => &[],
    };
    let at = (index as usize).checked_sub(1)?;
    fields.get(at).map(|field| field.name)
}

/// A field of an extension header: its name and its type; `None` if it has no short form.
pub(super) fn extension(proto: &str, kind: u32, offset: u32, len: u32) -> Option<(String, u32)> {
    if proto != "tcpopt" {
        return None;
    }
    let option = tcp_option(kind)?;
    let part = match (kind, offset, len) {
        (_, 0, 1) => "kind",
        (_, 1, 1) => "length",
        (2, 2, 2) => "size",
        (3, 2, 1) => "count",
        (8, 2, 4) => "tsval",
        (8, 6, 4) => "tsecr",
        _ => return None,
    };
    Some((format!("tcp option {option} {part}"), INTEGER))
}

fn tcp_option(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0 => "eol",
        1 => "nop",
        2 => "maxseg",
        3 => "window",
        4 => "sack-perm",
        5 => "sack",
        8 => "timestamp",
        28 => "user-timeout",
        29 => "md5sig",
        30 => "mptcp",
        34 => "fastopen",
        _ => return None,
    })
}

/// What is asked for to be there or not.
pub(super) fn presence(proto: &str, kind: u32) -> Option<String> {
    let name = match (proto, kind) {
        ("ipv6", 0) => "exthdr hbh",
        ("ipv6", 43) => "exthdr rt",
        ("ipv6", 44) => "exthdr frag",
        ("ipv6", 51) => "exthdr auth",
        ("ipv6", 60) => "exthdr dst",
        ("ipv6", 135) => "exthdr mh",
        ("ipv4", 7) => "ip option rr",
        ("ipv4", 131) => "ip option lsrr",
        ("ipv4", 137) => "ip option ssrr",
        ("ipv4", 148) => "ip option ra",
        ("tcpopt", kind) => return Some(format!("tcp option {}", tcp_option(kind)?)),
        _ => return None,
    };
    Some(name.to_owned())
}
