//! Which rule can have made a translation.
//!
//! A connection keeps no pointer to its rule; but its tuples say what the rule saw and what it made
//! of it. Each rule of the chains that translate is asked, in the kernel's order, whether it fits:
//! of what is not known any more (interfaces, marks of packets, what was in a set then) nothing is
//! held against a rule, but it does not end the search then.

mod known;
mod nft;
mod sets;
mod translators;
mod used;
mod xt;

pub use used::{PortsLeft, RuleCounter, RuleUse};

use std::net::IpAddr;

use serde::Serialize;

use super::nat::Translation;
use crate::subsys::net::conntrack::entry::Entry;
use crate::subsys::net::conntrack::tuple::{Detail, Tuple};
use crate::subsys::net::rules::NetnsRules;

/// More rules than that tell a reader nothing.
const MOST: usize = 8;

/// Where a rule is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RuleRef {
    /// `nf_tables` or `x_tables`.
    pub filter: &'static str,
    /// As the filter calls it.
    pub family: &'static str,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// Of nf_tables the handle, of x_tables the number in its chain, from 1 on.
    pub handle: u64,
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = match self.filter {
            "nf_tables" => "handle",
            _ => "rule",
        };
        write!(
            f,
            "{} {} {} {number} {}",
            self.family, self.table, self.chain, self.handle
        )
    }
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Unknown,
}

impl Holds {
    fn of(known: bool) -> Self {
        if known { Self::Yes } else { Self::No }
    }

    fn turned(self, inverted: bool) -> Self {
        match (self, inverted) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (other, _) => other,
        }
    }
}

/// What a rule saw, and what became of it.
#[derive(Clone, Debug)]
struct Packet {
    /// NFPROTO_*.
    family: u8,
    l4: u8,
    src: IpAddr,
    dst: IpAddr,
    ports: Option<(u16, u16)>,
    icmp: Option<(u8, u8)>,
    /// The connection's mark, as it is now.
    mark: Option<u32>,
    /// The device that it left by, where that is known.
    out: Option<(u32, String)>,
    /// Of the destination, not the source.
    dnat: bool,
    to: IpAddr,
    to_port: Option<u16>,
    /// Whether MASQUERADE chose the address, where that is known.
    masqueraded: Option<bool>,
}

/// What a rule translates to.
#[derive(Clone, Copy, Debug)]
struct Target {
    dnat: bool,
    /// To an address of the machine: `None`.
    addresses: Option<(IpAddr, IpAddr)>,
    ports: Option<(u16, u16)>,
    own_address: bool,
}

impl Target {
    fn fits(&self, packet: &Packet) -> bool {
        let within = |(min, max): (IpAddr, IpAddr)| min <= packet.to && packet.to <= max;
        if self.dnat != packet.dnat || !self.addresses.is_none_or(within) {
            return false;
        }
        let other = |masqueraded| self.own_address != masqueraded;
        if !self.dnat && packet.masqueraded.is_some_and(other) {
            return false;
        }
        match (self.ports, packet.to_port) {
            (Some((min, max)), Some(port)) => min <= port && port <= max,
            // A destination's port stays where no rule names another.
            (None, Some(port)) if self.dnat => packet.ports.is_none_or(|(_, old)| old == port),
            _ => true,
        }
    }
}

/// What is found, and whether the search is over.
#[derive(Debug, Default)]
struct Found {
    rules: Vec<RuleRef>,
}

impl Found {
    fn add(&mut self, rule: RuleRef) {
        if self.rules.len() < MOST && !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }
}

/// The rules that can have translated a connection's source, and its destination.
pub fn of(
    rules: &NetnsRules,
    entry: &Entry,
    nat: &super::nat::Nat,
) -> (Vec<RuleRef>, Vec<RuleRef>) {
    let [orig, reply] = &entry.tuples;
    // What its helper translated came of no rule.
    if !entry.master.is_null() {
        return (Vec::new(), Vec::new());
    }
    let snat = nat.snat.map(|translation| {
        let mut packet = packet(entry, orig, false, translation);
        // Sources are translated last: the destination is the new one already.
        packet.dst = reply.src;
        if let (Some(ports), Detail::Ports { src, .. }) = (packet.ports.as_mut(), reply.detail) {
            ports.1 = src;
        }
        packet.masqueraded = (!nat.masquerade_unknown).then_some(nat.masquerade_ifindex.is_some());
        packet.out = nat
            .masquerade_ifindex
            .and_then(|index| Some((index, rules.devices.get(&index)?.clone())));
        candidates(rules, &packet)
    });
    let dnat = nat
        .dnat
        .map(|translation| candidates(rules, &packet(entry, orig, true, translation)));
    (snat.unwrap_or_default(), dnat.unwrap_or_default())
}

fn packet(entry: &Entry, orig: &Tuple, dnat: bool, translation: Translation) -> Packet {
    let (ports, icmp) = match orig.detail {
        Detail::Ports { src, dst } => (Some((src, dst)), None),
        Detail::Icmp { kind, code, .. } => (None, Some((kind, code))),
        _ => (None, None),
    };
    Packet {
        family: if orig.src.is_ipv6() { 10 } else { 2 },
        l4: orig.l4num,
        src: orig.src,
        dst: orig.dst,
        ports,
        icmp,
        mark: entry.mark,
        out: None,
        dnat,
        to: translation.to.address,
        to_port: translation.to.port.filter(|_| ports.is_some()),
        masqueraded: Some(false),
    }
}

fn candidates(rules: &NetnsRules, packet: &Packet) -> Vec<RuleRef> {
    let mut found = Found::default();
    nft::ask(rules, packet, &mut found);
    xt::ask(rules, packet, &mut found);
    found.rules
}
