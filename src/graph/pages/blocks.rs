//! The blocks of pages that the kernel took for itself, by their page structures.
//!
//! A compound page is one block. So is what was taken at a higher order without being compound:
//! only its first page is counted as used, and the pages behind it say nothing (`followers`).

use std::sync::{Mutex, PoisonError};

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::{Field, layout};
use crate::kernel::memmap::{Memmap, PageIndex};
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::net::page_pools::PoolMark;

layout! {
    /// include/linux/mm_types.h
    struct CountLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need refcount = "_refcount.counter" | "_refcount" | "_count.counter",
    }
}

/// What one structure says.
#[derive(Clone, Copy, Debug)]
struct Head {
    pfn: Pfn,
    order: u32,
    /// Whether it is counted as used.
    used: bool,
}

/// A word of one page's structure that points to another page's, or to memory.
pub(super) type Link = (Pfn, u64);

/// What is gathered in the pass over the memmap.
pub(in crate::graph) struct Gathered {
    refcount: Field,
    /// Where page structures lie.
    structures: std::ops::Range<u64>,
    heads: Mutex<Vec<Head>>,
    links: Mutex<Vec<Link>>,
    /// Tells pages of page pools, where they say it.
    mark: Option<PoolMark>,
    pools: Mutex<Vec<(Pfn, VirtAddr)>>,
}

impl Gathered {
    pub(in crate::graph) fn new(kernel: &Kernel, memmap: &Memmap) -> Result<Self, KernelError> {
        let layout: CountLayout = kernel.layout()?;
        let end = memmap.index().end();
        let start = memmap.bias().map_or(0, |bias| bias.0);
        let len = end.0.saturating_mul(memmap.struct_page_size() as u64);
        Ok(Self {
            refcount: layout.refcount,
            structures: start..start.saturating_add(if start == 0 { 0 } else { len }),
            heads: Mutex::default(),
            links: Mutex::default(),
            mark: PoolMark::find(kernel)?,
            pools: Mutex::default(),
        })
    }

    /// Takes one structure, of `1 << order` pages from `pfn` on.
    pub(in crate::graph) fn take(&self, record: &[u8], pfn: Pfn, order: u32, kind: PageKind) {
        if !matches!(kind, PageKind::Kernel | PageKind::LargeKmalloc) {
            return;
        }
        let used = kind == PageKind::LargeKmalloc || self.refcount.get(record) != 0;
        let head = Head { pfn, order, used };
        lock(&self.heads).push(head);
        if let Some(pool) = self.mark.as_ref().and_then(|mark| mark.pool_of(record)) {
            lock(&self.pools).push((pfn, pool));
        }
        let (words, _) = record.as_chunks::<8>();
        let words = words.iter().skip(1).map(|word| u64::from_le_bytes(*word));
        let links = words.filter(|word| self.structures.contains(word));
        lock(&self.links).extend(links.map(|word| (pfn, word)));
    }

    /// The blocks, in order, and what their structures point to. Pages that turned out to be
    /// something else meanwhile are none.
    pub(super) fn into_blocks(self, kinds: &PageKinds) -> (Blocks, Vec<Link>) {
        let mut heads = into_inner(self.heads);
        heads.sort_unstable_by_key(|head| head.pfn);
        let still = |head: &Head| {
            matches!(
                kinds.get(head.pfn),
                PageKind::Kernel | PageKind::LargeKmalloc
            )
        };
        heads.retain(still);
        let mut blocks: Vec<Block> = Vec::with_capacity(heads.len());
        for head in heads {
            let pages = 1u32 << head.order.min(31);
            if let Some(last) = blocks.last_mut()
                && !head.used
                && head.order == 0
                && last.takes(head.pfn)
            {
                last.pages += 1;
                last.followers = true;
                continue;
            }
            blocks.push(Block {
                pfn: head.pfn,
                pages,
                used: head.used,
                followers: false,
            });
        }
        let links = into_inner(self.links);
        let mut blocks = Blocks::of(blocks, kinds.index().clone());
        blocks.pools = self.mark.is_some().then(|| into_inner(self.pools));
        (blocks, links)
    }
}

/// Pages that were taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) pfn: Pfn,
    pub(super) pages: u32,
    /// Whether it is counted as used; what is not is on its way, or the allocator's.
    pub(super) used: bool,
    /// Whether it is put together of a page and the uncounted ones behind it.
    followers: bool,
}

impl Block {
    /// Whether a page that is not counted belongs to this one: behind it, and within what a block
    /// that begins here can be. Blocks of 2^n pages begin at multiples of that.
    fn takes(&self, pfn: Pfn) -> bool {
        let alone = self.pages == 1 || self.followers;
        let largest = 1u64 << self.pfn.0.trailing_zeros().min(10);
        let behind = pfn.0 == self.pfn.0 + u64::from(self.pages);
        self.used && alone && behind && u64::from(self.pages) < largest
    }

