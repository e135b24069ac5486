//! How far a search in a dump that lacks pages can be believed.

use serde::Serialize;

use super::super::accounting::{Reason, share};
use crate::diag::Warning;
use crate::graph::Coverage;

/// Fewer than this share of what there is: no verdict rests on a search that lacks something, for
/// one page may be all that leads to thousands of objects; but on real dumps a thousandth of the
/// slab pages missing made 6 to 98 reachable objects look unreachable, a hundredth 240 to 1,207.
const FEW: f64 = 0.001;

/// Whether objects that nothing points to can be called unreachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// Whether a verdict may rest on the search: nothing that can change it was missing or broken.
    pub reliable: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
    /// Whether so little was missing that thousands of objects can hardly hang on it.
    #[serde(skip)]
    pub(super) nearly: bool,
}

/// Something that was missing, of how much.
struct Lack {
    code: &'static str,
    missing: u64,
    of: u64,
    what: &'static str,
    then: &'static str,
}

impl Trust {
    /// Whether so much is missing that what speaks for a leak may be made of it.
    pub(super) fn is_doubted(&self) -> bool {
        !self.reliable && !self.nearly
    }

    /// Judges what was seen.
    pub fn of(coverage: &Coverage) -> Self {
        let mut reasons = cut_short(coverage);
        let mut nearly = reasons.is_empty();
        for lack in lacks(coverage) {
            if lack.missing > 0 {
                nearly &= share(lack.missing, lack.of) <= FEW;
                reasons.push(lack.reason());
            }
        }
        if !coverage.all_tasks {
            nearly = false;
            let text =
                "not all tasks were found: what only their stacks point to looks unreachable";
            reasons.push(reason("tasks-missing", text.to_owned()));
        }
        if reasons.is_empty() {
            // What is missing explains what is broken; where nothing is, memory was overwritten.
            reasons = broken(&coverage.losses);
            nearly = coverage.losses.iter().all(is_of_one_cache);
        }
        Self {
            reliable: reasons.is_empty(),
            nearly: nearly && !reasons.is_empty(),
            reasons,
        }
    }
}

fn reason(code: &'static str, message: String) -> Reason {
    Reason {
        code,
        basis: "coverage",
        message,
    }
}

/// Damage to some slabs or counters of a cache: so few objects hang on it that thousands which are
/// alike have another reason. What hides other caches and areas is none.
const OF_ONE_CACHE: [&str; 7] = [
    "freelist-broken",
    "freelist-circular",
    "freelist-counter",
    "partial-list-broken",
    "object-count",
    "free-count",
    "sheaf-pointer",
];

fn is_of_one_cache(loss: &Warning) -> bool {
    OF_ONE_CACHE.contains(&loss.code)
}

/// What nobody counts as missing, and yet is lost or broken: one reason for each kind of it.
fn broken(losses: &[Warning]) -> Vec<Reason> {
    let kinds = losses.chunk_by(|a, b| a.code == b.code);
    let told = kinds.filter_map(|kind| {
        let (first, others) = kind.split_first()?;
        let more = match others.len() {
            0 => String::new(),
            more => format!(" (and {more} more of the kind)"),
        };
        let text = format!(
            "what the search rests on is broken, so that objects may look unreachable which are not: {}{more}",
            first.message
        );
        Some(reason("structures-broken", text))
    });
    told.collect()
}

/// What ended the search early.
fn cut_short(coverage: &Coverage) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if coverage.out_of_time {
        let text = "time ran out before all memory was searched (give a longer --budget)";
        reasons.push(reason("out-of-time", text.to_owned()));
    }
    if coverage.references_dropped > 0 {
        let text = format!(
            "there was no memory for {} references: what only they lead to looks unreachable (give a larger --max-memory)",
            coverage.references_dropped
        );
        reasons.push(reason("out-of-memory", text));
    }
    reasons
}

const COPY_AGAIN: &str =
    "what only they point to looks unreachable (copy the dump again, or dump again)";

