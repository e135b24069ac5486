//! Rules of nf_tables, asked with what is known of a packet.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::known::{meta, payload};
use super::sets::look_up;
use super::{Found, Holds, Packet, RuleRef, Target, xt};
use crate::subsys::net::rules::NetnsRules;
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr, NatRegs, Reg};
use crate::subsys::net::rules::nft::{Chain, Data, Rule, Set, Table, Verdict};

/// NFT_JUMP_STACK_SIZE.
const DEPTH: u32 = 16;
/// IP_CT_NEW, as expressions of ct state have it.
const NEW: u32 = 8;

/// Whether the search goes on in the chain above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Stop,
}

/// What a rule says of a packet.
enum Outcome {
    Next,
    Verdict(Verdict, bool),
    Fits(bool),
}

/// Asks the chains of type nat whose hook translates that end.
pub(super) fn ask(rules: &NetnsRules, packet: &Packet, found: &mut Found) {
    let hooks = if packet.dnat { [0, 3] } else { [4, 1] };
    for hook in hooks {
        let mut chains: Vec<(i32, &Table, &Chain)> = Vec::new();
        for table in rules.nf_tables.iter().filter(|table| table.flags & 1 == 0) {
            if table.family.0 != 1 && table.family.0 != packet.family {
                continue;
            }
            for chain in &table.chains {
                let Some(base) = &chain.base else { continue };
                if base.kind == "nat" && base.hook_number == hook {
                    chains.push((base.priority, table, chain));
                }
            }
        }
        chains.sort_by_key(|(priority, ..)| *priority);
        for (_, table, chain) in chains {
            let asked = Asked { packet, table };
            if asked.chain(chain, found, 0, true) == Flow::Stop {
                break;
            }
        }
    }
}

pub(super) fn named(table: &Table, chain: &Chain, rule: &Rule) -> RuleRef {
    RuleRef {
        filter: "nf_tables",
        family: table.family.name(),
        table: table.name.clone(),
        chain: chain.name.clone(),
        handle: rule.handle,
    }
}

struct Asked<'r> {
    packet: &'r Packet,
    table: &'r Table,
}

/// What registers hold, where that is known.
pub(super) type Registers = BTreeMap<u8, Option<Vec<u8>>>;

