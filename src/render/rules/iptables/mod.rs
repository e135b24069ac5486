//! x_tables as `iptables-save -c`, `ip6tables-save -c` and `arptables-save -c` print them. What is
//! not known of a match or target is shown as its bytes.

mod arp;
mod circumstances;
mod counting;
mod from_nft;
mod hashlimit;
mod header;
pub(super) mod info;
mod ipv6;
mod made;
mod marking;
mod matches;
mod more_matches;
mod nat;
mod options;
mod policy;
mod programs;
mod raw;
mod rewriting;
mod sets;
mod targets;
mod transport;
mod watching;

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::subsys::net::rules::nft::expr::Expr;
use crate::subsys::net::rules::nft::{Family, Table};
use crate::subsys::net::rules::xt::{Extension, XChain, XRule, XTable, XTarget, XVerdict};

use from_nft::Made;

/// Names of ipsets by their numbers.
pub(super) type SetNames = BTreeMap<u16, String>;

/// What extensions are printed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'s> {
    /// NFPROTO_*.
    pub(super) family: u8,
    pub(super) sets: &'s SetNames,
}

/// All tables, each with its commit.
///
/// # Errors
/// If writing fails.
pub(super) fn write(out: &mut dyn Write, tables: &[&XTable], sets: &SetNames) -> io::Result<()> {
    for table in tables {
        let around = Around {
            family: table.family.0,
            sets,
        };
        writeln!(out, "*{}", table.name)?;
        for chain in &table.chains {
            writeln!(out, "{}", chain_line(chain))?;
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                writeln!(out, "{}", rule_line(around, chain, rule))?;
            }
        }
        if !table.complete {
            writeln!(out, "# rules are missing")?;
        }
        writeln!(out, "COMMIT")?;
    }
    Ok(())
}

/// The same of tables of nf_tables that iptables-nft may have made, of family 2 or 10.
///
/// # Errors
/// If writing fails.
pub(super) fn write_nft(
    out: &mut dyn Write,
    tables: &[Table],
    family: u8,
    sets: &SetNames,
) -> io::Result<()> {
    for made in from_nft::tables(tables, family) {
        match made {
            Made::Table(table) => write(out, &[&table], sets)?,
            Made::Incompatible(name) => {
                writeln!(out, "# Table `{name}' is incompatible, use 'nft' tool.")?;
            }
        }
    }
    Ok(())
}

/// Tables of nf_tables as iptables has them, where it made them: of a family of which some table has
/// what only iptables writes. `None` of others.
pub(super) fn made_by_iptables(tables: &[Table]) -> Vec<Option<XTable>> {
    let by_iptables = |expr: &Expr| matches!(expr, Expr::Match { .. } | Expr::Target { .. });
    let has = |table: &Table| {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        rules.flat_map(|rule| &rule.exprs).any(by_iptables)
    };
    let families: Vec<Family> = tables
        .iter()
        .filter(|table| has(table))
        .map(|table| table.family)
        .collect();
    let made = |table: &Table| match families.contains(&table.family) {
        true => from_nft::table(table),
        false => None,
    };
    tables.iter().map(made).collect()
}

fn chain_line(chain: &XChain) -> String {
    let policy = match &chain.policy {
        Some(policy) => verdict(policy).unwrap_or_else(|| "?".to_owned()),
        None => "-".to_owned(),
    };
    match chain.packets.zip(chain.bytes) {
        Some((packets, bytes)) => format!(":{} {policy} [{packets}:{bytes}]", chain.name),
        // Of a chain of a user's own there are none, and iptables-save prints zeros.
        None if chain.hook.is_none() => format!(":{} {policy} [0:0]", chain.name),
        None => format!(":{} {policy}", chain.name),
    }
}

/// One rule as the command that makes it, with its counters before it where they are known.
pub(super) fn rule_line(around: Around<'_>, chain: &XChain, rule: &XRule) -> String {
    let mut text = match rule.packets.zip(rule.bytes) {
        Some((packets, bytes)) => format!("[{packets}:{bytes}] -A {}", chain.name),
        None => format!("-A {}", chain.name),
    };
    text.push_str(&header::text(around.family, &rule.header.0));
    for one in &rule.matches {
        text.push_str(&match_text(around, one));
    }
    match &rule.target {
        XTarget::Extension(target) => text.push_str(&target_text(around, target)),
        XTarget::Verdict(XVerdict::Goto(chain)) => text.push_str(&format!(" -g {chain}")),
        XTarget::Verdict(to) => {
            if let Some(to) = verdict(to) {
                text.push_str(&format!(" -j {to}"));
            }
        }
    }
    text
}

fn verdict(verdict: &XVerdict) -> Option<String> {
    Some(match verdict {
        XVerdict::Accept => "ACCEPT".to_owned(),
        XVerdict::Drop => "DROP".to_owned(),
        XVerdict::Queue => "QUEUE".to_owned(),
        XVerdict::Return => "RETURN".to_owned(),
        XVerdict::Jump(chain) | XVerdict::Goto(chain) => chain.clone(),
        XVerdict::Other(code) => format!("# verdict {code}"),
        XVerdict::Continue => "CONTINUE".to_owned(),
        XVerdict::None => return None,
    })
}

/// With its name; of one that is not known, its bytes.
pub(super) fn match_text(around: Around<'_>, one: &Extension) -> String {
    let options = || {
        transport::text(around, one)
            .or_else(|| ipv6::text(around, one))
            .or_else(|| circumstances::text(around, one))
            .or_else(|| counting::matched(one))
    };
    let known = matches::text(around, one)
        .or_else(|| more_matches::text(around, one))
        .or_else(|| Some((one.name.clone(), options()?)));
    match known {
        Some((name, text)) => format!(" -m {name}{text}"),
        None => format!(" -m {}", raw::text(one)),
    }
}

/// With its name; of one that is not known, its bytes.
pub(super) fn target_text(around: Around<'_>, one: &Extension) -> String {
    let options = || {
        marking::text(around, one)
            .or_else(|| rewriting::text(around, one))
            .or_else(|| watching::text(around, one))
    };
    let of_arp = match around.family {
        3 => arp::text(one),
        _ => None,
    };
    let known = of_arp
        .map(|text| (one.name.clone(), text))
        .or_else(|| targets::text(around, one))
        .or_else(|| nat::text(around, one))
        .or_else(|| Some((one.name.clone(), options()?)));
    match known {
        Some((name, text)) => format!(" -j {name}{text}"),
        None => format!(" -j {}", raw::text(one)),
    }
}

#[cfg(test)]
mod tests;
