//! Rules of all filters, each as its own program writes it.

use serde::Serialize;

use super::super::super::rules::{nft_rule, x_rules};
use super::super::column::{Table, made, maybe, some, text, unsigned};
use crate::report::rules::{NetnsDoc, RulesReport};
use crate::subsys::net::rules::nft::Rule;
use crate::subsys::net::rules::nft::expr::Expr;

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleRow {
    netns: u32,
    filter: &'static str,
    family: &'static str,
    table: String,
    chain: String,
    handle: u64,
    packets: Option<u64>,
    bytes: Option<u64>,
    text: String,
    comment: Option<String>,
}

impl RuleRow {
    /// All of a report.
    pub fn of(report: &RulesReport) -> Vec<Self> {
        report
            .namespaces
            .iter()
            .flat_map(Self::of_namespace)
            .collect()
    }

    fn of_namespace(namespace: &NetnsDoc) -> Vec<Self> {
        let rules = &namespace.rules;
        let netns = rules.netns;
        let mut all = Vec::new();
        for table in &rules.nf_tables {
            for chain in &table.chains {
                all.extend(chain.rules.iter().map(|rule| Self {
                    netns,
                    filter: "nf_tables",
                    family: table.family.name(),
                    table: table.name.clone(),
                    chain: chain.name.clone(),
                    handle: rule.handle,
                    packets: counted(rule).map(|(packets, _)| packets),
                    bytes: counted(rule).map(|(_, bytes)| bytes),
                    text: nft_rule(table, &rules.devices, rule),
                    comment: rule.comment.clone(),
                }));
            }
        }
        for table in &rules.x_tables {
            for chain in &table.chains {
                let texts = x_rules(namespace, table, chain);
                let rules = (1..).zip(chain.rules.iter().zip(texts));
                all.extend(rules.map(|(number, (rule, text))| Self {
                    netns,
                    filter: "x_tables",
                    family: table.family.name(),
                    table: table.name.clone(),
                    chain: chain.name.clone(),
                    handle: number,
                    packets: rule.packets,
                    bytes: rule.bytes,
                    text,
                    comment: None,
                }));
            }
        }
        all
    }
}

/// By its own counter, if it has one.
fn counted(rule: &Rule) -> Option<(u64, u64)> {
    rule.exprs.iter().find_map(|expr| match expr {
        Expr::Counter { packets, bytes } => Some((*packets, *bytes)),
        _ => None,
    })
}

/// Those of `rules`, of all network namespaces.
pub static RULES: Table<RuleRow> = Table {
    name: "rules",
    about: "A rule of nf_tables or x_tables",
    columns: &[
        unsigned("netns", "Number of its network namespace", |row| {
            Some(row.netns.into())
        }),
        text("filter", "nf_tables or x_tables", |row| some(row.filter)),
        text("family", "As the filter calls it", |row| some(row.family)),
        text("table", "Its table", |row| some(&row.table)),
        text("chain", "Its chain", |row| some(&row.chain)),
        unsigned(
            "handle",
            "Of nf_tables the handle, of x_tables the number in its chain",
            |row| Some(row.handle),
        ),
        unsigned("packets", "By its counter", |row| row.packets),
        unsigned("bytes", "By its counter", |row| row.bytes),
        text(
            "text",
            "As nft, iptables-save -c or ebtables writes it",
            |row| made(&row.text),
        ),
        text("comment", "Of nf_tables", |row| maybe(&row.comment)),
    ],
};
