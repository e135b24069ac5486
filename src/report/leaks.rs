//! The part of `leaks`.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::analysis::accounting::{Level, SlabTotals};
use crate::analysis::finding::{self, Finding};
use crate::analysis::leaks::areas::{self, AreasJudgement};
use crate::analysis::leaks::blocks::{self, BlocksJudgement};
use crate::analysis::leaks::findings;
use crate::analysis::leaks::held::{self, Held};
use crate::analysis::leaks::history::Event;
use crate::analysis::leaks::page_pools;
use crate::analysis::leaks::pages::{self, PagesJudgement};
use crate::analysis::leaks::percpu::{self, PercpuJudgement};
use crate::analysis::leaks::{CacheJudgement, Context, Trust, judge};
use crate::analysis::memory::Memory;
use crate::graph::alive::Container;
use crate::graph::{CacheReach, Coverage, Holder, ReachFacts, TypeGuess};
use crate::kernel::symbolize::Symbolized;
use crate::subsys::counters::Bound;
use crate::subsys::mm::memcg::MemcgCount;
use crate::subsys::mm::slab::{CacheFacts, SlabFacts};
use crate::subsys::rcu::GracePeriod;

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
    /// What the objects of a kmalloc cache seem to be.
    pub types: Vec<TypeGuess>,
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
    /// Memory cgroups; `None` in kernels without them.
    pub memcgs: Option<MemcgCount>,
    /// The grace period of RCU that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<GracePeriod>,
    /// What the log said before.
    pub history: Vec<Event>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The areas of vmalloc.
    pub vmalloc: AreasJudgement,
    /// The blocks of large kmalloc.
    pub large_kmalloc: BlocksJudgement,
    /// Allocations of per-CPU memory.
    pub percpu: PercpuJudgement,
    /// The kernel's own pages; `None` of a kernel that runs.
    pub kernel_pages: Option<PagesJudgement>,
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
    /// Of memory cgroups.
    pub memcgs: Option<MemcgCount>,
    /// What something holds, and should not have to.
    pub held: Held,
    /// Of the log.
    pub history: Vec<Event>,
    /// Where the memory went.
    pub memory: Memory,
    /// Where things pile up, if that was looked for.
    pub containers: Option<Vec<Container>>,
    /// MemTotal.
    pub memory_bytes: Option<u64>,
    /// Seconds from boot to crash.
    pub uptime_seconds: Option<f64>,
}

impl LeaksReport {
    /// Judges all caches.
    pub fn new(facts: Facts) -> Self {
        let totals = SlabTotals::of(&facts.slabs.caches, facts.memory_bytes);
        let removed = &facts.reach.removed;
        let mut held = held::findings(&facts.held, &facts.slabs.caches, removed, &totals);
        let trust = Trust::of(&facts.reach.coverage);
        let context = Context {
            totals: &totals,
            trust: &trust,
            coverage: &facts.reach.coverage,
            bounds: &facts.counters,
            containers: facts.containers.as_deref(),
        };
        let reach = facts.reach.caches.into_iter();
        let mut reach: FxHashMap<VirtAddr, CacheReach> =
            reach.map(|reach| (reach.address, reach)).collect();
        let caches = facts.slabs.caches.into_iter();
        let mut caches: Vec<LeakCache> = caches
            .map(|cache| {
                let reach = reach.remove(&cache.address).unwrap_or_default();
                LeakCache::new(cache, reach, &context)
            })
            .collect();
        // What a cache is accused of already is not said twice.
        held.retain(|finding| {
            let name = finding.cache.as_ref();
            let of = caches
                .iter_mut()
                .find(|cache| Some(&cache.facts.name) == name);
            of.is_none_or(|cache| cache.is_news(finding))
        });
        caches.sort_by(|a, b| {
            let key = |cache: &LeakCache| {
                let level = cache.judgement.verdict.level;
                (level, cache.facts.exact.bytes)
            };
            (key(b), &a.facts.name).cmp(&(key(a), &b.facts.name))
        });
        let uptime = facts.uptime_seconds;
        let of_caches = caches.iter().filter(|cache| !cache.is_held(&held));
        let of_caches = of_caches
            .filter_map(|cache| findings::of_cache(&cache.facts, &cache.judgement, uptime));
        let vmalloc = areas::judge(&facts.reach.areas, &trust, totals.memory_bytes);
        let large_kmalloc = blocks::judge(&facts.reach.blocks, &trust, totals.memory_bytes);
        let percpu = percpu::judge(&facts.reach.percpu, &trust);
        let page_bytes = facts.reach.coverage.page_bytes;
        let own_pages = facts.reach.own_pages.as_ref();
        let kernel_pages = pages::judge(own_pages, &trust, page_bytes);
        let judged = of_caches
            .chain(findings::of_areas(&vmalloc))
            .chain(findings::of_blocks(&large_kmalloc))
            .chain(findings::of_percpu(&percpu))
            .chain(findings::of_kernel_pages(kernel_pages.as_ref()))
            .chain(page_pools::judge(own_pages, &trust, page_bytes))
            .chain(held.iter().cloned());
        Self {
            findings: findings::all(
                judged.chain(findings::of_memcgs(facts.memcgs.as_ref())),
                &totals,
                &facts.memory,
                &trust,
            ),
            totals,
            memory: facts.memory,
            coverage: facts.reach.coverage,
            trust,
            counters: facts.counters,
            memcgs: facts.memcgs,
            grace_period: facts.held.grace_period,
            history: facts.history,
            vmalloc,
            large_kmalloc,
            percpu,
            kernel_pages,
            caches,
        }
    }

    /// The worst level of any finding, or of a cache that is none.
    pub fn worst(&self) -> Option<Level> {
        let levels = self.caches.iter();
        let of_caches = levels.map(|cache| cache.judgement.verdict.level).max();
        finding::worst(&self.findings).max(of_caches)
    }
}

impl LeakCache {
    /// Takes in what speaks for a finding of it; whether that makes it one.
    fn is_news(&mut self, finding: &Finding) -> bool {
        let verdict = &mut self.judgement.verdict;
        let is_news = verdict.level < Level::Suspect;
        verdict.level = verdict.level.max(finding.level);
        let reasons = finding.evidence.r#for.iter().cloned();
        match is_news {
            true => verdict.r#for.splice(0..0, reasons).for_each(drop),
            false => verdict.r#for.extend(reasons),
        }
        is_news
    }

    fn is_held(&self, held: &[Finding]) -> bool {
        let mut held = held.iter();
        held.any(|finding| finding.cache.as_ref() == Some(&self.facts.name))
    }

    fn new(facts: CacheFacts, reach: CacheReach, context: &Context<'_>) -> Self {
        Self {
            judgement: judge(&facts, &reach, context),
            variables: reach.variables.iter().map(Symbolized::symbol).collect(),
            holders: reach.holders,
            types: reach.types,
            facts,
        }
    }
}
