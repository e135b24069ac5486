//! Page pools: pages that drivers give to packets and take back (net/core/page_pool.c).
//!
//! Layer: subsys. Input: the kernel's list of pools where it has one (6.8 and later), the table of
//! receive queues' memory, delayed releases, and the structures of pages, which name their pool
//! since 5.14. Output: [`PagePools`]. Invariants: a pool that only pages name is one only if it
//! looks like one; where pages do not say whose they are, how many are a pool's is not known, and
//! not none.

mod find;
mod layouts;
mod mark;
mod reader;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use self::reader::Reader;
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::LayoutError;
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError};

pub(crate) use self::mark::PoolMark;

/// One pool. Its blocks are of `1 << order` pages; all numbers are of blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PagePoolFacts {
    /// Its `struct page_pool`.
    pub address: VirtAddr,
    /// Its number, 6.8 and later.
    pub id: Option<u64>,
    /// The interface that it was made for, as far as it says so: 6.4 and later.
    pub device: Option<String>,
    /// The device that its memory is mapped for, or that it was made with: `0000:00:03.0`.
    pub parent: Option<String>,
    /// Its interface was unregistered.
    pub device_gone: bool,
    /// The CPU whose own it is (`system_page_pool`), 6.9 and later.
    pub cpu: Option<u64>,
    /// The NAPI that may take back to its cache.
    pub napi_id: Option<u64>,
    /// The logarithm of a block's pages.
    pub order: u64,
    /// Blocks that its ring was made for; 0 for 1,024.
    pub size: u64,
    /// Blocks that it ever took (`pages_state_hold_cnt`, of 32 bits), 5.3 and later.
    pub hold_count: Option<u64>,
    /// Blocks that it gave back (`pages_state_release_cnt`).
    pub release_count: Option<u64>,
    /// The difference: those that it has, in its cache, its ring and with its users.
    pub in_flight: Option<i64>,
    /// Those in its cache.
    pub cached: u64,
    /// Those in its ring; `None` if that is missing.
    pub ring: Option<u64>,
    /// Blocks whose structures say that they are its own; `None` where structures do not say.
    pub found: Option<u64>,
    /// The memory of those.
    pub found_bytes: Option<u64>,
    /// It was destroyed, and waits for blocks that have not come back.
    pub destroyed: bool,
    /// Seconds since then.
    pub destroyed_seconds: Option<f64>,
}

impl PagePoolFacts {
    /// Blocks with its users: neither in its cache nor in its ring.
    pub fn out(&self) -> Option<u64> {
        let all = match self.in_flight {
            Some(count) => u64::try_from(count).ok()?,
            None => self.found?,
        };
        all.checked_sub(self.cached + self.ring?)
    }

    /// Pages of one block.
    pub fn block_pages(&self) -> u64 {
        1 << self.order.min(63)
    }

    /// Whether its counters and what is found in memory are more than an eighth and 64 blocks apart.
    fn disagrees(&self) -> bool {
        let Some((found, counted)) = self.found.zip(self.in_flight) else {
            return false;
        };
        let apart = (i128::from(found) - i128::from(counted)).unsigned_abs();
        apart > 64 && apart > u128::from(found) / 8
    }
}

/// A pool and where its blocks are.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) facts: PagePoolFacts,
    /// First pages of the blocks that say they are its own.
    pub(crate) pages: Vec<Pfn>,
    /// Structures of those in its cache and its ring.
    pub(crate) kept: Vec<VirtAddr>,
    /// Slots of its cache that are empty, and still name what was in them last.
    pub(crate) stale: Range<VirtAddr>,
}

/// All pools.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PagePools {
    /// By address; `None` if this kernel's types do not tell.
    pub pools: Option<Vec<PagePoolFacts>>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads all pools, with one pass over the structures of pages.
///
/// # Errors
/// If the memmap can't be found, or the kernel's types can't be read.
pub fn collect(kernel: &Kernel) -> Result<PagePools, KernelError> {
    let mut complete = true;
    let marked = match PoolMark::find(kernel) {
        Ok(Some(mark)) => {
            let (marked, lost) = scan(kernel, &mark)?;
            if lost > 0 {
                complete = false;
                kernel.diag.warn_many(
                    "page-pools-incomplete",
                    "structures of pages are missing: page pools may have more pages than are found",
                    lost,
                );
            }
            Some(marked)
        }
        Ok(None) | Err(KernelError::Layout(_)) => None,
        Err(error) => return Err(error),
    };
    let Some((pools, whole)) = known(kernel, marked.as_deref())? else {
        return Ok(PagePools {
            pools: None,
            complete,
        });
    };
    Ok(PagePools {
        pools: Some(pools.into_iter().map(|pool| pool.facts).collect()),
        complete: complete && whole,
    })
}

