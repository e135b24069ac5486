//! What a gateway's owner asks first: how full the table was, with what, from whom.

use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::subsys::net::conntrack::entry::Entry;
use crate::subsys::net::conntrack::state::status;

/// How many of the busiest are named.
const TOP: usize = 10;

/// Sums over connections, made by many threads and merged.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Whether a flow may stand in several tables: then each is remembered.
    several: bool,
    /// What is not summed up yet.
    found: Vec<Flow>,
    seen: FxHashSet<Flow>,
    entries: u64,
    unreplied: u64,
    assured: u64,
    expired: u64,
    translated: u64,
    by_kind: FxHashMap<(&'static str, &'static str, &'static str), u64>,
    sources: FxHashMap<IpAddr, u64>,
    destinations: FxHashMap<IpAddr, u64>,
    ports: FxHashMap<(&'static str, u16), u64>,
    left: [u64; LEFT.len()],
    ages: [u64; LEFT.len()],
    with_age: u64,
}

/// What makes two entries one flow, in whatever namespaces they are: the packet that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flow {
    source: IpAddr,
    destination: IpAddr,
    l4num: u8,
    ends: (u16, u16),
    port: Option<(&'static str, u16)>,
}

impl Flow {
    fn of(entry: &Entry) -> Self {
        let orig = &entry.tuples[0];
        Self {
            source: orig.src,
            destination: orig.dst,
            l4num: orig.l4num,
            ends: orig.raw,
            port: orig.dport().map(|port| (orig.l4name(), port)),
        }
    }
}

/// Upper bounds of the classes of seconds, and what they are called.
const LEFT: [(u64, &str); 6] = [
    (30, "up to 30 s"),
    (120, "up to 2 min"),
    (600, "up to 10 min"),
    (3_600, "up to 1 h"),
    (86_400, "up to 1 day"),
    (u64::MAX, "more than a day"),
];

fn class(seconds: u64) -> usize {
    LEFT.iter()
        .position(|(bound, _)| seconds <= *bound)
        .unwrap_or(LEFT.len() - 1)
}

impl Counts {
    /// Of one network namespace, or of several: then a flow through two of them is one of whom
    /// it is from and to.
    pub fn new(several: bool) -> Self {
        Self {
            several,
            ..Self::default()
        }
    }

    fn count(&mut self, flow: &Flow) {
        *self.sources.entry(flow.source).or_default() += 1;
        *self.destinations.entry(flow.destination).or_default() += 1;
        if let Some(port) = flow.port {
            *self.ports.entry(port).or_default() += 1;
        }
    }

    /// Counts one connection; `now` is seconds since 1970.
    pub fn add(&mut self, entry: &Entry, now: Option<i64>) {
        let orig = &entry.tuples[0];
        self.entries += 1;
        self.unreplied += u64::from(!entry.is(status::SEEN_REPLY));
        self.assured += u64::from(entry.is(status::ASSURED));
        self.expired += u64::from(entry.expired());
        self.translated += u64::from(entry.is(status::SRC_NAT | status::DST_NAT));
        let kind = (orig.l3name(), orig.l4name(), entry.state.unwrap_or("-"));
        *self.by_kind.entry(kind).or_default() += 1;
        let flow = Flow::of(entry);
        match self.several {
            true => self.found.push(flow),
            false => self.count(&flow),
        }
        if let Some(count) = self.left.get_mut(class(entry.seconds_left)) {
            *count += 1;
        }
        let start = entry.ext.tstamp.map(|(start, _)| start / 1_000_000_000);
        if let (Some(start), Some(now)) = (start.filter(|s| *s > 0), now) {
            let age = now.unsigned_abs().saturating_sub(start);
            if let Some(count) = self.ages.get_mut(class(age)) {
                *count += 1;
            }
            self.with_age += 1;
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        fn add<K: Eq + std::hash::Hash>(to: &mut FxHashMap<K, u64>, from: FxHashMap<K, u64>) {
            for (key, count) in from {
                *to.entry(key).or_default() += count;
            }
        }
        for flow in other.found {
            if self.seen.insert(flow) {
                self.count(&flow);
            }
        }
        self.entries += other.entries;
        self.unreplied += other.unreplied;
        self.assured += other.assured;
        self.expired += other.expired;
        self.translated += other.translated;
        self.with_age += other.with_age;
        add(&mut self.by_kind, other.by_kind);
        add(&mut self.sources, other.sources);
        add(&mut self.destinations, other.destinations);
        add(&mut self.ports, other.ports);
        for (to, from) in self.left.iter_mut().zip(other.left) {
            *to += from;
        }
        for (to, from) in self.ages.iter_mut().zip(other.ages) {
            *to += from;
        }
    }

    /// The summary.
    pub fn finish(self) -> Summary {
        let top = |map: FxHashMap<IpAddr, u64>| {
            largest(map.into_iter().map(|(ip, n)| (ip.to_string(), n)))
        };
        let mut by_kind: Vec<Kind> = self
            .by_kind
            .into_iter()
            .map(|((l3proto, l4proto, state), count)| Kind {
                l3proto,
                l4proto,
                state,
                count,
            })
            .collect();
        by_kind.sort_by(|a, b| {
            let key = |k: &Kind| (std::cmp::Reverse(k.count), k.l3proto, k.l4proto, k.state);
            key(a).cmp(&key(b))
        });
        let classes = |counts: [u64; LEFT.len()]| {
            let named = LEFT.iter().zip(counts);
            named
                .map(|((_, name), count)| Top {
                    name: (*name).to_owned(),
                    count,
                })
                .collect()
        };
        Summary {
            entries: self.entries,
            flows: match self.several {
                true => self.seen.len() as u64,
                false => self.entries,
            },
            unreplied: self.unreplied,
            assured: self.assured,
            expired: self.expired,
            translated: self.translated,
            by_kind,
            top_sources: top(self.sources),
            top_destinations: top(self.destinations),
            top_ports: largest(
                self.ports
                    .into_iter()
                    .map(|((proto, port), n)| (format!("{proto} {port}"), n)),
            ),
            time_left: classes(self.left),
            ages: (self.with_age > 0).then(|| classes(self.ages)),
        }
    }
}

fn largest(counts: impl Iterator<Item = (String, u64)>) -> Vec<Top> {
    let mut all: Vec<Top> = counts.map(|(name, count)| Top { name, count }).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all.truncate(TOP);
    all
}

/// How many connections share a protocol and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Kind {
    pub l3proto: &'static str,
    pub l4proto: &'static str,
    pub state: &'static str,
    pub count: u64,
}

/// One of the busiest, or one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Top {
    pub name: String,
    pub count: u64,
}

