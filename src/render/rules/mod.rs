//! `rules`: an overview for people, and the forms of nft, iptables-save, ebtables-save and ipset.

mod ebtables;
mod ipset;
mod iptables;
mod names;
mod netlink;
mod nft;

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::thousands;
use crate::report::Document;
use crate::report::rules::{NetnsDoc, RulesReport};
use crate::subsys::net::rules::nft as nft_facts;
use crate::subsys::net::rules::xt::{XChain, XTable};
use iptables::{Around, SetNames};

/// For people: how much of what each namespace has, then all of it.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<RulesReport>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    let body = &document.body;
    if body.filters.is_empty() {
        return writeln!(out, "\nThis kernel has no packet filter loaded");
    }
    writeln!(out)?;
    let header = [
        Column::number("NETNS"),
        Column::text("FILTER"),
        Column::number("TABLES"),
        Column::number("CHAINS"),
        Column::number("RULES"),
        Column::number("SETS"),
        Column::number("ELEMENTS"),
    ];
    let mut rows = Table::new(header, layout);
    for namespace in &body.namespaces {
        let all = [
            ("nf_tables", namespace.nf_tables_counts),
            ("x_tables", namespace.x_tables_counts),
            ("ipset", namespace.ipset_counts),
        ];
        for (filter, counts) in all.into_iter().filter(|(_, counts)| !counts.is_empty()) {
            let numbers = [
                counts.tables,
                counts.chains,
                counts.rules,
                counts.sets,
                counts.elements,
            ];
            let mut row = vec![namespace.rules.netns.to_string(), filter.to_owned()];
            row.extend(numbers.map(thousands));
            rows.add_row(row);
        }
    }
    rows.write(out)?;
    body.namespaces.iter().try_for_each(|one| whole(out, one))
}

/// All rules of a namespace.
fn whole(out: &mut dyn Write, namespace: &NetnsDoc) -> io::Result<()> {
    let rules = &namespace.rules;
    let bold = Style::new().bold();
    let title = |out: &mut dyn Write, what: &str| {
        let initial = if rules.initial {
            ", the initial one"
        } else {
            ""
        };
        writeln!(
            out,
            "\n{bold}{what} of network namespace {}{initial}{bold:#}",
            rules.netns
        )
    };
    let made = iptables::made_by_iptables(&rules.nf_tables);
    let both = rules.nf_tables.iter().zip(made);
    let (made, own): (Vec<_>, Vec<_>) = both.partition(|(_, made)| made.is_some());
    if !own.is_empty() {
        title(out, "nf_tables")?;
        let mut text = Vec::new();
        let own = own.iter().map(|(table, _)| *table);
        nft::write(&mut text, own, &rules.devices, true)?;
        write_safely(out, &text)?;
    }
    if !made.is_empty() {
        title(out, "nf_tables, as iptables made them,")?;
        let mut text = Vec::new();
        for family in [2, 10] {
            let tables = made.iter().filter_map(|(_, made)| made.as_ref());
            let tables: Vec<&XTable> = tables.filter(|table| table.family.0 == family).collect();
            if let Some(first) = tables.first() {
                writeln!(text, "# {}", first.family.name())?;
                iptables::write(&mut text, &tables, &set_names(namespace))?;
            }
        }
        write_safely(out, &text)?;
    }
    if !rules.x_tables.is_empty() {
        title(out, "x_tables")?;
        let mut text = Vec::new();
        for family in [2, 10, 3] {
            let tables = of_family(namespace, family);
            if let Some(first) = tables.first() {
                writeln!(text, "# {}", first.family.name())?;
                iptables::write(&mut text, &tables, &set_names(namespace))?;
            }
        }
        let bridges = of_family(namespace, BRIDGE);
        if let Some(first) = bridges.first() {
            writeln!(text, "# {}", first.family.name())?;
            ebtables::write(&mut text, &bridges, true)?;
        }
        write_safely(out, &text)?;
    }
    if !rules.ipsets.is_empty() {
        title(out, "ipset")?;
        let mut text = Vec::new();
        ipset::write(&mut text, &rules.ipsets)?;
        write_safely(out, &text)?;
    }
    Ok(())
}

