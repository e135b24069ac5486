//! What somebody asks who has one minute: what happened, what held the memory, how sure it is.
//!
//! Layer: analysis. Input: what the parts of a report found. Output: [`Brief`], without words: these
//! are the renderer's. Invariant: what was not asked or could not be read is `None`, never zero.

use std::collections::BTreeMap;

use serde::Serialize;

use super::accounting::{Level, Reason, share};
use super::conntrack::Fullness;
use super::finding::{self, Finding};
use super::leaks::Trust;
use super::leaks::history::Event;
use super::memory::Part;
use super::oom::OomReport;
use super::pages::{Group, Ledger};
use super::sockets::Reached;
use crate::graph::Coverage;
use crate::subsys::mm::zones::{NodeFacts, ZoneFacts};
use crate::subsys::task::ProcessFacts;

/// Memory of one nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Of what nature.
    pub group: Group,
    /// How much.
    pub bytes: u64,
}

/// Lines of the log of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sign {
    /// As in the history of `leaks`.
    pub code: &'static str,
    /// How many that are told.
    pub lines: u64,
    /// Seconds since boot of the first.
    pub first_seconds: f64,
    /// Of the last.
    pub last_seconds: f64,
}

/// The process with the most memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Largest {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// In RAM and swapped out; what is shared counts whole.
    pub bytes: u64,
}

/// Everything for the first page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Brief {
    /// Processes that the out-of-memory killer ended, by the log.
    pub killed_processes: Option<u64>,
    /// What the log complained of.
    pub signs: Vec<Sign>,
    /// RAM by nature, most first; `None` if that is not known.
    pub held: Option<Vec<Held>>,
    /// Bytes of the kernel without a known owner or a pointer to them.
    pub unexplained_bytes: Option<u64>,
    /// Who has the most.
    pub largest_process: Option<Largest>,
    /// Zones with less free memory than their min watermark.
    pub short_zones: Vec<String>,
    /// In words, whether the connection table was full.
    pub connections: Option<String>,
    /// Whether that is a trouble.
    pub connections_full: bool,
    /// Limits of sockets that were reached, in words.
    pub limits_reached: Vec<String>,
    /// The worst of the findings; `None` if nothing was looked for.
    pub worst: Option<Level>,
    /// Whether verdicts may rest on the search; `None` if there was none.
    pub reliable: Option<bool>,
    /// Why not.
    pub doubts: Vec<String>,
    /// Free objects that stale words point to, as a share: so much of a leak may be hidden.
    pub hidden_share: Option<f64>,
}

impl Brief {
    /// Of what was found.
    pub fn of_findings(&mut self, findings: &[Finding], trust: &Trust, seen: &Coverage) {
        let free = seen.free_objects;
        self.hidden_share = (free > 0).then(|| share(seen.free_objects_pointed_to, free));
        let none = Level::Clean;
        self.worst = Some(finding::worst(findings).unwrap_or(none));
        self.reliable = Some(trust.reliable);
        let words = |reason: &Reason| reason.message.clone();
        self.doubts = trust.reasons.iter().map(words).collect();
    }

    /// What the log said of memory and connections before.
    pub fn of_history(&mut self, history: &[Event]) {
        let mut signs: BTreeMap<&'static str, Sign> = BTreeMap::new();
        for event in history {
            let sign = signs.entry(event.code).or_insert(Sign {
                code: event.code,
                lines: 0,
                first_seconds: event.seconds,
                last_seconds: event.seconds,
            });
            sign.lines += 1;
            sign.last_seconds = event.seconds;
        }
        self.signs = signs.into_values().collect();
    }

    /// Whom the out-of-memory killer ended.
    pub fn of_killed(&mut self, reports: &[OomReport]) {
        let killed = reports.iter().map(|report| report.killed.len() as u64);
        self.killed_processes = Some(killed.sum());
    }

    /// Where RAM went.
    pub fn of_ledger(&mut self, ledger: &Ledger, page_bytes: u64) {
        let lines = ledger.lines.iter();
        self.held = Some(by_group(lines.map(|line| {
            let bytes = line.pages.saturating_mul(page_bytes);
            (line.code.as_str(), bytes)
        })));
        self.unexplained_bytes = Some(ledger.unexplained_pages.saturating_mul(page_bytes));
    }

    /// The same of a kernel that runs, whose pages have no owners.
    pub fn of_parts(&mut self, parts: &[Part]) {
        let parts = parts.iter().map(|part| (part.code, part.bytes));
        self.held = Some(by_group(parts));
    }

    /// Of all processes, the one with the most memory first.
    pub fn of_processes(&mut self, processes: &[ProcessFacts]) {
        self.largest_process = processes.first().and_then(|process| {
            let memory = process.memory.as_ref()?;
            Some(Largest {
                pid: process.pid,
                comm: process.comm.clone(),
                bytes: memory.rss_bytes() + memory.swap_bytes,
            })
        });
    }

    /// Of the zones.
    pub fn of_zones(&mut self, nodes: &[NodeFacts]) {
        let short = |zone: &&ZoneFacts| {
            let least = zone.watermarks.first();
            zone.managed > 0 && least.is_some_and(|least| zone.free < *least)
        };
        let zones = nodes.iter().flat_map(|node| &node.zones).filter(short);
        let named = zones.map(|zone| format!("node {} {}", zone.node, zone.name));
        self.short_zones = named.collect();
    }

    /// Of the connection table.
    pub fn of_connections(&mut self, fullness: &Fullness) {
        self.connections = Some(fullness.verdict.clone());
        self.connections_full = fullness.table_full_lines > 0
            || fullness.drop > 0
            || fullness
                .percent_of_max
                .is_some_and(|percent| percent >= 95.0);
    }

    /// Of the limits of sockets.
    pub fn of_sockets(&mut self, reached: &[Reached]) {
        self.limits_reached = reached.iter().map(|one| one.message.clone()).collect();
    }
}

/// Sums by nature, most first.
fn by_group<'a>(lines: impl Iterator<Item = (&'a str, u64)>) -> Vec<Held> {
    let mut sums: BTreeMap<Group, u64> = BTreeMap::new();
    for (code, bytes) in lines {
        *sums.entry(Group::of(code)).or_default() += bytes;
    }
    let held = sums.into_iter();
    let mut held: Vec<Held> = held.map(|(group, bytes)| Held { group, bytes }).collect();
    held.sort_by_key(|one| std::cmp::Reverse(one.bytes));
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::pages::Line;

    #[test]
    fn groups_hold_all_of_the_ledger() {
        let line = |code: &str, pages| Line {
            code: code.to_owned(),
            name: String::new(),
            pages,
        };
        let lines = vec![
            line("free", 50),
            line("anon", 20),
            line("pipe", 7),
            line("percpu", 4),
            line("free_on_cpus", 2),
        ];
        let ledger = Ledger {
            pages: lines.iter().map(|line| line.pages).sum(),
            lines,
            ram_pages: Some(83),
            unexplained_pages: 1,
        };
        let mut brief = Brief::default();
        brief.of_ledger(&ledger, 4096);
        let held = brief.held.expect("a ledger");
        let of: Vec<_> = held
            .iter()
            .map(|one| (one.group, one.bytes >> 12))
            .collect();
        let expected = [
            (Group::Free, 52),
            (Group::Processes, 20),
            (Group::Kernel, 11),
        ];
        assert_eq!(of, expected);
    }
}
