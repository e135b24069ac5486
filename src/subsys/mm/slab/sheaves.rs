//! Sheaves: arrays of free objects that CPUs keep, and the nodes' barns of full ones
//! (mm/slub.c, 6.18 and later: commit 2d517aa09bbc).
//!
//! The slabs count these objects as in use. A sheaf belongs to one cache and holds no
//! more than the cache's capacity; what does not fit that is not believed. Those that
//! wait in `rcu_free`, or that RCU has already got, are no longer anybody's, but not free
//! yet. Not reachable, and so allocated by all that the dump tells: sheaves that a user
//! took prefilled.

use rustc_hash::FxHashSet;

use super::cache::Cache;
use super::layouts::{BarnLayout, CacheNodeLayout, CpuSheavesLayout, SheafLayout};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::{Kernel, KernelError, walk};

/// What a barn keeps, but for moments (mm/slub.c).
const MAX_FULL_SHEAVES: u64 = 10;
/// `main`, `spare` and `rcu_free`.
const CPU_SHEAVES: u64 = 3;
/// More full sheaves than any barn has.
const MAX_SHEAVES: u64 = 4 << 10;
/// `calculate_sheaf_capacity()` gives 60 at most; users may ask for more.
const MAX_CAPACITY: u32 = 1 << 16;

/// What the sheaves of one cache hold, or in classic SLAB the arrays of CPUs and nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct SheafFacts {
    /// Objects that are free.
    pub(crate) free: Vec<VirtAddr>,
    /// Objects that wait for RCU.
    pub(crate) pending: Vec<VirtAddr>,
    /// All sheaves met, the empty ones too, each with its bytes before its slots, of which all
    /// behind the last used one are stale.
    pub(crate) sheaves: Vec<(VirtAddr, u32)>,
    /// Slots, for those that lie in no object: where they start, and their bytes.
    pub(crate) slots: Vec<(VirtAddr, u64)>,
    /// Sheaves, barns, arrays or per-CPU structures that can't be read, make no sense, or are met twice.
    pub(crate) broken: u64,
    /// The most objects that what is broken could hold.
    pub(crate) hidden: u64,
}

impl SheafFacts {
    /// Notes something broken that could hold so many sheaves.
    fn lose(&mut self, cache: &Cache, sheaves: u64) {
        self.broken += 1;
        let capacity = u64::from(cache.sheaf_capacity.min(MAX_CAPACITY));
        self.hidden = self.hidden.saturating_add(sheaves.saturating_mul(capacity));
    }
}

/// Reads the sheaves of caches.
#[derive(Debug)]
pub(crate) struct SheafReader<'k> {
    kernel: &'k Kernel,
    cpus: Cpus,
    per_cpu: CpuSheavesLayout,
    sheaf: SheafLayout,
    barn: BarnLayout,
    node: CacheNodeLayout,
}

