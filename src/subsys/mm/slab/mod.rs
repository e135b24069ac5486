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
mod copies;
mod count;
mod deferred;
pub mod era;
mod facts;
pub mod flags;
pub mod freelist;
mod kfence;
pub mod kfree_rcu;
mod layouts;
pub mod left_out;
pub mod nodes;
pub mod objects;
mod one_cache;
pub mod pages;
mod percpu;
mod places;
mod range;
mod sheaves;
mod sums;
pub mod tracks;
pub mod visit;
mod warnings;

use std::ops::Range;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::{Kernel, KernelError};
pub use alias::Aliases;
use cache::{Cache, FlagMasks};
use callbacks::CallbackFacts;
pub use classic::{DebugStatistics, Tunables};
use classic::{arrays::ArrayReader, nodes::ClassicNodeReader};
pub use count::Prepared;
use deferred::DeferredFacts;
use era::SlabEra;
pub use facts::{CacheFacts, Damage, ExactView, Occupancy, SlabFacts, SlabinfoView};
use flags::CacheFlags;
use freelist::Geometry;
pub(crate) use kfence::pool as kfence_pool;
pub use kfree_rcu::BulkPages;
use kfree_rcu::KfreeRcuFacts;
use nodes::{NodeFacts, NodeReader};
use pages::{Slab, SlabScan};
use percpu::{CpuFacts, CpuReader};
use sheaves::{SheafFacts, SheafReader};
use visit::SlabVisitor;

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
        let most = scan.objects().saturating_add(memmap.pages());
        let of_caches = || -> Result<_, KernelError> {
            let nodes = read_nodes(kernel, memmap, era, &caches, &scan)?;
            Ok((nodes, read_cpus(kernel, memmap, era, &caches, &scan)?))
        };
        let of_rcu = || -> Result<_, KernelError> {
            let callbacks = callbacks::read(kernel, most)?;
            Ok((callbacks, kfree_rcu::read(kernel, most)?))
        };
        let (of_caches, of_rcu) = rayon::join(of_caches, of_rcu);
        let (nodes, cpus) = of_caches?;
        let (callbacks, kfree_rcu) = of_rcu?;
        let deferred = deferred::read(kernel, memmap, &scan)?;
        let waiting = [&callbacks.sheaves[..], &deferred.rcu_sheaves[..]].concat();
        let sheaves = read_sheaves(kernel, era, &caches, &waiting)?;
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
            kfree_rcu,
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
        self.all_caches && self.scan.missing == 0 && self.broken_lists() == 0
    }

    /// Lists of what was freed and is not free yet that are broken or enter missing memory.
    pub fn broken_lists(&self) -> u64 {
        self.deferred.broken + self.kfree_rcu.broken + self.callbacks.broken
    }

    /// The pages in which kfree_rcu() keeps pointers to freed objects: no search for references
    /// may look there.
    pub fn bulk_pages(&self) -> &BulkPages {
        &self.kfree_rcu.pages
    }

    /// Where what was given to kfree_rcu() starts, large allocations among it.
    pub fn given_to_rcu(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        let objects = self.kfree_rcu.objects.iter();
        objects.chain(&self.callbacks.objects).copied()
    }

    /// The kernel that they belong to.
    pub fn kernel(&self) -> &'k Kernel {
        self.kernel
    }

    /// All caches.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// The aliases of merged caches.
    ///
    /// # Errors
    /// If the kernel's types lack what sysfs is made of.
    pub fn aliases(&self) -> Result<Aliases, KernelError> {
        alias::read(self.kernel, &self.caches)
    }

    /// Counts all objects.
    ///
    /// # Errors
    /// If the kernel's types lack what sysfs is made of.
    pub fn facts(&self, progress: &dyn Progress) -> Result<SlabFacts, KernelError> {
        count::facts(self, &self.prepare(), progress, &())
    }

    /// What [`facts_with`](Self::facts_with) must know, which may be found out while something
    /// else is.
    pub fn prepare(&self) -> Prepared<'k> {
        Prepared::of(self)
    }

    /// As [`facts`](Self::facts); `visitor` sees every slab in the same pass.
    ///
    /// # Errors
    /// As `facts`.
    pub fn facts_with(
        &self,
        prepared: &Prepared<'_>,
        progress: &dyn Progress,
        visitor: &impl SlabVisitor,
    ) -> Result<SlabFacts, KernelError> {
        count::facts(self, prepared, progress, visitor)
    }

    /// Memory outside of slabs in which the allocator itself keeps the addresses of free objects:
    /// where it starts, and how many bytes it is.
    pub fn allocator_words(&self) -> impl Iterator<Item = (VirtAddr, u64)> + '_ {
        let heads = self.cpus.iter().flat_map(|cpu| &cpu.heads);
        let arrays = self.sheaves.iter().flat_map(|facts| &facts.slots);
        heads.map(|head| (*head, 8)).chain(arrays.copied())
    }

    /// The sheaves, and classic SLAB's arrays in slab objects: where each starts, and how many
    /// bytes of it come before its slots.
    pub fn sheaves(&self) -> impl Iterator<Item = (VirtAddr, u32)> + '_ {
        let sheaves = self.sheaves.iter().flat_map(|facts| &facts.sheaves);
        sheaves.copied()
    }

    /// Classic SLAB's arrays of indices that lie outside of their slabs, in objects that only the
    /// slabs' page structures lead to.
    pub fn index_arrays(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        let off_slab = self.flags.mask("OFF_SLAB");
        let slabs = self.scan.slabs.iter().filter(move |slab| {
            let cache = self.caches.get(slab.cache as usize);
            cache.is_some_and(|cache| cache.classic.is_some() && cache.has(off_slab))
        });
        slabs.map(|slab| slab.freelist)
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

/// What the nodes of each cache count and list.
fn read_nodes(
    kernel: &Kernel,
    memmap: &Memmap,
    era: SlabEra,
    caches: &[Cache],
    scan: &SlabScan,
) -> Result<Vec<NodeFacts>, KernelError> {
    if era == SlabEra::Slab {
        let reader = ClassicNodeReader::new(kernel, memmap, scan)?;
        return Ok(caches.iter().map(|cache| reader.read(cache)).collect());
    }
    let reader = NodeReader::new(kernel, memmap, scan)?;
    Ok(caches.iter().map(|cache| reader.read(cache)).collect())
}

/// The slabs that CPUs have of each cache.
fn read_cpus(
    kernel: &Kernel,
    memmap: &Memmap,
    era: SlabEra,
    caches: &[Cache],
    scan: &SlabScan,
) -> Result<Vec<CpuFacts>, KernelError> {
    if !era.has_cpu_slabs() {
        return Ok(vec![CpuFacts::default(); caches.len()]);
    }
    let reader = CpuReader::new(kernel, memmap, scan)?;
    Ok(caches.iter().map(|cache| reader.read(cache)).collect())
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
