//! Which blocks and areas somebody owns, by the claims of known structures.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::search::Search;
use super::fate::Fate;
use super::watch::PageWatch;
use super::{AreasOf, Owned};
use crate::addr::{Pfn, VirtAddr};
use crate::subsys::owners::{Claims, Owner};

/// Who owns which blocks and areas.
pub(super) struct Owners {
    pub(super) of_block: FxHashMap<u32, u32>,
    /// Those whose own structures say it, which keeps nobody from losing them.
    pub(super) by_structure: FxHashMap<u32, u32>,
    /// Words that mean nothing any more: empty slots of page pools.
    stale: Vec<Range<VirtAddr>>,
    /// Those that kmalloc() gave.
    pub(super) kmalloc: FxHashSet<u32>,
    of_area: FxHashMap<u32, u32>,
}

impl Owners {
    pub(super) fn of(search: &Search<'_>, watch: &PageWatch, claims: &Claims) -> Self {
        let mut found = Self {
            of_block: FxHashMap::default(),
            by_structure: FxHashMap::default(),
            stale: Vec::new(),
            kmalloc: FxHashSet::default(),
            of_area: FxHashMap::default(),
        };
        for claim in &claims.claims {
            // Of the others, whose pages are somebody else's, the page tables tell the pages.
            let area = search.areas.at(claim.at);
            if let Some((area, _)) = area.filter(|(_, area)| area.pages > 0) {
                found.of_area.entry(area).or_insert(claim.owner);
                continue;
            }
            let Some(first) = Self::first_page(search, watch, claim.at) else {
                continue;
            };
            let mut pfn = first.0;
            let end = first.0.saturating_add(claim.pages.max(1));
            while pfn < end {
                let Some(number) = watch.blocks.at(Pfn(pfn)) else {
                    pfn += 1;
                    continue;
                };
                if let Entry::Vacant(free) = found.of_block.entry(number) {
                    free.insert(claim.owner);
                    found.kmalloc.extend(claim.kmalloc.then_some(number));
                }
                let block = watch.blocks.all.get(number as usize);
                pfn = block.map_or(pfn + 1, |block| block.end().0.max(pfn + 1));
            }
        }
        let pools = claims.page_pools.iter().flatten();
        found.stale = pools.map(|pool| pool.stale.clone()).collect();
        for (pfn, owner) in &claims.by_structure {
            if let Some(number) = watch.blocks.at(*pfn) {
                found.by_structure.insert(number, *owner);
            }
        }
        found
    }

    /// Whether a word that means something means a block.
    pub(super) fn is_pointed_to(&self, watch: &PageWatch, number: u32) -> bool {
        match watch.count(number) {
            0 => false,
            1 => {
                let at = watch.best(number);
                !at.is_some_and(|at| self.stale.iter().any(|slots| slots.contains(&at)))
            }
            _ => true,
        }
    }

    /// The page that a claim begins with.
    pub(super) fn first_page(search: &Search<'_>, watch: &PageWatch, at: VirtAddr) -> Option<Pfn> {
        let page = watch.addresses.page(at.0).map(|(pfn, _)| pfn);
        page.or_else(|| {
            let mapping = search.kernel.space.quiet().translate(at).ok()?;
            let shift = search.kernel.dump().page_shift();
            Some(Pfn::containing(mapping.phys, shift))
        })
    }

    /// The same owner may be known under several numbers.
    pub(super) fn owned(fates: &[Fate], watch: &PageWatch, claims: &Claims) -> Vec<Owned> {
        let mut sums: BTreeMap<&Owner, (u64, u64)> = BTreeMap::new();
        for (block, fate) in watch.blocks.all.iter().zip(fates) {
            let Fate::Owned(owner) = fate else { continue };
            if let Some(owner) = claims.owners.get(*owner as usize) {
                let sum = sums.entry(owner).or_default();
                sum.0 += u64::from(block.pages);
                sum.1 += 1;
            }
        }
        let owned = sums.into_iter().map(|(owner, (pages, blocks))| Owned {
            owner: owner.clone(),
            pages,
            blocks,
        });
        let mut owned: Vec<Owned> = owned.collect();
        owned.sort_by_key(|owned| std::cmp::Reverse(owned.pages));
        owned
    }

    pub(super) fn areas(&self, search: &Search<'_>, claims: &Claims) -> Vec<AreasOf> {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (number, area) in search.areas.holders() {
            let owner = self.of_area.get(&number);
            let owner = owner.and_then(|owner| claims.owners.get(*owner as usize));
            let caller = match (owner, &area.caller) {
                (Some(owner), _) => owner.describe(),
                (None, Some(caller)) => caller.symbol(),
                (None, None) => "unknown".to_owned(),
            };
            let sum = sums.entry(caller).or_default();
            sum.0 += 1;
            sum.1 += area.pages;
        }
        let areas = sums.into_iter().map(|(caller, (areas, pages))| AreasOf {
            caller,
            areas,
            pages,
        });
        let mut areas: Vec<AreasOf> = areas.collect();
        areas.sort_by_key(|areas| std::cmp::Reverse(areas.pages));
        areas
    }
}
