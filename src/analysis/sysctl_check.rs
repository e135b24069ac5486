//! What the sysctls that bound memory and connections mean for one dump.
//!
//! Layer: analysis. Input: values by name, and what was in use. Output: a [`Check`] per
//! sysctl that the kernel has. Invariants: a pure function; a value that is not a number as
//! expected is left out; what the dump does not tell is not compared.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::sysctl::usage::Usage;

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
}

/// What the rules see.
#[derive(Debug)]
struct Facts<'a> {
    values: &'a BTreeMap<String, String>,
    usage: Usage,
}

impl Facts<'_> {
    /// The numbers of a value, if all parts are some.
    fn numbers(&self, name: &str) -> Option<Vec<u64>> {
        let parts = self.values.get(name)?.split_whitespace();
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

/// Judges all sysctls that there is a rule for; worst first, else in the order of the rules.
pub fn check(values: &BTreeMap<String, String>, usage: Usage) -> Vec<Check> {
    let facts = Facts { values, usage };
    let one = |rule: &rules::Rule| {
        let value = values.get(rule.name)?;
        let (level, verdict) = (rule.judge)(&facts, &facts.numbers(rule.name)?)?;
        Some(Check {
            name: rule.name,
            value: value.clone(),
            means: rule.means,
            level,
            verdict,
        })
    };
    let mut all: Vec<Check> = rules::RULES.iter().filter_map(one).collect();
    all.sort_by_key(|check| std::cmp::Reverse(check.level));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&str, &str)], usage: Usage) -> Vec<Check> {
        let text = |text: &&str| (*text).to_owned();
        let values = pairs.iter().map(|(name, value)| (text(name), text(value)));
        check(&values.collect(), usage)
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
            assert_eq!(level(&[(name, "100")], usage), CheckLevel::Notice);
            assert_eq!(level(&[(name, "99")], usage), CheckLevel::Reached);
            assert_eq!(level(&[(name, "1000")], usage), CheckLevel::Ok);
        }
    }
}
