//! The parts of `conntrack` and `nat`: one entry as programs read it, and what stands
//! around the entries.

use std::net::IpAddr;

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::analysis::conntrack::{Fullness, Summary};
use crate::analysis::nat::{Nat, PortUse};
use crate::analysis::nat_rules::{RuleRef, RuleUse};
use crate::subsys::net::conntrack::entry::{Entry, List};
use crate::subsys::net::conntrack::expect::Expectation;
use crate::subsys::net::conntrack::gc::GcFacts;
use crate::subsys::net::conntrack::netns::Namespace;
use crate::subsys::net::conntrack::state::status;
use crate::subsys::net::conntrack::table::WalkFacts;
use crate::subsys::net::conntrack::tuple::{Detail, Tuple};
use crate::subsys::net::conntrack::{Limits, Reconciliation};

/// One direction.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // named by the contract
pub struct DirectionDoc {
    pub src: IpAddr,
    pub dst: IpAddr,
    #[serde(flatten)]
    pub detail: DetailDoc,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What stands in place of ports.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)] // named by the contract
pub enum DetailDoc {
    Ports {
        sport: u16,
        dport: u16,
    },
    Icmp {
        icmp_type: u8,
        icmp_code: u8,
        icmp_id: u16,
    },
    Keys {
        srckey: u16,
        dstkey: u16,
    },
    None {},
}

impl DetailDoc {
    /// Of a tuple.
    pub fn of(tuple: &Tuple) -> Self {
        match tuple.detail {
            Detail::Ports { src, dst } => DetailDoc::Ports {
                sport: src,
                dport: dst,
            },
            Detail::Icmp { kind, code, id } => DetailDoc::Icmp {
                icmp_type: kind,
                icmp_code: code,
                icmp_id: id,
            },
            Detail::Keys { src, dst } => DetailDoc::Keys {
                srckey: src,
                dstkey: dst,
            },
            Detail::None => DetailDoc::None {},
        }
    }
}

/// One connection.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // named by the contract
pub struct EntryDoc {
    pub address: VirtAddr,
    pub netns: Option<u32>,
    pub l3proto: &'static str,
    pub l3num: u16,
    pub l4proto: &'static str,
    pub l4num: u8,
    pub state: Option<&'static str>,
    pub timeout_seconds: u64,
    pub timeout_raw: u32,
    pub expired: bool,
    pub original: DirectionDoc,
    pub reply: DirectionDoc,
    pub status: Vec<&'static str>,
    pub assured: bool,
    pub unreplied: bool,
    pub offload: bool,
    pub mark: Option<u32>,
    pub secmark: Option<u32>,
    pub zone: Option<u16>,
    pub zone_direction: Option<&'static str>,
    #[serde(rename = "use")]
    pub refs: u32,
    pub start_time: Option<String>,
    pub helper: Option<String>,
    pub labels: Option<String>,
    pub master: Option<VirtAddr>,
    pub nat: Nat,
    pub extensions: Vec<&'static str>,
    pub list: List,
    pub id: Option<u32>,
}

impl EntryDoc {
    /// The entry as programs read it.
    pub fn of(entry: &Entry, namespaces: &[Namespace], id: Option<u32>) -> Self {
        let [orig, reply] = &entry.tuples;
        let direction = |tuple: &Tuple, index: usize| {
            let counter = entry.ext.acct.and_then(|acct| acct.get(index).copied());
            DirectionDoc {
                src: tuple.src,
                dst: tuple.dst,
                detail: DetailDoc::of(tuple),
                packets: counter.map(|c| c.packets),
                bytes: counter.map(|c| c.bytes),
            }
        };
        Self {
            address: entry.address,
            netns: entry
                .netns
                .and_then(|index| namespaces.get(index))
                .map(|ns| ns.inum),
            l3proto: orig.l3name(),
            l3num: orig.l3num,
            l4proto: orig.l4name(),
            l4num: orig.l4num,
            state: entry.state,
            timeout_seconds: entry.seconds_left,
            timeout_raw: entry.timeout,
            expired: entry.expired(),
            original: direction(orig, 0),
            reply: direction(reply, 1),
            status: status::names(entry.status).collect(),
            assured: entry.is(status::ASSURED),
            unreplied: !entry.is(status::SEEN_REPLY),
            offload: entry.is(status::OFFLOAD | status::HW_OFFLOAD),
            mark: entry.mark,
            secmark: entry.secmark,
            zone: entry.zone.map(|(id, _)| id),
            zone_direction: entry.zone.and_then(|(_, dir)| match dir {
                1 => Some("original"),
                2 => Some("reply"),
                _ => None,
            }),
            refs: entry.refs,
            start_time: entry.ext.tstamp.and_then(|(start, _)| rfc3339(start)),
            helper: entry.ext.helper.clone(),
            labels: entry.ext.labels.map(|bits| hex(&bits)),
            master: (!entry.master.is_null()).then_some(entry.master),
            nat: Nat::of(entry),
            extensions: entry.ext.names().collect(),
            list: entry.list,
            id,
        }
    }
}