/// What a terminal would act on is escaped, but for what sets lines and blocks apart.
fn write_safely(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(text);
    for line in text.lines() {
        let inside = line.trim_start_matches('\t');
        let tabs = line.len() - inside.len();
        writeln!(out, "{:1$}{2}", "", tabs * 4, super::printable(inside))?;
    }
    Ok(())
}

/// NFPROTO_BRIDGE: tables of ebtables, whose rules have a form of their own.
const BRIDGE: u8 = 7;

fn of_family(namespace: &NetnsDoc, family: u8) -> Vec<&XTable> {
    let tables = namespace.rules.x_tables.iter();
    tables.filter(|table| table.family.0 == family).collect()
}

fn set_names(namespace: &NetnsDoc) -> SetNames {
    let sets = namespace.rules.ipsets.iter();
    sets.map(|set| (set.index, set.name.clone())).collect()
}

/// One rule as `nft list ruleset` has it.
pub(super) fn nft_rule(
    table: &nft_facts::Table,
    devices: &std::collections::BTreeMap<u32, String>,
    rule: &nft_facts::Rule,
) -> String {
    nft::rule_text(table, devices, rule)
}

/// The rules of a chain as `iptables-save -c` has them, those of bridges as commands of ebtables
/// with counters.
pub(super) fn x_rules(namespace: &NetnsDoc, table: &XTable, chain: &XChain) -> Vec<String> {
    if table.family.0 == BRIDGE {
        let rules = chain.rules.iter();
        return rules
            .map(|rule| ebtables::rule_line(chain, rule, true))
            .collect();
    }
    let sets = set_names(namespace);
    let around = Around {
        family: table.family.0,
        sets: &sets,
    };
    let rules = chain.rules.iter();
    rules
        .map(|rule| iptables::rule_line(around, chain, rule))
        .collect()
}

/// As `nft --debug=netlink list ruleset`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_netlink(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    for namespace in &body.namespaces {
        let rules = &namespace.rules;
        netlink::write(out, &rules.nf_tables)?;
        nft::write(out, &rules.nf_tables, &rules.devices, false)?;
    }
    Ok(())
}

/// As `nft -a list ruleset`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_nft(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    for namespace in &body.namespaces {
        let rules = &namespace.rules;
        nft::write(out, &rules.nf_tables, &rules.devices, true)?;
    }
    Ok(())
}

/// As `iptables-save -c` (family 2), `ip6tables-save -c` (10) or `arptables-save -c` (3), of all
/// namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_iptables(out: &mut dyn Write, body: &RulesReport, family: u8) -> io::Result<()> {
    for namespace in &body.namespaces {
        iptables::write(out, &of_family(namespace, family), &set_names(namespace))?;
    }
    Ok(())
}

/// As `iptables-nft-save -c` (family 2) or `ip6tables-nft-save -c` (10) print the tables of
/// nf_tables that they made.
///
/// # Errors
/// If writing fails.
pub fn write_iptables_nft(out: &mut dyn Write, body: &RulesReport, family: u8) -> io::Result<()> {
    let mut namespaces = body.namespaces.iter();
    namespaces.try_for_each(|namespace| {
        let tables = &namespace.rules.nf_tables;
        iptables::write_nft(out, tables, family, &set_names(namespace))
    })
}

/// As `ebtables-save`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_ebtables(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    let mut namespaces = body.namespaces.iter();
    namespaces.try_for_each(|one| ebtables::write(out, &of_family(one, BRIDGE), false))
}

/// As `ipset save`, of all namespaces one after another.
///
/// # Errors
/// If writing fails.
pub fn write_ipset(out: &mut dyn Write, body: &RulesReport) -> io::Result<()> {
    let mut namespaces = body.namespaces.iter();
    namespaces.try_for_each(|namespace| ipset::write(out, &namespace.rules.ipsets))
}