/// A first page, and the pool that it says it is of.
type Marked = (Pfn, VirtAddr);

/// All pages that say they are of a pool, and how many structures are missing.
fn scan(kernel: &Kernel, mark: &PoolMark) -> Result<(Vec<Marked>, u64), KernelError> {
    let memmap = Memmap::find(kernel)?;
    let parts = memmap.scan(
        kernel,
        |_| (),
        |chunk| {
            let mut found = Vec::new();
            let mut lost = 0u64;
            for (index, pfn) in (0..chunk.len()).zip(chunk.start.0..) {
                match chunk.get(index) {
                    Some(record) => {
                        found.extend(mark.pool_of(record).map(|pool| (Pfn(pfn), pool)));
                    }
                    None => lost += 1,
                }
            }
            (found, lost)
        },
    );
    let lost = parts.iter().map(|(_, lost)| lost).sum();
    Ok((
        parts.into_iter().flat_map(|(found, _)| found).collect(),
        lost,
    ))
}

/// All pools with their blocks, by address, and whether all could be read; `marked` are the pages
/// that say they are of one, where pages do. `None` if this kernel's types do not tell.
pub(crate) fn known(
    kernel: &Kernel,
    marked: Option<&[Marked]>,
) -> Result<Option<(Vec<Pool>, bool)>, KernelError> {
    let reader = match Reader::new(kernel) {
        Ok(reader) => reader,
        // A kernel without CONFIG_PAGE_POOL.
        Err(KernelError::Layout(LayoutError::NoStruct(_))) => {
            return Ok(Some((Vec::new(), true)));
        }
        Err(KernelError::Layout(error)) => {
            kernel.diag.note(
                "page-pools-unknown",
                format!("page pools are not told: {error}"),
            );
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (listed, mut complete) = find::listed(kernel, marked.is_some())?;
    let mut pages: BTreeMap<VirtAddr, Vec<Pfn>> = BTreeMap::new();
    for at in &listed {
        pages.entry(*at).or_default();
    }
    for (pfn, pool) in marked.unwrap_or_default() {
        pages.entry(*pool).or_default().push(*pfn);
    }
    let mut pools = Vec::new();
    for (at, pages) in pages {
        match reader.pool(at, marked.is_some().then_some(&pages)) {
            Some(found) => pools.push(Pool { pages, ..found }),
            None if listed.contains(&at) => complete = false,
            None => {}
        }
    }
    for pool in pools.iter().filter(|pool| pool.facts.disagrees()) {
        let facts = &pool.facts;
        kernel.diag.note(
            "page-pool-disagrees",
            format!(
                "the page pool at {} counts {} blocks in flight, and {} say that they are its own",
                facts.address,
                facts.in_flight.unwrap_or(0),
                facts.found.unwrap_or(0)
            ),
        );
    }
    if !complete {
        kernel
            .diag
            .warn("page-pools-incomplete", "not all page pools could be read");
    }
    Ok(Some((pools, complete)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(in_flight: Option<i64>, found: Option<u64>) -> PagePoolFacts {
        PagePoolFacts {
            in_flight,
            found,
            ..PagePoolFacts::example(VirtAddr(0xffff_8880_0000_0000))
        }
    }

    impl PagePoolFacts {
        /// One in use, of which 200 blocks are out.
        pub(crate) fn example(address: VirtAddr) -> Self {
            Self {
                address,
                id: None,
                device: None,
                parent: None,
                device_gone: false,
                cpu: None,
                napi_id: None,
                order: 0,
                size: 256,
                hold_count: None,
                release_count: None,
                in_flight: Some(256),
                cached: 36,
                ring: Some(20),
                found: Some(256),
                found_bytes: Some(256 << 12),
                destroyed: false,
                destroyed_seconds: None,
            }
        }
    }

    #[test]
    fn what_is_out_is_neither_in_cache_nor_ring() {
        assert_eq!(pool(Some(256), Some(256)).out(), Some(200));
        // Counters since 5.3 only, marks since 5.14 only.
        assert_eq!(pool(None, Some(256)).out(), Some(200));
        assert_eq!(pool(None, None).out(), None);
        // Counts that make no sense are no number of pages.
        assert_eq!(pool(Some(-1), None).out(), None);
        let without_ring = PagePoolFacts {
            ring: None,
            ..pool(Some(256), None)
        };
        assert_eq!(without_ring.out(), None);
    }

    #[test]
    fn a_few_pages_on_their_way_are_no_difference() {
        assert!(!pool(Some(256), Some(256 - 64)).disagrees());
        assert!(!pool(Some(2000), Some(1900)).disagrees());
        assert!(pool(Some(2000), Some(1000)).disagrees());
        assert!(pool(Some(-1), Some(1000)).disagrees());
        assert!(!pool(None, Some(1000)).disagrees());
    }
}
