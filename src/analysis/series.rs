//! Several states of machines side by side: dumps, what tools saved, exported rows.
//!
//! Input: [`State`]s in the order of time. Output: [`Series`], a row a thing with a value for each
//! state. Invariants: what a state does not tell is `None`, not zero; caches that one kernel merges
//! are one row in all states; a rate is told only of states of one machine since one boot, and by
//! all that have a time.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::growth::{Counts, Groups, Sample};

/// A finding, as another state may have it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundThen {
    /// What it is about.
    pub subject: String,
    /// How bad.
    pub level: String,
    /// Bytes that it is about.
    pub bytes: u64,
}

/// What is known of a machine at one time. `None` is what its source does not tell.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // named as the commands
pub struct State {
    pub identity: StateIdentity,
    pub caches: Option<Sample>,
    /// Names of caches that are one.
    pub merged: Vec<Vec<String>>,
    /// Bytes by the names of /proc/meminfo.
    pub meminfo: Option<BTreeMap<String, u64>>,
    /// By their lines' codes, in bytes.
    pub ledger: Option<BTreeMap<String, u64>>,
    /// What these codes are called for people.
    pub ledger_titles: BTreeMap<String, String>,
    /// By fingerprint.
    pub findings: Option<BTreeMap<String, FoundThen>>,
    /// Of the initial network namespace, as far as they are of one.
    pub sysctls: Option<BTreeMap<String, String>>,
    /// Which that is, by the first of its sysctls.
    pub netns: Option<u64>,
    pub modules: Option<BTreeSet<String>>,
    /// Tracked connections.
    pub connections: Option<u64>,
}

impl State {
    /// Adds a finding. Several may have one fingerprint: then the worst is told, with all bytes.
    pub fn add_finding(&mut self, fingerprint: String, found: FoundThen) {
        let findings = self.findings.get_or_insert_default();
        let known = findings.entry(fingerprint).or_default();
        let worse = badness(&found.level) > badness(&known.level);
        known.bytes = known.bytes.saturating_add(found.bytes);
        if worse || known.subject.is_empty() {
            (known.subject, known.level) = (found.subject, found.level);
        }
    }
}

/// To put levels in order: the worst is the largest.
fn badness(level: &str) -> u8 {
    match level {
        "leak" => 3,
        "suspect" => 2,
        "" => 0,
        _ => 1,
    }
}

/// Where a state comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StateIdentity {
    /// The file or folder.
    pub path: String,
    /// `dump`, `slabinfo`, `export`, ….
    pub kind: &'static str,
    /// Of the machine, where it is told.
    pub host: Option<String>,
    /// Of the kernel, where it is told.
    pub release: Option<String>,
    /// Seconds since 1970.
    pub time: Option<i64>,
    /// When it was booted, in seconds since 1970.
    pub boot_time: Option<i64>,
}

/// Bytes of one thing, in all states.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is called for people, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Others that are counted here, because one of the kernels merges them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// By state.
    pub bytes: Vec<Option<u64>>,
    /// By state, where they are counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Option<u64>>,
    /// What came from the first state that has it to the last; `None` where only one has it.
    pub change_bytes: Option<i64>,
    /// By the line that fits best.
    pub bytes_per_hour: Option<f64>,
}

/// A text that is not the same in all states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// A sysctl or a module.
    pub name: String,
    /// By state.
    pub values: Vec<Option<String>>,
}

/// A finding in all states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingRow {
    /// The same in all.
    pub fingerprint: String,
    /// What it is about, in the last state that has it.
    pub subject: String,
    /// By state; `None` where it was not found, or not looked for.
    pub levels: Vec<Option<String>>,
    /// By state.
    pub bytes: Vec<Option<u64>>,
}

