//! Expressions that say all in their own bytes.

use super::super::super::hex::Hex;
use super::kinds::Kind;
use super::{BitOp, CT, CmpOp, Expr, META, NatRegs, RT, Reg, named};
use crate::addr::VirtAddr;
use crate::bytes::u32_at;
use crate::kernel::layout::Field;

/// Reads members of one private structure.
pub(super) struct Private<'b>(pub(super) &'b [u8]);

impl Private<'_> {
    pub(super) fn get(&self, field: Field) -> u32 {
        field.get(self.0) as u32
    }

    pub(super) fn word(&self, field: Field) -> u64 {
        field.get(self.0)
    }

    pub(super) fn maybe(&self, field: Option<Field>) -> u32 {
        field.map_or(0, |field| self.get(field))
    }

    pub(super) fn reg(&self, field: Field) -> Reg {
        Reg(field.get(self.0) as u8)
    }

    /// Register 0 holds verdicts: as a source it means none.
    pub(super) fn given(&self, field: Field) -> Option<Reg> {
        Some(self.reg(field)).filter(|reg| reg.0 != 0)
    }

    pub(super) fn pointer(&self, field: Field) -> VirtAddr {
        VirtAddr(field.get(self.0))
    }

    pub(super) fn data(&self, field: Field, len: u32) -> Hex {
        Hex::part(self.0, field.offset as usize, (len as usize).min(64))
    }
}

fn cmp(op: u32, sreg: Reg, data: Hex) -> Option<Expr> {
    use CmpOp::{Eq, Gt, Gte, Lt, Lte, Neq};
    let op = *[Eq, Neq, Lt, Lte, Gt, Gte].get(op as usize)?;
    Some(Expr::Cmp { op, sreg, data })
}

fn inverted(inverted: u32) -> u32 {
    u32::from(inverted != 0)
}

/// What compares and computes.
pub(super) fn tests(kind: &Kind, data: &Private<'_>) -> Option<Expr> {
    Some(match kind {
        Kind::Cmp(l) => {
            let value = data.data(l.data, data.get(l.length));
            return cmp(data.get(l.op), data.reg(l.sreg), value);
        }
        Kind::CmpFast(l) => {
            let value = data.data(l.data, data.get(l.length).div_ceil(8).min(4));
            return cmp(inverted(data.maybe(l.inverted)), data.reg(l.sreg), value);
        }
        Kind::Cmp16(l) => {
            let value = data.data(l.data, data.get(l.length).min(16));
            return cmp(inverted(data.get(l.inverted)), data.reg(l.sreg), value);
        }
        Kind::Range(l) => Expr::Range {
            negated: data.get(l.op) != 0,
            sreg: data.reg(l.sreg),
            from: data.data(l.from, data.get(l.length)),
            to: data.data(l.to, data.get(l.length)),
        },
        Kind::Bitwise(l) => {
            use BitOp::{And, Lshift, MaskXor, Or, Rshift, Xor};
            let (len, op) = (data.get(l.length), data.maybe(l.op));
            let shift = l
                .data
                .and_then(|field| u32_at(data.0, field.offset as usize));
            Expr::Bitwise {
                op: *[MaskXor, Lshift, Rshift, And, Or, Xor].get(op as usize)?,
                sreg: data.reg(l.sreg),
                sreg2: l.sreg2.and_then(|field| data.given(field)),
                dreg: data.reg(l.dreg),
                mask: data.data(l.mask, len),
                xor: data.data(l.xor, len),
                shift: shift.filter(|_| op == 1 || op == 2).unwrap_or(0),
            }
        }
        Kind::BitwiseFast(l) => Expr::Bitwise {
            op: BitOp::MaskXor,
            sreg: data.reg(l.sreg),
            sreg2: None,
            dreg: data.reg(l.dreg),
            mask: data.data(l.mask, 4),
            xor: data.data(l.xor, 4),
            shift: 0,
        },
        Kind::Byteorder(l) => Expr::Byteorder {
            sreg: data.reg(l.sreg),
            dreg: data.reg(l.dreg),
            hton: data.get(l.op) != 0,
            len: data.get(l.length.unwrap_or(l.size)),
            size: data.get(l.size),
        },
        Kind::LimitPriv { bytes, layout: l } => Expr::Limit {
            rate: data.word(l.rate),
            unit_seconds: data.word(l.nsecs) / 1_000_000_000,
            burst: data.get(l.burst),
            bytes: *bytes,
            inverted: data.get(l.invert) != 0,
        },
        Kind::Limit { bytes, layout: l } => Expr::Limit {
            rate: data.word(l.rate?),
            unit_seconds: data.word(l.nsecs?) / 1_000_000_000,
            burst: data.get(l.burst?),
            bytes: *bytes,
            inverted: data.get(l.invert?) != 0,
        },
        Kind::Connlimit(l) => Expr::Connlimit {
            count: data.get(l.limit),
            inverted: data.get(l.invert) != 0,
        },
        _ => return None,
    })
}

