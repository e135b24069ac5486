//! What registers hold while a rule is read, and what comparisons of it are called.

use std::collections::BTreeMap;

use super::fields::Field;
use super::types::{self, Devices, INTEGER, IPV4, IPV6, Ty};
use crate::subsys::net::rules::nft::expr::{CmpOp, Reg};

/// A value by where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// As nft calls it.
    pub(super) text: String,
    pub(super) ty: Ty,
    /// Bytes that were loaded.
    pub(super) len: usize,
    /// Bits of its first byte within the header, where it was loaded from one, and its fields.
    pub(super) header: Option<(u32, &'static [Field])>,
    /// Bits that were kept, and those that were turned.
    pub(super) mask: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether it tells no more than whether something is there.
    pub(super) presence: bool,
}

impl Term {
    pub(super) fn new(text: impl Into<String>, number: u32, host: bool, len: usize) -> Self {
        Self {
            text: text.into(),
            ty: Ty { number, host },
            len,
            header: None,
            mask: None,
            presence: false,
        }
    }

    /// With the bits that were changed: `x & m ^ o | s` (netlink_delinearize of nftables).
    pub(super) fn changed(&self, devices: &Devices) -> String {
        let Some((mask, xor)) = &self.mask else {
            return self.text.clone();
        };
        let pairs = || mask.iter().zip(xor);
        let set: Vec<u8> = pairs().map(|(mask, xor)| xor & !mask).collect();
        let turned: Vec<u8> = pairs().map(|(mask, xor)| xor & mask).collect();
        let kept: Vec<u8> = pairs().map(|(mask, xor)| mask | (xor & !mask)).collect();
        let mut text = self.text.clone();
        let mut add = |sign: &str, bytes: &[u8]| {
            text.push_str(&format!(" {sign} {}", self.constant(bytes, devices)));
        };
        if kept.iter().any(|byte| *byte != 0xff) {
            add("&", &kept);
        }
        if turned.iter().any(|byte| *byte != 0) {
            add("^", &turned);
        }
        if set.iter().any(|byte| *byte != 0) {
            add("|", &set);
        }
        text
    }

    /// A number beside bits is written in sixteens.
    fn constant(&self, bytes: &[u8], devices: &Devices) -> String {
        match self.ty.number {
            INTEGER => format!("{:#x}", types::number(bytes, self.ty.host)),
            _ => types::value(self.ty, bytes, devices),
        }
    }

    /// What nft says where it is compared with a constant.
    pub(super) fn compared(&self, op: CmpOp, data: &[u8], devices: &Devices) -> String {
        let sign = sign(op);
        if self.presence {
            let there = data.iter().any(|byte| *byte != 0) == (op == CmpOp::Eq);
            return format!("{} {}", self.text, if there { "exists" } else { "missing" });
        }
        if let Some((mask, _)) = &self.mask {
            return self.masked(op, mask, data, devices);
        }
        let value = types::value(self.ty, data, devices);
        let Some(whole) = self.whole_len().filter(|whole| data.len() < *whole) else {
            return match types::is_flags(self.ty.number)
                && data.iter().map(|b| b.count_ones()).sum::<u32>() > 1
            {
                true => {
                    let number = types::number(data, self.ty.host);
                    let sign = if op == CmpOp::Eq { "== " } else { sign };
                    format!(
                        "{} {sign}{}",
                        self.text,
                        types::flags(self.ty.number, number, " | ")
                    )
                }
                false => format!("{} {sign}{value}", self.text),
            };
        };
        match whole {
            4 | 16 if self.is_address() => {
                format!("{} {sign}{value}/{}", self.text, data.len() * 8)
            }
            _ => format!("{} {sign}{value}", self.text),
        }
    }

    fn is_address(&self) -> bool {
        matches!(self.ty.number, IPV4 | IPV6)
    }

    fn whole_len(&self) -> Option<usize> {
        match self.is_address() {
            true => types::size(self.ty.number),
            false => None,
        }
    }