impl Asked<'_> {
    fn chain(&self, chain: &Chain, found: &mut Found, depth: u32, sure: bool) -> Flow {
        if depth > DEPTH {
            return Flow::Next;
        }
        for rule in &chain.rules {
            let flow = match self.rule(rule) {
                Outcome::Next => Flow::Next,
                Outcome::Fits(certain) => {
                    found.add(named(self.table, chain, rule));
                    if certain && sure {
                        Flow::Stop
                    } else {
                        Flow::Next
                    }
                }
                Outcome::Verdict(Verdict::Jump(to) | Verdict::Goto(to), certain) => {
                    match self.table.chains.iter().find(|chain| chain.name == to) {
                        Some(to) => self.chain(to, found, depth + 1, sure && certain),
                        None => Flow::Next,
                    }
                }
                Outcome::Verdict(Verdict::Return, true) => return Flow::Next,
                Outcome::Verdict(Verdict::Accept | Verdict::Drop, true) if sure => Flow::Stop,
                Outcome::Verdict(..) => Flow::Next,
            };
            if flow == Flow::Stop {
                return flow;
            }
        }
        Flow::Next
    }

    fn rule(&self, rule: &Rule) -> Outcome {
        let mut registers = Registers::new();
        let mut sure = !rule.cut;
        for expr in &rule.exprs {
            let holds = match expr {
                Expr::Verdict { verdict } => return Outcome::Verdict(verdict.clone(), sure),
                Expr::Nat { .. } | Expr::Masq { .. } | Expr::Redir { .. } | Expr::Target { .. } => {
                    return self.translation(expr, &registers, sure);
                }
                Expr::Lookup {
                    set,
                    sreg,
                    dreg: Some(Reg(0)),
                    ..
                } => {
                    let verdict = self.mapped(set, *sreg, &registers);
                    match verdict {
                        Some(Some(Data::Verdict(verdict))) => {
                            return Outcome::Verdict(verdict.clone(), sure);
                        }
                        Some(_) => Holds::No,
                        None => Holds::Unknown,
                    }
                }
                other => self.test(other, &mut registers),
            };
            match holds {
                Holds::No => return Outcome::Next,
                Holds::Unknown => sure = false,
                Holds::Yes => {}
            }
        }
        Outcome::Next
    }

    /// Loads, and comparisons of what was loaded.
    fn test(&self, expr: &Expr, registers: &mut Registers) -> Holds {
        match expr {
            Expr::Payload {
                base,
                offset,
                len,
                dreg,
            } => {
                registers.insert(dreg.0, payload(self.packet, *base, *offset, *len));
            }
            Expr::MetaLoad { name, dreg, .. } => {
                registers.insert(dreg.0, meta(self.packet, name));
            }
            Expr::CtLoad { name, dreg, .. } => {
                // Others, the mark too, need not have been what they are now.
                let value = match *name {
                    "state" => Some(NEW.to_le_bytes().to_vec()),
                    "direction" => Some(vec![0]),
                    _ => None,
                };
                registers.insert(dreg.0, value);
            }
            Expr::Byteorder { dreg, .. }
            | Expr::ExthdrLoad { dreg, .. }
            | Expr::Rt { dreg, .. }
            | Expr::Fib { dreg, .. }
            | Expr::Socket { dreg, .. }
            | Expr::Numgen { dreg, .. }
            | Expr::Jhash { dreg, .. }
            | Expr::Symhash { dreg, .. }
            | Expr::Osf { dreg, .. }
            | Expr::Xfrm { dreg, .. }
            | Expr::Tunnel { dreg, .. } => {
                registers.insert(dreg.0, None);
            }
            Expr::Immediate { dreg, data } => {
                registers.insert(dreg.0, Some(data.0.clone()));
            }
            Expr::Bitwise {
                op,
                sreg,
                dreg,
                mask,
                xor,
                ..
            } => {
                let old = registers.get(&sreg.0).cloned().flatten();
                let new = old.filter(|_| *op == BitOp::MaskXor).map(|old| {
                    let bits = mask.0.iter().zip(&xor.0);
                    old.iter()
                        .zip(bits)
                        .map(|(old, (mask, xor))| (old & mask) ^ xor)
                        .collect()
                });
                registers.insert(dreg.0, new);
            }
            Expr::Cmp { op, sreg, data } => {
                return match registers.get(&sreg.0) {
                    Some(Some(value)) => compared(*op, value, &data.0),
                    _ => Holds::Unknown,
                };
            }
            Expr::Range {
                negated,
                sreg,
                from,
                to,
            } => {
                return match registers.get(&sreg.0) {
                    Some(Some(value)) => {
                        Holds::of(*value >= from.0 && *value <= to.0).turned(*negated)
                    }
                    _ => Holds::Unknown,
                };
            }
            Expr::Lookup {
                set,
                sreg,
                dreg,
                inverted,
            } => {
                let data = self.mapped(set, *sreg, registers);
                if let Some(dreg) = dreg {
                    self.put(set, *dreg, data.clone(), registers);
                }
                return match data {
                    Some(data) => Holds::of(data.is_some()).turned(*inverted),
                    None => Holds::Unknown,
                };
            }
            Expr::Limit { .. } | Expr::Connlimit { .. } | Expr::Quota { .. } => {
                return Holds::Unknown;
            }
            Expr::Match { name, .. } if name == "comment" => {}
            Expr::Match { .. } | Expr::Unknown { .. } | Expr::Inner { .. } => {
                return Holds::Unknown;
            }
            // What counts, logs or marks asks nothing.
            _ => {}
        }
        Holds::Yes
    }

    /// What a map gave, on words of its own.
    fn put(&self, set: &str, dreg: Reg, data: Option<Option<Data>>, registers: &mut Registers) {
        let len = self.set(set).map_or(4, |set| set.data_len as usize);
        let bytes = match data {
            Some(Some(Data::Value(value))) => Some(value.0),
            _ => None,
        };
        let first = bytes
            .as_ref()
            .map(|bytes| bytes.iter().copied().take(4).collect());
        // An IPv6 address lies in one register.
        let first = if len >= 16 { bytes.clone() } else { first };
        registers.insert(dreg.0, first);
        for word in 1..len.div_ceil(4) {
            let part = bytes.as_ref().and_then(|bytes| bytes.get(word * 4..));
            let part = part.map(|rest| rest.iter().copied().take(4).collect());
            registers.insert(dreg.0.saturating_add(word as u8), part);
        }
    }

    fn mapped(&self, name: &str, sreg: Reg, registers: &Registers) -> Option<Option<Data>> {
        look_up(self.set(name)?, sreg, registers)
    }

    fn set(&self, name: &str) -> Option<&Set> {
        self.table.sets.iter().find(|set| set.name == name)
    }

    fn translation(&self, expr: &Expr, registers: &Registers, sure: bool) -> Outcome {
        let (target, known) = match expr {
            Expr::Nat {
                dnat, regs, family, ..
            } => self.target(*dnat, *family, regs, registers, false),
            Expr::Masq { regs, .. } => self.target(false, 0, regs, registers, true),
            Expr::Redir { regs, .. } => self.target(true, 0, regs, registers, true),
            Expr::Target {
                name,
                revision,
                info,
            } => {
                let family = self.packet.family;
                match xt::target(self.packet.dnat, family, name, *revision, &info.0) {
                    Some(target) => (target, true),
                    None => return Outcome::Verdict(Verdict::Continue, false),
                }
            }
            _ => return Outcome::Next,
        };
        match target.fits(self.packet) {
            true => Outcome::Fits(sure && known),
            false => Outcome::Next,
        }
    }

    /// What registers name, and whether all of it is known.
    fn target(
        &self,
        dnat: bool,
        family: u8,
        regs: &NatRegs,
        registers: &Registers,
        own_address: bool,
    ) -> (Target, bool) {
        let value = |reg: Reg| registers.get(&reg.0).cloned().flatten();
        let address = |reg: Reg| {
            let bytes = value(reg)?;
            match family {
                10 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
                _ => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            }
        };
        let port = |reg: Reg| {
            let bytes = value(reg)?;
            let both = <[u8; 2]>::try_from(bytes.get(..2)?).ok()?;
            Some(u16::from_be_bytes(both))
        };
        let addresses = regs
            .addr_min
            .and_then(|min| Some((address(min)?, address(regs.addr_max.unwrap_or(min))?)));
        let ports = regs
            .proto_min
            .and_then(|min| Some((port(min)?, port(regs.proto_max.unwrap_or(min))?)));
        let known = addresses.is_some() == regs.addr_min.is_some()
            && ports.is_some() == regs.proto_min.is_some();
        let any = regs.proto_min.is_some() && ports.is_none();
        let target = Target {
            dnat,
            addresses,
            // A port that is not known may be any.
            ports: if any { Some((0, u16::MAX)) } else { ports },
            own_address,
        };
        (target, known)
    }
}

fn compared(op: CmpOp, value: &[u8], data: &[u8]) -> Holds {
    let Some(value) = value.get(..data.len()) else {
        return Holds::Unknown;
    };
    Holds::of(match op {
        CmpOp::Eq => value == data,
        CmpOp::Neq => value != data,
        CmpOp::Lt => value < data,
        CmpOp::Lte => value <= data,
        CmpOp::Gt => value > data,
        CmpOp::Gte => value >= data,
    })
}
