//! Expressions that compare, count and limit.

use std::fmt::Write as _;

use super::super::names;
use super::text;
use super::values::{reg, value};
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr};

pub(super) fn testing(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Cmp { op, sreg, data } => {
            let op = match op {
                CmpOp::Eq => "eq",
                CmpOp::Neq => "neq",
                CmpOp::Lt => "lt",
                CmpOp::Lte => "lte",
                CmpOp::Gt => "gt",
                CmpOp::Gte => "gte",
            };
            format!("cmp {op} reg {} {}", reg(*sreg), value(data))
        }
        Expr::Range {
            negated,
            sreg,
            from,
            to,
        } => {
            let op = if *negated { "neq" } else { "eq" };
            format!(
                "range {op} reg {} {} {}",
                reg(*sreg),
                value(from),
                value(to)
            )
        }
        Expr::Bitwise {
            op,
            sreg,
            sreg2,
            dreg,
            mask,
            xor,
            shift,
        } => {
            let (to, from) = (reg(*dreg), reg(*sreg));
            let pair = |sign| {
                let other = sreg2.map_or(0, reg);
                format!("bitwise reg {to} = ( reg {from} {sign} reg {other} )")
            };
            match op {
                BitOp::MaskXor => {
                    format!(
                        "bitwise reg {to} = ( reg {from} & {} ) ^ {}",
                        value(mask),
                        value(xor)
                    )
                }
                BitOp::Lshift => format!("bitwise reg {to} = ( reg {from} << {shift:#010x} )"),
                BitOp::Rshift => format!("bitwise reg {to} = ( reg {from} >> {shift:#010x} )"),
                BitOp::And => pair('&'),
                BitOp::Or => pair('|'),
                BitOp::Xor => pair('^'),
            }
        }
        Expr::Byteorder {
            sreg,
            dreg,
            hton,
            len,
            size,
        } => {
            let op = if *hton { "hton" } else { "ntoh" };
            format!(
                "byteorder reg {} = {op}(reg {}, {len}, {size})",
                reg(*dreg),
                reg(*sreg)
            )
        }
        Expr::Lookup {
            set,
            sreg,
            dreg,
            inverted,
        } => {
            let dreg = dreg.map_or(String::new(), |dreg| format!(" dreg {}", reg(dreg)));
            format!(
                "lookup reg {} set {set}{dreg} 0x{}",
                reg(*sreg),
                u8::from(*inverted)
            )
        }
        _ => return None,
    })
}

pub(super) fn limiting(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Counter { packets, bytes } => format!("counter pkts {packets} bytes {bytes}"),
        Expr::Last {
            milliseconds_ago: None,
        } => "last never".to_owned(),
        Expr::Last {
            milliseconds_ago: Some(ago),
        } => format!("last {ago}"),
        Expr::Limit {
            rate,
            unit_seconds,
            burst,
            bytes,
            inverted,
        } => format!(
            "limit rate {rate}/{} burst {burst} type {} flags {:#x}",
            names::unit(*unit_seconds),
            if *bytes { "bytes" } else { "packets" },
            u8::from(*inverted)
        ),
        Expr::Quota {
            bytes,
            consumed,
            flags,
        } => {
            format!("quota bytes {bytes} consumed {consumed} flags {flags}")
        }
        Expr::Connlimit { count, inverted } => {
            format!("connlimit count {count} flags {:x}", u8::from(*inverted))
        }
        Expr::Dynset {
            op,
            set,
            key,
            data,
            timeout_ms,
            inverted,
            exprs,
        } => {
            let mut text = format!("dynset {op} reg_key {} set {set}", reg(*key));
            if let Some(data) = data {
                let _ = write!(text, " sreg_data {}", reg(*data));
            }
            let _ = write!(text, " timeout {timeout_ms}ms");
            for expr in exprs {
                let _ = write!(text, " expr [ {} ]", super::text(expr));
            }
            if *inverted {
                text.push_str(" 0x1");
            }
            text
        }
        Expr::Objref { kind, name } => format!("objref type {kind} name {name}"),
        Expr::ObjrefMap { set, sreg } => format!("objref sreg {} set {set}", reg(*sreg)),
        Expr::Inner {
            kind,
            header_size,
            flags,
            inner,
        } => {
            format!(
                "inner type {kind} hdrsize {header_size} flags {flags:x} [ {} ]",
                text(inner)
            )
        }
        _ => return None,
    })
}
