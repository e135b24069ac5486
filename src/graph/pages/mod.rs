//! Every page with its owner: by its structure, by who claims it, by who points to it.
//!
//! Layer: graph. Input: a [`Kernel`] and the [`Claims`] of known structures. Output:
//! [`PagesFacts`]. Invariants: each page is counted once; a page is called lost only if no word of
//! the memory that was searched means it, its structure or what was taken with it.

mod blocks;
mod by_zone;
mod claimed;
mod fate;
mod holders;
mod one;
mod physical;
mod pools;
mod ram;
mod split;
mod vmcoreinfo;
mod watch;

use std::collections::BTreeMap;

use serde::Serialize;

pub(in crate::graph) use self::blocks::Gathered;
pub use self::by_zone::ZonePages;
pub(in crate::graph) use self::one::{OnePage, PageFound};
pub use self::pools::PoolPages;
pub use self::ram::Ram;
pub(in crate::graph) use self::watch::PageWatch;

use self::blocks::{Addresses, Block};
use self::by_zone::ByZone;
use self::claimed::Owners;
use self::fate::Fate;
use self::holders::{Holders, Pointed};
use super::content::{self, Content};
use super::search::{Done, Pages, Search};
use super::{Coverage, Options};
use crate::addr::VirtAddr;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::variables::Variables;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::owners::{self, Claims, Owner};

/// Bytes of a block that are looked at.
const LOOKED_AT: u32 = 512;

/// Pages that somebody is known to own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owned {
    /// Who.
    #[serde(flatten)]
    pub owner: Owner,
    /// How many pages.
    pub pages: u64,
    /// In how many blocks.
    pub blocks: u64,
}

/// Pages that something points to that is no known owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PointedTo {
    /// `dentry+0x10`, `tcp_hashinfo`, a member where the type is known.
    pub holder: String,
    /// How many pages.
    pub pages: u64,
    /// In how many blocks.
    pub blocks: u64,
    /// Pages of the largest.
    pub largest: u64,
}

/// Areas of vmalloc with the same caller or owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AreasOf {
    /// Who asked for them, or owns them.
    pub caller: String,
    /// How many areas.
    pub areas: u64,
    /// Pages that they hold.
    pub pages: u64,
}

/// A block that nothing points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LostPages {
    /// Number of its first page.
    pub pfn: u64,
    /// Where that lies in the direct map.
    pub address: VirtAddr,
    /// How many pages it has.
    pub pages: u64,
}

/// Pages of the kernel's own that no mark tells, in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmarked {
    /// By the kind of owner.
    pub owned: BTreeMap<&'static str, u64>,
    /// Those that something else points to.
    pub pointed_to: u64,
}

/// All pages.
#[derive(Clone, Debug, Serialize)]
pub struct PagesFacts {
    /// By what their structures say, and by where they lie.
    pub ram: Ram,
    /// The same by node and zone.
    pub zones: Vec<ZonePages>,
    /// Of the kernel's own: those with a known owner, most pages first.
    pub owned: Vec<Owned>,
    /// Page tables by process, most pages first: all of them, where most say themselves what they
    /// are, and are no part of `owned`.
    pub page_tables: Vec<Owned>,
    /// Those that something else points to, most pages first.
    pub pointed_to: Vec<PointedTo>,
    /// Blocks that nothing points to, by place.
    pub lost: Vec<LostPages>,
    /// What those begin with.
    pub content: Content,
    /// Pools of pages for packets, by address; `None` if they are not known.
    pub page_pools: Option<Vec<PoolPages>>,
    /// Pages that nothing points to, behind one that something points to: what is taken with
    /// `alloc_pages_exact` is split into single pages, and only the first is known to its user.
    pub behind_others: u64,
    /// Pages that are counted by nobody and part of no block: on their way to or from the
    /// allocator.
    pub not_counted: u64,
    /// Areas of vmalloc, most pages first.
    pub areas: Vec<AreasOf>,
    /// Owners that can't be told, and why: their pages may look lost.
    pub unknown: Vec<String>,
    /// The same without large kmalloc that the kernel marks.
    #[serde(skip)]
    pub unmarked: Unmarked,
    /// How much was seen.
    pub coverage: Coverage,
}

/// Searches for the owners of all pages.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn pages(kernel: &Kernel, options: &Options<'_>) -> Result<Option<PagesFacts>, KernelError> {
    kernel.ask(|kernel| searched(kernel, options))
}

fn searched(kernel: &Kernel, options: &Options<'_>) -> Result<Option<PagesFacts>, KernelError> {
    let (mut pages, modules, beside) =
        Pages::and_beside(kernel, options.progress, options.own_pages)?;
    let gathered = pages.gathered.take();
    let (symbols, prepared) = Search::prepare(pages, &modules, beside)?;
    let (_, facts) = search(&prepared, &symbols, options, gathered)?;
    Ok(facts)
}

