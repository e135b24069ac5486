//! Address translation, out of the two tuples of a connection, and the ports in use.
//!
//! The reply tuple is what the other side answers to: where it differs from the inverse
//! of the original one, the connection is translated. Two connections of one protocol
//! must differ in (external address, external port, remote address, remote port), so the
//! ports that an external address has left are counted per remote end.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::subsys::net::conntrack::entry::Entry;
use crate::subsys::net::conntrack::state::status;
use crate::subsys::net::conntrack::tuple::{Detail, proto};

/// An address and what stands in place of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Address.
    pub address: IpAddr,
    /// Port, ICMP identifier or GRE key; `None` for protocols without.
    pub port: Option<u16>,
}

/// From what to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Translation {
    /// As the client sent it.
    pub from: Endpoint,
    /// As it went out.
    pub to: Endpoint,
}

/// The translations of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// Of its source.
    pub snat: Option<Translation>,
    /// Of its destination.
    pub dnat: Option<Translation>,
    /// The interface, if the source was translated by MASQUERADE.
    pub masquerade_ifindex: Option<u32>,
    /// Whether it can't be told if that was MASQUERADE: memory or types are missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub masquerade_unknown: bool,
}

impl Nat {
    /// Reads the translations off a connection.
    pub fn of(entry: &Entry) -> Self {
        let [orig, reply] = &entry.tuples;
        // An ICMP id stands at the source in both directions.
        let ports = !matches!(orig.detail, Detail::None);
        let icmp = matches!(orig.l4num, proto::ICMP | proto::ICMPV6);
        let end = |address, port: u16| Endpoint {
            address,
            port: ports.then_some(port),
        };
        let reply_to = if icmp { reply.raw.0 } else { reply.raw.1 };
        let snat = entry.is(status::SRC_NAT).then(|| Translation {
            from: end(orig.src, orig.raw.0),
            to: end(reply.dst, reply_to),
        });
        let without_port = |address, port: u16| Endpoint {
            address,
            port: (ports && !icmp).then_some(port),
        };
        let dnat = entry.is(status::DST_NAT).then(|| Translation {
            from: without_port(orig.dst, orig.raw.1),
            to: without_port(reply.src, reply.raw.0),
        });
        Self {
            snat,
            dnat,
            masquerade_ifindex: entry
                .ext
                .masquerade_ifindex
                .filter(|index| *index != 0 && snat.is_some()),
            masquerade_unknown: entry.ext.masquerade_unknown && snat.is_some(),
        }
    }

    /// `MASQUERADE`, `SNAT`, `DNAT`, `SNAT+DNAT`, `SNAT?` where it may be `MASQUERADE`; empty for
    /// none.
    pub fn kind(&self) -> &'static str {
        match (self.snat, self.dnat, self.masquerade_ifindex) {
            (Some(_), Some(_), None) if self.masquerade_unknown => "SNAT?+DNAT",
            (Some(_), None, None) if self.masquerade_unknown => "SNAT?",
            (Some(_), Some(_), Some(_)) => "MASQUERADE+DNAT",
            (Some(_), Some(_), None) => "SNAT+DNAT",
            (Some(_), None, Some(_)) => "MASQUERADE",
            (Some(_), None, None) => "SNAT",
            (None, Some(_), _) => "DNAT",
            (None, None, _) => "",
        }
    }
}

/// Where ports must differ: one external address towards one remote end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PortGroup {
    /// Namespace.
    #[serde(skip)]
    pub netns: u32,
    /// Protocol.
    pub l4proto: &'static str,
    /// The translated source address.
    pub external: IpAddr,
    /// The remote address.
    pub remote: IpAddr,
    /// The remote port.
    pub remote_port: u16,
}

impl PortGroup {
    /// Of a connection whose source is translated and that has ports, with the port that it took.
    pub fn of(entry: &Entry, netns: u32) -> Option<(Self, u16)> {
        let reply = &entry.tuples[1];
        let (true, Detail::Ports { src, dst }) = (entry.is(status::SRC_NAT), reply.detail) else {
            return None;
        };
        let group = Self {
            netns,
            l4proto: reply.l4name(),
            external: reply.dst,
            remote: reply.src,
            remote_port: src,
        };
        Some((group, dst))
    }
}

/// Ports in use of one external address towards one remote end.
#[derive(Clone, Debug, Serialize)]
pub struct PortUse {
    /// Namespace.
    pub netns: u32,
    /// Which.
    #[serde(flatten)]
    pub group: PortGroup,
    /// Distinct translated ports in use.
    pub used: u64,
    /// Of the ports that the kernel chooses from for most clients, how many are left.
    pub available: u64,
    /// How many that is in all: 1024 to 65535.
    pub range: u64,
    /// Whether new connections start to fail: since 6.x the kernel makes a bounded number of
    /// tries (128, then 64, 32, 16 from new random places), which fails well before the end.
    pub near_exhaustion: bool,
}

/// nf_nat_core.c, nf_nat_l4proto_unique_tuple: original ports below 512 get 1 to 511, those below
/// 1024 get 600 to 1023, all others 1024 to 65535, unless a rule says `--to-ports`.
pub(super) const LOWEST: u16 = 1_024;
const RANGE: u64 = u16::MAX as u64 - LOWEST as u64 + 1;
/// With 128 + 64 + 32 + 16 tries, one in a hundred connections fails when 98 % are in use; users
/// want to know before.
const NEAR: f64 = 0.80;

/// Counts the ports in use, by remote end.
#[derive(Clone, Debug, Default)]
pub struct PortCounter {
    used: BTreeMap<PortGroup, Vec<u16>>,
}

impl PortCounter {
    /// Counts one port.
    pub fn add(&mut self, group: PortGroup, port: u16) {
        self.used.entry(group).or_default().push(port);
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        for (group, ports) in other.used {
            self.used.entry(group).or_default().extend(ports);
        }
    }

    /// After the last one is added: each port once, in order.
    pub fn settle(&mut self) {
        for ports in self.used.values_mut() {
            ports.sort_unstable();
            ports.dedup();
        }
    }

    /// How many ports of a range are in use, once that is settled.
    pub fn within(&self, group: &PortGroup, first: u16, last: u16) -> u64 {
        let ports = self.used.get(group).map_or(&[][..], Vec::as_slice);
        let below = |bound: u32| ports.partition_point(|port| u32::from(*port) < bound);
        let (from, to) = (below(first.into()), below(u32::from(last) + 1));
        to.saturating_sub(from) as u64
    }

    /// The groups, fullest first, once they are settled.
    pub fn groups(&self) -> Vec<PortUse> {
        let of = |(group, ports): (&PortGroup, &Vec<u16>)| {
            let of_range = self.within(group, LOWEST, u16::MAX);
            PortUse {
                netns: group.netns,
                group: *group,
                used: ports.len() as u64,
                available: RANGE - of_range,
                range: RANGE,
                near_exhaustion: of_range as f64 >= RANGE as f64 * NEAR,
            }
        };
        let mut groups: Vec<PortUse> = self.used.iter().map(of).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.used));
        groups
    }
}
