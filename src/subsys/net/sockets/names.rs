//! What the numbers of states, families and types are called, as ss calls them.

use std::net::IpAddr;

use super::facts::Kind;

/// As ss names states.
pub(super) fn state_name(state: u64) -> &'static str {
    match state {
        1 => "ESTAB",
        2 => "SYN-SENT",
        3 => "SYN-RECV",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        7 => "UNCONN",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "UNKNOWN",
    }
}

pub(super) fn family_name(family: u64) -> Option<&'static str> {
    Some(match family {
        1 => "unix",
        2 => "inet",
        10 => "inet6",
        16 => "netlink",
        17 => "packet",
        40 => "vsock",
        44 => "xdp",
        // Other families that a socket of a process may be of: AF_MAX is below that.
        3..=63 => "other",
        _ => return None,
    })
}

pub(super) fn type_name(number: u64) -> &'static str {
    match number {
        1 => "stream",
        2 => "dgram",
        3 => "raw",
        4 => "rdm",
        5 => "seqpacket",
        6 => "dccp",
        10 => "packet",
        _ => "unknown",
    }
}

/// By the family, and what the protocol calls itself (`proto.name`).
pub(super) fn kind_of(family: u64, protocol: &str) -> Kind {
    match family {
        1 => return Kind::Unix,
        16 => return Kind::Netlink,
        17 => return Kind::Packet,
        40 => return Kind::Vsock,
        44 => return Kind::Xdp,
        2 | 10 => {}
        _ => return Kind::Other,
    }
    match protocol.trim_end_matches("v6") {
        "TCP" => Kind::Tcp,
        "MPTCP" => Kind::Mptcp,
        "UDP" => Kind::Udp,
        "UDP-Lite" | "UDPLITE" => Kind::UdpLite,
        "RAW" => Kind::Raw,
        "PING" => Kind::Ping,
        "SCTP" => Kind::Sctp,
        _ => Kind::Other,
    }
}

/// An address and a port, `*` for any.
pub(super) fn endpoint(address: IpAddr, port: u16) -> String {
    let port = match port {
        0 => "*".to_owned(),
        port => port.to_string(),
    };
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}
