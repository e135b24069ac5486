//! One rule as nft writes it: expressions put together to what a person would say.

use super::fields::{self, Protocols};
use super::load;
use super::sets;
use super::terms::{Registers, Slot, Term};
use super::types::{self, Devices, Ty};
use super::{acts, limits};
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr, Reg};
use crate::subsys::net::rules::nft::{Family, Rule, Set, Table};

/// A statement that only says which protocol another one is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Link,
    Network,
    Transport,
}

/// What a rule is read with.
#[derive(Debug)]
pub(super) struct Context<'t> {
    pub(super) table: &'t Table,
    pub(super) devices: &'t Devices,
    pub(super) registers: Registers,
    pub(super) known: Protocols,
    statements: Vec<Option<String>>,
    pending: Vec<(Layer, usize)>,
}

/// The rule's text; `None` if a part of it has no short form.
pub(super) fn text(table: &Table, devices: &Devices, rule: &Rule) -> Option<String> {
    if rule.cut {
        return None;
    }
    let mut context = Context {
        table,
        devices,
        registers: Registers::default(),
        known: Protocols {
            network: of_family(table.family),
            ..Protocols::default()
        },
        statements: Vec::new(),
        pending: Vec::new(),
    };
    for expr in &rule.exprs {
        context.read(expr)?;
    }
    let mut text: Vec<String> = context.statements.into_iter().flatten().collect();
    if let Some(comment) = &rule.comment {
        text.push(format!("comment \"{comment}\""));
    }
    Some(text.join(" "))
}

fn of_family(family: Family) -> Option<u32> {
    match family.0 {
        2 => Some(0x0800),
        3 => Some(0x0806),
        10 => Some(0x86dd),
        _ => None,
    }
}