fn lacks(coverage: &Coverage) -> [Lack; 6] {
    // What is freed while a kernel runs is freed, or used anew, before the second search.
    let lists = if coverage.live {
        0
    } else {
        coverage.broken_lists
    };
    [
        Lack {
            code: "page-structures-missing",
            missing: coverage.page_structures_missing,
            of: coverage.page_structures,
            what: "page structures",
            then: "what their pages hold was not searched, and what only that points to looks unreachable (copy the dump again, or dump again)",
        },
        Lack {
            code: "slab-pages-missing",
            missing: coverage.slab_pages_missing,
            of: coverage.slab_pages,
            what: "slab pages",
            then: "what only they point to looks unreachable (the warnings say why they are missing, and what helps)",
        },
        Lack {
            code: "kernel-pages-missing",
            missing: coverage.root_pages_missing,
            of: coverage.root_pages + coverage.root_pages_missing,
            what: "pages of the kernel's own data",
            then: COPY_AGAIN,
        },
        Lack {
            code: "caches-missing",
            missing: coverage.stray_slabs,
            of: 0,
            what: "slabs' caches",
            then: COPY_AGAIN,
        },
        Lack {
            code: "freed-missing",
            missing: lists,
            of: 0,
            what: "lists of freed objects, or part of them",
            then: "what is on them looks like objects in use that nothing points to (copy the dump again, or dump again)",
        },
        Lack {
            code: "places-missing",
            missing: coverage.places_missing,
            of: 0,
            what: "page tables or records that tell what is a reference and what is stale",
            then: "objects may look reachable or unreachable that are not (copy the dump again, or dump again)",
        },
    ]
}

impl Lack {
    fn reason(&self) -> Reason {
        let (missing, what, then) = (self.missing, self.what, self.then);
        let how_many = match (self.of, share(missing, self.of) * 100.0) {
            (0, _) => format!("{missing} {what}"),
            (of, percent) if percent < 0.1 => format!("{missing} of {of} {what}"),
            (of, percent) => format!("{missing} of {of} {what} ({percent:.1} %)"),
        };
        reason(self.code, format!("the dump lacks {how_many}: {then}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Coverage {
        Coverage {
            slab_pages: 10_000,
            root_pages: 10_000,
            page_structures: 64_000,
            all_tasks: true,
            ..Coverage::default()
        }
    }

    #[test]
    fn whatever_is_missing_is_told_and_nothing_rests_on_the_search() {
        assert!(Trust::of(&whole()).reliable);
        type Lacking = (&'static str, fn(&mut Coverage));
        let lacking: [Lacking; 9] = [
            ("out-of-time", |c| c.out_of_time = true),
            ("out-of-memory", |c| c.references_dropped = 1),
            ("page-structures-missing", |c| c.page_structures_missing = 1),
            ("slab-pages-missing", |c| c.slab_pages_missing = 1),
            ("kernel-pages-missing", |c| c.root_pages_missing = 1),
            ("caches-missing", |c| c.stray_slabs = 1),
            ("freed-missing", |c| c.broken_lists = 1),
            ("places-missing", |c| c.places_missing = 1),
            ("tasks-missing", |c| c.all_tasks = false),
        ];
        for (code, lack) in lacking {
            let mut coverage = whole();
            lack(&mut coverage);
            let trust = Trust::of(&coverage);
            assert!(!trust.reliable, "{code}");
            let codes: Vec<&str> = trust.reasons.iter().map(|reason| reason.code).collect();
            assert_eq!(codes, [code]);
        }
    }

    #[test]
    fn whatever_is_broken_is_told_by_name() {
        let diag = crate::diag::Diagnostics::default();
        diag.note("live", "is no loss");
        let told = |diag: &crate::diag::Diagnostics| {
            Trust::of(&Coverage {
                losses: diag.losses(),
                ..whole()
            })
        };
        assert!(told(&diag).reliable);
        diag.warn("freelist-broken", "dentry: free chains are corrupt");
        let trust = told(&diag);
        assert!(!trust.reliable && trust.nearly);
        diag.warn("slab-count", "TCP: 2 slabs found");
        diag.warn("slab-count", "UDP: 2 slabs found");
        let trust = told(&diag);
        assert!(!trust.reliable && !trust.nearly);
        let messages: Vec<&str> = trust.reasons.iter().map(|why| &*why.message).collect();
        assert_eq!(messages.len(), 2);
        assert!(messages[0].ends_with("dentry: free chains are corrupt"));
        assert!(messages[1].ends_with("TCP: 2 slabs found (and 1 more of the kind)"));
    }

    #[test]
    fn how_much_is_missing_is_told() {
        let message = |coverage: &Coverage| Trust::of(coverage).reasons[0].message.clone();
        let mut coverage = Coverage {
            root_pages_missing: 30_000,
            ..whole()
        };
        assert!(
            message(&coverage).contains("30000 of 40000 pages of the kernel's own data (75.0 %)")
        );
        assert!(!Trust::of(&coverage).nearly);
        coverage.root_pages_missing = 1;
        assert!(message(&coverage).contains("1 of 10001 pages of the kernel's own data:"));
        assert!(Trust::of(&coverage).nearly);
    }
}
