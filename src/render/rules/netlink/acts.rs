//! Expressions that act.

use std::fmt::Write as _;

use super::super::names;
use super::loads::base;
use super::values::{reg, regs, with_flags};
use crate::subsys::net::rules::nft::expr::Expr;

pub(super) fn acting(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::PayloadSet {
            base: of,
            offset,
            len,
            sreg,
            csum_type,
            csum_offset,
            csum_flags,
        } => format!(
            "payload write reg {} => {len}b @ {} header + {offset} csum_type {csum_type} csum_off {csum_offset} csum_flags {csum_flags:#x}",
            reg(*sreg),
            base(*of)
        ),
        Expr::MetaSet { name, sreg, .. } => format!("meta set {name} with reg {}", reg(*sreg)),
        Expr::CtSet { name, sreg, .. } => format!("ct set {name} with reg {}", reg(*sreg)),
        Expr::Notrack => "notrack".to_owned(),
        Expr::ExthdrSet {
            proto,
            kind,
            offset,
            len,
            sreg,
        } => {
            format!(
                "exthdr write {proto} reg {} => {len}b @ {kind} + {offset}",
                reg(*sreg)
            )
        }
        Expr::ExthdrReset { proto, kind } => format!("exthdr reset {proto} {kind}"),
        Expr::Log {
            prefix,
            level,
            flags,
            group,
            snaplen,
            threshold,
        } => {
            let mut text = "log".to_owned();
            if let Some(prefix) = prefix {
                let _ = write!(text, " prefix {prefix}");
            }
            match (group, level) {
                (Some(group), _) => {
                    let _ = write!(
                        text,
                        " group {group} snaplen {snaplen} qthreshold {threshold}"
                    );
                }
                (None, level) => {
                    let _ = write!(text, " level {}", level.unwrap_or(4));
                    for name in names::log_flags(*flags) {
                        let _ = write!(text, " {name}");
                    }
                }
            }
            text
        }
        Expr::Reject { kind, code } => format!("reject type {kind} code {code}"),
        Expr::Match { name, revision, .. } => format!("match name {name} rev {revision}"),
        Expr::Target { name, revision, .. } => format!("target name {name} rev {revision}"),
        Expr::Unknown { name, data } => format!("{name} unknown {}", data.digits()),
        _ => return None,
    })
}

/// What sends packets elsewhere.
pub(super) fn sending(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Nat {
            dnat,
            family,
            flags,
            regs: given,
        } => {
            let kind = if *dnat { "dnat" } else { "snat" };
            with_flags(
                format!("nat {kind} {}{}", names::family(*family), regs(given)),
                *flags,
            )
        }
        Expr::Masq { flags, regs: given } => with_flags(format!("masq{}", regs(given)), *flags),
        Expr::Redir { flags, regs: given } => with_flags(format!("redir{}", regs(given)), *flags),
        Expr::Queue {
            sreg: Some(sreg),
            flags,
            ..
        } => {
            format!("queue sreg_qnum {}{}", reg(*sreg), queue_flags(*flags))
        }
        Expr::Queue {
            number,
            total,
            flags,
            ..
        } => {
            let last = number.wrapping_add(total.saturating_sub(1));
            let range = match last == *number {
                true => String::new(),
                false => format!("-{last}"),
            };
            format!("queue num {number}{range}{}", queue_flags(*flags))
        }
        Expr::Tproxy { family, addr, port } => {
            let mut text = format!("tproxy {}", names::family(*family));
            if let Some(addr) = addr {
                let _ = write!(text, " addr reg {}", reg(*addr));
            }
            if let Some(port) = port {
                let _ = write!(text, " port reg {}", reg(*port));
            }
            text
        }
        Expr::Dup { addr, dev } => {
            let mut text = "dup".to_owned();
            if let Some(addr) = addr {
                let _ = write!(text, " sreg_addr {}", reg(*addr));
            }
            if let Some(dev) = dev {
                let _ = write!(text, " sreg_dev {}", reg(*dev));
            }
            text
        }
        Expr::Fwd { dev, addr, family } => {
            let mut text = format!("fwd sreg_dev {}", reg(*dev));
            if let Some(addr) = addr {
                let _ = write!(text, " sreg_addr {}", reg(*addr));
            }
            if let Some(family) = family {
                let _ = write!(text, " nfproto {family}");
            }
            text
        }
        Expr::FlowOffload { flowtable } => format!("flow_offload flowtable {flowtable}"),
        Expr::Synproxy { mss, wscale, .. } => format!("synproxy mss {mss} wscale {wscale}"),
        _ => return None,
    })
}

pub(super) fn queue_flags(flags: u32) -> String {
    let bypass = if flags & 1 != 0 { " bypass" } else { "" };
    let fanout = if flags & 2 != 0 { " fanout" } else { "" };
    format!("{bypass}{fanout}")
}
