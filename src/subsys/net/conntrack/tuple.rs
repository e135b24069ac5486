//! One direction of a connection: addresses, ports or what a protocol has in their place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layouts::TupleLayout;
use crate::bytes::slice;

/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;

/// Protocol numbers that the tracker knows.
pub mod proto {
    #![allow(missing_docs)]
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const GRE: u8 = 47;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;
}

/// What stands in place of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// TCP, UDP, UDP-Lite, SCTP, DCCP.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
        /// Identifier.
        id: u16,
    },
    /// GRE.
    Keys {
        /// Source key.
        src: u16,
        /// Destination key.
        dst: u16,
    },
    /// Protocols that are tracked by address only.
    None,
}

/// `struct nf_conntrack_tuple`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Address family as the tuple has it.
    pub l3num: u16,
    /// Protocol number.
    pub l4num: u8,
    /// Ports or their like.
    pub detail: Detail,
    /// The 16-bit words at the ports' place, in network order: what NAT translates.
    pub raw: (u16, u16),
    /// Which direction of its connection it is.
    pub dir: u8,
}

impl Tuple {
    /// Reads a tuple from its bytes.
    pub(crate) fn read(layout: &TupleLayout, bytes: &[u8]) -> Self {
        let l3num = layout.l3num.get(bytes) as u16;
        let l4num = layout.protonum.get(bytes) as u8;
        let src_all = (layout.src_all.get(bytes) as u16).swap_bytes();
        let dst_all = (layout.dst_all.get(bytes) as u16).swap_bytes();
        let detail = match l4num {
            proto::TCP | proto::UDP | proto::UDPLITE | proto::SCTP | proto::DCCP => Detail::Ports {
                src: src_all,
                dst: dst_all,
            },
            proto::ICMP | proto::ICMPV6 => Detail::Icmp {
                kind: layout.icmp_type.get(bytes) as u8,
                code: layout.icmp_code.get(bytes) as u8,
                id: src_all,
            },
            proto::GRE => Detail::Keys {
                src: src_all,
                dst: dst_all,
            },
            _ => Detail::None,
        };
        let address = |offset: u32| address(l3num, slice(bytes, offset as usize, 16));
        Self {
            src: address(layout.src_address.offset),
            dst: address(layout.dst_address.offset),
            l3num,
            l4num,
            detail,
            raw: (src_all, dst_all),
            dir: layout.dir.get(bytes) as u8,
        }
    }

    /// `ipv4`, `ipv6`, `unknown`.
    pub fn l3name(&self) -> &'static str {
        match self.l3num {
            AF_INET => "ipv4",
            AF_INET6 => "ipv6",
            _ => "unknown",
        }
    }

    /// The protocol's name as the kernel prints it.
    pub fn l4name(&self) -> &'static str {
        l4name(self.l4num)
    }

    /// Source port, if the protocol has ports.
    pub fn sport(&self) -> Option<u16> {
        match self.detail {
            Detail::Ports { src, .. } => Some(src),
            _ => None,
        }
    }

    /// Destination port, if the protocol has ports.
    pub fn dport(&self) -> Option<u16> {
        match self.detail {
            Detail::Ports { dst, .. } => Some(dst),
            _ => None,
        }
    }
}

/// `l4proto_name()` of net/netfilter/nf_conntrack_standalone.c.
pub fn l4name(number: u8) -> &'static str {
    match number {
        proto::ICMP => "icmp",
        proto::TCP => "tcp",
        proto::UDP => "udp",
        proto::DCCP => "dccp",
        proto::GRE => "gre",
        proto::ICMPV6 => "icmpv6",
        proto::SCTP => "sctp",
        proto::UDPLITE => "udplite",
        _ => "unknown",
    }
}

fn address(l3num: u16, bytes: Option<&[u8]>) -> IpAddr {
    let bytes: [u8; 16] = bytes
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default();
    if l3num == AF_INET {
        let [a, b, c, d, ..] = bytes;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(Ipv6Addr::from(bytes))
    }
}
