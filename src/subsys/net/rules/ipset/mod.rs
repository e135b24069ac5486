//! ipset at the crash: the sets of a namespace with their elements.
//!
//! Layer: subsystem. Input: a kernel with the types of ip_set and its modules. Output: [`IpSet`]s in
//! the order of their numbers, elements in that of their buckets. Invariants: elements that have
//! expired are left out; a set that can't be read costs itself and is said.

mod elements;
mod hash;
mod layouts;
mod sets;

use std::net::IpAddr;

use serde::Serialize;

pub(super) use sets::Reader;

/// What a set was created with.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // named as ipset names them
pub struct Header {
    /// Of hashes: buckets.
    pub hashsize: Option<u64>,
    pub maxelem: Option<u32>,
    pub initval: Option<u32>,
    pub bucketsize: Option<u8>,
    pub netmask: Option<u8>,
    pub markmask: Option<u32>,
    /// Of bitmaps: the first and the last address or port.
    pub range: Option<(u32, u32)>,
    /// Of lists.
    pub size: Option<u32>,
}

/// One set.
#[derive(Clone, Debug, Serialize)]
pub struct IpSet {
    /// What rules refer to it by.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// `hash:ip`…
    pub kind: String,
    /// NFPROTO_*; 0 where it has none.
    pub family: u8,
    /// IPSET_EXT_*: 1 timeout, 2 counters, 4 comments, 8 marks.
    pub extensions: u8,
    /// How long elements stay, in seconds, if they may time out.
    pub timeout_seconds: Option<u32>,
    /// Who uses it.
    pub references: u32,
    /// What it was created with.
    pub header: Header,
    /// In the kernel's order.
    pub elements: Vec<IpSetElement>,
    /// Whether none is missing.
    pub complete: bool,
}

/// A part of an element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// An address.
    Ip(IpAddr),
    /// A network; one of a single address is that address.
    Net(IpAddr, u8),
    /// A protocol, a port; of ICMP type and code.
    Port(u8, u16),
    /// A port alone.
    PlainPort(u16),
    /// A mark.
    Mark(u32),
    /// An address of Ethernet.
    Mac([u8; 6]),
    /// A device, and whether that of a bridge.
    Iface(String, bool),
    /// Another set.
    Set(String),
}

/// One element.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IpSetElement {
    /// In order.
    pub parts: Vec<Part>,
    /// Whether it is an exception.
    pub nomatch: bool,
    /// How long it would have stayed, in seconds; 0: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Packets and bytes that it fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<(u64, u64)>,
    /// What a person wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Mark, its mask, priority and queue that packets get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skb: Option<(u32, u32, u32, u16)>,
}
