//! The rules by which evidence becomes a verdict. The thresholds are explained in
//! docs/verdicts.md.

mod makers;
mod piles;

pub use piles::may_pile_up;

use super::super::accounting::{self, Level, RAM_UNKNOWN, Reason, SlabTotals, share};
use super::benign;
use super::checks;
use super::coverage::Trust;
use super::owners;
use super::{CacheJudgement, LeakVerdict, Unreachable, reason};
use crate::graph::alive::Container;
use crate::graph::{AgeShape, CacheReach, Coverage, UNLOADED};
use crate::subsys::counters::Bound;
use crate::subsys::mm::slab::CacheFacts;

/// Fewer objects that nothing points to prove nothing: hidden pointers and objects that are
/// just being handed over make some in every dump.
const LOST: u64 = 50;
/// As many in a dump that lacks a little of what was searched are still worth a look, if they are
/// alike: a missing page has room for 512 pointers.
const MANY: u64 = 1000;
/// So many pointers a page has room for: whoever led to no more objects may have been in one page
/// that was overwritten, and they are alike because they were its own.
const ONE_PAGE: u64 = 512;
/// Alike in more than this share, unreachable objects have one origin.
const ALIKE: f64 = 0.5;
/// As many objects of somebody else's cache are more than a module needs at hand.
const HOARD: u64 = 100;
/// The most that stale pointers may keep alive before a share of the lost is surely hidden.
const STALE: f64 = 0.10;

/// Evidence that is the same for all caches.
#[derive(Debug)]
pub struct Context<'a> {
    /// Over all caches.
    pub totals: &'a SlabTotals,
    /// Whether the search can be believed.
    pub trust: &'a Trust,
    /// What it saw.
    pub coverage: &'a Coverage,
    /// Counters that bound caches.
    pub bounds: &'a [Bound],
    /// Where things pile up, if that was looked for.
    pub containers: Option<&'a [Container]>,
}

/// Judges one cache.
pub fn judge(cache: &CacheFacts, reach: &CacheReach, context: &Context<'_>) -> CacheJudgement {
    let mut evidence = Evidence::default();
    let by_size = accounting::judge(cache, context.totals);
    evidence.size(by_size.level, &by_size.reasons);
    evidence.uncertain = is_uncertain(cache);
    let unreachable = unreachable(cache, reach, context.trust);
    let mut owners = owners::owners(reach);
    evidence.reach(reach, &unreachable, context);
    evidence.doubted = context.trust.is_doubted();
    let piles = context.containers.unwrap_or_default();
    let holder = evidence
        .piled(cache, reach, piles)
        .or_else(|| evidence.hoarded(reach));
    if holder.is_none() && context.containers.is_none() {
        evidence.linked(cache, reach);
    }

    // Whose the others are says nothing of those that are lost.
    if !(evidence.hoard || evidence.lost || evidence.in_part) {
        owners.extend(evidence.made_by_module(cache, reach));
    }
    if evidence.lost || evidence.in_part {
        evidence.content(reach);
        if let Some(from) = reach.led_by.first().filter(|from| from.references >= LOST) {
            let text = format!(
                "{} of them hang on unreachable objects of {}",
                from.references, from.holder
            );
            evidence.supports("led-by", "reachability", text);
        }
        evidence.ages(reach);
        if let Some(owner) = owners.iter().find(|owner| owner.is_module()) {
            let text = format!("module {}: {}", owner.module, owner.how);
            evidence.supports("owner", "content", text);
        }
        evidence.of_one_page();
    }
    // Who holds objects is not who lost others.
    if let Some(holder) = holder.filter(|_| evidence.hoard) {
        let behind = match evidence.lost || evidence.in_part {
            true => owners.len(),
            false => 0,
        };
        owners.insert(behind, holder);
    }
    evidence.bounds(cache, context.bounds);
    let check_with = match evidence.level() {
        Level::Clean => Vec::new(),
        _ => checks::commands(cache, reach),
    };
    CacheJudgement {
        verdict: evidence.verdict(),
        unreachable,
        owners,
        check_with,
    }
}

/// Whether objects that lie free on CPUs or in sheaves may count as in use.
fn is_uncertain(cache: &CacheFacts) -> bool {
    cache.damage.lost_cpu_slabs > 0 || cache.damage.broken_sheaves > 0
}

