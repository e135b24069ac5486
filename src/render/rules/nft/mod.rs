//! nf_tables as `nft list ruleset` shows them (the form of nft 1.1). A rule that has no shorter form
//! is shown by its expressions, and marked.

mod acts;
mod blocks;
mod fields;
mod limits;
mod load;
mod nat;
mod rule;
mod sets;
mod symbols;
mod terms;
mod types;

use std::io::{self, Write};

use super::netlink;
use crate::subsys::net::rules::nft::{Family, Rule, Table, Verdict};
use types::Devices;

/// Tables one after another, with handles as `nft -a` or without.
///
/// # Errors
/// If writing fails.
pub(super) fn write<'t>(
    out: &mut dyn Write,
    tables: impl IntoIterator<Item = &'t Table>,
    devices: &Devices,
    handles: bool,
) -> io::Result<()> {
    let writer = Tables { devices, handles };
    let mut tables = tables.into_iter();
    tables.try_for_each(|table| writer.table(out, table))
}

/// One rule on one line.
pub(in super::super) fn rule_text(table: &Table, devices: &Devices, rule: &Rule) -> String {
    rule::text(table, devices, rule).unwrap_or_else(|| as_netlink(rule))
}

/// What has no shorter form.
fn as_netlink(rule: &Rule) -> String {
    let mut exprs: Vec<String> = rule
        .exprs
        .iter()
        .map(|expr| format!("[ {} ]", netlink::text(expr)))
        .collect();
    if rule.cut {
        exprs.push("… the rest can't be read".to_owned());
    }
    format!("# no shorter form: {}", exprs.join(" "))
}

struct Tables<'d> {
    devices: &'d Devices,
    handles: bool,
}

impl Tables<'_> {
    fn handle(&self, handle: u64) -> String {
        match self.handles {
            true => format!(" # handle {handle}"),
            false => String::new(),
        }
    }

    fn table(&self, out: &mut dyn Write, table: &Table) -> io::Result<()> {
        let name = format!("table {} {}", table.family.name(), table.name);
        writeln!(out, "{name} {{{}", self.handle(table.handle))?;
        let mut gap = "";
        if let Some(comment) = &table.comment {
            writeln!(out, "\tcomment \"{comment}\"")?;
        }
        let flags = [(1, "dormant"), (2, "owner"), (4, "persist")];
        let flags = flags.iter().filter(|(bit, _)| table.flags & bit != 0);
        let flags: Vec<&str> = flags.map(|(_, name)| *name).collect();
        if !flags.is_empty() {
            writeln!(out, "\tflags {}", flags.join(","))?;
            gap = "\n";
        }
        for block in self.blocks(table) {
            write!(out, "{gap}{block}")?;
            gap = "\n";
        }
        writeln!(out, "}}")
    }

    /// Objects by kind, sets, flowtables, chains.
    fn blocks(&self, table: &Table) -> Vec<String> {
        let mut all = Vec::new();
        for kind in [1, 2, 3, 4, 7, 8, 9, 10, 5, 6] {
            let of_kind = table.objects.iter().filter(|object| object.kind == kind);
            all.extend(of_kind.map(|object| blocks::object(object, &self.handle(object.handle))));
        }
        let named = table.sets.iter().filter(|set| set.flags & 1 == 0);
        all.extend(named.map(|set| blocks::set(set, &self.handle(set.handle), self.devices)));
        let flowtables = table.flowtables.iter();
        all.extend(
            flowtables.map(|one| blocks::flowtable(one, table.family, &self.handle(one.handle))),
        );
        for chain in table.chains.iter().filter(|chain| chain.flags & 4 == 0) {
            let mut block = blocks::chain_head(chain, table.family, &self.handle(chain.handle));
            for rule in &chain.rules {
                let text = rule_text(table, self.devices, rule);
                block.push_str(&format!("\t\t{text}{}\n", self.handle(rule.handle)));
            }
            block.push_str("\t}\n");
            all.push(block);
        }
        all
    }
}

/// A place among hooks by its name where it is near one (nftables, src/rule.c).
pub(in super::super) fn priority(family: Family, hook: &str, priority: i32) -> String {
    let named: &[(&str, i32)] = match family.0 {
        1 | 2 | 10 => &[
            ("raw", -300),
            ("mangle", -150),
            ("dstnat", -100),
            ("filter", 0),
            ("security", 50),
            ("srcnat", 100),
        ],
        7 => &[
            ("dstnat", -300),
            ("filter", -200),
            ("out", 100),
            ("srcnat", 300),
        ],
        _ => &[("filter", 0)],
    };
    let fits = |name: &str| match name {
        "dstnat" => matches!(hook, "prerouting" | "output"),
        "srcnat" => matches!(hook, "postrouting" | "input"),
        "out" => hook == "output",
        _ => true,
    };
    for (name, at) in named.iter().filter(|(name, _)| fits(name)) {
        match priority.saturating_sub(*at) {
            0 => return (*name).to_owned(),
            above @ 1..=10 => return format!("{name} + {above}"),
            below @ -10..=-1 => return format!("{name} - {}", -below),
            _ => {}
        }
    }
    priority.to_string()
}

/// What becomes of packets at the end of a base chain.
pub(in super::super) fn policy(policy: &Verdict) -> &'static str {
    match policy {
        Verdict::Drop => "drop",
        _ => "accept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nft prints them.
    #[test]
    fn priorities_near_a_name_have_it() {
        let of = |family, hook, at| priority(Family(family), hook, at);
        assert_eq!(of(1, "input", 5), "filter + 5");
        assert_eq!(of(2, "prerouting", -100), "dstnat");
        assert_eq!(of(2, "forward", -100), "-100");
        assert_eq!(of(7, "forward", 0), "0");
        assert_eq!(of(10, "output", -160), "mangle - 10");
        assert_eq!(of(10, "output", -161), "-161");
    }
}