impl<'k> SheafReader<'k> {
    pub(crate) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            cpus: Cpus::read(kernel)?,
            per_cpu: kernel.layout()?,
            sheaf: kernel.layout()?,
            barn: kernel.layout()?,
            node: kernel.layout()?,
            kernel,
        })
    }

    /// Gathers the sheaves of `cache`. One that is lost takes nothing else with it.
    pub(crate) fn read(&self, cache: &Cache) -> SheafFacts {
        let mut met = Met {
            facts: SheafFacts::default(),
            sheaves: FxHashSet::default(),
        };
        // With the opt-in of 6.18 and 6.19 most caches have none.
        if !cache.cpu_sheaves.is_null() {
            for (_, at) in self.cpus.instances(cache.cpu_sheaves) {
                if self.add_cpu(cache, at, &mut met).is_none() {
                    met.facts.lose(cache, CPU_SHEAVES);
                }
            }
        }
        for barn in self.barns(cache, &mut met.facts) {
            if self.add_barn(cache, barn, &mut met).is_none() {
                met.facts.lose(cache, self.barn_sheaves());
            }
        }
        met.facts
    }

    /// Adds a sheaf that RCU has got to what waits of its cache.
    pub(crate) fn add_waiting(&self, caches: &[Cache], all: &mut [SheafFacts], sheaf: VirtAddr) {
        let owner = self.kernel.space.read_bytes(sheaf, self.sheaf.len).ok();
        let owner = owner.map(|record| self.sheaf.cache.get(&record));
        let cache = caches
            .iter()
            .position(|cache| Some(cache.address.0) == owner);
        let found = cache.and_then(|index| Some((caches.get(index)?, all.get_mut(index)?)));
        let Some((cache, facts)) = found else {
            self.kernel.diag.warn(
                "rcu-sheaf-stray",
                "sheaves that RCU is to free belong to no cache: objects in them count as allocated (look at them with crash: p rcu_data)",
            );
            return;
        };
        facts.sheaves.push((sheaf, self.sheaf.objects.offset));
        match self.objects(cache, sheaf) {
            Some(objects) => facts.pending.extend(objects),
            None => facts.lose(cache, 1),
        }
    }

    fn add_cpu(&self, cache: &Cache, at: VirtAddr, met: &mut Met) -> Option<()> {
        let record = self.kernel.space.read_bytes(at, self.per_cpu.len).ok()?;
        for (field, pending) in [
            (&self.per_cpu.main, false),
            (&self.per_cpu.spare, false),
            (&self.per_cpu.rcu_free, true),
        ] {
            // Even `main` is null for a moment, while a CPU changes its sheaves.
            let sheaf = VirtAddr(field.get(&record));
            if !sheaf.is_null() {
                self.add_sheaf(cache, sheaf, pending, met);
            }
        }
        Some(())
    }

    /// `kmem_cache_node.barn` up to 7.0, an entry of `per_node[]` of its own since.
    fn barns(&self, cache: &Cache, facts: &mut SheafFacts) -> Vec<VirtAddr> {
        let Some(field) = self.node.barn else {
            return cache.barns.clone();
        };
        let mut barns = Vec::new();
        for node in &cache.nodes {
            let at = node.plus(u64::from(field.offset));
            match self.kernel.space.read_ptr(at) {
                Ok(barn) if barn.is_null() => {}
                Ok(barn) => barns.push(barn),
                Err(_) => facts.lose(cache, self.barn_sheaves()),
            }
        }
        barns
    }

    /// The most full sheaves of a barn. Each CPU that adds one looks first, but under no lock.
    fn barn_sheaves(&self) -> u64 {
        MAX_FULL_SHEAVES + self.cpus.len() as u64
    }

    fn add_barn(&self, cache: &Cache, barn: VirtAddr, met: &mut Met) -> Option<()> {
        let record = self.kernel.space.read_bytes(barn, self.barn.len).ok()?;
        let head = barn.plus(u64::from(self.barn.sheaves_full.offset));
        let counted = self.barn.nr_full.get(&record);
        let list = walk::list(&self.kernel.space, head, MAX_SHEAVES).expecting(counted);
        if !list.is_complete() {
            met.facts.lose(cache, counted.abs_diff(list.seen).max(1));
        }
        let sheaf = |link: VirtAddr| link.minus(u64::from(self.sheaf.barn_list.offset));
        for link in list.value {
            self.add_sheaf(cache, sheaf(link), false, met);
        }
        let head = barn.plus(u64::from(self.barn.sheaves_empty.offset));
        let list = walk::list(&self.kernel.space, head, MAX_SHEAVES);
        for empty in list.value.into_iter().map(sheaf) {
            self.note(cache, empty, met);
        }
        Some(())
    }

    /// Where a sheaf has slots. A large one is no slab object, but one of large kmalloc.
    fn note(&self, cache: &Cache, sheaf: VirtAddr, met: &mut Met) {
        let header = self.sheaf.objects.offset;
        met.facts.sheaves.push((sheaf, header));
        let owner = sheaf.plus(u64::from(self.sheaf.cache.offset));
        // Behind the bootstrap_sheaf, which is no cache's, lie other variables.
        if self.kernel.space.read_ptr(owner) == Ok(cache.address) {
            let capacity = u64::from(cache.sheaf_capacity.min(MAX_CAPACITY));
            let slots = sheaf.plus(u64::from(header));
            met.facts.slots.push((slots, capacity * 8));
        }
    }

    fn add_sheaf(&self, cache: &Cache, sheaf: VirtAddr, pending: bool, met: &mut Met) {
        self.note(cache, sheaf, met);
        match self.objects(cache, sheaf) {
            // All CPUs of all caches without sheaves share the empty bootstrap_sheaf.
            Some(objects) if objects.is_empty() => {}
            Some(objects) if met.sheaves.insert(sheaf) => {
                if pending {
                    met.facts.pending.extend(objects);
                } else {
                    met.facts.free.extend(objects);
                }
            }
            _ => met.facts.lose(cache, 1),
        }
    }

    /// The pointers in a sheaf; `None` if it is lost, or none of this cache.
    fn objects(&self, cache: &Cache, sheaf: VirtAddr) -> Option<Vec<VirtAddr>> {
        let record = self.kernel.space.read_bytes(sheaf, self.sheaf.len).ok()?;
        let owner = self.sheaf.cache.get(&record);
        let size = self.sheaf.size.get(&record);
        if owner == 0 && size == 0 {
            return Some(Vec::new());
        }
        let capacity = cache.sheaf_capacity.min(MAX_CAPACITY);
        if owner != cache.address.0 || size > u64::from(capacity) {
            return None;
        }
        let slots = sheaf.plus(u64::from(self.sheaf.objects.offset));
        let bytes = self.kernel.space.read_bytes(slots, size as usize * 8);
        let bytes = bytes.ok()?;
        let pointers = (0..size as usize).filter_map(|slot| u64_at(&bytes, slot * 8));
        Some(pointers.map(VirtAddr).collect())
    }
}

/// What the walk over one cache's sheaves has met.
struct Met {
    facts: SheafFacts,
    sheaves: FxHashSet<VirtAddr>,
}
