//! Pools of pages for packets, with those of their blocks that nothing points to.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::claimed::Owners;
use super::fate::Fate;
use super::watch::PageWatch;
use crate::subsys::net::page_pools::PagePoolFacts;
use crate::subsys::owners::Claims;

/// A pool, and what of it is lost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolPages {
    /// What it says itself.
    #[serde(flatten)]
    pub facts: PagePoolFacts,
    /// What its pages' owner is called: an interface, or a variable.
    pub name: String,
    /// The module whose variable points to it, if that had to be looked for.
    pub module: Option<String>,
    /// Blocks that nothing points to; `None` where pages do not say whose they are.
    pub lost: Option<u64>,
}

/// Counts them. What is lost is known of a search that saw all.
pub(super) fn lost(
    fates: &[Fate],
    watch: &PageWatch,
    claims: &Claims,
    owners: &Owners,
) -> Option<Vec<PoolPages>> {
    let mut lost: FxHashMap<u32, u64> = FxHashMap::default();
    for ((number, _), fate) in (0u32..).zip(&watch.blocks.all).zip(fates) {
        let owner = owners.by_structure.get(&number);
        if let Some(owner) = owner.filter(|_| *fate == Fate::Lost) {
            *lost.entry(*owner).or_default() += 1;
        }
    }
    let pools = claims.page_pools.as_ref()?.iter().map(|pool| PoolPages {
        facts: pool.facts.clone(),
        name: pool.name.clone(),
        module: pool.module.clone(),
        lost: pool
            .facts
            .found
            .map(|_| lost.get(&pool.owner).copied().unwrap_or(0)),
    });
    Some(pools.collect())
}
