//! Names of values, as nft calls them (nftables, src/datatype.c, src/ct.c, src/proto.c).

use super::types::*;

const CT_STATES: [(u128, &str); 5] = [
    (1, "invalid"),
    (2, "established"),
    (4, "related"),
    (8, "new"),
    (64, "untracked"),
];
const CT_STATUSES: [(u128, &str); 7] = [
    (1, "expected"),
    (2, "seen-reply"),
    (4, "assured"),
    (8, "confirmed"),
    (16, "snat"),
    (32, "dnat"),
    (512, "dying"),
];
const TCP_FLAGS: [(u128, &str); 8] = [
    (1, "fin"),
    (2, "syn"),
    (4, "rst"),
    (8, "psh"),
    (16, "ack"),
    (32, "urg"),
    (64, "ecn"),
    (128, "cwr"),
];
const NFPROTOS: [(u128, &str); 2] = [(2, "ipv4"), (10, "ipv6")];
const ICMP: [(u128, &str); 15] = [
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (15, "info-request"),
    (16, "info-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];
const ICMPV6: [(u128, &str); 18] = [
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"),
    (142, "ind-neighbor-advert"),
    (143, "mld2-listener-report"),
];
const ETHER_TYPES: [(u128, &str); 5] = [
    (0x0800, "ip"),
    (0x0806, "arp"),
    (0x86dd, "ip6"),
    (0x8100, "8021q"),
    (0x88a8, "8021ad"),
];
const PKT_TYPES: [(u128, &str); 4] = [
    (0, "host"),
    (1, "broadcast"),
    (2, "multicast"),
    (3, "other"),
];
const DIRECTIONS: [(u128, &str); 2] = [(0, "original"), (1, "reply")];
const FIB_TYPES: [(u128, &str); 11] = [
    (0, "unspec"),
    (1, "unicast"),
    (2, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
    (9, "throw"),
    (10, "nat"),
];
const ARP_OPS: [(u128, &str); 4] = [(1, "request"), (2, "reply"), (3, "rrequest"), (4, "rreply")];
const DAYS: [(u128, &str); 7] = [
    (0, "\"Sunday\""),
    (1, "\"Monday\""),
    (2, "\"Tuesday\""),
    (3, "\"Wednesday\""),
    (4, "\"Thursday\""),
    (5, "\"Friday\""),
    (6, "\"Saturday\""),
];
const DSCPS: [(u128, &str); 22] = [
    (0x00, "cs0"),
    (0x08, "cs1"),
    (0x10, "cs2"),
    (0x18, "cs3"),
    (0x20, "cs4"),
    (0x28, "cs5"),
    (0x30, "cs6"),
    (0x38, "cs7"),
    (0x01, "lephb"),
    (0x0a, "af11"),
    (0x0c, "af12"),
    (0x0e, "af13"),
    (0x12, "af21"),
    (0x14, "af22"),
    (0x16, "af23"),
    (0x1a, "af31"),
    (0x1c, "af32"),
    (0x1e, "af33"),
    (0x22, "af41"),
    (0x24, "af42"),
    (0x26, "af43"),
    (0x2e, "ef"),
];

/// What values of a type are called.
pub(super) fn symbols(number: u32) -> &'static [(u128, &'static str)] {
    match number {
        CT_STATE => &CT_STATES,
        CT_STATUS => &CT_STATUSES,
        TCP_FLAG => &TCP_FLAGS,
        NFPROTO => &NFPROTOS,
        ICMP_TYPE => &ICMP,
        ICMPV6_TYPE => &ICMPV6,
        ETHER_TYPE => &ETHER_TYPES,
        PKT_TYPE => &PKT_TYPES,
        CT_DIR => &DIRECTIONS,
        FIB_TYPE => &FIB_TYPES,
        ARP_OP => &ARP_OPS,
        DAY => &DAYS,
        DSCP => &DSCPS,
        _ => &[],
    }
}