    fn masked(&self, op: CmpOp, mask: &[u8], data: &[u8], devices: &Devices) -> String {
        let (bits, value) = (
            types::number(mask, self.ty.host),
            types::number(data, self.ty.host),
        );
        if let Some(text) = self.part(op, mask, data, devices) {
            return text;
        }
        if self.is_address()
            && matches!(op, CmpOp::Eq | CmpOp::Neq)
            && let Some(len) = prefix_len(mask)
        {
            let value = types::value(self.ty, data, devices);
            return format!("{} {}{value}/{len}", self.text, sign(op));
        }
        if types::is_flags(self.ty.number) {
            let names = |value, between| types::flags(self.ty.number, value, between);
            if op == CmpOp::Neq && value == 0 {
                return format!("{} {}", self.text, names(bits, ","));
            }
            let group = |value: u128| match value.count_ones() > 1 {
                true => format!("({})", names(value, " | ")),
                false => names(value, " | "),
            };
            let sign = if op == CmpOp::Eq { "==" } else { "!=" };
            let value = if value == 0 {
                "0x0".to_owned()
            } else {
                names(value, " | ")
            };
            return format!("{} & {} {sign} {value}", self.text, group(bits));
        }
        let sign = match sign(op) {
            "" => "== ",
            other => other,
        };
        format!(
            "{} & {} {sign}{}",
            self.text,
            self.constant(mask, devices),
            self.constant(data, devices)
        )
    }

    /// A field that is shorter than what was loaded for it.
    fn part(&self, op: CmpOp, mask: &[u8], data: &[u8], devices: &Devices) -> Option<String> {
        let (start, fields) = self.header?;
        let bits = types::number(mask, false);
        let width = mask.len() as u32 * 8;
        let low = bits.trailing_zeros().min(width);
        let len = bits.count_ones();
        if len == 0 || bits >> low != u128::MAX >> (128 - len) {
            return None;
        }
        let offset = start + width - low - len;
        let found = fields
            .iter()
            .find(|field| field.offset == offset && field.len == len)?;
        let ty = Ty {
            number: found.ty,
            host: false,
        };
        let value = types::number(data, false) >> low;
        let value = types::value(ty, &value.to_be_bytes(), devices);
        Some(format!("{} {}{value}", found.name, sign(op)))
    }
}

/// How long a mask is, if all its bits come first.
pub(super) fn prefix_len(mask: &[u8]) -> Option<u32> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let mut rest = ones;
    for byte in mask {
        let here = rest.min(8);
        let wanted = (0xff00u32 >> here) as u8;
        if *byte != wanted {
            return None;
        }
        rest -= here;
    }
    Some(ones)
}

pub(super) fn sign(op: CmpOp) -> &'static str {
    match op {
        CmpOp::Eq => "",
        CmpOp::Neq => "!= ",
        CmpOp::Lt => "< ",
        CmpOp::Lte => "<= ",
        CmpOp::Gt => "> ",
        CmpOp::Gte => ">= ",
    }
}

/// What a register holds.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Term(Term),
    Constant(Vec<u8>),
    /// A part of what a map gave, other than its first.
    Rest,
}

/// All registers, by 32-bit words.
#[derive(Debug, Default)]
pub(super) struct Registers(BTreeMap<u8, Slot>);

impl Registers {
    pub(super) fn put(&mut self, reg: Reg, slot: Slot) {
        self.0.insert(reg.0, slot);
    }

    pub(super) fn get(&self, reg: Reg) -> Option<&Slot> {
        self.0.get(&reg.0)
    }

    pub(super) fn term(&self, reg: Reg) -> Option<&Term> {
        match self.get(reg) {
            Some(Slot::Term(term)) => Some(term),
            _ => None,
        }
    }

    /// The terms that fill `len` bytes from `reg` on, each on words of its own.
    pub(super) fn joined(&self, reg: Reg, len: usize) -> Option<Vec<&Term>> {
        let mut all = Vec::new();
        let mut at = reg.0;
        let end = usize::from(reg.0) + len.div_ceil(4);
        while usize::from(at) < end {
            let term = self.term(Reg(at))?;
            all.push(term);
            at = at.checked_add(term.len.div_ceil(4).max(1) as u8)?;
        }
        Some(all)
    }
}
