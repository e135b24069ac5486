//! Words for numbers: /etc/ethertypes and /etc/protocols of Debian, and what ebtables calls types
//! of ICMP and IGMP.

use super::range;

const ETHERTYPES: [(u16, &str); 37] = [
    (0x0800, "IPv4"),
    (0x0805, "X25"),
    (0x0806, "ARP"),
    (0x0808, "FR_ARP"),
    (0x08ff, "BPQ"),
    (0x22f3, "TRILL"),
    (0x22f4, "L2-IS-IS"),
    (0x6558, "TEB"),
    (0x6559, "RAW_FR"),
    (0x8035, "RARP"),
    (0x809b, "ATALK"),
    (0x80f3, "AARP"),
    (0x8100, "802_1Q"),
    (0x8137, "IPX"),
    (0x8191, "NetBEUI"),
    (0x86dd, "IPv6"),
    (0x8809, "SLOW"),
    (0x880b, "PPP"),
    (0x8847, "MPLS"),
    (0x8848, "MPLS_MULTI"),
    (0x884c, "ATMMPOA"),
    (0x8863, "PPP_DISC"),
    (0x8864, "PPP_SES"),
    (0x8884, "ATMFATE"),
    (0x888e, "EAPOL"),
    (0x88a4, "EtherCAT"),
    (0x88a8, "S-TAG"),
    (0x88c7, "EAP_PREAUTH"),
    (0x88cc, "LLDP"),
    (0x88e5, "MACSEC"),
    (0x88e7, "PBB"),
    (0x88f5, "MVRP"),
    (0x88f7, "PTP"),
    (0x8906, "FCOE"),
    (0x8914, "FIP"),
    (0x8915, "ROCE"),
    (0xa0ed, "LoWPAN"),
];

pub(super) fn known_ethertype(number: u16) -> Option<&'static str> {
    let mut all = ETHERTYPES.iter();
    all.find(|(of, _)| *of == number).map(|(_, name)| *name)
}

pub(super) fn ethertype(number: u16) -> String {
    known_ethertype(number).map_or_else(|| format!("{number:#x}"), str::to_owned)
}

const PROTOCOLS: [(u8, &str); 53] = [
    (0, "ip"),
    (1, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipencap"),
    (5, "st"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (12, "pup"),
    (17, "udp"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (33, "dccp"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (57, "skip"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (73, "rspf"),
    (81, "vmtp"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax.25"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (132, "sctp"),
    (133, "fc"),
    (135, "mobility-header"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
];

pub(super) fn protocol(number: u8) -> String {
    let known = PROTOCOLS.iter().find(|(of, _)| *of == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// A name, its type, and the first and last of its codes.
type Icmp = (&'static str, u8, [u8; 2]);

const ALL: [u8; 2] = [0, 0xff];

pub(super) const ICMP: [Icmp; 36] = [
    ("echo-reply", 0, ALL),
    ("destination-unreachable", 3, ALL),
    ("network-unreachable", 3, [0, 0]),
    ("host-unreachable", 3, [1, 1]),
    ("protocol-unreachable", 3, [2, 2]),
    ("port-unreachable", 3, [3, 3]),
    ("fragmentation-needed", 3, [4, 4]),
    ("source-route-failed", 3, [5, 5]),
    ("network-unknown", 3, [6, 6]),
    ("host-unknown", 3, [7, 7]),
    ("network-prohibited", 3, [9, 9]),
    ("host-prohibited", 3, [10, 10]),
    ("TOS-network-unreachable", 3, [11, 11]),
    ("TOS-host-unreachable", 3, [12, 12]),
    ("communication-prohibited", 3, [13, 13]),
    ("host-precedence-violation", 3, [14, 14]),
    ("precedence-cutoff", 3, [15, 15]),
    ("source-quench", 4, ALL),
    ("redirect", 5, ALL),
    ("network-redirect", 5, [0, 0]),
    ("host-redirect", 5, [1, 1]),
    ("TOS-network-redirect", 5, [2, 2]),
    ("TOS-host-redirect", 5, [3, 3]),
    ("echo-request", 8, ALL),
    ("router-advertisement", 9, ALL),
    ("router-solicitation", 10, ALL),
    ("time-exceeded", 11, ALL),
    ("ttl-zero-during-transit", 11, [0, 0]),
    ("ttl-zero-during-reassembly", 11, [1, 1]),
    ("parameter-problem", 12, ALL),
    ("ip-header-bad", 12, [0, 0]),
    ("required-option-missing", 12, [1, 1]),
    ("timestamp-request", 13, ALL),
    ("timestamp-reply", 14, ALL),
    ("address-mask-request", 17, ALL),
    ("address-mask-reply", 18, ALL),
];

pub(super) const ICMP6: [Icmp; 20] = [
    ("destination-unreachable", 1, ALL),
    ("no-route", 1, [0, 0]),
    ("communication-prohibited", 1, [1, 1]),
    ("address-unreachable", 1, [3, 3]),
    ("port-unreachable", 1, [4, 4]),
    ("packet-too-big", 2, ALL),
    ("time-exceeded", 3, ALL),
    ("ttl-zero-during-transit", 3, [0, 0]),
    ("ttl-zero-during-reassembly", 3, [1, 1]),
    ("parameter-problem", 4, ALL),
    ("bad-header", 4, [0, 0]),
    ("unknown-header-type", 4, [1, 1]),
    ("unknown-option", 4, [2, 2]),
    ("echo-request", 128, ALL),
    ("echo-reply", 129, ALL),
    ("router-solicitation", 133, ALL),
    ("router-advertisement", 134, ALL),
    ("neighbour-solicitation", 135, ALL),
    ("neighbour-advertisement", 136, ALL),
    ("redirect", 137, ALL),
];

/// Types of IGMP, which has no codes.
pub(super) const IGMP: [Icmp; 5] = [
    ("membership-query", 0x11, ALL),
    ("membership-report-v1", 0x12, ALL),
    ("membership-report-v2", 0x16, ALL),
    ("leave-group", 0x17, ALL),
    ("membership-report-v3", 0x22, ALL),
];

/// A range of types and, where there are such, codes.
pub(super) fn icmp(names: &[Icmp], kinds: [u8; 2], codes: Option<[u8; 2]>) -> String {
    let [low, high] = kinds;
    let is_it = |(_, kind, of): &&Icmp| *kind == low && codes.is_none_or(|codes| *of == codes);
    if let Some((name, ..)) = names.iter().find(is_it).filter(|_| low == high) {
        return (*name).to_owned();
    }
    let codes = codes.map_or_else(String::new, |[low, high]| format!("/{}", range(low, high)));
    format!("{}{codes}", range(low, high))
}
