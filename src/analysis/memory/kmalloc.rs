//! How much memory large kmalloc has: by marks in page structures, and by what the counters of
//! slabs have more than there are pages of slabs.
//!
//! Since 5.4 (commit 6a486c0ad4dc) the kernel counts such blocks as unreclaimable slab, though no
//! cache has them.

use serde::Serialize;

use crate::subsys::mm::large_kmalloc::KmallocPages;
use crate::subsys::mm::meminfo::MeminfoFacts;

/// Pages that both ways may differ by: what CPUs were just taking or giving back.
const ON_THE_WAY: u64 = 64;
/// And a share of them.
const SHARE: u64 = 20;

/// What is known of large kmalloc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LargeKmalloc {
    /// Bytes; `None` if neither way tells.
    pub bytes: Option<u64>,
    /// `page-types`, `counters`, or `unknown`.
    pub how: &'static str,
    /// By marks in page structures (6.15 and later).
    pub marked_bytes: Option<u64>,
    /// By the counters of slabs, less the pages of slabs.
    pub counted_bytes: Option<i64>,
    /// Where both ways are open and do not agree, or why neither is: in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl LargeKmalloc {
    /// Compares what is known.
    pub fn of(pages: KmallocPages, facts: &MeminfoFacts, page_size: u64) -> Self {
        let counted = facts.slab_with_cpus.zip(pages.slab);
        let counted = counted.map(|(counter, slabs)| {
            let counter = i64::try_from(counter).unwrap_or(i64::MAX);
            counter.saturating_sub(i64::try_from(slabs).unwrap_or(i64::MAX))
        });
        let in_bytes = |pages: i64| pages.saturating_mul(page_size.cast_signed());
        // Whether older kernels count them at all shows only if they do.
        let believed = counted.filter(|pages| match facts.slab_counts_large {
            true => *pages >= 0,
            false => *pages > 0,
        });
        let known = pages
            .marked
            .or(believed.and_then(|pages| u64::try_from(pages).ok()));
        let how = match (pages.marked, believed) {
            (Some(_), _) => "page-types",
            (None, Some(_)) => "counters",
            (None, None) => "unknown",
        };
        Self {
            bytes: known.map(|pages| pages.saturating_mul(page_size)),
            how,
            marked_bytes: pages.marked.map(|pages| pages.saturating_mul(page_size)),
            counted_bytes: counted.map(in_bytes),
            note: note(pages.marked, counted, known),
        }
    }

    /// Pages, to be taken from what else they are counted in.
    pub fn pages(&self, page_size: u64) -> u64 {
        self.bytes.unwrap_or(0) / page_size.max(1)
    }
}

fn note(marked: Option<u64>, counted: Option<i64>, known: Option<u64>) -> Option<String> {
    match (marked, counted) {
        (Some(marked), Some(counted)) => {
            let apart = i64::try_from(marked).unwrap_or(i64::MAX).abs_diff(counted);
            let allowed = ON_THE_WAY.max(marked / SHARE);
            (apart > allowed).then(|| {
                format!("the counters of slabs have {counted} pages more than there are pages of slabs, but {marked} are marked as large kmalloc")
            })
        }
        (None, Some(counted)) if counted < 0 => Some(format!(
            "the counters of slabs have {} pages less than there are pages of slabs, so that they say nothing of large kmalloc",
            counted.unsigned_abs()
        )),
        _ if known.is_none() => Some(
            "how much is large kmalloc can't be told: this kernel does not mark its pages, and its counters do not tell"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(counter: Option<u64>, counts_large: bool) -> MeminfoFacts {
        MeminfoFacts {
            slab_with_cpus: counter,
            slab_counts_large: counts_large,
            ..MeminfoFacts::default()
        }
    }

    fn pages(slab: u64, marked: Option<u64>) -> KmallocPages {
        KmallocPages {
            slab: Some(slab),
            marked,
        }
    }

    #[test]
    fn counters_tell_where_pages_are_not_marked() {
        let found = LargeKmalloc::of(pages(100, None), &facts(Some(130), true), 4096);
        assert_eq!((found.bytes, found.how), (Some(30 * 4096), "counters"));
        assert_eq!(found.note, None);
        let none = LargeKmalloc::of(pages(100, None), &facts(Some(100), true), 4096);
        assert_eq!((none.bytes, none.how), (Some(0), "counters"));
    }

    #[test]
    fn what_can_not_be_told_is_not_zero() {
        // A kernel that may not count them, one that lost page structures, one that miscounts.
        let unsure = LargeKmalloc::of(pages(100, None), &facts(Some(100), false), 4096);
        let lost = LargeKmalloc::of(KmallocPages::default(), &facts(Some(100), true), 4096);
        let less = LargeKmalloc::of(pages(100, None), &facts(Some(90), true), 4096);
        for unknown in [unsure, lost, less] {
            assert_eq!((unknown.bytes, unknown.how), (None, "unknown"));
            assert!(unknown.note.is_some());
        }
    }

    #[test]
    fn both_ways_are_compared() {
        let of = |counter| LargeKmalloc::of(pages(100, Some(40)), &facts(Some(counter), true), 1);
        assert_eq!((of(140).bytes, of(140).note), (Some(40), None));
        assert_eq!(of(204).note, None);
        assert!(
            of(205)
                .note
                .is_some_and(|note| note.contains("105 pages more"))
        );
    }
}
