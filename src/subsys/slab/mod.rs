//! The slab allocator at the crash: every cache with the kernel's own numbers and the
//! exact ones.
//!
//! Layer: subsystem. Input: a [`Kernel`]. Output: [`SlabFacts`] for all caches, or
//! [`objects::each`] for those of one. The path: the list of caches; one pass over the
//! memmap for all slabs; nodes and CPUs for what the kernel counts; the free chains of
//! the slabs that have one. Invariant: the kernel's view and the truth are two numbers,
//! found on independent routes and compared.

mod alias;
pub mod cache;
mod callbacks;
mod children;
pub mod classic;
mod count;
mod deferred;
pub mod era;
pub mod flags;
pub mod freelist;
mod kfence;
pub mod kfree_rcu;
mod layouts;
pub mod nodes;
pub mod objects;
pub mod pages;
mod percpu;
mod places;
mod range;
mod sheaves;
mod sums;
pub mod visit;
mod warnings;

use std::ops::Range;

use serde::Serialize;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::{Kernel, KernelError};
use cache::{Cache, FlagMasks};
use callbacks::CallbackFacts;
pub use classic::{DebugStatistics, Tunables};
use classic::{arrays::ArrayReader, nodes::ClassicNodeReader};
use deferred::DeferredFacts;
use era::SlabEra;
use flags::CacheFlags;
use freelist::Geometry;
use kfree_rcu::{BulkPages, KfreeRcuFacts};
use nodes::{NodeFacts, NodeReader};
use pages::{Slab, SlabScan};
use percpu::{CpuFacts, CpuReader};
use sheaves::{SheafFacts, SheafReader};
use visit::SlabVisitor;

/// What /proc/slabinfo would have printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlabinfoView {
    /// Objects less those free on node partial lists; free ones that CPUs hold count as active.
    pub active_objs: u64,
    /// All objects.
    pub num_objs: u64,
    /// As `num_slabs` with SLUB; with classic SLAB, less those without an object in use.
    pub active_slabs: u64,
    /// All slabs.
    pub num_slabs: u64,
    /// 0 with SLUB, which has none.
    #[serde(flatten)]
    pub tunables: Tunables,
    /// Objects in the arrays that the CPUs of a node share; 0 with SLUB.
    pub shared_avail: u64,
    /// Only classic SLAB with CONFIG_DEBUG_SLAB has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<DebugStatistics>,
}

/// What is there, by walking every slab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExactView {
    /// Slabs.
    pub slabs: u64,
    /// Objects that they are divided into.
    pub objects: u64,
    /// Objects handed out and not freed.
    pub allocated: u64,
    /// The fewest that it may be; as `allocated` unless part of the cache is lost.
    pub allocated_min: u64,
    /// The most that it may be.
    pub allocated_max: u64,
    /// Objects on a free chain, in a sheaf, or put off to be freed.
    pub free: u64,
    /// Freed by their owner, but waiting for RCU.
    pub pending_free: u64,
    /// Bytes of the slabs' pages.
    pub bytes: u64,
    /// Allocated objects times `object_size`.
    pub allocated_bytes: u64,
    /// Whether nothing was missing or broken, and the counts agree with the kernel's counters.
    pub complete: bool,
}

/// Slabs by how they lie: the kernel's own view of fragmentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// Slabs with no free object.
    pub full: u64,
    /// Slabs with both.
    pub partial: u64,
    /// Slabs with no allocated object.
    pub empty: u64,
    /// Current slabs of CPUs.
    pub cpu: u64,
    /// Slabs on CPUs' partial lists.
    pub cpu_partial: u64,
    /// Slabs on nodes' partial lists.
    pub node_partial: u64,
    /// Objects that lie in sheaves, free or waiting for RCU (6.18 and later), or free in the arrays
    /// of CPUs and nodes (classic SLAB).
    pub sheaves: u64,
    /// Slabs of less than the preferred order, taken when memory was short.
    pub fallback_order: u64,
}

/// What went wrong with a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Free chains that are circular, broken or enter missing memory; their slabs are counted
    /// by their own counters instead.
    pub broken_freelists: u64,
    /// Slabs whose chain is not as long as their counters say.
    pub counter_mismatches: u64,
    /// Per-CPU structures or slabs of theirs that can't be found.
    pub lost_cpu_slabs: u64,
    /// Sheaves, barns, classic SLAB's arrays, or per-CPU structures of them that are missing, make no sense or are
    /// met twice.
    pub broken_sheaves: u64,
    /// Pointers in sheaves or arrays that lead to no object of the cache.
    pub wild_sheaf_objects: u64,
    /// Objects that are free in two places.
    pub doubly_free: u64,
    /// Whether a node's partial list, or any list of a node of classic SLAB, is broken.
    pub broken_partial_list: bool,
    /// Scanned slabs and objects against the node counters, where they differ: scanned, counted.
    pub slabs_against_counter: Option<(u64, u64)>,
    /// As above, for objects.
    pub objects_against_counter: Option<(u64, u64)>,
    /// Free objects of all slabs against what the nodes of classic SLAB count, where they differ.
    pub free_against_counter: Option<(u64, u64)>,
}

