//! A first verdict per cache from accounting alone: how much memory it holds, how full
//! it is, what the kernel's own numbers hide.
//!
//! This is weak evidence and says so: a busy cache and a leaking one look alike in it.
//! It never says "leak". The thresholds are those that support engineers use, see
//! docs/verdicts.md.

use serde::Serialize;

use crate::subsys::mm::slab::CacheFacts;

/// How likely a cache is to leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing speaks for a leak of a size that matters.
    Clean,
    /// What is known decides neither way.
    Inconclusive,
    /// Large, full, and the kernel can't give it back.
    Suspect,
    /// Proven by more than one kind of evidence.
    Leak,
}

impl Level {
    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Clean => "clean",
            Level::Inconclusive => "inconclusive",
            Level::Suspect => "suspect",
            Level::Leak => "leak",
        }
    }
}

/// One reason for a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable, for programs.
    pub code: &'static str,
    /// What kind of evidence it is.
    pub basis: &'static str,
    /// For people.
    pub message: String,
}

/// A level with its reasons, the deciding one first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How likely.
    pub level: Level,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// As one says it who looked at sizes and searched for nothing: then nothing is clean.
    pub fn by_size_alone(mut self) -> Self {
        self.level = self.level.max(Level::Inconclusive);
        self.reasons.retain(|reason| reason.code != ALONE);
        self.reasons.push(Reason {
            code: "not-searched",
            basis: "accounting",
            message: "by size alone: unreachable objects were not searched for (vmleak leaks does)"
                .to_owned(),
        });
        self
    }

    /// Whether its size is none that matters.
    pub fn is_small(&self) -> bool {
        let first = self.reasons.first();
        first.is_some_and(|reason| SMALL.contains(&reason.code))
    }
}

/// What the slab allocator holds in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlabTotals {
    /// Bytes of all slabs.
    pub slab_bytes: u64,
    /// Of those, in caches that the kernel may shrink.
    pub reclaimable_bytes: u64,
    /// Of those, in caches that it can't.
    pub unreclaimable_bytes: u64,
    /// RAM that the kernel managed (MemTotal); `None` if unknown.
    pub memory_bytes: Option<u64>,
}

impl SlabTotals {
    /// Sums the caches up.
    pub fn of(caches: &[CacheFacts], memory_bytes: Option<u64>) -> Self {
        let sum = |reclaimable: bool| {
            let chosen = caches.iter().filter(|c| c.reclaimable == reclaimable);
            chosen.map(|c| c.exact.bytes).sum::<u64>()
        };
        let (reclaimable_bytes, unreclaimable_bytes) = (sum(true), sum(false));
        Self {
            slab_bytes: reclaimable_bytes + unreclaimable_bytes,
            reclaimable_bytes,
            unreclaimable_bytes,
            memory_bytes,
        }
    }
}

/// Unreclaimable slab above this share of RAM is worth an incident review.
pub(super) const SLAB_OF_RAM: f64 = 0.10;
/// A cache above this share of the unreclaimable slab, and of RAM, can be what filled it.
const CACHE_OF_SLAB: f64 = 0.10;
const CACHE_OF_RAM: f64 = 0.05;
/// A cache below both of these did not fill the machine.
const SMALL_OF_RAM: f64 = 0.01;
const SMALL_OF_SLAB: f64 = 0.05;
/// A reclaimable cache above this share of RAM deserves a look.
const RECLAIMABLE_OF_RAM: f64 = 0.05;
/// Fuller than this is growth; emptier than `FRAGMENTED` is what a past peak leaves behind.
const FULL: f64 = 0.90;
const FRAGMENTED: f64 = 0.50;

/// Codes of sizes that do not matter by themselves.
const SMALL: [&str; 3] = ["small", "reclaimable-small", "small-share"];
/// The reason where no size can be judged.
pub(super) const RAM_UNKNOWN: &str = "ram-unknown";
/// The reason that says what size alone can't tell.
const ALONE: &str = "accounting-only";

/// `part` of `whole`, 0 if there is no whole.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Judges one cache.
pub fn judge(cache: &CacheFacts, totals: &SlabTotals) -> Verdict {
    let exact = &cache.exact;
    let of_ram = share(exact.bytes, totals.memory_bytes.unwrap_or(0));
    let of_slab = share(exact.bytes, totals.unreclaimable_bytes);
    let slab_of_ram = share(totals.unreclaimable_bytes, totals.memory_bytes.unwrap_or(0));
    let used = share(exact.allocated, exact.objects);

    let (level, code, message) = if !exact.complete {
        let text =
            "the dump lacks part of this cache, or its counts disagree: no verdict".to_owned();
        (Level::Inconclusive, "incomplete", text)
    } else if totals.memory_bytes.is_none() {
        let text =
            "how much RAM the machine had can't be read: whether this is much of it is not known"
                .to_owned();
        (Level::Inconclusive, RAM_UNKNOWN, text)
    } else if of_ram < SMALL_OF_RAM && (cache.reclaimable || of_slab < SMALL_OF_SLAB) {
        let text = format!("small: {} of RAM", percent(of_ram));
        (Level::Clean, "small", text)
    } else if cache.reclaimable && of_ram < RECLAIMABLE_OF_RAM {
        let text = format!("reclaimable, {} of RAM", percent(of_ram));
        (Level::Clean, "reclaimable-small", text)
    } else if cache.reclaimable {
        let text = format!(
            "{} of RAM; reclaimable, so a leak only if its objects are pinned",
            percent(of_ram)
        );
        (Level::Inconclusive, "reclaimable-large", text)
    } else if used < FRAGMENTED {
        let text = format!(
            "{} of unreclaimable slab, but only {} full: fragmented after a peak",
            percent(of_slab),
            percent(used)
        );
        (Level::Inconclusive, "fragmented", text)
    } else if slab_of_ram >= SLAB_OF_RAM
        && of_slab >= CACHE_OF_SLAB
        && of_ram >= CACHE_OF_RAM
        && used >= FULL
    {
        let text = format!(
            "{} of unreclaimable slab, {} of RAM, {} full",
            percent(of_slab),
            percent(of_ram),
            percent(used)
        );
        (Level::Suspect, "large-and-full", text)
    } else if of_slab >= SMALL_OF_SLAB {
        let text = format!(
            "{} of unreclaimable slab, which is {} of RAM",
            percent(of_slab),
            percent(slab_of_ram)
        );
        (Level::Inconclusive, "large-share", text)
    } else {
        let text = format!("{} of unreclaimable slab", percent(of_slab));
        (Level::Clean, "small-share", text)
    };
    let mut reasons = vec![Reason {
        code,
        basis: "accounting",
        message,
    }];
    reasons.extend(hidden_free(cache));
    if level >= Level::Inconclusive {
        reasons.push(Reason {
            code: ALONE,
            basis: "accounting",
            message:
                "size and fill alone can't tell a leak from load: look at who holds the objects"
                    .to_owned(),
        });
    }
    Verdict { level, reasons }
}