/// The table in a page.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Connections counted.
    pub entries: u64,
    /// How many flows that is: one that is tracked in two network namespaces is one. The busiest
    /// sources, destinations and ports are counted by flows.
    pub flows: u64,
    /// Without an answer.
    pub unreplied: u64,
    /// That early drop leaves alone.
    pub assured: u64,
    /// Whose time was over, but which had not been collected.
    pub expired: u64,
    /// Translated.
    pub translated: u64,
    /// By protocol and state, most first.
    pub by_kind: Vec<Kind>,
    /// Busiest original sources.
    pub top_sources: Vec<Top>,
    /// Busiest original destinations.
    pub top_destinations: Vec<Top>,
    /// Busiest original destination ports.
    pub top_ports: Vec<Top>,
    /// By seconds left.
    pub time_left: Vec<Top>,
    /// By age, if connections carry timestamps.
    pub ages: Option<Vec<Top>>,
}

/// What speaks for the table having been full.
#[derive(Clone, Debug, Serialize)]
pub struct Fullness {
    /// Connections of the fullest namespace, of `nf_conntrack_max` that bounds each, in percent.
    pub percent_of_max: Option<f64>,
    /// The number of that namespace.
    pub netns: Option<u32>,
    /// Its connections.
    pub count: Option<u64>,
    /// Connections per bucket, on average.
    pub per_bucket: Option<f64>,
    /// Nodes in the longest chain.
    pub longest_chain: u64,
    /// "table full" lines in the log, in what there is of it.
    pub table_full_lines: u64,
    /// Whether no record of the log is missing: else there may have been more such lines.
    pub log_is_whole: bool,
    /// Seconds since boot of the last of them.
    pub last_table_full: Option<f64>,
    /// Packets dropped because no connection could be made.
    pub drop: u64,
    /// Connections thrown out to make room.
    pub early_drop: u64,
    /// Connections that could not be entered.
    pub insert_failed: u64,
    /// In words.
    pub verdict: String,
}

impl Fullness {
    /// Draws the conclusion.
    pub fn conclude(mut self) -> Self {
        let percent = self.percent_of_max.unwrap_or(0.0);
        self.verdict = if self.table_full_lines > 0 || self.drop > 0 {
            format!(
                "the table was full: {} \"table full\" lines in the log, {} packets dropped",
                self.table_full_lines, self.drop
            )
        } else if percent >= 95.0 {
            "critically full: new connections were about to be dropped".to_owned()
        } else if self.early_drop > 0 {
            format!(
                "it had been full: {} connections were thrown out early",
                self.early_drop
            )
        } else if percent >= 80.0 {
            "filling up".to_owned()
        } else if self.log_is_whole {
            "not full".to_owned()
        } else {
            "not full at the crash; before it can't be told, for records of the log are missing"
                .to_owned()
        };
        self
    }
}