    pub(super) fn end(&self) -> Pfn {
        Pfn(self.pfn.0 + u64::from(self.pages))
    }
}

/// All blocks, and which a page is of.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) all: Vec<Block>,
    index: PageIndex,
    /// For each page the number of its block and one, or 0: memory of zeros costs nothing until
    /// it is asked for.
    of_page: Vec<u32>,
    /// First pages that say they are of a page pool, and the pool; `None` if pages do not say.
    pub(super) pools: Option<Vec<(Pfn, VirtAddr)>>,
}

impl Blocks {
    fn of(all: Vec<Block>, index: PageIndex) -> Self {
        let mut of_page = vec![0u32; index.len()];
        for (number, block) in (1u32..).zip(&all) {
            for pfn in block.pfn.0..block.end().0 {
                let at = index.get(Pfn(pfn));
                if let Some(slot) = at.and_then(|at| of_page.get_mut(at)) {
                    *slot = number;
                }
            }
        }
        Self {
            all,
            index,
            of_page,
            pools: None,
        }
    }

    /// The number of the block that a page is of.
    pub(super) fn at(&self, pfn: Pfn) -> Option<u32> {
        self.of_page.get(self.index.get(pfn)?)?.checked_sub(1)
    }
}

/// From addresses to pages: of the direct map, and of page structures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    direct: u64,
    reach: u64,
    shift: u32,
    structures: u64,
    structure: u64,
    structures_reach: u64,
}

/// How an address tells a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// It is where the page begins, but for marks in low bits.
    Start,
    /// It is that of its structure, or of a member of it.
    Structure,
    /// It lies within the page.
    Within,
}

/// Marks in the low bits of a pointer to a page.
const MARKS: u64 = 15;

impl Addresses {
    pub(super) fn new(kernel: &Kernel, memmap: &Memmap) -> Self {
        let end = memmap.index().end().0;
        let shift = kernel.dump().page_shift();
        let structure = memmap.struct_page_size() as u64;
        let bias = memmap.bias();
        Self {
            direct: kernel.space.direct_map_zero().0,
            reach: end << shift,
            shift,
            structures: bias.map_or(0, |bias| bias.0),
            structure,
            structures_reach: bias.map_or(0, |_| end.saturating_mul(structure)),
        }
    }

    /// The page that an address is of.
    pub(super) fn page(&self, address: u64) -> Option<(Pfn, Form)> {
        let offset = address.wrapping_sub(self.direct);
        if offset < self.reach {
            let within = offset & ((1 << self.shift) - 1);
            let form = if within <= MARKS {
                Form::Start
            } else {
                Form::Within
            };
            return Some((Pfn(offset >> self.shift), form));
        }
        let offset = address.wrapping_sub(self.structures);
        (offset < self.structures_reach).then(|| (Pfn(offset / self.structure), Form::Structure))
    }

    /// Whether an address is of the direct map.
    pub(super) fn is_direct(&self, address: VirtAddr) -> bool {
        address.0.wrapping_sub(self.direct) < self.reach
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mm/page_alloc.c: a block of 2^n pages is aligned to its size, and without __GFP_COMP only
    /// its first page is counted.
    #[test]
    fn uncounted_pages_belong_to_the_counted_one_before_them() {
        let mut block = Block {
            pfn: Pfn(0x1004),
            pages: 1,
            used: true,
            followers: false,
        };
        for behind in 1..4u64 {
            assert!(block.takes(Pfn(0x1004 + behind)), "{behind}");
            block.pages += 1;
            block.followers = true;
        }
        assert!(!block.takes(Pfn(0x1008)), "an aligned block has 4 pages");
        let odd = Block {
            pfn: Pfn(0x1005),
            ..block
        };
        assert!(!Block { pages: 1, ..odd }.takes(Pfn(0x1006)));
        let compound = Block {
            pfn: Pfn(0x1010),
            pages: 4,
            used: true,
            followers: false,
        };
        assert!(!compound.takes(Pfn(0x1014)));
    }

    #[test]
    fn addresses_of_pages_and_of_their_structures() {
        let addresses = Addresses {
            direct: 0xffff_8880_0000_0000,
            reach: 0x10_0000,
            shift: 12,
            structures: 0xffff_ea00_0000_0000,
            structure: 64,
            structures_reach: 0x100 * 64,
        };
        for (address, expected) in [
            (0xffff_8880_0000_3000, Some((Pfn(3), Form::Start))),
            (0xffff_8880_0000_3001, Some((Pfn(3), Form::Start))),
            (0xffff_8880_0000_3040, Some((Pfn(3), Form::Within))),
            (0xffff_8880_0010_0000, None),
            (0xffff_ea00_0000_00c0, Some((Pfn(3), Form::Structure))),
            (0xffff_ea00_0000_00c8, Some((Pfn(3), Form::Structure))),
            (0xffff_ea00_0000_4000, None),
            (0x3000, None),
        ] {
            assert_eq!(addresses.page(address), expected, "{address:#x}");
        }
    }
}
