//! One of the kernel's own pages: its block, and who has that.

use super::super::page_at::PageOwner;
use super::super::search::{Done, Search};
use super::blocks::{Addresses, Gathered};
use super::claimed::Owners;
use super::fate::{self, Fate};
use super::holders::Holders;
use super::watch::PageWatch;
use crate::addr::Pfn;
use crate::kernel::KernelError;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::variables::Variables;
use crate::subsys::owners::{self, Owner};

/// What was found of it.
#[derive(Clone, Debug)]
pub(in crate::graph) struct PageFound {
    /// First page and number of pages of what was taken with it.
    pub(in crate::graph) block: (u64, u64),
    pub(in crate::graph) owner: Option<PageOwner>,
    /// Whether it is in use, and nothing that was seen points to it.
    pub(in crate::graph) lost: bool,
}

/// A page whose owner is wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::graph) struct OnePage {
    pfn: Pfn,
}

impl OnePage {
    /// If it is the kernel's own: of any other its kind tells enough.
    pub(in crate::graph) fn of(search: &Search<'_>, pfn: Pfn) -> Option<Self> {
        let kind = search.kinds.get(pfn);
        let own = matches!(
            kind,
            PageKind::Kernel | PageKind::LargeKmalloc | PageKind::Table
        );
        own.then_some(Self { pfn })
    }

    /// What looks out for references to it, and to all like it.
    pub(in crate::graph) fn watch(search: &Search<'_>, gathered: Gathered) -> PageWatch {
        let (blocks, links) = gathered.into_blocks(&search.kinds);
        let addresses = Addresses::new(search.kernel, &search.memmap);
        PageWatch::new(blocks, &links, &search.memmap, addresses)
    }

    /// After the search: by who claims it, else by who points to it.
    pub(in crate::graph) fn found(
        self,
        search: &Search<'_>,
        done: &Done,
        symbols: &Variables<'_>,
    ) -> Result<Option<PageFound>, KernelError> {
        let Some(watch) = &done.found.pages else {
            return Ok(None);
        };
        let claims = {
            let (bulk, pools) = (search.heap.bulk_pages(), watch.blocks.pools.as_deref());
            owners::claims(search.kernel, &search.memmap, bulk, pools)?
        };
        let owners = Owners::of(search, watch, &claims);
        let holders = Holders::new(search, symbols, watch);
        let fates = fate::of_all(search, watch, &claims, &owners, &holders);
        let number = watch.blocks.at(self.pfn);
        let block = number.and_then(|number| watch.blocks.all.get(number as usize));
        let pages = block.map_or(self.pfn..Pfn(self.pfn.0 + 1), |block| {
            block.pfn..block.end()
        });
        let fate = number.and_then(|number| fates.get(number as usize).copied());
        let known = |owner: Owner, how: &'static str| PageOwner {
            owner,
            path: None,
            how,
        };
        let pointed = |text: String| known(Owner::of_kernel("pointed_to", text), "reference");
        let owner = match fate.zip(number) {
            Some((Fate::Owned(owner), _)) => {
                let owner = claims.owners.get(owner as usize).cloned();
                owner.map(|owner| known(owner, "structure"))
            }
            Some((Fate::Vmcoreinfo, _)) => {
                Some(known(Owner::of_kernel("vmcoreinfo", ""), "structure"))
            }
            Some((Fate::PointedTo, number)) => Some(pointed(holders.name(number).into_text())),
            Some((Fate::ByDevice, _)) => Some(pointed(Holders::by_device().into_text())),
            // Lost by somebody, whom it names.
            Some((Fate::Lost, number)) => {
                let owner = owners.by_structure.get(&number);
                let owner = owner.and_then(|owner| claims.owners.get(*owner as usize));
                owner.map(|owner| known(owner.clone(), "structure"))
            }
            Some(_) => None,
            // Of a page that is no block, as one of tables that says so itself.
            None => claims.claims.iter().find_map(|claim| {
                let first = Owners::first_page(search, watch, claim.at)?;
                let end = Pfn(first.0.saturating_add(claim.pages.max(1)));
                let owner = claims.owners.get(claim.owner as usize);
                let owner = owner.filter(|_| (first..end).contains(&self.pfn))?;
                Some(known(owner.clone(), "structure"))
            }),
        };
        Ok(Some(PageFound {
            block: (pages.start.0, pages.end.0 - pages.start.0),
            lost: fate == Some(Fate::Lost),
            owner,
        }))
    }
}