/// One cache as it was.
#[derive(Clone, Debug, Serialize)]
pub struct CacheFacts {
    /// As in /proc/slabinfo.
    pub name: String,
    /// Names of caches merged into this one.
    pub aliases: Vec<String>,
    /// Of `struct kmem_cache`.
    pub address: VirtAddr,
    /// Bytes that the user asked for.
    pub object_size: u32,
    /// Bytes from object to object.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
    /// By the preferred order.
    pub objects_per_slab: u32,
    /// By the preferred order.
    pub pages_per_slab: u32,
    /// `SLAB_*` without the prefix.
    pub flags: Vec<String>,
    /// Whether the kernel may shrink it under pressure.
    pub reclaimable: bool,
    /// The kernel's view.
    pub slabinfo: SlabinfoView,
    /// The truth.
    pub exact: ExactView,
    /// How the slabs lie.
    pub occupancy: Occupancy,
    /// Slabs freed but waiting for a grace period (SLAB_TYPESAFE_BY_RCU); not in `exact`.
    pub rcu_slabs: u64,
    /// Objects of this cache in KFENCE pages; not in `exact`.
    pub kfence_pages: u64,
    /// Copies of it for memory cgroups that are counted in (up to 5.8).
    pub memcg_children: u64,
    /// What is broken.
    pub damage: Damage,
}

/// The whole allocator.
#[derive(Clone, Debug, Serialize)]
pub struct SlabFacts {
    /// In the order of /proc/slabinfo.
    pub caches: Vec<CacheFacts>,
    /// Whether all caches and the whole memmap were seen.
    pub complete: bool,
    /// Page structures that the dump lacks.
    pub missing_page_structs: u64,
    /// Pages marked as slab that belong to no cache.
    pub stray_slabs: u64,
    /// How slabs were recognised, and freelists decoded.
    pub slab_mark: String,
    /// How freelist pointers are stored.
    pub freelist_encoding: &'static str,
}

/// Everything that was found out about the allocator before objects are counted.
#[derive(Debug)]
pub struct SlabHeap<'k> {
    kernel: &'k Kernel,
    era: SlabEra,
    all_caches: bool,
    caches: Vec<Cache>,
    flags: CacheFlags,
    masks: FlagMasks,
    scan: SlabScan,
    nodes: Vec<NodeFacts>,
    cpus: Vec<CpuFacts>,
    sheaves: Vec<SheafFacts>,
    deferred: DeferredFacts,
    kfree_rcu: KfreeRcuFacts,
    callbacks: CallbackFacts,
    kfence: Range<Pfn>,
}

/// What progress is told: the name of a phase and its length, then steps of it.
pub trait Progress: Sync {
    /// A phase of `total` steps begins.
    fn start(&self, what: &'static str, total: u64);
    /// So many steps more are done.
    fn step(&self, steps: u64);
}

/// For callers that show no progress.
#[derive(Clone, Copy, Debug)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _: &'static str, _: u64) {}
    fn step(&self, _: u64) {}
}

impl<'k> SlabHeap<'k> {
    /// Finds all caches, slabs, and what nodes and CPUs hold.
    ///
    /// # Errors
    /// If the era is not supported, or what everything hangs on is not in the dump.
    pub fn read(kernel: &'k Kernel, progress: &dyn Progress) -> Result<Self, KernelError> {
        let memmap = Memmap::find(kernel)?;
        Self::read_with(kernel, &memmap, progress, |_| ())
    }

    /// As [`read`](Self::read); `also` sees the memmap in the same pass.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_with(
        kernel: &'k Kernel,
        memmap: &Memmap,
        progress: &dyn Progress,
        also: impl Fn(&Chunk<'_>) + Sync,
    ) -> Result<Self, KernelError> {
        let era = SlabEra::detect(kernel)?;
        era.require_supported()?;
        let list = cache::read_all(kernel, era)?;
        let (all_caches, caches) = (list.is_complete(), list.value);
        progress.start("reading the memmap", memmap.pages());
        let kfence = kfence::pool(kernel)?;
        let step = |pages| progress.step(pages);
        let scan = pages::scan(kernel, memmap, &caches, &kfence, step, also)?;
        let flags = CacheFlags::read(kernel, era)?;
        let masks = FlagMasks::of(&flags);
        let nodes: Vec<NodeFacts> = if era == SlabEra::Slab {
            let reader = ClassicNodeReader::new(kernel, memmap, &scan)?;
            caches.iter().map(|cache| reader.read(cache)).collect()
        } else {
            let reader = NodeReader::new(kernel, memmap, &scan)?;
            caches.iter().map(|cache| reader.read(cache)).collect()
        };
        let cpus = if era.has_cpu_slabs() {
            let reader = CpuReader::new(kernel, memmap, &scan)?;
            caches.iter().map(|cache| reader.read(cache)).collect()
        } else {
            vec![CpuFacts::default(); caches.len()]
        };
        let most = scan.objects().saturating_add(memmap.pages());
        let callbacks = callbacks::read(kernel, most)?;
        let sheaves = read_sheaves(kernel, era, &caches, &callbacks.sheaves)?;
        let deferred = deferred::read(kernel, memmap, &scan)?;
        Ok(Self {
            kernel,
            era,
            all_caches,
            caches,
            flags,
            masks,
            scan,
            nodes,
            cpus,
            sheaves,
            deferred,
            kfree_rcu: kfree_rcu::read(kernel, most)?,
            callbacks,
            kfence,
        })
    }

