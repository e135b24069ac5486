//! nf_tables at the crash: tables, chains, rules, sets with their elements, objects, flowtables.
//!
//! Layer: subsystem. Input: a kernel with the types of nf_tables, which is a module on most
//! distributions. Output: [`Table`]s of one namespace, in the kernel's order. Invariants: what a
//! transaction had not committed is left out, what it had deleted is not; a rule or set that can't
//! be read costs that one, and is said.

mod chains;
mod elements;
pub mod expr;
mod layouts;
mod names;
mod object_layouts;
mod objects;
mod sets;
mod tables;
pub mod udata;

use serde::{Serialize, Serializer};

pub(super) use tables::Reader;

use self::expr::Expr;
use super::hex::Hex;

/// A family by its number (NFPROTO_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family(pub u8);

impl Family {
    /// As nft calls it.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "inet",
            2 => "ip",
            3 => "arp",
            5 => "netdev",
            7 => "bridge",
            10 => "ip6",
            _ => "unknown",
        }
    }

    /// What a hook of that number is called in it.
    pub fn hook(self, number: u32) -> &'static str {
        let names: &[&str] = match self.0 {
            3 => &["input", "output", "forward"],
            5 => &["ingress", "egress"],
            _ => &[
                "prerouting",
                "input",
                "forward",
                "output",
                "postrouting",
                "ingress",
            ],
        };
        names.get(number as usize).copied().unwrap_or("unknown")
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
pub enum Verdict {
    Drop,
    Accept,
    Continue,
    Break,
    Return,
    Jump(String),
    Goto(String),
    /// A code that is none of these.
    Other(i32),
}

/// One table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// As `nft -a` shows it.
    pub handle: u64,
    /// Chains, sets, objects and flowtables in it.
    pub uses: u32,
    /// NFT_TABLE_F_*: 1 dormant, 2 owner, 4 persist.
    pub flags: u32,
    /// Port id of the netlink socket that owns it.
    pub owner: Option<u32>,
    /// What a person wrote about it.
    pub comment: Option<String>,
    /// In the kernel's order.
    pub chains: Vec<Chain>,
    /// Anonymous ones too.
    pub sets: Vec<Set>,
    /// Counters, quotas, limits, helpers…
    pub objects: Vec<Object>,
    /// Flowtables.
    pub flowtables: Vec<Flowtable>,
}

/// What a base chain hangs on.
#[derive(Clone, Debug, Serialize)]
pub struct BaseChain {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// The hook's number.
    pub hook_number: u32,
    /// The hook.
    pub hook: &'static str,
    /// Lower ones are asked first.
    pub priority: i32,
    /// What becomes of packets that reach its end.
    pub policy: Verdict,
    /// Devices, or patterns of names; of families that hook on devices.
    pub devices: Vec<String>,
    /// Of packets that reached its end, where it counts them.
    pub packets: Option<u64>,
    /// The same in bytes.
    pub bytes: Option<u64>,
}

/// One chain.
#[derive(Clone, Debug, Serialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// As `nft -a` shows it.
    pub handle: u64,
    /// Rules in it and jumps to it.
    pub uses: u32,
    /// NFT_CHAIN_*: 1 base, 2 offload, 4 anonymous.
    pub flags: u32,
    /// What a person wrote about it.
    pub comment: Option<String>,
    /// Its hook, if packets enter by it.
    pub base: Option<BaseChain>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// As `nft -a` shows it.
    pub handle: u64,
    /// What it does, in order.
    pub exprs: Vec<Expr>,
    /// What a person wrote about it.
    pub comment: Option<String>,
    /// All that userland keeps with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Hex>,
    /// Whether not all of it can be read.
    pub cut: bool,
}

