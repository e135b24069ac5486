//! Classic SLAB (up to 6.7) with CONFIG_DEBUG_SLAB: the same scenario as a slab.c would
//! keep it.
//!
//! What is on a CPU's chain with SLUB lies in the CPU's array here, and what is on a CPU's
//! partial list in the arrays of a node: the shared one, or another node's alien one.

mod arrays;
mod slab;

use super::flags::SlabFlag;
use super::freelist::FreePointers;
use super::geometry::Geometry;
use super::lay::LaidCache;
use super::scenario::{Cache, Freelist, Place};
use super::slab::LaidSlab;
use super::truth::Statistics;
use crate::machine::cpus::{NODES, PerCpu};
use crate::machine::{Kernel, SlabFrames};

pub(super) use arrays::shared_avail;
pub use arrays::{Tunables, tunables};

/// Where the array of indices of a slab lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IndexPlace {
    /// `CFLGS_OBJFREELIST_SLAB`: in one of the free objects.
    Object,
    /// `CFLGS_OFF_SLAB`: in an object of another cache.
    Elsewhere,
    /// At the end of the slab.
    Slab,
}

impl IndexPlace {
    fn flag(self) -> u64 {
        match self {
            IndexPlace::Object => 0x4000_0000,
            IndexPlace::Elsewhere => 0x8000_0000,
            IndexPlace::Slab => 0,
        }
    }
}

/// The smallest object of which no slab has more than an index of one byte can tell.
pub const MIN_OBJECT_SIZE: u32 = 16;

/// How a cache's slabs are divided.
struct Division {
    geometry: Geometry,
    num: u32,
    indices: IndexPlace,
    /// Steps of a cache line by which slabs may be shifted.
    colours: u32,
}

impl Division {
    fn of(cache: &Cache, geometry: Geometry) -> Self {
        let bytes = 4096 << cache.order;
        let fixed = cache.ctor.is_some() || cache.flags.contains(&SlabFlag::TypesafeByRcu);
        let most = (bytes / geometry.size).min(255);
        let (indices, num) = if !fixed && most <= cache.object_size {
            (IndexPlace::Object, most)
        } else if geometry.size >= 512 {
            (IndexPlace::Elsewhere, most)
        } else {
            (IndexPlace::Slab, (bytes / (geometry.size + 1)).min(255))
        };
        let array = if indices == IndexPlace::Slab { num } else { 0 };
        Self {
            geometry,
            num,
            indices,
            colours: (bytes - num * geometry.size - array) / 64,
        }
    }
}

/// What stands before and behind an object: a red zone of 8 bytes on either side, and who has it.
fn geometry(cache: &Cache) -> Geometry {
    let has = |flag| cache.flags.contains(&flag);
    let mut size = cache.object_size.next_multiple_of(8);
    let inuse = size + if has(SlabFlag::RedZone) { 8 } else { 0 };
    let before = inuse - size;
    size += 2 * before;
    if has(SlabFlag::StoreUser) {
        size += 8;
    }
    Geometry {
        page_size: 4096,
        size: size.next_multiple_of(cache.align.max(8)),
        inuse,
        offset: 0,
        red_left_pad: before,
        align: cache.align.max(8),
        track: None,
    }
}

/// Lays a cache with all it has.
pub(super) fn lay_cache(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    frames: &mut SlabFrames,
    cache: &Cache,
) -> LaidCache {
    let division = Division::of(cache, geometry(cache));
    let array = kernel.types.offset("kmem_cache", "node");
    let nodes: Vec<_> = (0..NODES)
        .map(|_| kernel.alloc_struct("kmem_cache_node"))
        .collect();
    let mut laid = LaidCache {
        cache: cache.clone(),
        address: kernel.alloc(array + u64::from(NODES) * 8, 64),
        cpu_slab: percpu.alloc(16 + 8 * u64::from(tunables(cache).limit)),
        idle_cpu_slab: 0,
        geometry: division.geometry,
        objects_per_slab: division.num,
        pointers: FreePointers {
            freelist: Freelist::Plain,
            random: 0,
            offset: 0,
        },
        nodes,
        slabs: Vec::new(),
    };
    for (number, each) in (0u32..).zip(&cache.slabs) {
        let pfn = frames.take(each.node, cache.order);
        let colour = number % (division.colours + 1) * 64;
        let slab = slab::lay(kernel, &laid, &division, pfn, each, colour);
        laid.slabs.push(slab);
    }
    lay_kmem_cache(kernel, &laid, &division);
    lay_nodes(kernel, &laid);
    arrays::lay(kernel, percpu, &laid);
    laid
}

