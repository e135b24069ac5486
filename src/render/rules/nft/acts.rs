//! What a rule does with a packet, as nft writes it.

use super::super::names;
use super::load::meta_name;
use super::nat::{self, nat_flags, ports};
use super::rule::{Context, Layer};
use super::terms::Slot;
use super::types::*;
use super::{fields, types};
use crate::subsys::net::rules::nft::expr::{Expr, Reg};

/// `None` of expressions that are something else.
pub(super) fn text(context: &mut Context<'_>, expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Verdict { verdict } => names::nft_verdict(verdict),
        Expr::Notrack => "notrack".to_owned(),
        // As nft shows what it has no words of its own for.
        Expr::Match { name, .. } => format!("xt match \"{name}\""),
        Expr::Target { name, .. } => format!("xt target \"{name}\""),
        Expr::MetaSet { name, sreg, .. } => {
            let ty = match *name {
                "mark" => MARK,
                "pkttype" => PKT_TYPE,
                _ => INTEGER,
            };
            let value = given(context, *sreg, ty, true)?;
            format!("{} set {value}", meta_name(name))
        }
        Expr::CtSet { name, sreg, .. } => {
            let ty = match *name {
                "mark" => MARK,
                "label" => CT_LABEL,
                _ => INTEGER,
            };
            let value = given(context, *sreg, ty, true)?;
            format!("ct {name} set {value}")
        }
        Expr::PayloadSet {
            base,
            offset,
            len,
            sreg,
            ..
        } => {
            let fields = context.header(*base);
            let field = *fields
                .iter()
                .find(|f| f.offset == offset * 8 && f.len == len * 8)?;
            let value = given(context, *sreg, field.ty, false)?;
            context.imply_of(&super::terms::Term::new(field.name, field.ty, false, 0));
            format!("{} set {value}", field.name)
        }
        Expr::ExthdrSet {
            proto,
            kind,
            offset,
            len,
            sreg,
        } => {
            let (name, ty) = fields::extension(proto, *kind, *offset, *len)?;
            format!("{name} set {}", given(context, *sreg, ty, false)?)
        }
        Expr::ExthdrReset { proto, kind } => {
            format!("reset {}", fields::presence(proto, *kind)?)
        }
        Expr::Log { .. } => log(expr)?,
        Expr::Reject { kind, code } => reject(context, *kind, *code)?,
        Expr::Queue {
            number,
            total,
            flags,
            sreg: None,
        } => queue(*number, *total, *flags),
        Expr::Synproxy {
            mss,
            wscale,
            options,
        } => {
            format!("synproxy{}", synproxy(*mss, *wscale, *options, " "))
        }
        Expr::FlowOffload { flowtable } => format!("flow add @{flowtable}"),
        _ => return sending(context, expr),
    })
}

/// The value of a register, for something of that type.
pub(super) fn given(
    context: &mut Context<'_>,
    reg: Reg,
    number: u32,
    host: bool,
) -> Option<String> {
    match context.registers.get(reg)? {
        Slot::Constant(bytes) => Some(types::value(Ty { number, host }, bytes, context.devices)),
        Slot::Term(term) => {
            let term = term.clone();
            context.imply_of(&term);
            Some(term.changed(context.devices))
        }
        Slot::Rest => None,
    }
}

const LEVELS: [&str; 9] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit",
];

fn log(expr: &Expr) -> Option<String> {
    let Expr::Log {
        prefix,
        level,
        flags,
        group,
        snaplen,
        threshold,
    } = expr
    else {
        return None;
    };
    let mut text = "log".to_owned();
    if let Some(prefix) = prefix {
        text.push_str(&format!(" prefix \"{prefix}\""));
    }
    if let Some(group) = group {
        text.push_str(&format!(" group {group}"));
        if *snaplen > 0 {
            text.push_str(&format!(" snaplen {snaplen}"));
        }
        if *threshold > 0 {
            text.push_str(&format!(" queue-threshold {threshold}"));
        }
    }
    if let Some(level) = level.filter(|level| *level != 4) {
        text.push_str(&format!(" level {}", names::of(&LEVELS, level)));
    }
    match flags & 0x2f {
        0 => {}
        0x2f => text.push_str(" flags all"),
        some => {
            let tcp = match some & 3 {
                1 => " flags tcp sequence",
                2 => " flags tcp options",
                3 => " flags tcp sequence,options",
                _ => "",
            };
            text.push_str(tcp);
            for (bit, name) in [(4, "ip options"), (8, "skuid"), (32, "ether")] {
                if some & bit != 0 {
                    text.push_str(&format!(" flags {name}"));
                }
            }
        }
    }
    Some(text)
}