/// What puts something into a register.
pub(super) fn loads(kind: &Kind, data: &Private<'_>) -> Option<Expr> {
    Some(match kind {
        Kind::Payload(l) => Expr::Payload {
            base: data.get(l.base) as u8,
            offset: data.get(l.offset),
            len: data.get(l.length),
            dreg: data.reg(l.dreg),
        },
        Kind::MetaLoad(l) => Expr::MetaLoad {
            key: data.get(l.key) as u8,
            name: named(&META, data.word(l.key)),
            dreg: data.reg(l.dreg),
        },
        Kind::CtLoad(l) => Expr::CtLoad {
            key: data.get(l.key) as u8,
            name: named(&CT, data.word(l.key)),
            dreg: data.reg(l.dreg),
            dir: ["original", "reply"].get(data.get(l.dir) as usize).copied(),
        },
        Kind::ExthdrLoad(proto, l) => Expr::ExthdrLoad {
            proto,
            kind: data.get(l.kind),
            offset: data.get(l.offset),
            len: data.get(l.length),
            present: data.maybe(l.flags) & 1 == 1,
            dreg: data.reg(l.dreg),
        },
        Kind::Rt(l) => Expr::Rt {
            key: data.get(l.key) as u8,
            name: named(&RT, data.word(l.key)),
            dreg: data.reg(l.dreg),
        },
        Kind::Fib(l) => Expr::Fib {
            result: data.get(l.result),
            flags: data.get(l.flags),
            dreg: data.reg(l.dreg),
        },
        Kind::Socket(l) => Expr::Socket {
            key: data.get(l.key) as u8,
            level: data.maybe(l.level) as u8,
            dreg: data.reg(l.dreg),
        },
        Kind::Counting(l) => Expr::Numgen {
            random: false,
            modulus: data.get(l.modulus),
            offset: data.get(l.offset),
            dreg: data.reg(l.dreg),
        },
        Kind::Random(l) => Expr::Numgen {
            random: true,
            modulus: data.get(l.modulus),
            offset: data.get(l.offset),
            dreg: data.reg(l.dreg),
        },
        Kind::Jhash(l) => Expr::Jhash {
            sreg: data.reg(l.sreg),
            dreg: data.reg(l.dreg),
            len: data.get(l.length),
            modulus: data.get(l.modulus),
            // A seed that the kernel drew is not what the rule says.
            seed: (data.get(l.own_seed) == 0).then(|| data.get(l.seed)),
            offset: data.get(l.offset),
        },
        Kind::Symhash(l) => Expr::Symhash {
            dreg: data.reg(l.dreg),
            modulus: data.get(l.modulus),
            offset: data.get(l.offset),
        },
        Kind::Osf(l) => Expr::Osf {
            dreg: data.reg(l.dreg),
            ttl: data.get(l.ttl) as u8,
            flags: data.maybe(l.flags),
        },
        Kind::Xfrm(l) => Expr::Xfrm {
            key: data.get(l.key) as u8,
            dir: data.get(l.dir) as u8,
            spnum: data.get(l.spnum),
            dreg: data.reg(l.dreg),
        },
        Kind::Tunnel(l) => Expr::Tunnel {
            key: data.get(l.key) as u8,
            dreg: data.reg(l.dreg),
        },
        _ => return None,
    })
}