fn rfc3339(nanoseconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
    (nanoseconds > 0).then(|| time.to_string())
}

/// The label bits as one number, highest bit first.
fn hex(bits: &[u8; 16]) -> String {
    let digits: String = bits
        .iter()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("0x{digits}")
}

/// One expectation.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct ExpectationDoc {
    pub address: VirtAddr,
    pub netns: Option<u32>,
    pub l3num: u16,
    pub l4num: u8,
    pub timeout_seconds: i64,
    pub expected: DirectionDoc,
    pub helper: Option<String>,
    pub policy: Option<String>,
    pub master: VirtAddr,
}

impl ExpectationDoc {
    /// The expectation as programs read it.
    pub fn of(expectation: &Expectation, namespaces: &[Namespace]) -> Self {
        let tuple = &expectation.tuple;
        Self {
            address: expectation.address,
            netns: expectation
                .netns
                .and_then(|index| namespaces.get(index))
                .map(|ns| ns.inum),
            l3num: tuple.l3num,
            l4num: tuple.l4num,
            timeout_seconds: expectation.seconds_left,
            expected: DirectionDoc {
                src: tuple.src,
                dst: tuple.dst,
                detail: DetailDoc::of(tuple),
                packets: None,
                bytes: None,
            },
            helper: expectation.helper.clone(),
            policy: expectation.policy.clone(),
            master: expectation.master,
        }
    }
}

/// The part of `conntrack --summary`, and what stands beside the entries.
#[derive(Clone, Debug, Serialize)]
pub struct SummaryReport {
    /// Bounds.
    pub limits: Limits,
    /// All namespaces.
    pub namespaces: Vec<Namespace>,
    /// What was allocated against what was found.
    pub reconciliation: Reconciliation,
    /// How the walk went.
    pub walk: WalkFacts,
    /// Whether the table was full.
    pub fullness: Fullness,
    /// The garbage collector's last round.
    pub gc: GcFacts,
    /// Sums.
    pub summary: Summary,
}

/// One translated connection.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct NatEntryDoc {
    pub address: VirtAddr,
    pub netns: Option<u32>,
    pub l4proto: &'static str,
    pub kind: &'static str,
    #[serde(flatten)]
    pub nat: Nat,
    /// The name of the interface of MASQUERADE, if it is known.
    pub masquerade_device: Option<String>,
    /// Rules that can have translated its source, likeliest first; of none where rules are not
    /// known.
    pub snat_rules: Vec<RuleRef>,
    /// The same of its destination.
    pub dnat_rules: Vec<RuleRef>,
    pub original: DirectionDoc,
    pub reply: DirectionDoc,
    pub timeout_seconds: u64,
    pub expired: bool,
}

/// The part of `nat`.
#[derive(Clone, Debug, Serialize)]
pub struct NatReport {
    /// Ports that the gateway's own connections are given: `ip_local_port_range` of the initial
    /// namespace.
    pub local_port_range: Option<(u16, u16)>,
    /// Ports in use per external address and remote end, fullest first.
    pub ports: Vec<PortUse>,
    /// Rules that translate, and how many translations each can have made: of none where rules are
    /// not known.
    pub rules: Vec<RuleUse>,
    /// Every translation.
    pub translations: Vec<NatEntryDoc>,
    /// Whether all rules are known: else a translation may name none, or not all that fit.
    pub rules_known: bool,
}
