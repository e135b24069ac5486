//! One of the kernel's own pages: its block, and who has that.

use super::super::page_at::PageOwner;
use super::super::search::{Done, Search};
use super::Owners;
use super::blocks::{Addresses, Gathered};
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
        let claims = owners::claims(search.kernel, &search.memmap, search.heap.bulk_pages())?;
        let number = watch.blocks.at(self.pfn);
        let block = number.and_then(|number| watch.blocks.all.get(number as usize));
        let pages = block.map_or(self.pfn..Pfn(self.pfn.0 + 1), |block| {
            block.pfn..block.end()
        });
        let claimed = claims.claims.iter().find(|claim| {
            let first = Owners::first_page(search, watch, claim.at);
            let end = |first: Pfn| Pfn(first.0.saturating_add(claim.pages.max(1)));
            first.is_some_and(|first| first < pages.end && pages.start < end(first))
        });
        let by_claim = claimed.and_then(|claim| {
            let owner = claims.owners.get(claim.owner as usize)?.clone();
            Some(PageOwner {
                owner,
                path: None,
                how: "structure",
            })
        });
        let pointed = number.filter(|number| watch.count(*number) > 0);
        let by_reference = || {
            let holder = Holders::new(search, symbols, watch).name(pointed?);
            Some(PageOwner {
                owner: Owner::of_kernel("pointed_to", holder.into_text()),
                path: None,
                how: "reference",
            })
        };
        let owner = by_claim.or_else(by_reference);
        // A single page behind another may have been split from that (`split`).
        let before = Pfn(pages.start.0.saturating_sub(1));
        let alone = block.is_some_and(|block| {
            block.used && (block.pages > 1 || watch.blocks.at(before).is_none())
        });
        Ok(Some(PageFound {
            block: (pages.start.0, pages.end.0 - pages.start.0),
            lost: owner.is_none() && alone,
            owner,
        }))
    }
}
