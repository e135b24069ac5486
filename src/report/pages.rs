//! The part of `pages`: all of RAM by owner.

use serde::Serialize;

use crate::analysis::leaks::Trust;
use crate::analysis::pages::{Ledger, Row, ZoneLedger, by_node, by_zone, ledger, rows};
use crate::graph::{AreasOf, Coverage, LostPages, Owned, PagesFacts, PointedTo, PoolPages};

/// Lost blocks that are told one by one.
const LISTED: usize = 10_000;

/// Pages of the kernel that nothing points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostReport {
    /// How many pages.
    pub pages: u64,
    /// In how many blocks.
    pub blocks: u64,
    /// The first 10,000, by place.
    pub first: Vec<LostPages>,
}

/// Which parts of RAM have a ledger of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Each zone of each node.
    Zone,
    /// Each node.
    Node,
}

/// The part of `pages`.
#[derive(Clone, Debug, Serialize)]
pub struct PagesReport {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// All of RAM in bytes; `None` if that is not known.
    pub ram_bytes: Option<u64>,
    /// Bytes of the kernel's pages without a known owner or a pointer to them.
    pub unexplained_bytes: u64,
    /// All of RAM, owner by owner.
    #[serde(rename = "ledger")]
    pub rows: Vec<Row>,
    /// The same in some lines, one a kind.
    #[serde(rename = "sums")]
    pub ledger: Ledger,
    /// The same by node and zone, or by node.
    pub zones: Vec<ZoneLedger>,
    /// The kernel's own pages with a known owner, and page tables by process.
    pub owned: Vec<Owned>,
    /// Those that something else points to.
    pub pointed_to: Vec<PointedTo>,
    /// Areas of vmalloc.
    pub areas: Vec<AreasOf>,
    /// Those that nothing points to.
    pub lost: LostReport,
    /// Pools of pages for packets; `None` if they are not known.
    pub page_pools: Option<Vec<PoolPages>>,
    /// Owners that this kernel's types don't describe, and why.
    pub unknown_owners: Vec<String>,
    /// How far the search can be trusted.
    pub trust: Trust,
    /// What the search saw.
    pub coverage: Coverage,
}

impl PagesReport {
    /// Sums up.
    pub fn new(facts: PagesFacts, by: Division) -> Self {
        let mut first = facts.lost.clone();
        first.truncate(LISTED);
        let tables = |owned: &&Owned| owned.owner.kind == "page_tables";
        let others = facts.owned.iter().filter(|owned| !tables(owned));
        let mut owned: Vec<Owned> = others.chain(&facts.page_tables).cloned().collect();
        owned.sort_by_key(|owned| std::cmp::Reverse(owned.pages));
        let page_bytes = facts.coverage.page_bytes;
        let ledger = ledger(&facts);
        Self {
            page_bytes,
            ram_bytes: ledger.ram_pages.map(|pages| pages * page_bytes),
            unexplained_bytes: ledger.unexplained_pages * page_bytes,
            rows: rows(&facts, &ledger),
            ledger,
            zones: match by {
                Division::Zone => by_zone(&facts.zones),
                Division::Node => by_node(&facts.zones),
            },
            lost: LostReport {
                pages: facts.lost.iter().map(|one| one.pages).sum(),
                blocks: facts.lost.len() as u64,
                first,
            },
            page_pools: facts.page_pools,
            unknown_owners: facts.unknown,
            owned,
            pointed_to: facts.pointed_to,
            areas: facts.areas,
            trust: Trust::of(&facts.coverage),
            coverage: facts.coverage,
        }
    }

    /// Whether all of memory was seen.
    pub fn is_complete(&self) -> bool {
        self.coverage.is_complete() && self.trust.reliable
    }
}
