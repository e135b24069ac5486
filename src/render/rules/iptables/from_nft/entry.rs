//! One rule, expression by expression.

use std::collections::BTreeMap;

use super::super::header::{Header, Side};
use super::super::made;
use super::verdict;
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::Rule;
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr, Reg};
use crate::subsys::net::rules::xt::{Extension, XRule, XTarget, XVerdict};

/// What a register holds.
#[derive(Clone, Debug)]
enum Held {
    Payload { base: u8, offset: u32, len: u32 },
    Meta(&'static str),
    Data(Vec<u8>),
}

/// A rule on its way.
struct Entry {
    family: u8,
    header: Header,
    matches: Vec<Extension>,
    target: Option<XTarget>,
    /// Packets and bytes.
    counted: Option<(u64, u64)>,
    registers: BTreeMap<Reg, (Held, Option<Vec<u8>>)>,
}

/// `None` of one that iptables does not make.
pub(super) fn rule_of(family: u8, rule: &Rule) -> Option<XRule> {
    let mut entry = Entry {
        family,
        header: Header::new(family),
        matches: Vec::new(),
        target: None,
        counted: None,
        registers: BTreeMap::new(),
    };
    for expr in &rule.exprs {
        entry.add(expr)?;
    }
    if let Some(comment) = &rule.comment {
        entry.matches.push(made::comment(comment));
    }
    Some(XRule {
        packets: entry.counted.map(|(packets, _)| packets),
        bytes: entry.counted.map(|(_, bytes)| bytes),
        header: entry.header.hex(),
        matches: entry.matches,
        watchers: Vec::new(),
        target: entry.target.unwrap_or(XTarget::Verdict(XVerdict::None)),
    })
}

impl Entry {
    fn add(&mut self, expr: &Expr) -> Option<()> {
        match expr {
            Expr::Counter { packets, bytes } => self.counted = Some((*packets, *bytes)),
            Expr::Payload {
                base,
                offset,
                len,
                dreg,
            } => {
                let (base, offset, len) = (*base, *offset, *len);
                self.hold(*dreg, Held::Payload { base, offset, len });
            }
            Expr::MetaLoad { name, dreg, .. } => self.hold(*dreg, Held::Meta(name)),
            Expr::Immediate { dreg, data } => self.hold(*dreg, Held::Data(data.0.clone())),
            Expr::Bitwise {
                op: BitOp::MaskXor,
                sreg,
                dreg,
                mask,
                ..
            } => {
                let (held, _) = self.registers.get(sreg)?.clone();
                self.registers.insert(*dreg, (held, Some(mask.0.clone())));
            }
            Expr::Cmp { op, sreg, data } => {
                let (held, mask) = self.registers.get(sreg)?.clone();
                self.compare(&held, mask.as_deref(), *op, &data.0)?;
            }
            Expr::Range {
                negated,
                sreg,
                from,
                to,
            } => {
                let (held, _) = self.registers.get(sreg)?.clone();
                self.range(&held, *negated, &from.0, &to.0)?;
            }
            Expr::Match {
                name,
                revision,
                info,
            } => {
                self.matches.push(extension(name, *revision, info));
            }
            Expr::Limit {
                rate,
                unit_seconds,
                burst,
                bytes: false,
                inverted: false,
            } => {
                self.matches
                    .push(made::limit(*rate, *unit_seconds, *burst)?);
            }
            other => self.target = Some(self.action(other)?),
        }
        Some(())
    }

    /// What the rule does; `None` of what iptables does not make.
    fn action(&self, expr: &Expr) -> Option<XTarget> {
        Some(match expr {
            Expr::Verdict { verdict: of } => XTarget::Verdict(verdict(of)),
            Expr::Target {
                name,
                revision,
                info,
            } => XTarget::Extension(extension(name, *revision, info)),
            Expr::Log {
                prefix,
                group: Some(group),
                snaplen,
                threshold,
                ..
            } => {
                let prefix = prefix.as_deref().unwrap_or_default();
                XTarget::Extension(made::nflog(prefix, *group, *snaplen, *threshold))
            }
            Expr::MetaSet { name, sreg, .. } => {
                let (held, mask) = self.registers.get(sreg)?;
                let Held::Data(data) = held else { return None };
                XTarget::Extension(match *name {
                    "nftrace" => made::trace(),
                    "mark" => made::mark_target(data, mask.as_deref())?,
                    _ => return None,
                })
            }
            _ => return None,
        })
    }

    fn hold(&mut self, register: Reg, held: Held) {
        self.registers.insert(register, (held, None));
    }

