//! The expressions that a rule of nf_tables is made of, as typed facts.
//!
//! Layer: subsystem. Input: the bytes of a rule and what they point to. Output: [`Expr`]s in their
//! order. Invariants: nothing is guessed; what is not known is [`Expr::Unknown`], with its bytes.

mod action_layouts;
mod decode;
mod kinds;
mod layouts;
mod plain;

use serde::{Serialize, Serializer};

pub(super) use decode::Decoder;

use super::super::hex::Hex;
use super::Verdict;

/// A register by the kernel's index of 32-bit words: 0 holds the verdict, 4 to 19 data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reg(pub u8);

impl Reg {
    /// As userland numbers it (`nft_dump_register`): 1 to 4 have 16 bytes, 8 and above 4.
    pub fn number(self) -> u8 {
        match self.0 % 4 {
            0 => self.0 / 4,
            _ => self.0.wrapping_add(4),
        }
    }
}

impl Serialize for Reg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

/// How values are compared (`enum nft_cmp_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
pub enum CmpOp {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
}

/// How bits are changed (`enum nft_bitwise_ops`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
pub enum BitOp {
    MaskXor,
    Lshift,
    Rshift,
    And,
    Or,
    Xor,
}

/// An address or port to translate to, by the registers that hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named as the kernel names them
pub struct NatRegs {
    pub addr_min: Option<Reg>,
    pub addr_max: Option<Reg>,
    pub proto_min: Option<Reg>,
    pub proto_max: Option<Reg>,
}