/// Runs a search that looks out for the kernel's own pages, if they were `gathered`.
pub(super) fn search(
    search: &Search<'_>,
    symbols: &Variables<'_>,
    options: &Options<'_>,
    gathered: Option<Gathered>,
) -> Result<(Done, Option<PagesFacts>), KernelError> {
    let Some(gathered) = gathered else {
        return Ok((search.run(options, symbols, None, None)?, None));
    };
    let (blocks, links) = gathered.into_blocks(&search.kinds);
    let pools = blocks.pools.clone();
    let addresses = Addresses::new(search.kernel, &search.memmap);
    let watch = PageWatch::new(blocks, &links, &search.memmap, addresses);
    let claims = || {
        let bulk = search.heap.bulk_pages();
        owners::claims(search.kernel, &search.memmap, bulk, pools.as_deref())
    };
    let run = || search.run(options, symbols, None, Some(watch));
    let (done, claims) = rayon::join(run, claims);
    let (done, claims) = (done?, claims?);
    let facts = facts(search, &done, symbols, &claims);
    Ok((done, Some(facts)))
}

fn facts(search: &Search<'_>, done: &Done, symbols: &Variables<'_>, claims: &Claims) -> PagesFacts {
    let mut zones = ByZone::new(search);
    let mut facts = PagesFacts {
        ram: Ram::read(search, &mut zones),
        zones: Vec::new(),
        owned: Vec::new(),
        page_tables: page_tables(claims),
        pointed_to: Vec::new(),
        lost: Vec::new(),
        content: Content::default(),
        page_pools: None,
        behind_others: 0,
        not_counted: 0,
        areas: Vec::new(),
        unmarked: Unmarked::default(),
        unknown: claims.unknown.clone(),
        coverage: search.coverage(done, symbols),
    };
    let Some(watch) = &done.found.pages else {
        facts.zones = zones.finish();
        return facts;
    };
    let owners = Owners::of(search, watch, claims);
    facts.areas = owners.areas(search, claims);
    let holders = Holders::new(search, symbols, watch);
    let mut pointed = Pointed::default();
    let unmarked = |block: &Block| match search.kinds.get(block.pfn) {
        PageKind::Kernel => u64::from(block.pages),
        _ => 0,
    };
    let shift = search.kernel.dump().page_shift();
    let fates = fate::of_all(search, watch, claims, &owners, &holders);
    facts.owned = Owners::owned(&fates, watch, claims);
    facts.page_pools = pools::lost(&fates, watch, claims, &owners);
    let blocks = (0u32..).zip(&watch.blocks.all);
    for ((number, block), fate) in blocks.zip(fates) {
        let pages = u64::from(block.pages);
        let kind = match fate {
            Fate::Owned(owner) => {
                let Some(owner) = claims.owners.get(owner as usize) else {
                    continue;
                };
                // What large kmalloc is counted as is taken off those that something points to.
                let sum = match owners.kmalloc.contains(&number) {
                    true => &mut facts.unmarked.pointed_to,
                    false => facts.unmarked.owned.entry(owner.kind).or_default(),
                };
                *sum += unmarked(block);
                owner.kind
            }
            Fate::Vmcoreinfo => {
                let owner = Owner::of_kernel("vmcoreinfo", "");
                let kind = owner.kind;
                *facts.unmarked.owned.entry(kind).or_default() += unmarked(block);
                facts.owned.push(Owned {
                    owner,
                    pages,
                    blocks: 1,
                });
                kind
            }
            Fate::PointedTo => {
                facts.unmarked.pointed_to += unmarked(block);
                pointed.add(holders.name(number), pages);
                "kernel_pointed_to"
            }
            Fate::ByDevice => {
                facts.unmarked.pointed_to += unmarked(block);
                pointed.add(Holders::by_device(), pages);
                "kernel_pointed_to"
            }
            Fate::NotCounted => {
                facts.not_counted += pages;
                "kernel_rest"
            }
            Fate::BehindAnother => {
                facts.behind_others += pages;
                "kernel_rest"
            }
            Fate::Lost => {
                let address = block.pfn.start(shift);
                facts.lost.push(LostPages {
                    pfn: block.pfn.0,
                    address: search.kernel.space.direct_map_address(address),
                    pages,
                });
                "kernel_lost"
            }
        };
        zones.block(block, kind);
    }
    facts.pointed_to = pointed.into_rows();
    facts.zones = zones.finish();
    let addresses = facts.lost.iter().map(|block| block.address);
    facts.content = content::look(
        search.kernel,
        symbols,
        addresses,
        facts.lost.len() as u64,
        LOOKED_AT,
    );
    facts
}

fn page_tables(claims: &Claims) -> Vec<Owned> {
    let owned = claims.tables.iter().filter_map(|(owner, pages)| {
        Some(Owned {
            owner: claims.owners.get(*owner as usize)?.clone(),
            pages: *pages,
            blocks: *pages,
        })
    });
    let mut owned: Vec<Owned> = owned.filter(|owned| owned.pages > 0).collect();
    owned.sort_by_key(|owned| std::cmp::Reverse(owned.pages));
    owned
}