fn unreachable(cache: &CacheFacts, reach: &CacheReach, trust: &Trust) -> Unreachable {
    let clusters = reach.content.clusters.iter();
    let is_benign = |cluster: &&crate::graph::Cluster| benign::reason(cluster).is_some();
    let told = trust.reliable && !is_uncertain(cache);
    let known = |count: u64| told.then_some(count);
    Unreachable {
        judged: reach.judged,
        objects: known(reach.unreachable),
        bytes: known(reach.unreachable * u64::from(cache.size)),
        sources: known(reach.sources),
        benign: clusters
            .filter(is_benign)
            .map(|cluster| cluster.objects)
            .sum(),
        charged_to: reach.charged_to.clone(),
        clusters: reach.content.named(),
        ages: reach.ages.clone(),
    }
}

/// What speaks for and against, as it is gathered.
#[derive(Default)]
struct Evidence {
    by_size: Option<Level>,
    r#for: Vec<Reason>,
    against: Vec<Reason>,
    not_checked: Vec<Reason>,
    /// What speaks for it so weakly that it stands behind all else, and weighs nothing.
    weak: Vec<Reason>,
    /// Enough objects that nothing points to.
    lost: bool,
    /// Enough objects, but in a dump that can't be believed on it.
    doubtful: bool,
    /// So many of them that the little which the dump lacks hardly explains it.
    in_part: bool,
    /// More objects than their counter knows.
    beyond: bool,
    /// What CPUs and sheaves hold of the cache is not all known: free objects look in use.
    uncertain: bool,
    /// Many objects are held by one module.
    hoard: bool,
    /// Who holds what may be told by what is missing.
    doubted: bool,
    /// Further kinds of evidence for the lost.
    support: u32,
    /// So few that one page may have led to all of them.
    few: bool,
    /// They point where a module was that is loaded no more.
    of_unloaded: bool,
}

impl Evidence {
    fn size(&mut self, level: Level, reasons: &[Reason]) {
        self.by_size = Some(level);
        for given in reasons {
            match (given.code, level) {
                // This command looks at who holds the objects.
                ("accounting-only", _) => {}
                ("incomplete" | RAM_UNKNOWN, _) => self.not_checked.push(given.clone()),
                // Much of the slab is weak evidence, but none against a leak.
                ("large-share" | "reclaimable-large", _) => self.weak.push(given.clone()),
                (_, Level::Suspect | Level::Leak) => self.r#for.push(given.clone()),
                _ => self.against.push(given.clone()),
            }
        }
    }

    fn reach(&mut self, reach: &CacheReach, unreachable: &Unreachable, context: &Context<'_>) {
        let lost = reach.unreachable.saturating_sub(unreachable.benign);
        if !context.trust.reliable {
            // Of what was not looked for nothing is clean.
            self.doubtful = true;
            self.not_checked
                .extend(context.trust.reasons.iter().cloned());
            if context.trust.nearly && lost >= MANY {
                self.in_part = true;
                let text = format!(
                    "nothing that the dump has points to {lost} of {} objects",
                    reach.judged
                );
                let unreachable = reason("unreachable-in-part", "reachability", text);
                self.r#for.insert(0, unreachable);
            }
            return;
        }
        if self.uncertain {
            self.doubtful = lost >= LOST;
            return;
        }
        if lost >= LOST {
            self.lost = true;
            self.few = lost <= ONE_PAGE;
            let text = format!(
                "nothing in memory points to {lost} of {} objects{}",
                reach.judged,
                match reach.sources {
                    sources if sources < lost => format!("; {sources} of them lead to the others"),
                    _ => String::new(),
                }
            );
            self.r#for
                .insert(0, reason("unreachable", "reachability", text));
        } else if reach.judged > 0 {
            let mut text = match lost {
                0 => format!("all of its {} objects can be reached", reach.judged),
                few => format!(
                    "all but {few} of its {} objects can be reached",
                    reach.judged
                ),
            };
            if let Some(holder) = reach.holders.first() {
                text = format!("{text}, most often from {}", holder.holder);
            }
            self.against.push(reason("reachable", "reachability", text));
        }
        for cluster in &reach.content.clusters {
            if let Some(why) = benign::reason(cluster) {
                let text = format!(
                    "{} that nothing points to are meant so: {why}",
                    cluster.objects
                );
                self.against.push(reason("benign", "reachability", text));
            }
        }
        let coverage = context.coverage;
        let stale = share(coverage.free_objects_pointed_to, coverage.free_objects);
        if stale > STALE {
            let text = format!(
                "stale pointers lead to {:.0} % of the free objects of this dump: about as many unreachable ones may be hidden",
                stale * 100.0
            );
            self.not_checked
                .push(reason("stale-pointers", "calibration", text));
        }
    }

