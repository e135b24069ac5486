//! What was found over all, worst first: caches that look like leaks, and what no cache shows.

use serde::Serialize;

use super::super::accounting::{Level, SLAB_OF_RAM, SlabTotals, share};
use super::super::memory::Memory;
use super::areas::AreasJudgement;
use super::blocks::BlocksJudgement;
use super::{CacheJudgement, Owner, Trust};
use crate::subsys::mm::memcg::MemcgCount;
use crate::subsys::mm::slab::CacheFacts;

/// Removed memory cgroups that are no mere leftovers: so many, and more than can be seen.
const DYING: u64 = 100;

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

impl Finding {
    /// A cache that is a suspect at least.
    pub fn of_cache(cache: &CacheFacts, judgement: &CacheJudgement) -> Option<Self> {
        let level = judgement.verdict.level;
        (level >= Level::Suspect).then(|| Self {
            level,
            code: "cache",
            cache: Some(cache.name.clone()),
            bytes: judgement.unreachable.bytes.unwrap_or(cache.exact.bytes),
            message: judgement.verdict.headline().to_owned(),
            owners: judgement.owners.clone(),
        })
    }

    /// The areas of vmalloc, if they are a suspect at least.
    pub fn of_areas(areas: &AreasJudgement) -> Option<Self> {
        let level = areas.verdict.level;
        (level >= Level::Suspect).then(|| Self {
            level,
            code: "vmalloc",
            cache: None,
            bytes: areas.bytes.unwrap_or(0),
            message: areas.verdict.headline().to_owned(),
            owners: areas.owners.clone(),
        })
    }

    /// The blocks of large kmalloc, if they are a suspect at least.
    pub fn of_blocks(blocks: &BlocksJudgement) -> Option<Self> {
        let level = blocks.verdict.level;
        (level >= Level::Suspect).then(|| Self {
            level,
            code: "large-kmalloc",
            cache: None,
            bytes: blocks.bytes.unwrap_or(0),
            message: blocks.verdict.headline().to_owned(),
            owners: blocks.owners.clone(),
        })
    }

    /// Memory cgroups that were removed and do not go, if they are many.
    pub fn of_memcgs(memcgs: Option<&MemcgCount>) -> Option<Self> {
        let of = memcgs.filter(|of| of.dying >= DYING && of.dying > of.online)?;
        let text = format!(
            "{} memory cgroups were removed and something still holds them, beside {} that can be seen (vmleak memcg)",
            of.dying, of.online
        );
        let bytes = of.dying_bytes;
        Some(Self::general(Level::Suspect, "dying-memcgs", bytes, text))
    }

    fn general(level: Level, code: &'static str, bytes: u64, message: String) -> Self {
        Self {
            level,
            code,
            cache: None,
            bytes,
            message,
            owners: Vec::new(),
        }
    }
}

/// All findings, those of caches and areas among them.
pub fn all(
    judged: impl Iterator<Item = Finding>,
    totals: &SlabTotals,
    memory: &Memory,
    trust: &Trust,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = judged.collect();
    let unreclaimable = totals.unreclaimable_bytes;
    let of_ram = share(unreclaimable, totals.memory_bytes.unwrap_or(0));
    if of_ram > SLAB_OF_RAM {
        let text = format!("unreclaimable slab is {:.0} % of RAM", of_ram * 100.0);
        findings.push(Finding::general(
            Level::Suspect,
            "slab-large",
            unreclaimable,
            text,
        ));
    }
    if memory.unexplained_is_large {
        let text = match memory.large_kmalloc.bytes {
            Some(_) => {
                "more than a tenth of RAM is kernel memory that nothing explains: a leak of pages would be there"
            }
            None => {
                "more than a tenth of RAM is kernel memory outside of the slab caches: a leak of pages or large kmalloc would be there"
            }
        };
        let bytes = memory.unexplained_bytes;
        findings.push(Finding::general(
            Level::Suspect,
            "unexplained-large",
            bytes,
            text.to_owned(),
        ));
    }
    if memory.large_kmalloc_is_large {
        let bytes = memory.large_kmalloc.bytes.unwrap_or(0);
        let text = "more than a tenth of RAM is large kmalloc, which no cache shows".to_owned();
        findings.push(Finding::general(
            Level::Suspect,
            "large-kmalloc-large",
            bytes,
            text,
        ));
    }
    if let Some(note) = memory
        .large_kmalloc
        .note
        .as_ref()
        .filter(|_| both_ways(memory))
    {
        findings.push(Finding::general(
            Level::Inconclusive,
            "large-kmalloc-disagrees",
            memory.large_kmalloc.bytes.unwrap_or(0),
            note.clone(),
        ));
    }
    let doubts = trust.reasons.iter();
    findings.extend(
        doubts.map(|why| Finding::general(Level::Inconclusive, why.code, 0, why.message.clone())),
    );
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.level, finding.bytes)));
    findings
}

/// Whether large kmalloc was told in two ways.
fn both_ways(memory: &Memory) -> bool {
    let large = &memory.large_kmalloc;
    large.marked_bytes.is_some() && large.counted_bytes.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_removed_cgroups_are_a_finding_and_a_few_are_not() {
        let of = |dying, online| {
            Finding::of_memcgs(Some(&MemcgCount {
                dying,
                online,
                ..MemcgCount::default()
            }))
        };
        assert!(of(99, 7).is_none() && of(200, 200).is_none());
        let found = of(200, 199).expect("a finding");
        assert_eq!((found.level, found.code), (Level::Suspect, "dying-memcgs"));
    }
}