/// /proc/slabinfo counts as active what lies free on CPUs and in sheaves: say so where it misleads.
fn hidden_free(cache: &CacheFacts) -> Option<Reason> {
    let active = cache.slabinfo.active_objs;
    let allocated = cache.exact.allocated;
    let hidden = active.saturating_sub(allocated);
    (cache.exact.complete && share(hidden, active) > 0.10).then(|| Reason {
        code: "kernel-view",
        basis: "cross-check",
        message: format!(
            "/proc/slabinfo would have said {active} active; {hidden} of them lie free on lists, in sheaves or in arrays of CPUs and nodes"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;
    use crate::subsys::mm::slab::{Damage, ExactView, Occupancy, SlabinfoView};

    fn cache(bytes: u64, allocated: u64, objects: u64, reclaimable: bool) -> CacheFacts {
        CacheFacts {
            name: "c".into(),
            aliases: vec![],
            address: VirtAddr(0),
            object_size: 64,
            size: 64,
            align: 8,
            objects_per_slab: 64,
            pages_per_slab: 1,
            flags: vec![],
            reclaimable,
            slabinfo: SlabinfoView {
                active_objs: objects,
                num_objs: objects,
                ..SlabinfoView::default()
            },
            exact: ExactView {
                objects,
                allocated,
                allocated_min: allocated,
                allocated_max: allocated,
                bytes,
                complete: true,
                ..ExactView::default()
            },
            occupancy: Occupancy::default(),
            rcu_slabs: 0,
            kfence_pages: 0,
            memcg_children: 0,
            damage: Damage::default(),
        }
    }

    fn level(cache: &CacheFacts, unreclaimable: u64) -> (Level, &'static str) {
        let totals = SlabTotals {
            unreclaimable_bytes: unreclaimable,
            memory_bytes: Some(1 << 30),
            ..SlabTotals::default()
        };
        let verdict = judge(cache, &totals);
        (verdict.level, verdict.reasons[0].code)
    }

    #[test]
    fn accounting_alone_never_says_leak() {
        let mib = 1 << 20;
        let huge = cache(900 * mib, 999, 1000, false);
        assert_eq!(level(&huge, 950 * mib), (Level::Suspect, "large-and-full"));
        let emptied = cache(900 * mib, 100, 1000, false);
        assert_eq!(
            level(&emptied, 950 * mib),
            (Level::Inconclusive, "fragmented")
        );
        let dentry = cache(200 * mib, 999, 1000, true);
        assert_eq!(
            level(&dentry, 10 * mib),
            (Level::Inconclusive, "reclaimable-large")
        );
        let small = cache(mib, 999, 1000, false);
        assert_eq!(level(&small, 100 * mib), (Level::Clean, "small"));
        let mut broken = cache(900 * mib, 999, 1000, false);
        broken.exact.complete = false;
        assert_eq!(
            level(&broken, 950 * mib),
            (Level::Inconclusive, "incomplete")
        );
    }

    #[test]
    fn nothing_is_clean_of_which_no_object_was_searched_for() {
        let totals = SlabTotals {
            memory_bytes: Some(1 << 30),
            ..SlabTotals::default()
        };
        let small = judge(&cache(1 << 20, 999, 1000, false), &totals);
        assert_eq!(small.level, Level::Clean);
        let alone = small.by_size_alone();
        assert!(alone.is_small() && alone.level == Level::Inconclusive);
        assert_eq!(alone.reasons.last().unwrap().code, "not-searched");
    }

    /// Not known is not zero: a share of RAM that can't be told is no small one.
    #[test]
    fn without_ram_no_size_is_judged() {
        let verdict = judge(&cache(1 << 30, 999, 1000, false), &SlabTotals::default());
        assert_eq!(verdict.level, Level::Inconclusive);
        assert_eq!(verdict.reasons[0].code, RAM_UNKNOWN);
        assert!(!verdict.reasons[0].message.contains('%'));
    }

    #[test]
    fn free_objects_that_slabinfo_hides_are_named() {
        let totals = SlabTotals::default();
        let verdict = judge(&cache(1, 50, 100, false), &totals);
        assert!(verdict.reasons.iter().any(|r| r.code == "kernel-view"));
    }
}
