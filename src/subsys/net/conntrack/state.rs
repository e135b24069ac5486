//! Names of protocol states and status bits.

use super::tuple::proto;

/// enum tcp_conntrack (uapi nf_conntrack_tcp.h).
const TCP: [&str; 10] = [
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
/// enum sctp_conntrack (uapi nf_conntrack_sctp.h); the last one up to 5.17.
const SCTP: [&str; 10] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
];
/// enum ct_dccp_states (net/netfilter/nf_conntrack_proto_dccp.c).
const DCCP: [&str; 10] = [
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE",
    "INVALID",
];

/// The name of a protocol's state; `None` for protocols without states, and for numbers that
/// no kernel has used.
pub(crate) fn name(l4num: u8, state: u64) -> Option<&'static str> {
    let names: &[&'static str] = match l4num {
        proto::TCP => &TCP,
        proto::SCTP => &SCTP,
        proto::DCCP => &DCCP,
        _ => return None,
    };
    names.get(usize::try_from(state).ok()?).copied()
}

/// The names of all states of all protocols, each once.
pub fn all() -> Vec<&'static str> {
    let mut all: Vec<&str> = [TCP, SCTP, DCCP].concat();
    let mut seen = rustc_hash::FxHashSet::default();
    all.retain(|name| seen.insert(*name));
    all
}

/// `IPS_*` bits of `nf_conn.status` (uapi nf_conntrack_common.h), the same in all kernels but for
/// bit 12, which was `UNTRACKED` before 4.12.
pub mod status {
    #![allow(missing_docs)]
    pub const EXPECTED: u64 = 1 << 0;
    pub const SEEN_REPLY: u64 = 1 << 1;
    pub const ASSURED: u64 = 1 << 2;
    pub const CONFIRMED: u64 = 1 << 3;
    pub const SRC_NAT: u64 = 1 << 4;
    pub const DST_NAT: u64 = 1 << 5;
    pub const DYING: u64 = 1 << 9;
    pub const OFFLOAD: u64 = 1 << 14;
    pub const HW_OFFLOAD: u64 = 1 << 15;

    /// By bit.
    pub const NAMES: [&str; 16] = [
        "EXPECTED",
        "SEEN_REPLY",
        "ASSURED",
        "CONFIRMED",
        "SRC_NAT",
        "DST_NAT",
        "SEQ_ADJUST",
        "SRC_NAT_DONE",
        "DST_NAT_DONE",
        "DYING",
        "FIXED_TIMEOUT",
        "TEMPLATE",
        "NAT_CLASH",
        "HELPER",
        "OFFLOAD",
        "HW_OFFLOAD",
    ];

    /// Names of the bits set.
    pub fn names(status: u64) -> impl Iterator<Item = &'static str> {
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| status >> bit & 1 == 1)
            .map(|(_, name)| name)
    }
}