    fn compare(&mut self, held: &Held, mask: Option<&[u8]>, op: CmpOp, data: &[u8]) -> Option<()> {
        let inverted = op == CmpOp::Neq;
        match held {
            Held::Meta("iifname") => self.interface(Side::From, data, inverted),
            Held::Meta("oifname") => self.interface(Side::To, data, inverted),
            Held::Meta("l4proto") => self.header.set_protocol(*data.first()?, inverted),
            Held::Meta("mark") => self.matches.push(made::mark(data, mask, inverted)?),
            Held::Meta("pkttype") => self.matches.push(made::packet_type(data, inverted)?),
            Held::Payload {
                base: 1,
                offset,
                len,
            } => {
                self.network(*offset, *len, mask, op, data)?;
            }
            Held::Payload {
                base: 2, offset, ..
            } => self.transport(*offset, mask, op, data)?,
            _ => return None,
        }
        Some(())
    }

    /// `INVAL/D`, which no interface is called, is its way to say `! -o +`.
    fn interface(&mut self, side: Side, name: &[u8], inverted: bool) {
        match name.starts_with(b"INVAL/D") && !inverted {
            true => self.header.set_interface(side, b"+", true),
            false => self.header.set_interface(side, name, inverted),
        }
    }

    /// The header of IP by the place in it.
    fn network(
        &mut self,
        offset: u32,
        len: u32,
        mask: Option<&[u8]>,
        op: CmpOp,
        data: &[u8],
    ) -> Option<()> {
        let inverted = op == CmpOp::Neq;
        let whole = vec![0xff; len as usize];
        let mask = mask.unwrap_or(&whole);
        match (self.family, offset) {
            (2, 12) | (10, 8) => self.header.set_address(Side::From, data, mask, inverted),
            (2, 16) | (10, 24) => self.header.set_address(Side::To, data, mask, inverted),
            (2, 9) | (10, 6) => self.header.set_protocol(*data.first()?, inverted),
            (2, 6) => self.header.set_fragments(op == CmpOp::Eq),
            (2, 8) | (10, 7) => self.matches.push(made::hops(self.family, op, data)?),
            _ => return None,
        }
        Some(())
    }

    /// Ports, flags, kind of ICMP.
    fn transport(
        &mut self,
        offset: u32,
        mask: Option<&[u8]>,
        op: CmpOp,
        data: &[u8],
    ) -> Option<()> {
        let protocol = self.header.protocol();
        match (protocol, offset, data) {
            (6, 13, [flags]) => {
                let mask = mask.and_then(|mask| mask.first()).copied();
                self.ports(protocol)?
                    .flags(mask.unwrap_or(0xff), *flags, op == CmpOp::Neq);
            }
            (1 | 58, 0 | 1, _) => {
                self.matches.push(made::icmp(self.family, offset, data)?);
            }
            (_, 0, &[a, b, c, d]) => {
                self.ports(protocol)?.single(Side::From, op, [a, b]);
                self.ports(protocol)?.single(Side::To, op, [c, d]);
            }
            (_, 0, &[a, b]) => self.ports(protocol)?.single(Side::From, op, [a, b]),
            (_, 2, &[a, b]) => self.ports(protocol)?.single(Side::To, op, [a, b]),
            _ => return None,
        }
        Some(())
    }

    fn range(&mut self, held: &Held, negated: bool, from: &[u8], to: &[u8]) -> Option<()> {
        let Held::Payload {
            base: 2, offset, ..
        } = held
        else {
            return None;
        };
        let side = match offset {
            0 => Side::From,
            2 => Side::To,
            _ => return None,
        };
        let (from, to) = (from.try_into().ok()?, to.try_into().ok()?);
        let protocol = self.header.protocol();
        self.ports(protocol)?.range(side, from, to, negated);
        Some(())
    }

    /// The match of `tcp` or `udp`, made where there is none yet.
    fn ports(&mut self, protocol: u8) -> Option<made::Ports<'_>> {
        let name = match protocol {
            6 => "tcp",
            17 => "udp",
            _ => return None,
        };
        let known = self.matches.iter().position(|one| one.name == name);
        let index = known.unwrap_or(self.matches.len());
        if known.is_none() {
            self.matches.push(made::any_ports(name));
        }
        self.matches.get_mut(index).map(made::Ports)
    }
}

fn extension(name: &str, revision: u8, info: &Hex) -> Extension {
    Extension {
        name: name.to_owned(),
        revision,
        info: info.clone(),
    }
}