/// What is compared besides caches.
#[derive(Clone, Debug, Serialize)]
pub struct Besides {
    /// Of /proc/meminfo, those that changed most first.
    pub meminfo: Vec<Row>,
    /// The same of the ledger.
    pub ledger: Vec<Row>,
    /// By state, whether findings were looked for.
    pub searched: Vec<bool>,
    /// By fingerprint, the worst first.
    pub findings: Vec<FindingRow>,
    /// Those that are not the same in all states.
    pub sysctls: Vec<Differing>,
    /// Those that not all states have: `loaded` where they are.
    pub modules: Vec<Differing>,
    /// Tracked connections by state.
    pub connections: Vec<Option<u64>>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// In the order of time, as far as it is known.
    pub states: Vec<StateIdentity>,
    /// Whether all are of one boot; `None` if not all tell.
    pub same_boot: Option<bool>,
    /// Whether all are of one kernel; `None` if not all tell.
    pub same_release: Option<bool>,
    /// Those that changed most first.
    pub caches: Vec<Row>,
    /// The others.
    #[serde(flatten)]
    pub besides: Besides,
}

/// Clocks of one boot may be set by so many seconds.
const CLOCK_SET: i64 = 60;

/// Puts states beside each other, by time where all have one.
pub fn series(mut states: Vec<State>) -> Series {
    if states.iter().all(|state| state.identity.time.is_some()) {
        states.sort_by_key(|state| state.identity.time);
    }
    let boots: Option<Vec<i64>> = states
        .iter()
        .map(|state| state.identity.boot_time)
        .collect();
    let same_boot = boots.as_deref().and_then(|boots| {
        let (first, last) = (boots.iter().min()?, boots.iter().max()?);
        Some(last - first <= CLOCK_SET)
    });
    let releases: Option<BTreeSet<&str>> = states
        .iter()
        .map(|state| state.identity.release.as_deref())
        .collect();
    let same_release = releases.map(|all| all.len() <= 1);
    let rated = same_boot != Some(false) && same_release != Some(false);
    let times: Vec<Option<i64>> = states
        .iter()
        .map(|state| state.identity.time.filter(|_| rated))
        .collect();
    Series {
        caches: caches(&states, &times),
        besides: besides(&states, &times),
        same_boot,
        same_release,
        states: states.into_iter().map(|state| state.identity).collect(),
    }
}

/// The same of `states` in the order given, with a rate where `times`, in seconds, are known.
pub fn besides(states: &[State], times: &[Option<i64>]) -> Besides {
    let bytes_of = |of: fn(&State) -> &Option<BTreeMap<String, u64>>| {
        let all: Vec<_> = states.iter().map(|state| of(state).as_ref()).collect();
        numbers(&all, times, None)
    };
    // It is of all RAM: a line that it has not is of nothing.
    let ledgers: Vec<_> = states.iter().map(|state| state.ledger.as_ref()).collect();
    let mut ledger = numbers(&ledgers, times, Some(0));
    for row in &mut ledger {
        let mut titles = states.iter().rev().map(|state| &state.ledger_titles);
        row.title = titles.find_map(|titles| titles.get(&row.name)).cloned();
    }
    Besides {
        meminfo: bytes_of(|state| &state.meminfo),
        ledger,
        searched: states
            .iter()
            .map(|state| state.findings.is_some())
            .collect(),
        findings: findings(states),
        sysctls: differing(states, |state| state.sysctls.clone()),
        modules: differing(states, |state| {
            let loaded = state.modules.iter().flatten();
            let loaded = loaded.map(|name| (name.clone(), "loaded".to_owned()));
            state.modules.as_ref().map(|_| loaded.collect())
        }),
        connections: states.iter().map(|state| state.connections).collect(),
    }
}

fn caches(states: &[State], times: &[Option<i64>]) -> Vec<Row> {
    let samples: Vec<&Sample> = states
        .iter()
        .filter_map(|state| state.caches.as_ref())
        .collect();
    let merged: Vec<Vec<String>> = states
        .iter()
        .flat_map(|state| state.merged.clone())
        .collect();
    let groups = Groups::of(&samples, &merged);
    let mut rows: BTreeMap<&str, Vec<Option<Counts>>> = BTreeMap::new();
    for (index, state) in states.iter().enumerate() {
        for (name, counts) in state.caches.iter().flatten() {
            let row = rows.entry(groups.name(name));
            let row = row.or_insert_with(|| vec![None; states.len()]);
            if let Some(place) = row.get_mut(index) {
                place.get_or_insert_default().add(counts);
            }
        }
    }
    let row = |(name, counts): (&str, Vec<Option<Counts>>)| {
        let bytes = counts.iter().map(|one| Some(one.as_ref()?.bytes)).collect();
        Row {
            merged: groups.others(name),
            objects: counts
                .iter()
                .map(|one| Some(one.as_ref()?.objects))
                .collect(),
            ..Row::of(name, bytes, times)
        }
    };
    largest_change_first(rows.into_iter().map(row).collect())
}

