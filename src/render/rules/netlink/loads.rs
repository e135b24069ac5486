//! Expressions that load something into a register.

use super::super::names::{self, verdict};
use super::values::{reg, value};
use crate::subsys::net::rules::nft::expr::Expr;

pub(super) fn base(base: u8) -> &'static str {
    match base {
        0 => "link",
        1 => "network",
        2 => "transport",
        3 => "inner",
        4 => "tunnel",
        _ => "unknown",
    }
}

pub(super) fn loading(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Payload {
            base: of,
            offset,
            len,
            dreg,
        } => {
            format!(
                "payload load {len}b @ {} header + {offset} => reg {}",
                base(*of),
                reg(*dreg)
            )
        }
        Expr::MetaLoad { name, dreg, .. } => format!("meta load {name} => reg {}", reg(*dreg)),
        Expr::CtLoad {
            name, dreg, dir, ..
        } => {
            let dir = dir.map_or(String::new(), |dir| format!(" , dir {dir}"));
            format!("ct load {name} => reg {}{dir}", reg(*dreg))
        }
        Expr::Immediate { dreg, data } => format!("immediate reg {} {}", reg(*dreg), value(data)),
        Expr::Verdict { verdict: to } => format!("immediate reg 0 {}", verdict(to)),
        Expr::ExthdrLoad {
            proto,
            kind,
            offset,
            len,
            present,
            dreg,
        } => {
            let present = if *present { " present" } else { "" };
            format!(
                "exthdr load {proto} {len}b @ {kind} + {offset}{present} => reg {}",
                reg(*dreg)
            )
        }
        Expr::Rt { name, dreg, .. } => format!("rt load {name} => reg {}", reg(*dreg)),
        Expr::Fib {
            result,
            flags,
            dreg,
        } => {
            format!("fib {} => reg {}", names::fib(*result, *flags), reg(*dreg))
        }
        Expr::Socket { key, level, dreg } => {
            let name = names::of(&["transparent", "mark", "wildcard", "cgroupv2"], *key);
            let level = match key {
                3 => format!(" level {level}"),
                _ => String::new(),
            };
            format!("socket load {name}{level} => reg {}", reg(*dreg))
        }
        Expr::Numgen {
            random,
            modulus,
            offset,
            dreg,
        } => {
            let kind = if *random { "random" } else { "inc" };
            format!(
                "numgen reg {} = {kind} mod {modulus}{}",
                reg(*dreg),
                plus(*offset)
            )
        }
        Expr::Jhash {
            sreg,
            dreg,
            len,
            modulus,
            seed,
            offset,
        } => {
            let seed = seed.map_or("0x0".to_owned(), |seed| format!("{seed:#x}"));
            format!(
                "hash reg {} = jhash(reg {}, {len}, {seed}) % mod {modulus}{}",
                reg(*dreg),
                reg(*sreg),
                plus(*offset)
            )
        }
        Expr::Symhash {
            dreg,
            modulus,
            offset,
        } => {
            format!(
                "hash reg {} = symhash() % mod {modulus}{}",
                reg(*dreg),
                plus(*offset)
            )
        }
        Expr::Osf { dreg, .. } => format!("osf dreg {}", reg(*dreg)),
        Expr::Xfrm {
            key,
            dir,
            spnum,
            dreg,
        } => {
            let dir = names::of(&["in", "out"], *dir);
            let keys = [
                "unspec", "daddr4", "daddr6", "saddr4", "saddr6", "reqid", "spi",
            ];
            format!(
                "xfrm load {dir} {spnum} {} => reg {}",
                names::of(&keys, *key),
                reg(*dreg)
            )
        }
        Expr::Tunnel { key, dreg } => {
            format!(
                "tunnel load {} => reg {}",
                names::of(&["path", "id"], *key),
                reg(*dreg)
            )
        }
        _ => return None,
    })
}

pub(super) fn plus(offset: u32) -> String {
    match offset {
        0 => String::new(),
        offset => format!(" offset {offset}"),
    }
}
