//! `nf_conn.status` bits, protocol numbers and state names.

/// A reply was seen.
pub const SEEN_REPLY: u32 = 1 << 1;
/// Expected by another connection.
pub const EXPECTED: u32 = 1 << 0;
/// Not to be dropped early.
pub const ASSURED: u32 = 1 << 2;
/// In the table, or was.
pub const CONFIRMED: u32 = 1 << 3;
/// The source is translated.
pub const SRC_NAT: u32 = 1 << 4;
/// The destination is translated.
pub const DST_NAT: u32 = 1 << 5;
/// TCP sequence numbers are shifted.
pub const SEQ_ADJUST: u32 = 1 << 6;
/// Source translation was decided.
pub const SRC_NAT_DONE: u32 = 1 << 7;
/// Destination translation was decided.
pub const DST_NAT_DONE: u32 = 1 << 8;
/// Both were decided.
pub const NAT_DONE: u32 = SRC_NAT_DONE | DST_NAT_DONE;
/// On its way out.
pub const DYING: u32 = 1 << 9;
/// The timeout is not refreshed.
pub const FIXED_TIMEOUT: u32 = 1 << 10;
/// A helper was assigned by a rule.
pub const HELPER: u32 = 1 << 13;
/// Handled by a flow table.
pub const OFFLOAD: u32 = 1 << 14;
/// Handled by hardware.
pub const HW_OFFLOAD: u32 = 1 << 15;

/// Bits by name, lowest first.
pub const NAMES: &[(&str, u32)] = &[
    ("EXPECTED", EXPECTED),
    ("SEEN_REPLY", SEEN_REPLY),
    ("ASSURED", ASSURED),
    ("CONFIRMED", CONFIRMED),
    ("SRC_NAT", SRC_NAT),
    ("DST_NAT", DST_NAT),
    ("SEQ_ADJUST", SEQ_ADJUST),
    ("SRC_NAT_DONE", SRC_NAT_DONE),
    ("DST_NAT_DONE", DST_NAT_DONE),
    ("DYING", DYING),
    ("FIXED_TIMEOUT", FIXED_TIMEOUT),
    ("HELPER", HELPER),
    ("OFFLOAD", OFFLOAD),
    ("HW_OFFLOAD", HW_OFFLOAD),
];

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// DCCP.
pub const DCCP: u8 = 33;
/// GRE.
pub const GRE: u8 = 47;
/// ICMPv6.
pub const ICMPV6: u8 = 58;
/// SCTP.
pub const SCTP: u8 = 132;
/// UDP-Lite.
pub const UDPLITE: u8 = 136;

/// TCP states as /proc prints them, by number.
pub const TCP_STATES: &[&str] = &[
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// SCTP states as /proc prints them, by number.
pub const SCTP_STATES: &[&str] = &[
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
];

/// DCCP states as /proc prints them, by number.
pub const DCCP_STATES: &[&str] = &[
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::Era;

    #[test]
    fn bits_and_states_are_the_kernels() {
        for era in Era::ALL {
            let types = era.types_with_conntrack().0;
            for (name, bit) in NAMES {
                assert_eq!(types.constant(&format!("IPS_{name}")), u64::from(*bit));
            }
            for (prefix, names) in [("TCP", &TCP_STATES[..9]), ("SCTP", SCTP_STATES)] {
                for (number, name) in names.iter().enumerate() {
                    let name = format!("{prefix}_CONNTRACK_{name}");
                    assert_eq!(types.constant(&name), number as u64);
                }
            }
            assert_eq!(types.constant("TCP_CONNTRACK_LISTEN"), 9);
            for (number, name) in DCCP_STATES.iter().enumerate() {
                let found = types.enumerator(&format!("CT_DCCP_{name}"));
                assert_eq!(found.is_some(), era.has_dccp());
                assert_eq!(found.unwrap_or(number as i64), number as i64);
            }
        }
    }
}
