//! The part of `rules`: the packet filters of each network namespace.

use serde::Serialize;

use crate::subsys::net::rules::{NetnsRules, RuleFacts};

/// How much of what a namespace has.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs)] // named by the contract
pub struct Counts {
    pub tables: u64,
    pub chains: u64,
    pub rules: u64,
    pub sets: u64,
    pub elements: u64,
}

impl Counts {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.tables == 0 && self.sets == 0
    }
}

/// One namespace.
#[derive(Clone, Debug, Serialize)]
pub struct NetnsDoc {
    /// Of nf_tables; sets without those that have no name of their own.
    pub nf_tables_counts: Counts,
    /// Of x_tables.
    pub x_tables_counts: Counts,
    /// Of ipset.
    pub ipset_counts: Counts,
    /// What there is.
    #[serde(flatten)]
    pub rules: NetnsRules,
}

/// The part of `rules`.
#[derive(Clone, Debug, Serialize)]
pub struct RulesReport {
    /// Which filters this kernel has.
    pub filters: Vec<&'static str>,
    /// By namespace.
    pub namespaces: Vec<NetnsDoc>,
}

impl RulesReport {
    /// Counts what there is.
    pub fn new(facts: RuleFacts) -> Self {
        Self {
            filters: facts.filters,
            namespaces: facts.namespaces.into_iter().map(counted).collect(),
        }
    }
}

fn counted(rules: NetnsRules) -> NetnsDoc {
    let mut counts = Counts::default();
    for table in &rules.nf_tables {
        counts.tables += 1;
        counts.chains += table.chains.len() as u64;
        counts.rules += table
            .chains
            .iter()
            .map(|chain| chain.rules.len() as u64)
            .sum::<u64>();
        for set in table.sets.iter().filter(|set| set.flags & 1 == 0) {
            counts.sets += 1;
            counts.elements += set.elements.len() as u64;
        }
    }
    let chains = || rules.x_tables.iter().flat_map(|table| &table.chains);
    let sets = || rules.ipsets.iter();
    NetnsDoc {
        nf_tables_counts: counts,
        x_tables_counts: Counts {
            tables: rules.x_tables.len() as u64,
            chains: chains().count() as u64,
            rules: chains().map(|chain| chain.rules.len() as u64).sum(),
            ..Counts::default()
        },
        ipset_counts: Counts {
            sets: sets().count() as u64,
            elements: sets().map(|set| set.elements.len() as u64).sum(),
            ..Counts::default()
        },
        rules,
    }
}