impl<'t> Context<'t> {
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.statements.push(Some(text.into()));
    }

    /// What comes next is about that protocol, so that it need not be said before.
    pub(super) fn implied(&mut self, layer: Layer) {
        if let Some(at) = self.pending.iter().rposition(|(known, _)| *known == layer) {
            let (_, statement) = self.pending.remove(at);
            if let Some(slot) = self.statements.get_mut(statement) {
                *slot = None;
            }
        }
    }

    pub(super) fn set(&self, name: &str) -> Option<&'t Set> {
        self.table.sets.iter().find(|set| set.name == name)
    }

    fn read(&mut self, expr: &Expr) -> Option<()> {
        if let Some((reg, slot)) = load::loaded(self, expr) {
            self.registers.put(reg, slot);
            return Some(());
        }
        match expr {
            Expr::Cmp { op, sreg, data } => self.compare(*op, *sreg, &data.0),
            Expr::Range {
                negated,
                sreg,
                from,
                to,
            } => {
                let term = self.used(*sreg)?;
                let of = |bytes: &[u8]| types::value(term.ty, bytes, self.devices);
                let sign = if *negated { "!= " } else { "" };
                let text = format!("{} {sign}{}-{}", term.text, of(&from.0), of(&to.0));
                self.say(text);
                Some(())
            }
            Expr::Bitwise {
                op: BitOp::MaskXor,
                sreg,
                dreg,
                mask,
                xor,
                ..
            } => {
                let mut term = self.registers.term(*sreg)?.clone();
                term.mask = Some((mask.0.clone(), xor.0.clone()));
                self.registers.put(*dreg, Slot::Term(term));
                Some(())
            }
            Expr::Byteorder { sreg, dreg, .. } => {
                let mut term = self.registers.term(*sreg)?.clone();
                term.ty.host = !term.ty.host;
                self.registers.put(*dreg, Slot::Term(term));
                Some(())
            }
            Expr::Lookup {
                set,
                sreg,
                dreg,
                inverted,
            } => self.look_up(set, *sreg, *dreg, *inverted),
            _ => {
                let text = acts::text(self, expr).or_else(|| limits::text(self, expr))?;
                self.say(text);
                Some(())
            }
        }
    }

    /// The term of a register, of which something is said now.
    fn used(&mut self, reg: Reg) -> Option<Term> {
        let term = self.registers.term(reg)?.clone();
        self.imply_of(&term);
        Some(term)
    }

    /// What a term says of the protocols below it.
    pub(super) fn imply_of(&mut self, term: &Term) {
        self.imply_by(&term.text);
    }

    fn imply_by(&mut self, text: &str) {
        match text.split(' ').next().unwrap_or_default() {
            "tcp" if text.starts_with("tcp option") => {}
            "tcp" | "udp" | "udplite" | "sctp" | "dccp" => self.implied(Layer::Transport),
            "icmp" | "icmpv6" => {
                self.implied(Layer::Transport);
                self.implied(Layer::Network);
            }
            "ip" | "ip6" | "arp" => self.implied(Layer::Network),
            "exthdr" => self.implied(Layer::Network),
            "ether" => self.implied(Layer::Link),
            "vlan" => self.implied(Layer::Network),
            _ => {}
        }
    }

    fn compare(&mut self, op: CmpOp, reg: Reg, data: &[u8]) -> Option<()> {
        let term = self.registers.term(reg)?.clone();
        let number = types::number(data, term.ty.host);
        let text = term.compared(op, data, self.devices);
        // By the text: a part of a header has no name before its bits are known.
        self.imply_by(&text);
        self.say(text);
        if op != CmpOp::Eq || term.mask.is_some() {
            return Some(());
        }
        let layer = match term.text.as_str() {
            "meta l4proto" | "ip protocol" | "ip6 nexthdr" => {
                self.known.transport = Some(number as u8);
                Layer::Transport
            }
            "meta nfproto" => {
                self.known.network = match number {
                    2 => Some(0x0800),
                    10 => Some(0x86dd),
                    _ => None,
                };
                Layer::Network
            }
            "meta protocol" | "ether type" | "vlan type" => {
                match number as u32 {
                    0x8100 | 0x88a8 => self.known.vlan = true,
                    other => self.known.network = Some(other),
                }
                Layer::Network
            }
            "meta iiftype" | "meta oiftype" => Layer::Link,
            _ => return Some(()),
        };
        self.pending
            .push((layer, self.statements.len().checked_sub(1)?));
        Some(())
    }

    /// What is looked up, as it stands before a set.
    pub(super) fn key(&mut self, reg: Reg, len: usize) -> Option<(String, Vec<Ty>)> {
        let terms: Vec<Term> = self
            .registers
            .joined(reg, len)?
            .into_iter()
            .cloned()
            .collect();
        for term in &terms {
            self.imply_of(term);
        }
        let texts: Vec<String> = terms
            .iter()
            .map(|term| term.changed(self.devices))
            .collect();
        Some((
            texts.join(" . "),
            terms.iter().map(|term| term.ty).collect(),
        ))
    }

    fn look_up(&mut self, name: &str, sreg: Reg, dreg: Option<Reg>, inverted: bool) -> Option<()> {
        let set = self.set(name)?;
        let (key, types) = self.key(sreg, set.key_len as usize)?;
        let body = match set.flags & 1 {
            0 => format!("@{name}"),
            _ => sets::inline(set, &types, self.devices),
        };
        let Some(dreg) = dreg else {
            let sign = if inverted { "!= " } else { "" };
            self.say(format!("{key} {sign}{body}"));
            return Some(());
        };
        if dreg.0 == 0 {
            self.say(format!("{key} vmap {body}"));
            return Some(());
        }
        let host = types::is_host(set.data_type);
        let term = Term::new(
            format!("{key} map {body}"),
            set.data_type,
            host,
            set.data_len as usize,
        );
        for word in 1..(set.data_len as usize).div_ceil(4) {
            self.registers
                .put(Reg(dreg.0.checked_add(word as u8)?), Slot::Rest);
        }
        self.registers.put(dreg, Slot::Term(term));
        Some(())
    }

    /// The fields of a header that a payload expression reads.
    pub(super) fn header(&self, base: u8) -> &'static [fields::Field] {
        fields::header(base, self.known)
    }
}
