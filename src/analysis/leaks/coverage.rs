//! How far a search in a dump that lacks pages can be believed.

use serde::Serialize;

use super::super::accounting::{Reason, share};
use crate::graph::Coverage;

/// Of slab pages: on real dumps a thousandth lost made 6 to 98 reachable objects look lost, a
/// hundredth 240 to 1,207. Of the pages that hold the kernel's own data, and of page structures: a
/// page without one may hold such data, or be of a slab.
const MISSING: f64 = 0.001;

/// Whether objects that nothing points to can be called unreachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// Whether a verdict may rest on the search.
    pub reliable: bool,
    /// Why not.
    pub reasons: Vec<Reason>,
}

impl Trust {
    /// Judges what was seen.
    pub fn of(coverage: &Coverage) -> Self {
        let mut reasons = Vec::new();
        let mut doubt = |code, message: String| {
            reasons.push(Reason {
                code,
                basis: "coverage",
                message,
            });
        };
        if coverage.out_of_time {
            doubt(
                "out-of-time",
                "time ran out before all memory was searched (give a longer --budget)".to_owned(),
            );
        }
        if coverage.references_dropped > 0 {
            doubt(
                "out-of-memory",
                format!(
                    "there was no memory for {} references: what only they lead to looks lost (give a larger --max-memory)",
                    coverage.references_dropped
                ),
            );
        }
        let lacking = [
            (
                "page-structures-missing",
                (coverage.page_structures_missing, coverage.page_structures),
                "page structures",
                "what their pages hold was not searched, and what only that points to looks lost (copy the dump again, or dump again)",
            ),
            (
                "slab-pages-missing",
                (coverage.slab_pages_missing, coverage.slab_pages),
                "slab pages",
                "what only they point to looks lost (dump again with a makedumpfile as new as the kernel, or with -d 23: an older one takes slab pages for user pages)",
            ),
            (
                "kernel-pages-missing",
                (
                    coverage.root_pages_missing,
                    coverage.root_pages + coverage.root_pages_missing,
                ),
                "pages of the kernel's own data",
                "what only they point to looks lost (copy the dump again, or dump again)",
            ),
        ];
        for (code, (missing, all), what, then) in lacking {
            let part = share(missing, all);
            if part > MISSING {
                let percent = part * 100.0;
                doubt(
                    code,
                    format!("the dump lacks {missing} of {all} {what} ({percent:.1} %): {then}"),
                );
            }
        }
        if !coverage.all_tasks {
            doubt(
                "tasks-missing",
                "not all tasks were found: what only their stacks point to looks lost".to_owned(),
            );
        }
        Self {
            reliable: reasons.is_empty(),
            reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousandth_of_the_slab_pages_may_be_missing() {
        let mut coverage = Coverage {
            slab_pages: 10_000,
            slab_pages_missing: 10,
            root_pages: 10_000,
            all_tasks: true,
            ..Coverage::default()
        };
        assert!(Trust::of(&coverage).reliable);
        coverage.slab_pages_missing = 11;
        let trust = Trust::of(&coverage);
        assert_eq!(
            (trust.reliable, trust.reasons[0].code),
            (false, "slab-pages-missing")
        );
        coverage.slab_pages_missing = 0;
        coverage.root_pages_missing = 30_000;
        let trust = Trust::of(&coverage);
        let message = &trust.reasons[0].message;
        assert!(message.contains("30000 of 40000 pages of the kernel's own data (75.0 %)"));
        coverage.root_pages_missing = 0;
        coverage.page_structures = 64_000;
        coverage.page_structures_missing = 64;
        assert!(Trust::of(&coverage).reliable);
        coverage.page_structures_missing = 65;
        assert_eq!(
            Trust::of(&coverage).reasons[0].code,
            "page-structures-missing"
        );
        coverage.page_structures_missing = 0;
        coverage.all_tasks = false;
        assert_eq!(Trust::of(&coverage).reasons[0].code, "tasks-missing");
    }
}
