//! What the sysctls that bound memory and connections mean for one dump.
//!
//! Layer: analysis. Input: values by name, and what was in use. Output: a [`Check`] per
//! sysctl that the kernel has. Invariants: a pure function; a value that is not a number as
//! expected is left out; what the dump does not tell is not compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::sysctl::usage::{NetworkUsage, Usage};

mod rules;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// Nothing to see here.
    Ok,
    /// It may have had a part in it.
    Notice,
    /// The limit was reached.
    Reached,
}

impl CheckLevel {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Reached => "reached",
        }
    }
}

/// One sysctl, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it bounds.
    pub means: &'static str,
    /// How bad it is.
    pub level: CheckLevel,
    /// A sentence on this dump.
    pub verdict: String,
    /// The network namespace that it is of; `None` of what is the same in all.
    pub netns: Option<u32>,
}

/// What the rules see.
#[derive(Debug)]
struct Facts<'a> {
    /// Of the whole machine.
    values: &'a BTreeMap<String, String>,
    /// Of one network namespace.
    own: &'a BTreeMap<String, String>,
    usage: &'a Usage,
    network: NetworkUsage,
}

/// Values by name: of the whole machine, and of each network namespace.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// What is the same in all namespaces.
    pub machine: BTreeMap<String, String>,
    /// By the number of the namespace.
    pub networks: BTreeMap<u32, BTreeMap<String, String>>,
}

impl Values {
    /// Adds one value.
    pub fn insert(&mut self, netns: Option<u32>, name: String, value: String) {
        let values = match netns {
            Some(inum) => self.networks.entry(inum).or_default(),
            None => &mut self.machine,
        };
        values.insert(name, value);
    }
}

impl Facts<'_> {
    fn value(&self, name: &str) -> Option<&String> {
        self.own.get(name).or_else(|| self.values.get(name))
    }

    /// The numbers of a value, if all parts are some.
    fn numbers(&self, name: &str) -> Option<Vec<u64>> {
        let parts = self.value(name)?.split_whitespace();
        let numbers: Option<Vec<u64>> = parts.map(|part| part.parse().ok()).collect();
        numbers.filter(|numbers| !numbers.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.numbers(name)?.first().copied()
    }

    /// `part` in per cent of the RAM.
    fn share(&self, bytes: u64) -> Option<f64> {
        let memory = self.usage.memory_bytes.filter(|memory| *memory > 0)?;
        Some(bytes as f64 * 100.0 / memory as f64)
    }
}

/// Names that [`check`] wants the values of.
pub fn is_wanted(name: &str) -> bool {
    rules::RULES.iter().any(|rule| rule.name == name) || rules::OTHERS.contains(&name)
}

/// Judges all sysctls that there is a rule for, those of each namespace by its own use; worst
/// first, else in the order of the rules.
pub fn check(values: &Values, usage: &Usage) -> Vec<Check> {
    let none = BTreeMap::new();
    let facts = |own, network| Facts {
        values: &values.machine,
        own,
        usage,
        network,
    };
    let mut all = judged(
        &facts(&none, NetworkUsage::default()),
        &values.machine,
        None,
    );
    for (inum, own) in &values.networks {
        let network = usage.of_network(*inum).unwrap_or_default();
        all.extend(judged(&facts(own, network), own, Some(*inum)));
    }
    let place = |check: &Check| rules::RULES.iter().position(|rule| rule.name == check.name);
    all.sort_by_key(|check| (std::cmp::Reverse(check.level), place(check), check.netns));
    all
}