/// What userland says of a set besides what the kernel uses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SetNotes {
    /// Whether overlapping intervals are joined.
    pub auto_merge: bool,
    /// Whether data are intervals.
    pub data_interval: bool,
    /// What a person wrote about it.
    pub comment: Option<String>,
    /// The expressions that its type was taken from, as nft packs them.
    #[serde(skip)]
    pub key_typeof: Option<Vec<u8>>,
    /// The same of its data.
    #[serde(skip)]
    pub data_typeof: Option<Vec<u8>>,
    /// 1 host, 2 big endian.
    #[serde(skip)]
    pub key_order: u32,
    /// The same of its data.
    #[serde(skip)]
    pub data_order: u32,
}

/// One set or map.
#[derive(Clone, Debug, Serialize)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// As `nft -a` shows it.
    pub handle: u64,
    /// NFT_SET_*: 1 anonymous, 2 constant, 4 interval, 8 map, 0x10 timeout, 0x20 dynamic, 0x40
    /// objects, 0x80 concatenation, 0x100 expressions.
    pub flags: u32,
    /// nft's number of the key's type; of concatenations 6 bits each.
    pub key_type: u32,
    /// Bytes of a key.
    pub key_len: u32,
    /// nft's number of the data's type; 0xffffff00 of verdicts.
    pub data_type: u32,
    /// Bytes of data.
    pub data_len: u32,
    /// NFT_OBJECT_* of maps to objects.
    pub object_type: u32,
    /// The most elements that it may have; 0 if nothing was said.
    pub size: u32,
    /// How long elements stay, if they don't say; 0: for ever.
    pub timeout_ms: u64,
    /// How often it is cleaned; 0 if nothing was said.
    pub gc_interval_ms: u32,
    /// NFT_SET_POL_*: 0 performance, 1 memory.
    pub policy: u32,
    /// How the kernel keeps it.
    pub backend: &'static str,
    /// What each element gets.
    pub exprs: Vec<Expr>,
    /// What userland says of it.
    pub notes: SetNotes,
    /// In the kernel's order.
    pub elements: Vec<Element>,
    /// Whether none is missing.
    pub complete: bool,
}

/// What an element maps to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// A value.
    Value(Hex),
    /// A verdict.
    Verdict(Verdict),
}

/// One element of a set.
#[derive(Clone, Debug, Serialize)]
pub struct Element {
    /// `None` of the one that stands for all others.
    pub key: Option<Hex>,
    /// The last key of a range, of concatenations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_end: Option<Hex>,
    /// NFT_SET_ELEM_*: 1 the end of an interval, which is not in it, 2 all others.
    pub flags: u32,
    /// What it maps to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The object that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How long it stays, if it says so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long it would have stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// What a person wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// All that userland keeps with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Hex>,
    /// Its own counters and limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exprs: Vec<Expr>,
}

/// One object that rules name.
#[derive(Clone, Debug, Serialize)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// As `nft -a` shows it.
    pub handle: u64,
    /// Who names it.
    pub uses: u32,
    /// NFT_OBJECT_*.
    pub kind: u32,
    /// What a person wrote about it.
    pub comment: Option<String>,
    /// What it is.
    pub body: ObjectBody,
}

/// What an object is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
#[rustfmt::skip]
pub enum ObjectBody {
    /// A counter, quota, limit or synproxy, which rules have too.
    Expression { expr: Expr },
    CtHelper { helper: String, l4proto: u8, l3num: u16 },
    /// By `l4proto`: seconds by state, in the order of its attributes.
    CtTimeout { l3num: u16, l4proto: u8, seconds: Vec<u32> },
    CtExpectation { l3num: u16, l4proto: u8, dport: u16, timeout_ms: u32, size: u8 },
    Secmark { context: String },
    /// One whose types are not known.
    Unknown { data: Hex },
}

/// One flowtable.
#[derive(Clone, Debug, Serialize)]
pub struct Flowtable {
    /// Its name.
    pub name: String,
    /// As `nft -a` shows it.
    pub handle: u64,
    /// Rules that name it.
    pub uses: u32,
    /// The number of its hook, which is ingress.
    pub hook_number: u32,
    /// Its place among hooks.
    pub priority: i32,
    /// NF_FLOWTABLE_*: 1 offload, 2 counter.
    pub flags: u32,
    /// What it speeds up.
    pub devices: Vec<String>,
}