    /// The index of the cache called `name`, by its own name or an alias of `facts`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.caches.iter().position(|cache| cache.name == name)
    }

    /// Whether all caches and the whole memmap were seen, so that no slab is missing.
    pub fn is_complete(&self) -> bool {
        let lists = [
            self.deferred.broken,
            self.kfree_rcu.broken,
            self.callbacks.broken,
        ];
        self.all_caches && self.scan.missing == 0 && lists == [0; 3]
    }

    /// The pages in which kfree_rcu() keeps pointers to freed objects: no search for references
    /// may look there.
    pub fn bulk_pages(&self) -> &BulkPages {
        &self.kfree_rcu.pages
    }

    /// All caches.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// The aliases of merged caches, by index.
    ///
    /// # Errors
    /// If the kernel's types lack what sysfs is made of.
    pub fn aliases(&self) -> Result<Vec<Vec<String>>, KernelError> {
        alias::read(self.kernel, &self.caches)
    }

    /// Counts all objects.
    ///
    /// # Errors
    /// If the kernel's types lack what sysfs is made of.
    pub fn facts(&self, progress: &dyn Progress) -> Result<SlabFacts, KernelError> {
        count::facts(self, progress, &())
    }

    /// As [`facts`](Self::facts); `visitor` sees every slab in the same pass.
    ///
    /// # Errors
    /// As `facts`.
    pub fn facts_with(
        &self,
        progress: &dyn Progress,
        visitor: &impl SlabVisitor,
    ) -> Result<SlabFacts, KernelError> {
        count::facts(self, progress, visitor)
    }

    /// Words in which the allocator itself keeps the addresses of free objects.
    pub fn allocator_words(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        self.cpus.iter().flat_map(|cpu| cpu.heads.iter().copied())
    }

    /// The sheaves: where each starts, and how many bytes of it come before its slots.
    pub fn sheaves(&self) -> impl Iterator<Item = (VirtAddr, u32)> + '_ {
        self.sheaves.iter().flat_map(|facts| {
            let header = facts.header;
            facts.sheaves.iter().map(move |sheaf| (*sheaf, header))
        })
    }

    /// Whether a cache keeps more behind its objects than padding: red zones and tracks.
    pub fn is_debugged(&self, cache: &Cache) -> bool {
        ["RED_ZONE", "POISON", "STORE_USER"]
            .iter()
            .any(|flag| cache.has(self.flags.mask(flag)))
    }

    /// All slabs, by pfn.
    pub fn slabs(&self) -> &[Slab] {
        &self.scan.slabs
    }

    /// Where the objects of a slab lie; `None` for one of KFENCE's pages, where they lie anywhere.
    pub fn geometry(&self, slab: &Slab) -> Option<Geometry> {
        let cache = self.caches.get(slab.cache as usize)?;
        let kfence = self.kfence.contains(&slab.pfn);
        (!kfence).then(|| Geometry::of(self.kernel, cache, slab))
    }
}

/// Free objects that the slabs count as in use: in sheaves, or in classic SLAB's arrays.
fn read_sheaves(
    kernel: &Kernel,
    era: SlabEra,
    caches: &[Cache],
    waiting: &[VirtAddr],
) -> Result<Vec<SheafFacts>, KernelError> {
    if era == SlabEra::Slab {
        let reader = ArrayReader::new(kernel)?;
        let held = |cache: &Cache| match &cache.classic {
            Some(classic) => reader.read(cache, classic),
            None => SheafFacts::default(),
        };
        Ok(caches.iter().map(held).collect())
    } else if era.has_sheaves() {
        let reader = SheafReader::new(kernel)?;
        let mut all: Vec<_> = caches.iter().map(|cache| reader.read(cache)).collect();
        for sheaf in waiting {
            reader.add_waiting(caches, &mut all, *sheaf);
        }
        Ok(all)
    } else {
        Ok(vec![SheafFacts::default(); caches.len()])
    }
}
