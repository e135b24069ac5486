//! Rules of nf_tables as those of x_tables that iptables-nft had made them of, so that
//! `iptables-nft-save` is one more way into the same text. Which expressions it makes of which
//! options is told by its own reader (iptables/nft-ruleparse.c, 1.8.2 to 1.8.11): a packet's header
//! by payload and meta, `limit`, `mark`, ports and `NFLOG` by expressions of their own in later
//! versions, everything else by the match and target of x_tables (nft_compat).

mod entry;

use crate::subsys::net::rules::nft::{BaseChain, Chain, Table, Verdict};
use crate::subsys::net::rules::xt::{XChain, XFamily, XRule, XTable, XVerdict};
use entry::rule_of;

/// Tables in the order in which `iptables-nft-save` shows them.
const TABLES: [&str; 5] = ["mangle", "security", "raw", "filter", "nat"];

/// What chains of hooks are called, and the hook of each.
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Hooks that a table has chains for.
fn hooks(table: &str) -> &'static [u32] {
    match table {
        "raw" => &[0, 3],
        "filter" | "security" => &[1, 2, 3],
        "nat" => &[0, 1, 3, 4],
        _ => &[0, 1, 2, 3, 4],
    }
}

/// What becomes of a table.
#[derive(Debug)]
pub(super) enum Made {
    /// As iptables would have it.
    Table(XTable),
    /// It has rules that iptables does not make; so it says itself.
    Incompatible(String),
}

/// Tables of a family (2 or 10) that are called as iptables calls its own.
pub(super) fn tables(all: &[Table], family: u8) -> Vec<Made> {
    let wanted = |name: &&str| {
        let mut tables = all.iter();
        tables.find(|table| table.family.0 == family && table.name == *name)
    };
    TABLES.iter().filter_map(wanted).map(made).collect()
}

/// One table, if it is one of those and has nothing but what iptables makes.
pub(super) fn table(table: &Table) -> Option<XTable> {
    let is_its = matches!(table.family.0, 2 | 10) && TABLES.contains(&table.name.as_str());
    let other = |chain: &Chain| {
        let base = chain.base.as_ref();
        base.is_some_and(|base| !is_built_in(table, chain, base))
    };
    if !is_its || table.chains.iter().any(other) {
        return None;
    }
    match made(table) {
        Made::Table(table) => Some(table),
        Made::Incompatible(_) => None,
    }
}

fn made(table: &Table) -> Made {
    let family = table.family.0;
    let mut base: Vec<(u32, &Chain)> = Vec::new();
    let mut own: Vec<&Chain> = Vec::new();
    for chain in &table.chains {
        match &chain.base {
            Some(hook) if is_built_in(table, chain, hook) => base.push((hook.hook_number, chain)),
            // It shows none that hangs elsewhere.
            Some(_) => {}
            None => own.push(chain),
        }
    }
    own.sort_by_key(|chain| &chain.name);
    let of_hook = |hook: &u32| match base.iter().find(|(own, _)| own == hook) {
        Some((_, chain)) => chain_of(family, chain),
        None => Some(untouched(*hook)),
    };
    let base = hooks(&table.name).iter().map(of_hook);
    let own = own.into_iter().map(|chain| chain_of(family, chain));
    let chains: Option<Vec<XChain>> = base.chain(own).collect();
    match chains {
        Some(chains) => Made::Table(XTable {
            family: XFamily(family),
            name: table.name.clone(),
            complete: !table.chains.iter().any(is_cut),
            chains,
        }),
        None => Made::Incompatible(table.name.clone()),
    }
}

fn is_cut(chain: &Chain) -> bool {
    chain.rules.iter().any(|rule| rule.cut)
}

/// Whether iptables would have made it: by name, hook, kind and priority (`xtables_ipv4`, nft.c).
fn is_built_in(table: &Table, chain: &Chain, base: &BaseChain) -> bool {
    let priorities: &[i32] = match table.name.as_str() {
        "raw" => &[-300],
        "mangle" => &[-150],
        "filter" => &[0],
        "security" => &[50, 150],
        _ => &[-100, 100],
    };
    let kind = match (table.name.as_str(), chain.name.as_str()) {
        ("nat", _) => "nat",
        ("mangle", "OUTPUT") => "route",
        _ => "filter",
    };
    chain.name == base.hook.to_ascii_uppercase()
        && base.kind == kind
        && priorities.contains(&base.priority)
}

/// A chain that nobody made, as nothing was put into it: it is shown all the same.
fn untouched(hook: u32) -> XChain {
    XChain {
        name: HOOKS
            .get(hook as usize)
            .map_or(String::new(), |name| (*name).to_owned()),
        hook: Some(hook),
        policy: Some(XVerdict::Accept),
        packets: Some(0),
        bytes: Some(0),
        rules: Vec::new(),
    }
}

fn chain_of(family: u8, chain: &Chain) -> Option<XChain> {
    let rules: Option<Vec<XRule>> = chain
        .rules
        .iter()
        .map(|rule| rule_of(family, rule))
        .collect();
    let policy = chain.base.as_ref().map(|base| verdict(&base.policy));
    Some(XChain {
        name: chain.name.clone(),
        hook: chain.base.as_ref().map(|base| base.hook_number),
        // Where the kernel counts nothing it prints zeros.
        packets: chain.base.as_ref().map(|base| base.packets.unwrap_or(0)),
        bytes: chain.base.as_ref().map(|base| base.bytes.unwrap_or(0)),
        policy,
        rules: rules?,
    })
}

fn verdict(of: &Verdict) -> XVerdict {
    match of {
        Verdict::Accept => XVerdict::Accept,
        Verdict::Drop => XVerdict::Drop,
        Verdict::Return => XVerdict::Return,
        Verdict::Jump(chain) => XVerdict::Jump(chain.clone()),
        Verdict::Goto(chain) => XVerdict::Goto(chain.clone()),
        Verdict::Continue | Verdict::Break => XVerdict::None,
        Verdict::Other(code) => XVerdict::Other(*code),
    }
}

#[cfg(test)]
mod tests;