/// What acts on the packet or its connection.
pub(super) fn acts(kind: &Kind, data: &Private<'_>) -> Option<Expr> {
    let ports = |min, max| NatRegs {
        proto_min: data.given(min),
        proto_max: data.given(max),
        ..NatRegs::default()
    };
    Some(match kind {
        Kind::PayloadSet(l) => Expr::PayloadSet {
            base: data.get(l.base) as u8,
            offset: data.get(l.offset),
            len: data.get(l.length),
            sreg: data.reg(l.sreg),
            csum_type: data.get(l.csum_type) as u8,
            csum_offset: data.get(l.csum_offset),
            csum_flags: data.maybe(l.csum_flags),
        },
        Kind::MetaSet(l) => Expr::MetaSet {
            key: data.get(l.key) as u8,
            name: named(&META, data.word(l.key)),
            sreg: data.reg(l.dreg),
        },
        Kind::CtSet(l) => Expr::CtSet {
            key: data.get(l.key) as u8,
            name: named(&CT, data.word(l.key)),
            sreg: data.reg(l.dreg),
        },
        Kind::Notrack => Expr::Notrack,
        Kind::ExthdrSet(proto, l) => Expr::ExthdrSet {
            proto,
            kind: data.get(l.kind),
            offset: data.get(l.offset),
            len: data.get(l.length),
            sreg: data.reg(l.sreg.unwrap_or(l.dreg)),
        },
        Kind::ExthdrReset(proto, l) => Expr::ExthdrReset {
            proto,
            kind: data.get(l.kind),
        },
        Kind::Nat(l) => Expr::Nat {
            dnat: data.get(l.kind) != 0,
            family: data.get(l.family) as u8,
            flags: data.get(l.flags),
            regs: NatRegs {
                addr_min: data.given(l.addr_min),
                addr_max: data.given(l.addr_max),
                ..ports(l.proto_min, l.proto_max)
            },
        },
        Kind::Masq(l) => Expr::Masq {
            flags: data.get(l.flags),
            regs: ports(l.proto_min, l.proto_max),
        },
        Kind::Redir(l) => Expr::Redir {
            flags: data.get(l.flags),
            regs: ports(l.proto_min, l.proto_max),
        },
        Kind::Reject(l) => Expr::Reject {
            kind: data.get(l.kind) as u8,
            code: data.get(l.code) as u8,
        },
        Kind::Queue(l) => Expr::Queue {
            number: data.get(l.number) as u16,
            total: data.get(l.total) as u16,
            flags: data.get(l.flags),
            sreg: data.given(l.sreg),
        },
        Kind::Tproxy(l) => Expr::Tproxy {
            family: data.get(l.family) as u8,
            addr: data.given(l.addr),
            port: data.given(l.port),
        },
        Kind::DupIpv4(l) => Expr::Dup {
            addr: data.given(l.addr),
            dev: data.given(l.dev),
        },
        Kind::DupIpv6(l) => Expr::Dup {
            addr: data.given(l.addr),
            dev: data.given(l.dev),
        },
        Kind::DupNetdev(l) => Expr::Dup {
            addr: None,
            dev: data.given(l.dev),
        },
        Kind::Fwd(l) => Expr::Fwd {
            dev: data.reg(l.dev),
            addr: None,
            family: None,
        },
        Kind::FwdNeigh(l) => Expr::Fwd {
            dev: data.reg(l.dev),
            addr: data.given(l.addr),
            family: Some(data.get(l.family) as u8),
        },
        Kind::Synproxy(l) => Expr::Synproxy {
            mss: data.get(l.mss) as u16,
            wscale: data.get(l.wscale) as u8,
            options: data.get(l.options) as u8,
        },
        _ => return None,
    })
}
