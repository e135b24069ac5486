//! What a reader of the dump should find.

use super::classic::{self, Tunables};
use super::kfence::LaidObject;
use super::lay::{LaidCache, LaidSlub};
use super::scenario::Place;
use crate::era::Era;

/// The state of the whole kernel, as far as slabs go.
#[derive(Debug, Clone)]
pub struct Truth {
    /// `uname -r`.
    pub release: String,
    /// Caches in the order of `slab_caches`.
    pub caches: Vec<CacheTruth>,
    /// KFENCE's objects, which no cache counts.
    pub kfence: Vec<LaidObject>,
    /// `NR_SLAB_RECLAIMABLE_B`, in pages.
    pub reclaimable_pages: u64,
    /// `NR_SLAB_UNRECLAIMABLE_B`, in pages, large kmalloc included.
    pub unreclaimable_pages: u64,
    /// Texts of the printk ring buffer, oldest first.
    pub messages: Vec<String>,
}

/// One cache.
#[derive(Debug, Clone)]
pub struct CacheTruth {
    /// Name.
    pub name: String,
    /// Names of caches merged into it.
    pub aliases: Vec<String>,
    /// Address of the `kmem_cache`.
    pub address: u64,
    /// `SLAB_*` names given at creation.
    pub flags: Vec<&'static str>,
    /// Bytes a user asked for.
    pub object_size: u32,
    /// Distance of two objects.
    pub size: u32,
    /// Preferred order.
    pub order: u32,
    /// Objects in a slab of the preferred order.
    pub objects_per_slab: u32,
    /// Slabs that the counters count.
    pub slabs: u64,
    /// Objects in them.
    pub objects: u64,
    /// Addresses of the allocated ones, ascending.
    pub allocated: Vec<u64>,
    /// Slabs that wait for RCU, not in `slabs`.
    pub pending_rcu_slabs: u64,
    /// Pages of all slabs, those that wait for RCU included.
    pub pages: u64,
    /// Copies for memory cgroups, which all numbers include.
    pub memcg_children: u64,
    /// The cache's row of /proc/slabinfo.
    pub slabinfo: Slabinfo,
}

impl CacheTruth {
    /// Objects that are free, wherever they wait.
    pub fn free(&self) -> u64 {
        self.objects - self.allocated.len() as u64
    }
}

/// A row of /proc/slabinfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slabinfo {
    /// Objects minus the free ones on node partial lists.
    pub active_objs: u64,
    /// All objects.
    pub num_objs: u64,
    /// The same as `num_slabs` with SLUB, those with an object in use with classic SLAB.
    pub active_slabs: u64,
    /// Slabs.
    pub num_slabs: u64,
    /// What SLUB has not: limit, batchcount, sharedfactor.
    pub tunables: Tunables,
    /// Objects in shared arrays.
    pub shared_avail: u64,
    /// With CONFIG_DEBUG_SLAB.
    pub statistics: Option<Statistics>,
}

/// The end of a row with CONFIG_DEBUG_SLAB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// In the order of /proc/slabinfo.
    pub globalstat: [u64; 9],
    /// In the order of /proc/slabinfo.
    pub cpustat: [u64; 4],
}

impl Statistics {
    /// Numbers that tell caches and places in the row apart.
    pub fn of(laid: &LaidCache) -> Self {
        let size = u64::from(laid.cache.object_size);
        let number = |place: usize| size * 100 + place as u64;
        Self {
            globalstat: std::array::from_fn(number),
            cpustat: std::array::from_fn(|place| number(20 + place)),
        }
    }
}

/// Works out the truth from what was laid.
pub fn of(era: Era, slub: &LaidSlub) -> Truth {
    Truth {
        release: era.release().into(),
        caches: caches(era, slub),
        kfence: slub.kfence.clone(),
        reclaimable_pages: 0,
        unreclaimable_pages: 0,
        messages: Vec::new(),
    }
}

/// Copies for memory cgroups are counted where their caches are.
fn caches(era: Era, slub: &LaidSlub) -> Vec<CacheTruth> {
    let copies = |laid: &&LaidCache| laid.cache.memcg_of.is_some();
    let (copies, roots): (Vec<_>, Vec<_>) = slub.caches.iter().partition(copies);
    let mut truths: Vec<_> = roots.iter().map(|laid| cache(era, laid)).collect();
    for laid in copies {
        let root = laid.cache.memcg_of.as_deref().unwrap_or_default();
        let copy = cache(era, laid);
        let root = truths.iter_mut().find(|truth| truth.name == root);
        let root = root.expect("the cache that it is a copy of");
        root.memcg_children += 1;
        root.slabs += copy.slabs;
        root.objects += copy.objects;
        root.pages += copy.pages;
        root.pending_rcu_slabs += copy.pending_rcu_slabs;
        root.allocated.extend(copy.allocated);
        root.allocated.sort_unstable();
        root.slabinfo.active_objs += copy.slabinfo.active_objs;
        root.slabinfo.num_objs += copy.slabinfo.num_objs;
        root.slabinfo.active_slabs += copy.slabinfo.active_slabs;
        root.slabinfo.num_slabs += copy.slabinfo.num_slabs;
    }
    truths
}

fn cache(era: Era, laid: &LaidCache) -> CacheTruth {
    let is_classic = era.is_classic();
    let all = laid.slabs.iter();
    let counted: Vec<_> = all.filter(|slab| slab.place != Place::PendingRcu).collect();
    let mut allocated = Vec::new();
    let (mut objects, mut free_on_lists) = (0, 0);
    for slab in &counted {
        objects += slab.objects.len() as u64;
        if slab.on_node_partial {
            free_on_lists += slab.free.len() as u64;
        }
        let is_free = |object| slab.free.contains(object) || slab.cpu_free.contains(object);
        allocated.extend(slab.objects.iter().filter(|object| !is_free(object)));
    }
    allocated.sort_unstable();
    let without_use = counted
        .iter()
        .filter(|slab| slab.free.len() == slab.objects.len());
    let empty = without_use.count() as u64;
    let slabs = counted.len() as u64;
    CacheTruth {
        name: laid.cache.name.clone(),
        // Only sysfs knows them, and SLUB alone has it.
        aliases: match era {
            Era::V6_12Tiny | Era::V6_1Slab => Vec::new(),
            _ => laid.cache.aliases.clone(),
        },
        address: laid.address,
        flags: laid.cache.flags.iter().map(|flag| flag.name()).collect(),
        object_size: laid.cache.object_size,
        size: laid.geometry.size,
        order: laid.cache.order,
        objects_per_slab: laid.objects_per_slab,
        slabs,
        objects,
        allocated,
        pending_rcu_slabs: laid.slabs.len() as u64 - slabs,
        memcg_children: 0,
        pages: laid.slabs.iter().map(|slab| 1 << slab.order).sum(),
        slabinfo: Slabinfo {
            active_objs: objects - free_on_lists,
            num_objs: objects,
            active_slabs: slabs - if is_classic { empty } else { 0 },
            num_slabs: slabs,
            tunables: if is_classic {
                classic::tunables(&laid.cache)
            } else {
                Tunables::default()
            },
            shared_avail: if is_classic {
                classic::shared_avail(laid)
            } else {
                0
            },
            statistics: is_classic.then(|| Statistics::of(laid)),
        },
    }
}