/// A row for each name; `otherwise` is what a state has that tells others.
fn numbers(
    all: &[Option<&BTreeMap<String, u64>>],
    times: &[Option<i64>],
    otherwise: Option<u64>,
) -> Vec<Row> {
    let names: BTreeSet<&String> = all.iter().flatten().flat_map(|one| one.keys()).collect();
    let row = |name: &String| {
        let bytes = all
            .iter()
            .map(|one| one.as_ref()?.get(name).copied().or(otherwise));
        Row::of(name, bytes.collect(), times)
    };
    largest_change_first(names.into_iter().map(row).collect())
}

fn largest_change_first(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.change_bytes));
    rows
}

impl Row {
    fn of(name: &str, bytes: Vec<Option<u64>>, times: &[Option<i64>]) -> Self {
        let known = || bytes.iter().flatten();
        let ends = known().next().zip(known().last());
        let change = ends.filter(|_| known().count() > 1).map(|(first, last)| {
            let by = i128::from(*last) - i128::from(*first);
            by.clamp(i64::MIN.into(), i64::MAX.into()) as i64
        });
        let points = times.iter().zip(&bytes);
        let points = points.filter_map(|(time, bytes)| Some(((*time)? as f64, (*bytes)? as f64)));
        Self {
            name: name.to_owned(),
            title: None,
            merged: Vec::new(),
            change_bytes: change,
            bytes_per_hour: slope(&points.collect::<Vec<_>>()).map(|slope| slope * 3600.0),
            bytes,
            objects: Vec::new(),
        }
    }
}

/// Of the line that fits best, by least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (time, value) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(t, _)| (t - time).powi(2)).sum();
    let shared: f64 = points.iter().map(|(t, v)| (t - time) * (v - value)).sum();
    (spread > 0.0).then(|| shared / spread)
}

fn findings(states: &[State]) -> Vec<FindingRow> {
    let all = states
        .iter()
        .flat_map(|state| state.findings.iter().flatten());
    let subjects: BTreeMap<&String, &String> =
        all.map(|(print, found)| (print, &found.subject)).collect();
    let row = |(print, subject): (&String, &String)| {
        let then: Vec<Option<&FoundThen>> = states
            .iter()
            .map(|state| state.findings.as_ref()?.get(print))
            .collect();
        FindingRow {
            fingerprint: print.clone(),
            subject: subject.clone(),
            levels: then
                .iter()
                .map(|one| Some(one.as_ref()?.level.clone()))
                .collect(),
            bytes: then.iter().map(|one| Some(one.as_ref()?.bytes)).collect(),
        }
    };
    let mut rows: Vec<FindingRow> = subjects.into_iter().map(row).collect();
    rows.sort_by_key(|row| {
        let worst = row
            .levels
            .iter()
            .flatten()
            .map(|level| badness(level))
            .max();
        let most = row.bytes.iter().flatten().max().copied();
        std::cmp::Reverse((worst, most))
    });
    rows
}

/// Of those states that tell; of one alone nothing differs.
fn differing(
    states: &[State],
    of: impl Fn(&State) -> Option<BTreeMap<String, String>>,
) -> Vec<Differing> {
    let all: Vec<Option<BTreeMap<String, String>>> = states.iter().map(of).collect();
    let told = all.iter().flatten().count();
    let names: BTreeSet<&String> = all.iter().flatten().flat_map(BTreeMap::keys).collect();
    let rows = names.into_iter().map(|name| Differing {
        name: name.clone(),
        values: all
            .iter()
            .map(|one| one.as_ref()?.get(name).cloned())
            .collect(),
    });
    rows.filter(|row| {
        let values: BTreeSet<&String> = row.values.iter().flatten().collect();
        let had = row.values.iter().flatten().count();
        told > 1 && (values.len() > 1 || had < told)
    })
    .collect()
}

#[cfg(test)]
mod tests;
