//! One direction of a connection.

use std::net::IpAddr;

/// `nf_conntrack_tuple` without its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protonum: u8,
    /// What the protocol tells connections apart by.
    pub l4: L4,
}

/// The part of a tuple that depends on the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4 {
    /// TCP, UDP, UDP-Lite, SCTP, DCCP.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier.
        id: u16,
    },
    /// GRE (PPTP's call ids; 0 for plain GRE).
    Gre {
        /// Source key.
        src: u16,
        /// Destination key.
        dst: u16,
    },
    /// Protocols that conntrack knows nothing about.
    Nothing,
}

impl Tuple {
    /// From texts such as `192.168.1.10`.
    pub fn new(src: &str, dst: &str, protonum: u8, l4: L4) -> Self {
        Self {
            src: src.parse().expect("an address"),
            dst: dst.parse().expect("an address"),
            protonum,
            l4,
        }
    }

    /// What the answer looks like if nothing is translated.
    pub fn inverted(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            protonum: self.protonum,
            l4: match self.l4 {
                L4::Ports { src, dst } => L4::Ports { src: dst, dst: src },
                L4::Icmp { kind, code, id } => L4::Icmp {
                    kind: icmp_answer(self.protonum, kind),
                    code,
                    id,
                },
                L4::Gre { src, dst } => L4::Gre { src: dst, dst: src },
                L4::Nothing => L4::Nothing,
            },
        }
    }

    /// The same with another source address and port (or identifier or key).
    pub fn from(mut self, src: &str, port: u16) -> Self {
        self.src = src.parse().expect("an address");
        match &mut self.l4 {
            L4::Ports { src, .. } | L4::Gre { src, .. } => *src = port,
            L4::Icmp { id, .. } => *id = port,
            L4::Nothing => {}
        }
        self
    }

    /// The same with another destination address and port (or identifier or key).
    pub fn to(mut self, dst: &str, port: u16) -> Self {
        self.dst = dst.parse().expect("an address");
        match &mut self.l4 {
            L4::Ports { dst, .. } | L4::Gre { dst, .. } => *dst = port,
            L4::Icmp { id, .. } => *id = port,
            L4::Nothing => {}
        }
        self
    }

    /// `AF_INET` or `AF_INET6`.
    pub fn l3num(&self) -> u16 {
        if self.src.is_ipv4() { 2 } else { 10 }
    }
}

/// The type that answers an ICMP request.
fn icmp_answer(protonum: u8, kind: u8) -> u8 {
    match (protonum, kind) {
        (1, 8) => 0,
        (1, 13) => 14,
        (58, 128) => 129,
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back() {
        let ports = L4::Ports { src: 1000, dst: 53 };
        let asked = Tuple::new("10.0.0.1", "10.0.0.2", 17, ports);
        let answer = asked.inverted();
        assert_eq!(
            answer,
            Tuple::new("10.0.0.2", "10.0.0.1", 17, L4::Ports { src: 53, dst: 1000 })
        );
        assert_eq!(answer.inverted(), asked);
        let echo = L4::Icmp {
            kind: 8,
            code: 0,
            id: 7,
        };
        let echo = Tuple::new("10.0.0.1", "10.0.0.2", 1, echo);
        assert_eq!(
            echo.inverted().l4,
            L4::Icmp {
                kind: 0,
                code: 0,
                id: 7
            }
        );
    }
}
