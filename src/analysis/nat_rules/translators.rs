//! All rules that translate, and the ports that they name for sources.

use super::{RuleRef, nft, xt};
use crate::subsys::net::rules::NetnsRules;
use crate::subsys::net::rules::nft::Rule;
use crate::subsys::net::rules::nft::expr::{Expr, Reg};
use crate::subsys::net::rules::xt::{Extension, XTarget};

/// A rule that translates, with the ports that it names for sources.
#[derive(Debug)]
pub(super) struct Translator {
    pub(super) rule: RuleRef,
    /// First and last.
    pub(super) ports: Option<(u16, u16)>,
}

/// Of a namespace: of nf_tables first, in the kernel's order.
pub(super) fn all(rules: &NetnsRules) -> impl Iterator<Item = Translator> {
    of_nft(rules).into_iter().chain(of_xt(rules))
}

/// Those of nf_tables.
fn of_nft(rules: &NetnsRules) -> Vec<Translator> {
    let mut all = Vec::new();
    for table in &rules.nf_tables {
        for chain in &table.chains {
            let rules = chain
                .rules
                .iter()
                .filter(|rule| rule.exprs.iter().any(translates));
            all.extend(rules.map(|rule| Translator {
                rule: nft::named(table, chain, rule),
                ports: nft_ports(table.family.0, rule),
            }));
        }
    }
    all
}

fn translates(expr: &Expr) -> bool {
    match expr {
        Expr::Nat { .. } | Expr::Masq { .. } | Expr::Redir { .. } => true,
        Expr::Target { name, .. } => xt::is_nat(name),
        _ => false,
    }
}

/// Those that it names for sources, by numbers and not by a map.
fn nft_ports(family: u8, rule: &Rule) -> Option<(u16, u16)> {
    let value = |wanted: Reg| {
        let bytes = rule.exprs.iter().rev().find_map(|expr| match expr {
            Expr::Immediate { dreg, data } if *dreg == wanted => Some(&data.0),
            _ => None,
        });
        Some(u16::from_be_bytes(bytes?.get(..2)?.try_into().ok()?))
    };
    rule.exprs.iter().find_map(|expr| match expr {
        Expr::Nat {
            dnat: false, regs, ..
        }
        | Expr::Masq { regs, .. } => {
            let first = value(regs.proto_min?)?;
            let last = regs.proto_max.map_or(Some(first), value)?;
            Some((first, last))
        }
        Expr::Target {
            name,
            revision,
            info,
        } => {
            let target = xt::target(false, family, name, *revision, &info.0)?;
            target.ports.filter(|_| !target.dnat)
        }
        _ => None,
    })
}

/// Those of x_tables.
fn of_xt(rules: &NetnsRules) -> Vec<Translator> {
    let mut all = Vec::new();
    for table in &rules.x_tables {
        for chain in &table.chains {
            for (index, rule) in chain.rules.iter().enumerate() {
                let XTarget::Extension(target) = &rule.target else {
                    continue;
                };
                if xt::is_nat(&target.name) {
                    all.push(Translator {
                        rule: xt::named(table, chain, index),
                        ports: xt_ports(table.family.0, target),
                    });
                }
            }
        }
    }
    all
}

/// Those that it names for sources.
fn xt_ports(family: u8, one: &Extension) -> Option<(u16, u16)> {
    let target = xt::target(false, family, &one.name, one.revision, &one.info.0)?;
    target.ports.filter(|_| !target.dnat)
}
