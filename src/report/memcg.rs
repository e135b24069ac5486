//! The part of `memcg`: the tree of memory cgroups, and the dying ones summed up.

use serde::Serialize;

use crate::subsys::mm::memcg::{Memcg, MemcgFacts};

/// Over all cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemcgTotals {
    /// Memory cgroups, the root and the dying included.
    pub memcgs: u64,
    /// Of these, removed but not gone.
    pub dying: u64,
    /// Bytes that the dying are charged for.
    pub dying_bytes: u64,
    /// By the root's own counter, cgroups that were removed but are not gone, whichever of their
    /// controllers holds them.
    pub dying_cgroups: Option<u64>,
    /// Bytes charged to obj_cgroups that no object uses; `None` in kernels without such (before
    /// 5.9), or where none can be read.
    pub objcg_charged_bytes: Option<u64>,
}

/// The part of `memcg`.
#[derive(Clone, Debug, Serialize)]
pub struct MemcgReport {
    /// Over all cgroups.
    pub totals: MemcgTotals,
    /// A cgroup before those below it.
    pub memcgs: Vec<Memcg>,
}

impl MemcgReport {
    /// Sums up.
    pub fn new(facts: MemcgFacts) -> Self {
        let all = &facts.memcgs;
        let mut totals = MemcgTotals {
            memcgs: all.len() as u64,
            dying_cgroups: all.first().and_then(|root| root.dying_descendants),
            ..MemcgTotals::default()
        };
        for memcg in all {
            if let Some(objcgs) = memcg.objcgs {
                let sum = totals.objcg_charged_bytes.unwrap_or(0);
                totals.objcg_charged_bytes = Some(sum.saturating_add(objcgs.charged_bytes));
            }
            if memcg.dying {
                totals.dying += 1;
                // What is charged to one is charged to those above it too.
                let above = memcg.parent.and_then(|parent| all.get(parent));
                if above.is_none_or(|above| !above.dying) {
                    totals.dying_bytes = totals.dying_bytes.saturating_add(memcg.current);
                }
            }
        }
        Self {
            totals,
            memcgs: facts.memcgs,
        }
    }

    /// Keeps the dying alone; the totals stay.
    pub fn keep_dying(&mut self) {
        self.memcgs.retain(|memcg| memcg.dying);
    }

    /// The largest first; those of one size stay in the kernel's order.
    pub fn sort_by_size(&mut self) {
        self.memcgs
            .sort_by_key(|memcg| std::cmp::Reverse(memcg.current));
    }
}
