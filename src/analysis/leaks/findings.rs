//! What was found over all, worst first: caches that look like leaks, and what no cache shows.

use super::super::accounting::{Level, SLAB_OF_RAM, SlabTotals, share};
use super::super::families;
use super::super::finding::{Evidence, Finding, Fingerprint};
use super::super::memory::Memory;
use super::areas::AreasJudgement;
use super::blocks::BlocksJudgement;
use super::pages::PagesJudgement;
use super::percpu::PercpuJudgement;
use super::{CacheJudgement, LeakVerdict, Owner, Trust};
use crate::graph::Cluster;
use crate::subsys::mm::memcg::MemcgCount;
use crate::subsys::mm::slab::CacheFacts;

/// Removed memory cgroups that are no mere leftovers: so many, and more than can be seen.
const DYING: u64 = 100;
/// What more than this share of the objects look like tells one fault from another.
const ALIKE: f64 = 0.5;

/// A cache that is a suspect at least. `uptime` is in seconds.
pub fn of_cache(
    cache: &CacheFacts,
    judgement: &CacheJudgement,
    uptime: Option<f64>,
) -> Option<Finding> {
    let verdict = &judgement.verdict;
    let found = Found {
        code: "cache",
        subject: &cache.name,
        verdict,
        owners: &judgement.owners,
        clusters: &judgement.unreachable.clusters,
        check_with: &judgement.check_with,
    };
    let lost = judgement.unreachable.lost();
    let (objects, bytes) = match lost {
        Some(lost) if lost > 0 => (lost, lost.saturating_mul(u64::from(cache.size))),
        _ => (cache.exact.allocated, cache.exact.bytes),
    };
    let ages_known = !judgement.unreachable.ages.is_empty() || found.has_sites();
    let hours = uptime.filter(|seconds| *seconds > 0.0 && !ages_known);
    let mut finding = found.finding(Some(objects), bytes)?;
    finding.cache = Some(cache.name.clone());
    finding.per_hour_at_most =
        hours.map(|seconds| (objects as f64 * 3600.0 / seconds).ceil() as u64);
    Some(finding)
}

/// The areas of vmalloc, if they are a suspect at least.
pub fn of_areas(areas: &AreasJudgement) -> Option<Finding> {
    let found = Found {
        code: "vmalloc",
        subject: "areas of vmalloc",
        verdict: &areas.verdict,
        owners: &areas.owners,
        clusters: &areas.clusters,
        check_with: &areas.check_with,
    };
    found.finding(areas.unreachable, areas.bytes.unwrap_or(0))
}

/// The blocks of large kmalloc, if they are a suspect at least.
pub fn of_blocks(blocks: &BlocksJudgement) -> Option<Finding> {
    let found = Found {
        code: "large-kmalloc",
        subject: "large kmalloc",
        verdict: &blocks.verdict,
        owners: &blocks.owners,
        clusters: &blocks.clusters,
        check_with: &blocks.check_with,
    };
    found.finding(blocks.unreachable, blocks.bytes.unwrap_or(0))
}

/// The allocations of per-CPU memory, if they are a suspect at least.
pub fn of_percpu(percpu: &PercpuJudgement) -> Option<Finding> {
    let found = Found {
        code: "percpu",
        subject: "per-CPU memory",
        verdict: &percpu.verdict,
        owners: &percpu.owners,
        clusters: &percpu.clusters,
        check_with: &percpu.check_with,
    };
    found.finding(percpu.unreachable, percpu.bytes.unwrap_or(0))
}

/// Of the kernel's own pages, if they are a suspect at least.
pub fn of_kernel_pages(pages: Option<&PagesJudgement>) -> Option<Finding> {
    let pages = pages?;
    let found = Found {
        code: "kernel-pages",
        subject: "kernel pages",
        verdict: &pages.verdict,
        owners: &pages.owners,
        clusters: &pages.clusters,
        check_with: &pages.check_with,
    };
    found.finding(pages.unreachable, pages.bytes.unwrap_or(0))
}

/// Memory cgroups that were removed and do not go, if they are many.
pub fn of_memcgs(memcgs: Option<&MemcgCount>) -> Option<Finding> {
    let of = memcgs.filter(|of| of.dying >= DYING && of.dying > of.online)?;
    let text = format!(
        "{} memory cgroups were removed and something still holds them, beside {} that can be seen",
        of.dying, of.online
    );
    let subject = "removed memory cgroups";
    let finding = Finding::new("dying-memcgs", Level::Suspect, subject, text);
    Some(Finding {
        bytes: of.dying_bytes,
        objects: Some(of.dying),
        ..finding
            .on_its_message("accounting")
            .check_with(&["vmleak memcg --dying"])
    })
}

/// Something with a verdict.
struct Found<'a> {
    code: &'static str,
    subject: &'a str,
    verdict: &'a LeakVerdict,
    owners: &'a [Owner],
    clusters: &'a [Cluster],
    check_with: &'a [String],
}