fn judged(facts: &Facts<'_>, values: &BTreeMap<String, String>, netns: Option<u32>) -> Vec<Check> {
    let one = |rule: &rules::Rule| {
        let value = values.get(rule.name)?;
        let (level, verdict) = (rule.judge)(facts, &facts.numbers(rule.name)?)?;
        Some(Check {
            name: rule.name,
            value: value.clone(),
            means: rule.means,
            level,
            verdict,
            netns,
        })
    };
    rules::RULES.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the initial namespace, as the kernel keeps most of them.
    const NETNS: Option<u32> = Some(1);

    fn judged(pairs: &[(&str, &str)], usage: Usage) -> Vec<Check> {
        let mut values = Values::default();
        for (name, value) in pairs {
            let netns = NETNS.filter(|_| name.starts_with("net."));
            values.insert(netns, (*name).to_owned(), (*value).to_owned());
        }
        check(&values, &usage)
    }

    fn level(pairs: &[(&str, &str)], usage: Usage) -> CheckLevel {
        let all = judged(pairs, usage);
        assert_eq!(all[0].name, pairs[0].0, "{all:?}");
        all[0].level
    }

    #[test]
    fn a_full_table_is_reached_and_comes_first() {
        let table = |count| {
            let max = "net.netfilter.nf_conntrack_max";
            let counted = "net.netfilter.nf_conntrack_count";
            level(&[(max, "1000"), (counted, count)], Usage::default())
        };
        assert_eq!(table("1000"), CheckLevel::Reached);
        assert_eq!(table("950"), CheckLevel::Notice);
        assert_eq!(table("100"), CheckLevel::Ok);
        let all = judged(
            &[
                ("net.ipv4.tcp_syncookies", "1"),
                ("fs.file-max", "10"),
                ("fs.file-nr", "10\t0\t10"),
            ],
            Usage::default(),
        );
        assert_eq!(all[0].name, "fs.file-max");
        assert_eq!(all[0].level, CheckLevel::Reached);
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn limits_in_pages_are_compared_with_the_memory() {
        let usage = |memory| Usage {
            memory_bytes: memory,
            page_bytes: 4096,
            ..Usage::default()
        };
        let mem = [("net.ipv4.tcp_mem", "1\t2\t1024")];
        assert_eq!(level(&mem, usage(Some(64 << 20))), CheckLevel::Ok);
        assert_eq!(level(&mem, usage(Some(4 << 20))), CheckLevel::Notice);
        // The dump does not tell, so nothing is compared.
        assert_eq!(level(&mem, usage(None)), CheckLevel::Ok);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        assert!(judged(&[("fs.file-max", "many")], Usage::default()).is_empty());
        assert!(judged(&[("net.ipv4.tcp_mem", "1")], Usage::default()).is_empty());
    }

    #[test]
    fn threads_are_compared_with_both_limits() {
        let usage = Usage {
            threads: Some(99),
            ..Usage::default()
        };
        for name in ["kernel.threads-max", "kernel.pid_max"] {
            assert_eq!(level(&[(name, "100")], usage.clone()), CheckLevel::Notice);
            assert_eq!(level(&[(name, "99")], usage.clone()), CheckLevel::Reached);
            assert_eq!(level(&[(name, "1000")], usage.clone()), CheckLevel::Ok);
        }
    }

    #[test]
    fn a_limit_is_judged_by_its_use() {
        let network = NetworkUsage {
            inum: 1,
            tcp_time_wait: Some(2048),
            ipv4_fragment_bytes: Some(950),
            ..NetworkUsage::default()
        };
        let usage = Usage {
            memory_bytes: Some(1 << 40),
            page_bytes: 4096,
            tcp_pages: Some(12_653),
            udp_pages: Some(10),
            tcp_orphans: Some(95),
            networks: vec![network],
            ..Usage::default()
        };
        for (name, value, expected) in [
            // 12,653 pages in use against 10,962: "TCP: out of memory" in the log.
            ("net.ipv4.tcp_mem", "5481\t7308\t10962", CheckLevel::Reached),
            ("net.ipv4.tcp_mem", "5481\t7308\t100000", CheckLevel::Notice),
            ("net.ipv4.tcp_mem", "20000\t30000\t100000", CheckLevel::Ok),
            ("net.ipv4.udp_mem", "10\t20\t100000", CheckLevel::Ok),
            ("net.ipv4.tcp_max_tw_buckets", "2048", CheckLevel::Reached),
            ("net.ipv4.tcp_max_tw_buckets", "262144", CheckLevel::Ok),
            ("net.ipv4.tcp_max_orphans", "100", CheckLevel::Notice),
            ("net.ipv4.ipfrag_high_thresh", "1000", CheckLevel::Notice),
            ("net.ipv4.ipfrag_high_thresh", "900", CheckLevel::Reached),
        ] {
            assert_eq!(
                level(&[(name, value)], usage.clone()),
                expected,
                "{name} {value}"
            );
        }
    }

    #[test]
    fn each_namespace_is_judged_by_its_own_count() {
        let mut values = Values::default();
        for (inum, count) in [(1, "400"), (2, "600"), (3, "200")] {
            let own = |values: &mut Values, name: &str, value: &str| {
                values.insert(Some(inum), name.to_owned(), value.to_owned());
            };
            own(&mut values, "net.netfilter.nf_conntrack_max", "600");
            own(&mut values, "net.netfilter.nf_conntrack_count", count);
        }
        let found = check(&values, &Usage::default());
        let levels: Vec<_> = found
            .iter()
            .map(|check| (check.netns, check.level))
            .collect();
        assert_eq!(
            levels,
            [
                (Some(2), CheckLevel::Reached),
                (Some(1), CheckLevel::Ok),
                (Some(3), CheckLevel::Ok)
            ]
        );
    }
}