fn lay_kmem_cache(kernel: &mut Kernel, laid: &LaidCache, division: &Division) {
    let cache = &laid.cache;
    let mut flags = division.indices.flag();
    for flag in &cache.flags {
        flags |= flag.bit(&kernel.types);
    }
    let tunables = tunables(cache);
    let statistics = Statistics::of(laid);
    let name = kernel.alloc_string(&cache.name);
    let fields = [
        ("cpu_cache", laid.cpu_slab),
        ("limit", u64::from(tunables.limit)),
        ("batchcount", u64::from(tunables.batchcount)),
        ("shared", u64::from(tunables.sharedfactor)),
        ("size", u64::from(division.geometry.size)),
        ("flags", flags),
        ("num", u64::from(division.num)),
        ("gfporder", u64::from(cache.order)),
        ("colour", u64::from(division.colours)),
        ("colour_off", 64),
        ("freelist_size", u64::from(division.num)),
        ("name", name),
        ("refcount", 1 + cache.aliases.len() as u64),
        ("object_size", u64::from(cache.object_size)),
        ("align", u64::from(division.geometry.align)),
        ("obj_offset", u64::from(division.geometry.red_left_pad)),
    ];
    let globalstat = [
        "num_allocations",
        "high_mark",
        "grown",
        "reaped",
        "errors",
        "max_freeable",
        "node_allocs",
        "node_frees",
        "node_overflow",
    ];
    let cpustat = ["allochit", "allocmiss", "freehit", "freemiss"];
    let counted = globalstat.into_iter().zip(statistics.globalstat);
    let counted = counted.chain(cpustat.into_iter().zip(statistics.cpustat));
    for (path, value) in fields.into_iter().chain(counted) {
        kernel.set(laid.address, "kmem_cache", path, value);
    }
    let array = kernel.types.offset("kmem_cache", "node");
    for (node, address) in laid.nodes.iter().enumerate() {
        kernel.write_u64(laid.address + array + node as u64 * 8, *address);
    }
}

/// Every slab is on one of its node's lists; counters of slabs and of free objects.
fn lay_nodes(kernel: &mut Kernel, laid: &LaidCache) {
    let link = kernel.types.offset("slab", "slab_list");
    for (node, address) in laid.nodes.iter().enumerate() {
        let here = laid.slabs.iter().filter(|slab| slab.node as usize == node);
        let counted: Vec<_> = here
            .filter(|slab| slab.place != Place::PendingRcu)
            .collect();
        for list in ["slabs_full", "slabs_free", "slabs_partial"] {
            let entries: Vec<_> = counted
                .iter()
                .filter(|slab| list == list_of(slab))
                .map(|slab| slab.descriptor + link)
                .collect();
            let head = address + kernel.types.offset("kmem_cache_node", list);
            kernel.link_list(head, &entries);
            if list == "slabs_free" {
                let count = entries.len() as u64;
                kernel.set(*address, "kmem_cache_node", "free_slabs", count);
            }
        }
        let free: usize = counted.iter().map(|slab| slab.free.len()).sum();
        for (member, value) in [("total_slabs", counted.len()), ("free_objects", free)] {
            kernel.set(*address, "kmem_cache_node", member, value as u64);
        }
    }
}

fn list_of(slab: &LaidSlab) -> &'static str {
    match slab.free.len() {
        0 => "slabs_full",
        free if free == slab.objects.len() => "slabs_free",
        _ => "slabs_partial",
    }
}
