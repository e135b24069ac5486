//! What addresses and ports are translated to, as nft writes it.

use super::acts::{bracketed, given};
use super::rule::Context;
use super::terms::Slot;
use super::types::*;
use crate::subsys::net::rules::nft::expr::{NatRegs, Reg};

/// include/uapi/linux/netfilter/nf_nat.h
pub(super) fn nat_flags(flags: u32) -> String {
    let names = [(4, "random"), (0x10, "fully-random"), (8, "persistent")];
    let names = names.iter().filter(|(bit, _)| flags & bit != 0);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" {}", names.join(",")),
    }
}

/// From a register to another, of which the second may be the first or missing.
fn range(context: &mut Context<'_>, min: Reg, max: Option<Reg>, ty: u32) -> Option<String> {
    let from = given(context, min, ty, false)?;
    match max.filter(|max| *max != min) {
        Some(max) => {
            let to = given(context, max, ty, false)?;
            Some(if to == from {
                from
            } else {
                format!("{from}-{to}")
            })
        }
        None => Some(from),
    }
}

/// `None` inside of none.
pub(super) fn ports(context: &mut Context<'_>, regs: &NatRegs) -> Option<Option<String>> {
    match regs.proto_min {
        Some(min) => range(context, min, regs.proto_max, SERVICE).map(Some),
        None => Some(None),
    }
}

/// The whole of a translation.
pub(super) fn text(
    context: &mut Context<'_>,
    kind: &str,
    family: u8,
    flags: u32,
    regs: &NatRegs,
) -> Option<String> {
    let (word, ty) = if family == 10 {
        (" ip6", IPV6)
    } else {
        (" ip", IPV4)
    };
    let mapped = |context: &Context<'_>, reg: Reg| context.registers.term(reg).cloned();
    let inet = if context.table.family.0 == 1 {
        word
    } else {
        ""
    };
    // NF_NAT_RANGE_NETMAP.
    if flags & 0x40 != 0 {
        let term = mapped(context, regs.addr_min?)?;
        context.imply_of(&term);
        return Some(format!(
            "{kind}{word} prefix to {}{}",
            term.text,
            nat_flags(flags)
        ));
    }
    if let (Some(addr), Some(port)) = (regs.addr_min, regs.proto_min)
        && matches!(context.registers.get(port), Some(Slot::Rest))
    {
        // One map gave both.
        let term = mapped(context, addr)?;
        return Some(format!("{kind}{word} to {}{}", term.text, nat_flags(flags)));
    }
    let mut to = match (regs.addr_min, regs.addr_max) {
        (Some(min), Some(max)) if matches!(context.registers.get(max), Some(Slot::Rest)) => {
            // A map of intervals.
            mapped(context, min)?.text
        }
        (Some(min), max) => range(context, min, max, ty)?,
        (None, _) => String::new(),
    };
    if let Some(ports) = ports(context, regs)? {
        to = format!("{}:{ports}", bracketed(&to, family));
    }
    Some(format!("{kind}{inet} to {to}{}", nat_flags(flags)))
}
