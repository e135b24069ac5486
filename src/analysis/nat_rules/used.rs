//! How many translations each rule can have made, and how many ports it has left.
//!
//! A rule runs out of ports towards one remote end at a time, and whoever translated to a port of
//! its range took it: so of the ends that it made connections to, the one where most of its range is
//! in use is told, by whichever rule they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RuleRef;
use super::translators;
use crate::analysis::nat::{LOWEST, PortCounter, PortGroup};
use crate::subsys::net::rules::NetnsRules;

/// Ports of a rule towards the remote end where most of them are in use.
#[derive(Clone, Debug, Serialize)]
pub struct PortsLeft {
    /// What it translates to there.
    #[serde(flatten)]
    pub group: PortGroup,
    /// The first port that it may choose.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// Whether the rule names them; else the kernel chooses from these for most clients.
    pub named: bool,
    /// In use, by any connection.
    pub used: u64,
    /// Not in use.
    pub left: u64,
}

/// How many translations a rule can have made.
#[derive(Clone, Debug, Serialize)]
pub struct RuleUse {
    /// Its namespace.
    pub netns: u32,
    /// Which.
    #[serde(flatten)]
    pub rule: RuleRef,
    /// Of those that are there.
    pub translations: u64,
    /// What it has left for sources; `None` where it translated none that have ports.
    pub ports: Option<PortsLeft>,
}

/// Of one rule.
#[derive(Clone, Debug, Default)]
struct Counted {
    translations: u64,
    groups: BTreeSet<PortGroup>,
}

impl Counted {
    fn add(&mut self, group: Option<PortGroup>) {
        self.translations += 1;
        self.groups.extend(group);
    }
}

/// Counts what rules can have made.
#[derive(Clone, Debug, Default)]
pub struct RuleCounter {
    used: BTreeMap<u32, BTreeMap<RuleRef, Counted>>,
}

impl RuleCounter {
    /// Counts a translation of a namespace: the rules that can have translated its source, to a port
    /// of `group` if it has ports, and its destination.
    pub fn add(
        &mut self,
        netns: u32,
        snat: &[RuleRef],
        dnat: &[RuleRef],
        group: Option<PortGroup>,
    ) {
        let rules = self.used.entry(netns).or_default();
        let of_dnat = dnat.iter().map(|rule| (rule, None));
        for (rule, group) in snat.iter().map(|rule| (rule, group)).chain(of_dnat) {
            // A rule has many translations, so its name is taken over once.
            match rules.get_mut(rule) {
                Some(counted) => counted.add(group),
                None => rules.entry(rule.clone()).or_default().add(group),
            }
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        for (netns, rules) in other.used {
            let own = self.used.entry(netns).or_default();
            for (rule, counted) in rules {
                let known = own.entry(rule).or_default();
                known.translations += counted.translations;
                known.groups.extend(counted.groups);
            }
        }
    }

    /// All rules that translate, the most used first; `ports` are all that are in use.
    pub fn finish(self, rules: &[NetnsRules], ports: &PortCounter) -> Vec<RuleUse> {
        let mut all = Vec::new();
        for namespace in rules {
            let counted = self.used.get(&namespace.netns);
            all.extend(translators::all(namespace).map(|translator| {
                let counted = counted.and_then(|rules| rules.get(&translator.rule));
                let groups = counted.map(|counted| &counted.groups);
                RuleUse {
                    netns: namespace.netns,
                    translations: counted.map_or(0, |counted| counted.translations),
                    ports: fullest(groups.into_iter().flatten(), translator.ports, ports),
                    rule: translator.rule,
                }
            }));
        }
        all.sort_by_key(|one: &RuleUse| std::cmp::Reverse(one.translations));
        all
    }
}

fn fullest<'g>(
    groups: impl Iterator<Item = &'g PortGroup>,
    named: Option<(u16, u16)>,
    ports: &PortCounter,
) -> Option<PortsLeft> {
    let (first, last) = named.unwrap_or((LOWEST, u16::MAX));
    let room = u64::from(last.saturating_sub(first)) + 1;
    let used = |group: &PortGroup| ports.within(group, first, last);
    let (used, group) = groups.map(|group| (used(group), group)).max()?;
    Some(PortsLeft {
        group: *group,
        first,
        last,
        named: named.is_some(),
        used,
        left: room.saturating_sub(used),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(remote: [u8; 4]) -> PortGroup {
        PortGroup {
            netns: 1,
            l4proto: "udp",
            external: [203, 0, 113, 1].into(),
            remote: remote.into(),
            remote_port: 53,
        }
    }

    #[test]
    fn what_is_left_is_told_of_the_end_where_least_is() {
        let (busy, quiet) = (group([192, 0, 2, 1]), group([192, 0, 2, 2]));
        let mut ports = PortCounter::default();
        // Seven of the eight ports that the rule names, one of them twice, and one beside.
        for port in [1024, 1025, 1026, 1027, 1028, 1029, 1030, 1030, 5000] {
            ports.add(busy, port);
        }
        for port in 2000..3000 {
            ports.add(quiet, port);
        }
        ports.settle();
        let groups = [busy, quiet];
        let named = fullest(groups.iter(), Some((1024, 1031)), &ports).expect("one");
        assert_eq!((named.group, named.used, named.left), (busy, 7, 1));
        assert!(named.named);
        let any = fullest(groups.iter(), None, &ports).expect("one");
        assert_eq!((any.group, any.used, any.left), (quiet, 1000, 63_512));
        assert_eq!((any.first, any.last, any.named), (1024, 65_535, false));
        // To one that is full nothing is left, and nothing runs below it.
        ports.add(busy, 1031);
        ports.settle();
        let full = fullest([busy].iter(), Some((1024, 1031)), &ports).expect("one");
        assert_eq!((full.used, full.left), (8, 0));
        assert!(fullest([].iter(), None, &ports).is_none());
    }
}
