//! Which objects nothing points to any more: reachability in the whole dump.
//!
//! Layer: above `subsys`. Input: a [`Kernel`]. Output: [`ReachFacts`] with the slab facts of
//! the same pass. As kmemleak does on a live machine, but for every object: what lies in
//! the kernel's own pages, in stacks and in page structures is reachable, and so is
//! every object that a word of those points into, and what these point to. Invariants:
//! each page is read once, roots and then slabs, each in file order; a page that the dump
//! lacks is counted and never read as zeros; objects of slabs whose free chains are not
//! as their counters say are followed but never reported.

mod ages;
pub mod alive;
mod areas;
mod bitmap;
mod cached_skbs;
mod charged;
mod closure;
mod content;
mod holders;
mod kept;
mod kmemleak;
mod looks;
mod lost;
mod lost_areas;
mod lost_blocks;
mod objects;
mod omit;
mod page_at;
mod pages;
mod percpu;
mod references;
mod removed;
mod rings;
mod roots;
mod scan;
mod search;
mod searched;
mod sites;
mod spot;
mod structures;
mod targets;
mod twice;
mod typed;
mod watch;
mod whatis;
mod words;

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::diag::Warning;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::symbolize::Symbolized;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::cache::Cache;
use crate::subsys::mm::slab::tracks::SiteFacts;
use crate::subsys::mm::slab::{Progress, SlabFacts, SlabHeap};
pub use ages::{AgeField, AgeShape};
pub use charged::Charge;
pub use content::{Cluster, Content, SymbolAt, UNLOADED};
pub use holders::Holder;
use lost::Lost;
pub use lost_areas::{AreaReach, LostArea};
pub use lost_blocks::{BlockReach, BlocksOfSize};
pub use page_at::{PageAt, PageOwner};
pub use pages::{
    AreasOf, LostPages, Owned, PagesFacts, PointedTo, PoolPages, Ram, Unmarked, ZonePages, pages,
};
pub use percpu::{LostPercpu, PercpuReach};
pub use removed::Removed;
use scan::Found;
use search::{Done, Pages, Search};
pub use searched::Searched;
use sites::LostSites;
use targets::Targets;
pub use twice::Suspects;
use typed::Structures;
pub use typed::TypeGuess;
pub use whatis::{BlockAt, ObjectAt, Place, Referrer, WhatIs, WordAt, whatis};

/// What blocks of large kmalloc are called among caches.
const LARGE_KMALLOC: &str = "large kmalloc";

/// The reachable and the unreachable objects of one cache.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CacheReach {
    /// Of its `struct kmem_cache`.
    pub address: VirtAddr,
    /// Objects in use whose state is certain.
    pub judged: u64,
    /// Of these, how many nothing points to.
    pub unreachable: u64,
    /// Of these, how many no other unreachable object leads to; a ring counts once.
    pub sources: u64,
    /// Caches whose unreachable objects lead to those of this one, and to how many.
    pub led_by: Vec<Holder>,
    /// Who points to the cache's objects, by a sample of them.
    pub holders: Vec<Holder>,
    /// What the objects of a kmalloc cache seem to be, by typed members that point to them.
    pub types: Vec<TypeGuess>,
    /// Variables of modules that point to them, by all of them.
    pub in_modules: Vec<Holder>,
    /// Variables of the kernel or of modules that point to the cache itself: whose it is.
    pub variables: Vec<Symbolized>,
    /// Memory cgroups that the unreachable objects are charged to, that with the most first.
    pub charged_to: Vec<Charge>,
    /// What the unreachable objects look like.
    pub content: Content,
    /// What the others look like, of kmalloc's caches: a sample.
    #[serde(skip)]
    pub kept: Content,
    /// When they were made, where they say so themselves.
    pub ages: Vec<AgeField>,
    /// Who allocated the unreachable objects, where the kernel kept it (slub_debug=U).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<SiteFacts>,
    /// The first of the unreachable objects' addresses; all of them, in order, of the cache that
    /// they are wanted of ([`Options::list`]).
    #[serde(skip)]
    pub lost: Vec<VirtAddr>,
}