fn code(names: &[(u8, &'static str)], code: u8) -> Option<&'static str> {
    names
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

const ICMP_CODES: [(u8, &str); 7] = [
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
];
const ICMPV6_CODES: [(u8, &str); 6] = [
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];
const ICMPX_CODES: [(u8, &str); 4] = [
    (0, "no-route"),
    (1, "port-unreachable"),
    (2, "host-unreachable"),
    (3, "admin-prohibited"),
];

fn reject(context: &mut Context<'_>, kind: u8, number: u8) -> Option<String> {
    let mixed = matches!(context.table.family.0, 1 | 5 | 7);
    Some(match kind {
        1 => "reject with tcp reset".to_owned(),
        2 if number == 1 => "reject".to_owned(),
        2 => format!("reject with icmpx {}", code(&ICMPX_CODES, number)?),
        _ => {
            let is_v6 = context.known.network == Some(0x86dd);
            let (word, names, port) = match is_v6 {
                true => ("icmpv6", &ICMPV6_CODES[..], 4),
                false => ("icmp", &ICMP_CODES[..], 3),
            };
            if mixed {
                context.implied(Layer::Network);
            }
            match number == port && !mixed {
                true => "reject".to_owned(),
                false => format!("reject with {word} {}", code(names, number)?),
            }
        }
    })
}

fn queue(number: u16, total: u16, flags: u32) -> String {
    let names: Vec<&str> = [(1, "bypass"), (2, "fanout")]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| name)
        .collect();
    let flags = match names.is_empty() {
        true => String::new(),
        false => format!(" flags {}", names.join(",")),
    };
    let last = number.wrapping_add(total.saturating_sub(1));
    match last == number {
        true => format!("queue{flags} to {number}"),
        false => format!("queue{flags} to {number}-{last}"),
    }
}

/// With `between` before each part (NF_SYNPROXY_OPT_*).
pub(super) fn synproxy(mss: u16, wscale: u8, options: u8, between: &str) -> String {
    let mut text = String::new();
    if options & 1 != 0 {
        text.push_str(&format!("{between}mss {mss}"));
    }
    if options & 2 != 0 {
        text.push_str(&format!("{between}wscale {wscale}"));
    }
    if options & 0xc != 0 {
        text.push_str(between);
    }
    let names = [(8, "timestamp"), (4, "sack-perm")];
    let names = names.iter().filter(|(bit, _)| options & bit != 0);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    text + &names.join(" ")
}

/// What sends packets elsewhere.
fn sending(context: &mut Context<'_>, expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Nat {
            dnat,
            family,
            flags,
            regs,
        } => {
            let kind = if *dnat { "dnat" } else { "snat" };
            nat::text(context, kind, *family, *flags, regs)?
        }
        Expr::Masq { flags, regs } => {
            let to = ports(context, regs)?.map_or(String::new(), |ports| format!(" to :{ports}"));
            format!("masquerade{to}{}", nat_flags(*flags))
        }
        Expr::Redir { flags, regs } => {
            let to = ports(context, regs)?.map_or(String::new(), |ports| format!(" to :{ports}"));
            format!("redirect{to}{}", nat_flags(*flags))
        }
        Expr::Tproxy { family, addr, port } => {
            let (mixed, ty) = match family {
                2 => (" ip", IPV4),
                10 => (" ip6", IPV6),
                _ => ("", IPV4),
            };
            let mixed = if context.table.family.0 == 1 {
                mixed
            } else {
                ""
            };
            let addr = match addr {
                Some(reg) => given(context, *reg, ty, false)?,
                None => String::new(),
            };
            let port = match port {
                Some(reg) => format!(":{}", given(context, *reg, SERVICE, false)?),
                None => String::new(),
            };
            format!("tproxy{mixed} to {}{port}", bracketed(&addr, *family))
        }
        Expr::Dup { addr, dev } => {
            let ty = if context.table.family.0 == 10 {
                IPV6
            } else {
                IPV4
            };
            match (addr, dev) {
                (Some(addr), dev) => {
                    let mut text = format!("dup to {}", given(context, *addr, ty, false)?);
                    if let Some(dev) = dev {
                        text.push_str(&format!(" device {}", given(context, *dev, IFINDEX, true)?));
                    }
                    text
                }
                (None, Some(dev)) => format!("dup to {}", given(context, *dev, IFINDEX, true)?),
                (None, None) => return None,
            }
        }
        Expr::Fwd {
            dev, addr: None, ..
        } => {
            format!("fwd to {}", given(context, *dev, IFINDEX, true)?)
        }
        Expr::Fwd {
            dev,
            addr: Some(addr),
            family,
        } => {
            let (word, ty) = if *family == Some(10) {
                ("ip6", IPV6)
            } else {
                ("ip", IPV4)
            };
            let addr = given(context, *addr, ty, false)?;
            format!(
                "fwd {word} to {addr} device {}",
                given(context, *dev, IFINDEX, true)?
            )
        }
        _ => return None,
    })
}

pub(super) fn bracketed(addr: &str, family: u8) -> String {
    match family == 10 && !addr.is_empty() {
        true => format!("[{addr}]"),
        false => addr.to_owned(),
    }
}