    fn supports(&mut self, code: &'static str, basis: &'static str, message: String) {
        self.support += 1;
        self.r#for.push(reason(code, basis, message));
    }

    fn content(&mut self, reach: &CacheReach) {
        let (mut clusters, looked_at) = benign::others(&reach.content);
        let Some(cluster) = clusters.next() else {
            return;
        };
        let alike = share(cluster.objects, looked_at);
        if alike < ALIKE {
            return;
        }
        let first = cluster.symbols.first();
        self.of_unloaded = first.is_some_and(|at| at.symbol == UNLOADED);
        let mut marks = Vec::new();
        marks.extend(cluster.describe_text());
        marks.extend(cluster.symbols.first().map(|at| {
            let module = at
                .module
                .as_ref()
                .map(|m| format!(" [{m}]"))
                .unwrap_or_default();
            match at.symbol == UNLOADED {
                true => format!("point at offset {:#x} {UNLOADED}", at.offset),
                false => format!("point to {}{module} at offset {:#x}", at.symbol, at.offset),
            }
        }));
        marks.extend(
            cluster
                .empty_lists
                .first()
                .map(|at| format!("have a list head at offset {at:#x} that is on no list")),
        );
        let text = format!(
            "{:.0} % of them are alike: they {}",
            alike * 100.0,
            marks.join(", ")
        );
        self.supports("alike", "content", text);
    }

    /// Few objects of nobody's are not proven lost by being alike.
    fn of_one_page(&mut self) {
        let alone = self.r#for.iter().any(|reason| reason.code == "alike") && self.support == 1;
        if self.few && alone && !self.of_unloaded {
            self.support = 0;
            let text = format!(
                "one page with {ONE_PAGE} pointers, if it was overwritten, may be all that led to them"
            );
            self.not_checked
                .push(reason("one-page", "reachability", text));
        }
    }

    /// Ages weigh nothing by themselves: what is a time was guessed, or says when an object was
    /// changed last.
    fn ages(&mut self, reach: &CacheReach) {
        let Some(field) = reach.ages.first() else {
            return;
        };
        let when = format!(
            "made {:.0} to {:.0} s before the crash, by {} at offset {:#x}",
            field.oldest_seconds,
            field.youngest_seconds,
            field.member.unwrap_or(field.unit),
            field.offset
        );
        match field.shape {
            AgeShape::Steady => {
                let text = format!("they came steadily until shortly before the crash: {when}");
                self.r#for.push(reason("ages-steady", field.basis, text));
            }
            AgeShape::Young => {
                let text = format!("nearly all are young, as those in use are: {when}");
                self.against.push(reason("ages-young", field.basis, text));
            }
            AgeShape::Burst | AgeShape::Mixed => {}
        }
    }

    fn bounds(&mut self, cache: &CacheFacts, bounds: &[Bound]) {
        let of_this = |bound: &&Bound| bound.caches.contains(&cache.name);
        for bound in bounds.iter().filter(of_this) {
            let beyond = bound.objects.saturating_sub(bound.limit);
            let together = match bound.caches.len() {
                1 => String::new(),
                _ => format!(" for {} together", bound.caches.join(", ")),
            };
            if beyond < bound.slack {
                let text = format!(
                    "as many objects as {} accounts for{together} ({})",
                    bound.counter, bound.limit
                );
                self.against.push(reason("within-counter", "counter", text));
            } else if bound.strict && bound.caches.first() == Some(&cache.name) {
                self.beyond = true;
                let text = format!(
                    "{beyond} more objects than {} accounts for{together} ({})",
                    bound.counter, bound.limit
                );
                self.r#for.push(reason("beyond-counter", "counter", text));
            }
        }
    }

    fn level(&self) -> Level {
        let by_size = self.by_size.unwrap_or(Level::Clean);
        let large = by_size == Level::Suspect;
        let kinds = u32::from(self.lost) + u32::from(self.beyond);
        match (kinds, self.support > 0 || large) {
            (2.., _) | (1, true) => Level::Leak,
            (1, false) => Level::Suspect,
            _ if self.hoard => by_size.max(Level::Suspect),
            _ if self.in_part && self.support > 0 => by_size.max(Level::Suspect),
            _ if self.doubtful => by_size.max(Level::Inconclusive),
            _ => by_size,
        }
    }

    fn verdict(mut self) -> LeakVerdict {
        let weak = std::mem::take(&mut self.weak);
        self.r#for.extend(weak);
        LeakVerdict {
            level: self.level(),
            r#for: self.r#for,
            against: self.against,
            not_checked: self.not_checked,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