/// What the search saw, and what it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Whether memory changed meanwhile, since the kernel runs: then what is called unreachable
    /// was so twice, and what could not be told counts as reachable.
    pub live: bool,
    /// Pages that hold the kernel's own data, and parts of stacks, as far as they were searched.
    pub root_pages: u64,
    /// How many more there are that the dump lacks.
    pub root_pages_missing: u64,
    /// Page structures.
    pub page_structures: u64,
    /// Of these, how many the dump lacks: what their pages hold is not searched.
    pub page_structures_missing: u64,
    /// Pages of slabs.
    pub slab_pages: u64,
    /// Of these, how many the dump lacks.
    pub slab_pages_missing: u64,
    /// Slabs whose free chains are broken or not as long as their counters say.
    pub doubtful_slabs: u64,
    /// Slabs of caches that are not known: what they hold is not searched.
    pub stray_slabs: u64,
    /// Lists of freed objects that are broken or enter missing memory: what is behind the break
    /// looks like an object in use.
    pub broken_lists: u64,
    /// Places that must be known to tell what is a reference and what is stale (where areas of
    /// vmalloc and modules lie, what CPUs keep) that hang on what the dump lacks.
    pub places_missing: u64,
    /// Words of 8 bytes looked at.
    pub words: u64,
    /// Words that point to an object.
    pub pointers: u64,
    /// Free objects.
    pub free_objects: u64,
    /// Free objects that some live word points to: how often what is stale keeps something alive.
    pub free_objects_pointed_to: u64,
    /// Whether all tasks' stacks were found.
    pub all_tasks: bool,
    /// Whether all areas of vmalloc were found; what the others hold counts as reachable.
    pub all_areas: bool,
    /// Whether all caches, and all there is to know of them, were found.
    pub all_caches: bool,
    /// Whether time ran out before all was looked at.
    pub out_of_time: bool,
    /// References of objects that there was no memory for.
    pub references_dropped: u64,
    /// What was said to be missing or broken of a dump that does not change; the warnings have it.
    #[serde(skip)]
    pub losses: Vec<Warning>,
}

impl Coverage {
    /// Whether all that there is to be judged was found.
    pub fn is_complete(&self) -> bool {
        self.all_areas && self.all_caches
    }
}

/// What a search found.
#[derive(Clone, Debug, Serialize)]
pub struct ReachFacts {
    /// For each cache, with its copies for memory cgroups. Their order means nothing: they belong
    /// to the slab facts of the same address.
    pub caches: Vec<CacheReach>,
    /// The areas of vmalloc.
    pub areas: AreaReach,
    /// The blocks of large kmalloc.
    pub blocks: BlockReach,
    /// The kernel's own pages, with their owners.
    /// `None` if they were not wanted.
    pub own_pages: Option<PagesFacts>,
    /// Allocations of per-CPU memory.
    pub percpu: PercpuReach,
    /// What was removed, and something still has.
    pub removed: Vec<Removed>,
    /// How much was seen.
    pub coverage: Coverage,
    /// Pages by what they are used for.
    pub pages: Vec<(PageKind, u64)>,
}

/// How long to search, in how much memory, and how loudly.
#[expect(missing_debug_implementations, reason = "a trait object to report to")]
pub struct Options<'a> {
    /// When to stop with what there is.
    pub deadline: Option<Instant>,
    /// Bytes that kept references may take; `None` for as many as there are.
    pub memory: Option<u64>,
    /// The address of the cache whose unreachable objects are wanted one by one.
    pub list: Option<VirtAddr>,
    /// Of a kernel that runs: what an earlier search found unreachable. All else is not.
    pub suspects: Option<&'a Suspects>,
    /// Whether it is wanted who holds the kernel's own pages.
    pub own_pages: bool,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// Searches the whole dump. `meanwhile` is done while what was found is looked at.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn collect<T: Send>(
    kernel: &Kernel,
    options: &Options<'_>,
    meanwhile: impl FnOnce(&Searched<'_>) -> T + Send,
) -> Result<(SlabFacts, ReachFacts, T), KernelError> {
    kernel.ask(|kernel| collected(kernel, options, meanwhile))
}