/// One expression. Members are named as those of the kernel's private structures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "expr", rename_all = "snake_case")]
#[allow(missing_docs)] // named as the kernel names them
#[rustfmt::skip]
pub enum Expr {
    Payload { base: u8, offset: u32, len: u32, dreg: Reg },
    PayloadSet { base: u8, offset: u32, len: u32, sreg: Reg, csum_type: u8, csum_offset: u32, csum_flags: u32 },
    Cmp { op: CmpOp, sreg: Reg, data: Hex },
    Range { negated: bool, sreg: Reg, from: Hex, to: Hex },
    Bitwise { op: BitOp, sreg: Reg, sreg2: Option<Reg>, dreg: Reg, mask: Hex, xor: Hex, shift: u32 },
    Immediate { dreg: Reg, data: Hex },
    Verdict { verdict: Verdict },
    MetaLoad { key: u8, name: &'static str, dreg: Reg },
    MetaSet { key: u8, name: &'static str, sreg: Reg },
    CtLoad { key: u8, name: &'static str, dreg: Reg, dir: Option<&'static str> },
    CtSet { key: u8, name: &'static str, sreg: Reg },
    Notrack,
    Lookup { set: String, sreg: Reg, dreg: Option<Reg>, inverted: bool },
    Dynset { op: &'static str, set: String, key: Reg, data: Option<Reg>, timeout_ms: u64, inverted: bool, exprs: Vec<Expr> },
    Objref { kind: u32, name: String },
    ObjrefMap { set: String, sreg: Reg },
    Byteorder { sreg: Reg, dreg: Reg, hton: bool, len: u32, size: u32 },
    ExthdrLoad { proto: &'static str, kind: u32, offset: u32, len: u32, present: bool, dreg: Reg },
    ExthdrSet { proto: &'static str, kind: u32, offset: u32, len: u32, sreg: Reg },
    ExthdrReset { proto: &'static str, kind: u32 },
    Rt { key: u8, name: &'static str, dreg: Reg },
    Counter { packets: u64, bytes: u64 },
    Last { milliseconds_ago: Option<u64> },
    Inner { kind: u32, header_size: u32, flags: u32, inner: Box<Expr> },
    Limit { rate: u64, unit_seconds: u64, burst: u32, bytes: bool, inverted: bool },
    Log { prefix: Option<String>, level: Option<u8>, flags: u32, group: Option<u16>, snaplen: u32, threshold: u16 },
    Nat { dnat: bool, family: u8, flags: u32, regs: NatRegs },
    Masq { flags: u32, regs: NatRegs },
    Redir { flags: u32, regs: NatRegs },
    Reject { kind: u8, code: u8 },
    Queue { number: u16, total: u16, flags: u32, sreg: Option<Reg> },
    Quota { bytes: u64, consumed: u64, flags: u32 },
    Connlimit { count: u32, inverted: bool },
    Fib { result: u32, flags: u32, dreg: Reg },
    Socket { key: u8, level: u8, dreg: Reg },
    Tproxy { family: u8, addr: Option<Reg>, port: Option<Reg> },
    Numgen { random: bool, modulus: u32, offset: u32, dreg: Reg },
    Jhash { sreg: Reg, dreg: Reg, len: u32, modulus: u32, seed: Option<u32>, offset: u32 },
    Symhash { dreg: Reg, modulus: u32, offset: u32 },
    Dup { addr: Option<Reg>, dev: Option<Reg> },
    Fwd { dev: Reg, addr: Option<Reg>, family: Option<u8> },
    FlowOffload { flowtable: String },
    Synproxy { mss: u16, wscale: u8, options: u8 },
    Osf { dreg: Reg, ttl: u8, flags: u32 },
    Xfrm { key: u8, dir: u8, spnum: u32, dreg: Reg },
    Tunnel { key: u8, dreg: Reg },
    /// A match of x_tables (nft_compat).
    Match { name: String, revision: u8, info: Hex },
    /// A target of x_tables (nft_compat).
    Target { name: String, revision: u8, info: Hex },
    /// One that is not known, or whose types are not.
    Unknown { name: String, data: Hex },
}

/// `enum nft_meta_keys`, as nft calls them.
const META: [&str; 37] = [
    "len",
    "protocol",
    "priority",
    "mark",
    "iif",
    "oif",
    "iifname",
    "oifname",
    "iiftype",
    "oiftype",
    "skuid",
    "skgid",
    "nftrace",
    "rtclassid",
    "secmark",
    "nfproto",
    "l4proto",
    "bri_iifname",
    "bri_oifname",
    "pkttype",
    "cpu",
    "iifgroup",
    "oifgroup",
    "cgroup",
    "prandom",
    "secpath",
    "iifkind",
    "oifkind",
    "bri_iifpvid",
    "bri_iifvproto",
    "time",
    "day",
    "hour",
    "sdif",
    "sdifname",
    "broute",
    "ibrhwaddr",
];

/// `enum nft_ct_keys`, as nft calls them.
const CT: [&str; 24] = [
    "state",
    "direction",
    "status",
    "mark",
    "secmark",
    "expiration",
    "helper",
    "l3protocol",
    "src",
    "dst",
    "protocol",
    "proto_src",
    "proto_dst",
    "label",
    "packets",
    "bytes",
    "avgpkt",
    "zone",
    "event",
    "src_ip",
    "dst_ip",
    "src_ip6",
    "dst_ip6",
    "id",
];

/// `enum nft_rt_keys`.
const RT: [&str; 5] = ["classid", "nexthop4", "nexthop6", "tcpmss", "ipsec"];

fn named(names: &[&'static str], key: u64) -> &'static str {
    names.get(key as usize).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// net/netfilter/nf_tables_api.c, nft_dump_register, and what nft printed of the words.
    #[test]
    fn registers_are_numbered_as_nft_does() {
        let numbers = [0, 4, 5, 8, 9, 12, 16].map(|word| Reg(word).number());
        assert_eq!(numbers, [0, 1, 9, 2, 13, 3, 4]);
    }

    #[test]
    fn keys_have_the_names_of_uapi() {
        assert_eq!(named(&META, 16), "l4proto");
        assert_eq!(named(&META, 32), "hour");
        assert_eq!(named(&CT, 17), "zone");
        assert_eq!(named(&CT, 21), "src_ip6");
        assert_eq!(named(&CT, 99), "unknown");
    }
}