impl Found<'_> {
    /// `None` unless it is a suspect at least.
    fn finding(&self, objects: Option<u64>, bytes: u64) -> Option<Finding> {
        let verdict = self.verdict;
        let message = verdict.headline().to_owned();
        let finding = Finding::new(self.code, verdict.level, self.subject, message);
        (verdict.level >= Level::Suspect).then(|| Finding {
            bytes,
            objects,
            evidence: Evidence {
                r#for: verdict.r#for.clone(),
                against: verdict.against.clone(),
                not_checked: verdict.not_checked.clone(),
            },
            fingerprint: self.fingerprint(),
            check_with: self.check_with.to_vec(),
            ..finding.with_owners(self.owners)
        })
    }

    fn has_sites(&self) -> bool {
        self.owners.iter().any(|owner| !owner.sites.is_empty())
    }

    /// The kind of cache, the module, and what most of the objects look like: text, symbols,
    /// call site.
    fn fingerprint(&self) -> String {
        let kind = families::family_of(self.subject);
        let kind = kind.as_deref().unwrap_or(self.subject);
        let mut print = Fingerprint::of(self.code).with(kind);
        if let Some(owner) = self.owners.first() {
            print = print.with(&owner.module);
            let site = owner.sites.first().and_then(|site| site.place());
            print = site.map_or(print, |site| print.symbol(site));
        }
        let all: u64 = self.clusters.iter().map(|cluster| cluster.objects).sum();
        let most = self.clusters.first();
        if let Some(cluster) = most.filter(|most| share(most.objects, all) >= ALIKE) {
            print = print.with(cluster.text.as_deref().unwrap_or(""));
            for at in &cluster.symbols {
                print = print.symbol(&at.symbol);
            }
        }
        print.text()
    }
}

/// All findings, those of caches and areas among them, worst first.
pub fn all(
    judged: impl Iterator<Item = Finding>,
    totals: &SlabTotals,
    memory: &Memory,
    trust: &Trust,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = judged.collect();
    findings.extend(slab_is_large(totals));
    findings.extend(of_pages(memory, trust));
    findings.extend(trust.reasons.iter().map(|why| {
        Finding::new(
            why.code,
            Level::Inconclusive,
            "the search",
            why.message.clone(),
        )
        .on_its_message(why.basis)
    }));
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.level, finding.bytes)));
    findings
}

fn slab_is_large(totals: &SlabTotals) -> Option<Finding> {
    let bytes = totals.unreclaimable_bytes;
    let of_ram = share(bytes, totals.memory_bytes.unwrap_or(0));
    let text = format!("unreclaimable slab is {:.0} % of RAM", of_ram * 100.0);
    (of_ram > SLAB_OF_RAM).then(|| Finding {
        bytes,
        ..Finding::new("slab-large", Level::Suspect, "unreclaimable slab", text)
            .on_its_message("accounting")
            .check_with(&["vmleak slabs"])
    })
}

/// Memory that no cache shows. What is missing may be what would explain it.
fn of_pages(memory: &Memory, trust: &Trust) -> Vec<Finding> {
    let large = &memory.large_kmalloc;
    let mut found = Vec::new();
    if memory.unexplained_is_large {
        let (text, subject) = match large.bytes {
            Some(_) => (
                "more than a tenth of RAM is kernel memory that nothing explains: a leak of pages would be there",
                "unexplained kernel memory",
            ),
            None => (
                "more than a tenth of RAM is kernel memory outside of the slab caches: a leak of pages or large kmalloc would be there",
                "kernel memory outside of slab",
            ),
        };
        let level = match trust.is_doubted() {
            true => Level::Inconclusive,
            false => Level::Suspect,
        };
        found.push(Finding {
            bytes: memory.unexplained_bytes,
            ..Finding::new("unexplained-large", level, subject, text.into())
                .on_its_message("accounting")
                .check_with(&["vmleak meminfo", "vmleak pageowner"])
        });
    }
    if memory.large_kmalloc_is_large {
        let text = "more than a tenth of RAM is large kmalloc, which no cache shows".to_owned();
        let (code, subject) = ("large-kmalloc-large", "large kmalloc");
        found.push(Finding {
            bytes: large.bytes.unwrap_or(0),
            ..Finding::new(code, Level::Suspect, subject, text)
                .on_its_message("accounting")
                .check_with(&["vmleak meminfo", "vmleak pageowner"])
        });
    }
    if let Some(note) = large.note.as_ref().filter(|_| both_ways(memory)) {
        let (code, subject) = ("large-kmalloc-disagrees", "large kmalloc");
        found.push(Finding {
            bytes: large.bytes.unwrap_or(0),
            ..Finding::new(code, Level::Inconclusive, subject, note.clone())
                .on_its_message("cross-check")
        });
    }
    found
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
            of_memcgs(Some(&MemcgCount {
                dying,
                online,
                ..MemcgCount::default()
            }))
        };
        assert!(of(99, 7).is_none() && of(200, 200).is_none());
        let found = of(200, 199).expect("a finding");
        assert_eq!((found.level, found.code), (Level::Suspect, "dying-memcgs"));
        assert_eq!(found.evidence.r#for[0].message, found.message);
    }
}