fn collected<T: Send>(
    kernel: &Kernel,
    options: &Options<'_>,
    meanwhile: impl FnOnce(&Searched<'_>) -> T + Send,
) -> Result<(SlabFacts, ReachFacts, T), KernelError> {
    let (mut pages, modules, beside) =
        Pages::and_beside(kernel, options.progress, options.own_pages)?;
    let gathered = pages.gathered.take();
    let (symbols, search) = Search::prepare(pages, &modules, beside)?;
    let (done, own_pages) = pages::search(&search, &symbols, options, gathered)?;
    let heap = &search.heap;
    let coverage = search.coverage(&done, &symbols);
    let charges = search.charges()?;
    let waiting = judge_blocks_and_areas(&search, &done);
    let (found, targets) = (&done.found, &search.targets);
    if let Some(suspects) = options.suspects {
        suspects.acquit(&search, &done);
    }
    let mut lost = lost::by_cache(found, &done.edges, targets, heap.caches().len());
    let blocks = lost_blocks::taken_of(&search, &done, &symbols, &mut lost, waiting);
    let sites = LostSites::new(heap, &symbols);
    let judged = judged(found, targets, heap.caches().len());
    let anonymous = anonymous(kernel, heap.caches(), &judged, &lost);
    let anonymous = found.holders.sampled(&anonymous, targets, &found.allocated);
    let searched = Searched {
        modules: &modules,
        tasks: &search.stacks.tasks,
        all_tasks: search.stacks.complete,
        slabs: &done.slabs,
        heap,
    };
    let named = || {
        let structures = Structures::new(kernel, heap.caches());
        let (holders, caches) = (&found.holders, heap.caches());
        holders.named(&symbols, caches, &structures, &anonymous)
    };
    let looks = || looks::of_all(&search, &symbols, &lost, &charges, found);
    let ((named, more), looks) = rayon::join(|| rayon::join(named, || meanwhile(&searched)), looks);
    let told = named.into_iter().zip(looks).zip(heap.caches());
    let caches = lost.into_iter().zip(judged).zip(told);
    let originals = (0..).zip(heap.counted_in());
    let originals = originals.map(|(number, counted_in)| number == counted_in);
    // Of a copy for a memory cgroup, all is in the row of the cache that it is of.
    let caches = caches.zip(originals).filter(|(_, original)| *original);
    let caches = caches.map(|(row, _)| {
        let ((lost, judged), ((named, looks), cache)) = row;
        let addresses = || lost.addresses(found, targets);
        let listed = match options.list == Some(cache.address) {
            true => usize::MAX,
            false => 1,
        };
        CacheReach {
            address: cache.address,
            judged,
            unreachable: lost.objects,
            sources: lost.sources,
            sites: sites.of(cache, addresses()),
            content: looks.content,
            kept: looks.kept,
            ages: looks.ages,
            charged_to: looks.charged_to,
            variables: named.variables,
            holders: named.holders,
            types: named.types,
            in_modules: named.in_modules,
            led_by: led_by(&lost.led_by, heap),
            lost: addresses().take(listed).collect(),
        }
    });
    let percpu = search.percpu.as_ref();
    let percpu = percpu.map(|watch| watch.reach(kernel, &symbols));
    let reach = ReachFacts {
        caches: caches.collect(),
        blocks,
        own_pages,
        percpu: percpu.unwrap_or_default(),
        removed: found.removed.take(heap),
        areas: AreaReach::of(kernel, &symbols, &search.areas, &done.found.marked),
        coverage,
        pages: search.kinds.counts(),
    };
    Ok((done.slabs, reach, more))
}

/// What is unreachable now, of a kernel that runs: the first of two searches.
///
/// # Errors
/// As [`collect`].
pub fn suspects(kernel: &Kernel, options: &Options<'_>) -> Result<Suspects, KernelError> {
    let (pages, modules, beside) = Pages::and_beside(kernel, options.progress, false)?;
    let (symbols, search) = Search::prepare(pages, &modules, beside)?;
    let done = search.run(options, &symbols, None, None)?;
    judge_blocks_and_areas(&search, &done);
    Ok(Suspects::of(&search, &done))
}

/// Areas and blocks count as in use, as objects do that are not free; how many blocks wait to be
/// freed, and do not.
fn judge_blocks_and_areas(search: &Search<'_>, done: &Done) -> u64 {
    for (area, _) in search.areas.holders() {
        done.found.allocated.set(area);
    }
    let given = search.heap.given_to_rcu().map(|at| at.0).collect();
    lost_blocks::judge_all(&done.found, &search.targets, &given)
}

/// The caches of kmalloc that hold so much, or whose unreachable objects others lead to, that it is
/// worth to look up what their objects are: each structure costs a millisecond or two.
fn anonymous(kernel: &Kernel, caches: &[Cache], judged: &[u64], lost: &[Lost]) -> Vec<u32> {
    let ram = kernel.dump().facts().ram_pages << kernel.dump().page_shift();
    let all = (0u32..).zip(caches).zip(judged).zip(lost);
    let chosen = all.filter(|(((_, cache), judged), lost)| {
        let live = judged.saturating_sub(lost.objects);
        let large = live.saturating_mul(u64::from(cache.size)) > ram / 100;
        cache.name.contains("kmalloc") && (large || !lost.led_by.is_empty())
    });
    chosen.map(|(((number, _), _), _)| number).collect()
}

fn led_by(counts: &BTreeMap<u32, u64>, heap: &SlabHeap<'_>) -> Vec<Holder> {
    let mut caches: Vec<Holder> = counts
        .iter()
        .map(|(cache, count)| {
            let name = match heap.caches().get(*cache as usize) {
                Some(cache) => cache.name.as_str(),
                None if *cache as usize == heap.caches().len() => LARGE_KMALLOC,
                None => "areas of vmalloc",
            };
            Holder {
                holder: name.to_owned(),
                references: *count,
                module: None,
            }
        })
        .collect();
    caches.sort_by_key(|cache| std::cmp::Reverse(cache.references));
    caches
}

/// Objects in use whose state is certain, of each cache.
fn judged(found: &Found, targets: &Targets, caches: usize) -> Vec<u64> {
    let mut judged = vec![0; caches];
    for slab in &targets.slabs {
        if let Some(sum) = judged.get_mut(slab.cache as usize) {
            *sum += u64::from(found.allocated.count(slab.numbers()));
        }
    }
    judged
}
