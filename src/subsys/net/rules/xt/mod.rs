//! x_tables at the crash: the tables of ip, ip6 and arp, rule by rule.
//!
//! Layer: subsystem. Input: a kernel with the types of x_tables. Output: [`XTable`]s of a
//! namespace, in the kernel's order, newest first, which is that of `iptables-save`. Invariants: a
//! blob is read no further than it says it is long; what is not known of a match or target stays
//! bytes; the layout of entries is that of uapi, which does not change.

mod blob;
mod tables;

use serde::{Serialize, Serializer};

pub(super) use tables::Reader;

use super::hex::Hex;

/// A table's family by its number (NFPROTO_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XFamily(pub u8);

impl XFamily {
    /// As its commands are called.
    pub fn name(self) -> &'static str {
        match self.0 {
            2 => "ip",
            3 => "arp",
            7 => "bridge",
            10 => "ip6",
            _ => "unknown",
        }
    }
}

impl Serialize for XFamily {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One table.
#[derive(Clone, Debug, Serialize)]
pub struct XTable {
    /// Whose.
    pub family: XFamily,
    /// `filter`, `nat`…
    pub name: String,
    /// Base chains by hook, then the others.
    pub chains: Vec<XChain>,
    /// Whether its blob could be read to its end.
    pub complete: bool,
}

/// One chain.
#[derive(Clone, Debug, Serialize)]
pub struct XChain {
    /// Its name.
    pub name: String,
    /// Which hook it is called from; of base chains.
    pub hook: Option<u32>,
    /// What becomes of packets at its end; of base chains, and of all of bridges.
    pub policy: Option<XVerdict>,
    /// Of packets that got to its end, of base chains; `None` where that is not known, or not
    /// counted, as by bridges.
    pub packets: Option<u64>,
    /// The same in bytes.
    pub bytes: Option<u64>,
    /// In order.
    pub rules: Vec<XRule>,
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
pub enum XVerdict {
    Accept,
    Drop,
    Queue,
    Return,
    /// On to the next rule (of bridges).
    Continue,
    Jump(String),
    Goto(String),
    /// A rule that only counts.
    None,
    /// A code that is none of these.
    Other(i32),
}

/// A match or target that is a module's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Which form of its data.
    pub revision: u8,
    /// Its data (`struct xt_*_info`).
    pub info: Hex,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
pub enum XTarget {
    Verdict(XVerdict),
    Extension(Extension),
}

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct XRule {
    /// Packets that it fitted; `None` where that is not known.
    pub packets: Option<u64>,
    /// The same in bytes.
    pub bytes: Option<u64>,
    /// Addresses, interfaces and protocol: `struct ipt_ip`, `ip6t_ip6` or `arpt_arp`; of bridges
    /// `struct ebt_entry` up to where it says how long it is.
    pub header: Hex,
    /// What else it asks.
    pub matches: Vec<Extension>,
    /// What looks on and decides nothing (of bridges).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watchers: Vec<Extension>,
    /// What it does.
    pub target: XTarget,
}
