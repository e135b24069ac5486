//! The kernel's own pages that nothing points to, judged as blocks of large kmalloc are: by their
//! number, and by what they hold.

use serde::Serialize;

use super::super::accounting::{Level, Reason, share};
use super::coverage::Trust;
use super::{LeakVerdict, Owner, alike, reason};
use crate::graph::{Cluster, LostPages, PagesFacts, PoolPages};

/// Fewer pages prove nothing: on nine dumps without such a leak 6 to 45 were known to nobody.
const LOST: u64 = 256;
/// Of the lost, as with objects.
const HALF: f64 = 0.5;
/// Blocks given.
const LISTED: usize = 10_000;

/// The kernel's own pages with a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct PagesJudgement {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// Blocks that nothing points to; `None` if the search could not tell.
    pub unreachable: Option<u64>,
    /// Pages of those.
    pub pages: Option<u64>,
    /// The memory that they hold.
    pub bytes: Option<u64>,
    /// By place; the first ones.
    pub blocks: Vec<LostPages>,
    /// What they begin with.
    pub clusters: Vec<Cluster>,
    /// Whose they seem to be.
    pub owners: Vec<Owner>,
    /// Command lines of crash and drgn that check it.
    pub check_with: Vec<String>,
}

/// Judges the pages; `None` if they were not searched for.
pub fn judge(facts: Option<&PagesFacts>, trust: &Trust, page_bytes: u64) -> Option<PagesJudgement> {
    let facts = facts?;
    let pages = facts.lost.iter().map(|block| block.pages).sum::<u64>();
    let many = pages >= LOST;
    let owners = alike::owners_of(&facts.content, facts.lost.len() as u64);
    let mut verdict = LeakVerdict::undecided(trust);
    let unknown = facts.unknown.iter().cloned();
    verdict
        .not_checked
        .extend(unknown.map(|text| reason("owner-unknown", "types", text)));
    if many {
        verdict.r#for = evidence(facts, pages, &owners);
        let reliable = trust.reliable && facts.unknown.is_empty();
        verdict.level = match reliable {
            true => verdict.by_evidence(),
            false => Level::Inconclusive,
        };
    }
    // What a pool's pages say of themselves weighs nothing: hardware may have the only address of them.
    let of_pools = of_pools(facts);
    if many && of_pools > 0 {
        let text =
            format!("{of_pools} of the pages say that they are of page pools (vmleak pages)");
        verdict.r#for.push(reason("page-pool", "structure", text));
    }
    let mut owners = owners;
    owners.extend(owners_by_pools(facts, pages));
    let known = |count: u64| (trust.reliable && facts.unknown.is_empty()).then_some(count);
    Some(PagesJudgement {
        verdict,
        unreachable: known(facts.lost.len() as u64),
        pages: known(pages),
        bytes: known(pages.saturating_mul(page_bytes)),
        blocks: facts.lost.iter().take(LISTED).copied().collect(),
        clusters: facts.content.named(),
        owners,
        check_with: match many {
            true => commands(&facts.lost),
            false => Vec::new(),
        },
    })
}

fn evidence(facts: &PagesFacts, pages: u64, owners: &[Owner]) -> Vec<Reason> {
    let text = format!(
        "nothing in memory points to {pages} pages of the kernel, in {} blocks",
        facts.lost.len()
    );
    let mut found = vec![reason("unreachable", "reachability", text)];
    found.extend(alike::evidence(&facts.content, owners));
    found
}

/// Lost pages that are of page pools.
fn of_pools(facts: &PagesFacts) -> u64 {
    let pools = facts.page_pools.iter().flatten();
    let pages = |pool: &PoolPages| {
        let blocks = pool.lost.unwrap_or(0);
        blocks.saturating_mul(pool.facts.block_pages())
    };
    pools.map(pages).sum()
}

/// Modules whose variables point to a pool with half of the lost pages or more.
fn owners_by_pools(facts: &PagesFacts, pages: u64) -> Option<Owner> {
    facts.page_pools.iter().flatten().find_map(|pool| {
        let lost = pool.lost?.saturating_mul(pool.facts.block_pages());
        let share = share(lost, pages);
        let module = pool.module.clone().filter(|_| share >= HALF)?;
        Some(Owner {
            how: format!(
                "its variable {} points to the page pool that {lost} of the pages are of",
                pool.name
            ),
            module,
            share: Some(share.min(1.0)),
            sites: Vec::new(),
        })
    })
}

fn commands(lost: &[LostPages]) -> Vec<String> {
    let Some(example) = lost.first() else {
        return Vec::new();
    };
    let address = example.address;
    vec![
        format!("crash> kmem {address}"),
        format!("crash> rd -SS {address} 32"),
        format!("crash> search -k -m 0xfff {address}"),
        format!("drgn> pfn_to_page({:#x})", example.pfn),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;
    use crate::graph::{Content, Coverage, Ram, Unmarked};

    fn trust(all_tasks: bool) -> Trust {
        Trust::of(&Coverage {
            all_tasks,
            ..Coverage::default()
        })
    }

    fn facts(lost: u64, text: Option<&str>) -> PagesFacts {
        let cluster = Cluster {
            text: text.map(str::to_owned),
            text_at: 0,
            format: None,
            symbols: Vec::new(),
            empty_lists: Vec::new(),
            objects: lost,
            examples: Vec::new(),
            members: Vec::new(),
        };
        let block = |pfn| LostPages {
            pfn,
            address: VirtAddr(pfn << 12),
            pages: 1,
        };
        PagesFacts {
            zones: Vec::new(),
            ram: Ram::default(),
            page_tables: Vec::new(),
            owned: Vec::new(),
            pointed_to: Vec::new(),
            lost: (0..lost).map(block).collect(),
            content: Content {
                looked_at: lost,
                clusters: vec![cluster],
            },
            page_pools: None,
            behind_others: 0,
            not_counted: 0,
            areas: Vec::new(),
            unmarked: Unmarked::default(),
            unknown: Vec::new(),
            coverage: Coverage::default(),
        }
    }

    #[test]
    fn many_are_suspect_and_if_alike_a_leak() {
        let level = |lost, text| {
            let judged = judge(Some(&facts(lost, text)), &trust(true), 4096);
            judged.map(|judged| judged.verdict.level)
        };
        assert_eq!(level(255, Some("text")), Some(Level::Clean));
        assert_eq!(level(256, None), Some(Level::Suspect));
        assert_eq!(level(256, Some("text")), Some(Level::Leak));
        assert!(judge(None, &trust(true), 4096).is_none());
    }

    #[test]
    fn nothing_is_said_to_be_lost_where_the_search_can_not_tell() {
        let judged = judge(Some(&facts(1000, Some("text"))), &trust(false), 4096);
        let judged = judged.expect("they were searched for");
        assert_eq!(judged.verdict.level, Level::Inconclusive);
        assert_eq!(
            (judged.unreachable, judged.pages, judged.bytes),
            (None, None, None)
        );
    }
}
