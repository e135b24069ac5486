//! The part of `leaks`.

use serde::Serialize;

use crate::analysis::accounting::{Level, SlabTotals, share};
use crate::analysis::leaks::history::Event;
use crate::analysis::leaks::memory::Memory;
use crate::analysis::leaks::{CacheJudgement, Context, Owner, Trust, judge};
use crate::subsys::counters::Bound;
use crate::subsys::reach::{CacheReach, Coverage, Holder, ReachFacts};
use crate::subsys::slab::{CacheFacts, SlabFacts};

/// Unreclaimable slab above this share of RAM is what support engineers call a slab leak.
const SLAB_OF_RAM: f64 = 0.10;

/// One cache with its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct LeakCache {
    /// What it held.
    #[serde(flatten)]
    pub facts: CacheFacts,
    /// Verdict, unreachable objects, owners, checks.
    #[serde(flatten)]
    pub judgement: CacheJudgement,
    /// Variables that hold the cache.
    pub variables: Vec<String>,
    /// Who points to its objects, by a sample.
    pub holders: Vec<Holder>,
}

/// One thing that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// Stable, for programs.
    pub code: &'static str,
    /// The cache that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Bytes that it is about.
    pub bytes: u64,
    /// In words.
    pub message: String,
    /// Whose they seem to be.
    pub owners: Vec<Owner>,
}

/// The part of `leaks`.
#[derive(Clone, Debug, Serialize)]
pub struct LeaksReport {
    /// Over all caches.
    pub totals: SlabTotals,
    /// Where the memory went.
    pub memory: Memory,
    /// What the search saw.
    pub coverage: Coverage,
    /// Whether verdicts may rest on the search.
    pub trust: Trust,
    /// Counters that bound caches.
    pub counters: Vec<Bound>,
    /// What the log said before.
    pub history: Vec<Event>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Worst first, then largest.
    pub caches: Vec<LeakCache>,
}

/// What a report is made of.
#[derive(Debug)]
pub struct Facts {
    /// Of the allocator.
    pub slabs: SlabFacts,
    /// Of the search.
    pub reach: ReachFacts,
    /// Of the counters.
    pub counters: Vec<Bound>,
    /// Of the log.
    pub history: Vec<Event>,
    /// Where the memory went.
    pub memory: Memory,
    /// MemTotal.
    pub memory_bytes: Option<u64>,
}

impl LeaksReport {
    /// Judges all caches.
    pub fn new(facts: Facts) -> Self {
        let totals = SlabTotals::of(&facts.slabs.caches, facts.memory_bytes);
        let trust = Trust::of(&facts.reach.coverage);
        let context = Context {
            totals: &totals,
            trust: &trust,
            coverage: &facts.reach.coverage,
            bounds: &facts.counters,
        };
        let caches = facts.slabs.caches.into_iter().zip(facts.reach.caches);
        let mut caches: Vec<LeakCache> = caches
            .map(|(cache, reach)| LeakCache::new(cache, reach, &context))
            .collect();
        caches.sort_by(|a, b| {
            let key = |cache: &LeakCache| {
                let level = cache.judgement.verdict.level;
                (level, cache.facts.exact.bytes)
            };
            (key(b), &a.facts.name).cmp(&(key(a), &b.facts.name))
        });
        let findings = findings(&caches, &totals, &facts.memory, &trust);
        Self {
            findings,
            totals,
            memory: facts.memory,
            coverage: facts.reach.coverage,
            trust,
            counters: facts.counters,
            history: facts.history,
            caches,
        }
    }

    /// The worst level of any cache.
    pub fn worst(&self) -> Option<Level> {
        let levels = self
            .caches
            .iter()
            .map(|cache| cache.judgement.verdict.level);
        levels.max()
    }
}

impl LeakCache {
    fn new(facts: CacheFacts, reach: CacheReach, context: &Context<'_>) -> Self {
        Self {
            judgement: judge(&facts, &reach, context),
            variables: reach.variables,
            holders: reach.holders,
            facts,
        }
    }
}

fn findings(
    caches: &[LeakCache],
    totals: &SlabTotals,
    memory: &Memory,
    trust: &Trust,
) -> Vec<Finding> {
    let general = |level, code, bytes, message: String| Finding {
        level,
        code,
        cache: None,
        bytes,
        message,
        owners: Vec::new(),
    };
    let mut findings: Vec<Finding> = caches
        .iter()
        .filter(|cache| cache.judgement.verdict.level >= Level::Suspect)
        .map(|cache| Finding {
            level: cache.judgement.verdict.level,
            code: "cache",
            cache: Some(cache.facts.name.clone()),
            bytes: cache
                .judgement
                .unreachable
                .bytes
                .unwrap_or(cache.facts.exact.bytes),
            message: cache.judgement.headline().to_owned(),
            owners: cache.judgement.owners.clone(),
        })
        .collect();
    let of_ram = share(totals.unreclaimable_bytes, totals.memory_bytes.unwrap_or(0));
    if of_ram > SLAB_OF_RAM {
        let text = format!("unreclaimable slab is {:.0} % of RAM", of_ram * 100.0);
        findings.push(general(
            Level::Suspect,
            "slab-large",
            totals.unreclaimable_bytes,
            text,
        ));
    }
    if memory.unexplained_is_large {
        let text = "more than a tenth of RAM is kernel memory outside of the slab caches: a leak of pages, vmalloc or large kmalloc would be there".to_owned();
        findings.push(general(
            Level::Suspect,
            "unexplained-large",
            memory.unexplained_bytes,
            text,
        ));
    }
    for reason in &trust.reasons {
        findings.push(general(
            Level::Inconclusive,
            reason.code,
            0,
            reason.message.clone(),
        ));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.level, finding.bytes)));
    findings
}
