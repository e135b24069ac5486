//! Caches, per-CPU and per-node structures and slabs.

use super::flags::SlabFlag;
use super::freelist::FreePointers;
use super::geometry::Geometry;
use super::page::{make_compound, reference_count, slab_link, slab_tag};
use super::scenario::{Cache, Freelist, Place, Scenario};
use super::slab::{LaidSlab, lay_slab};
use super::{classic, kfence, kfree_rcu, sheaves, sysfs};
use crate::machine::cpus::{NODES, PerCpu};
use crate::machine::{Kernel, SlabFrames};

/// A cache in memory.
#[derive(Debug, Clone)]
pub struct LaidCache {
    /// What was asked for.
    pub cache: Cache,
    /// Address of the `kmem_cache`.
    pub address: u64,
    /// Addresses of the `kmem_cache_node`s.
    pub nodes: Vec<u64>,
    /// Per-CPU pointer to the `kmem_cache_cpu`s or `slub_percpu_sheaves`.
    pub cpu_slab: u64,
    /// In 6.18: the `kmem_cache_cpu`s of a cache with sheaves, which are empty.
    pub idle_cpu_slab: u64,
    /// Sizes and offsets.
    pub geometry: Geometry,
    /// Objects in a slab of the preferred order.
    pub objects_per_slab: u32,
    /// How its free pointers are stored.
    pub pointers: FreePointers,
    /// Its slabs in order of the scenario.
    pub slabs: Vec<LaidSlab>,
}

/// Everything that was laid.
#[derive(Debug, Clone)]
pub struct LaidSlub {
    /// Caches in the order of `slab_caches`.
    pub caches: Vec<LaidCache>,
    /// KFENCE's objects.
    pub kfence: Vec<kfence::LaidObject>,
}

/// Lays a scenario.
pub fn lay(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    frames: &mut SlabFrames,
    scenario: &Scenario,
) -> LaidSlub {
    let mut caches = Vec::new();
    let is_classic = kernel.era.is_classic();
    for cache in &scenario.caches {
        if !is_classic {
            caches.push(lay_cache(kernel, percpu, frames, scenario.freelist, cache));
        } else if cache.object_size >= classic::MIN_OBJECT_SIZE {
            caches.push(classic::lay_cache(kernel, percpu, frames, cache));
        }
    }
    let list = kernel.types.offset("kmem_cache", "list");
    let entries: Vec<_> = caches.iter().map(|cache| cache.address + list).collect();
    let head = kernel.symbol("slab_caches");
    kernel.link_list(head, &entries);
    if kernel.era.has_memcg_children() {
        link_memcgs(kernel, &caches);
    }
    if !is_classic && kernel.types.has("kmem_cache", "kobj") {
        sysfs::lay(kernel, &caches);
    }
    kfree_rcu::lay(kernel, percpu, &caches);
    let kfence = kfence::lay(kernel, &caches, &scenario.kfence);
    for page in &scenario.compound {
        let pfn = frames.take(page.node, page.order);
        make_compound(kernel, pfn, page.order);
        let head = kernel.space.page(pfn);
        kernel.set(head, "page", reference_count(kernel), 1);
        kernel.memory.touch(pfn, 1);
        kernel.write(
            kernel.space.direct(pfn << kernel.page_shift()),
            b"no slab at all",
        );
    }
    LaidSlub { caches, kfence }
}

/// Up to 3.19: the parameters of a copy lie elsewhere, as do those of a cache that has copies; a
/// cache without any has none.
fn point_memcgs(kernel: &mut Kernel, caches: &[LaidCache]) {
    const TAG: &str = "memcg_cache_params";
    let roots = caches.iter().filter(|laid| laid.cache.memcg_of.is_none());
    for root in roots {
        let of = |laid: &&LaidCache| laid.cache.memcg_of.as_ref() == Some(&root.cache.name);
        let copies: Vec<_> = caches.iter().filter(of).map(|laid| laid.address).collect();
        if copies.is_empty() {
            continue;
        }
        // One place more than there are cgroups, for those are never filled.
        let array = kernel.types.offset(TAG, "memcg_caches");
        let params = kernel.alloc(array + (copies.len() as u64 + 1) * 8, 8);
        kernel.set(params, TAG, "is_root_cache", 1);
        for (slot, copy) in copies.iter().enumerate() {
            kernel.write_u64(params + array + slot as u64 * 8, *copy);
            let own = kernel.alloc_struct(TAG);
            let memcg = kernel.alloc(64, 64);
            kernel.set(own, TAG, "memcg", memcg);
            kernel.set(own, TAG, "root_cache", root.address);
            kernel.set(*copy, "kmem_cache", "memcg_params", own);
        }
        kernel.set(root.address, "kmem_cache", "memcg_params", params);
    }
}

/// Links the copies for memory cgroups to the caches they are of.
fn link_memcgs(kernel: &mut Kernel, caches: &[LaidCache]) {
    if kernel.era.is_3_10() {
        return point_memcgs(kernel, caches);
    }
    let offset = |path: &str| kernel.types.offset("kmem_cache", path);
    let on_roots = offset("memcg_params.__root_caches_node");
    let (children, on_children) = (
        offset("memcg_params.children"),
        offset("memcg_params.children_node"),
    );
    let of = |laid: &LaidCache| laid.cache.memcg_of.clone();
    let roots: Vec<_> = caches.iter().filter(|laid| of(laid).is_none()).collect();
    for root in &roots {
        let copies = caches
            .iter()
            .filter(|laid| of(laid).as_ref() == Some(&root.cache.name));
        let copies: Vec<_> = copies.map(|laid| laid.address).collect();
        for copy in &copies {
            kernel.set(*copy, "kmem_cache", "memcg_params.root_cache", root.address);
        }
        let entries: Vec<_> = copies.iter().map(|copy| copy + on_children).collect();
        kernel.link_list(root.address + children, &entries);
    }
    let entries: Vec<_> = roots.iter().map(|root| root.address + on_roots).collect();
    let head = kernel.symbol("slab_root_caches");
    kernel.link_list(head, &entries);
}

fn lay_cache(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    frames: &mut SlabFrames,
    freelist: Freelist,
    cache: &Cache,
) -> LaidCache {
    let geometry = Geometry::of(cache, &kernel.types, kernel.page_size());
    // The object ends after nr_node_ids entries of node[], whatever its type says.
    let (array, entry) = node_array(kernel);
    let size = array + u64::from(NODES) * entry;
    let address = kernel.alloc(size, 64);
    let nodes: Vec<_> = (0..NODES)
        .map(|_| kernel.alloc_struct("kmem_cache_node"))
        .collect();
    let mut laid = LaidCache {
        cache: cache.clone(),
        address,
        cpu_slab: percpu.alloc(32),
        idle_cpu_slab: percpu.alloc(32),
        geometry,
        objects_per_slab: geometry.objects(cache.order),
        pointers: FreePointers {
            freelist,
            random: kernel.random.word(),
            offset: u64::from(geometry.offset),
        },
        nodes,
        slabs: Vec::new(),
    };
    for slab in &cache.slabs {
        let order = slab.order.unwrap_or(cache.order);
        let pfn = frames.take(slab.node, order);
        let slab = lay_slab(kernel, &laid, pfn, order, slab.node, slab.place);
        laid.slabs.push(slab);
    }
    lay_kmem_cache(kernel, &laid);
    if kernel.era.has_sheaves_of(&cache.name) {
        sheaves::lay(kernel, percpu, &laid);
    } else if kernel.era.has_cpu_slabs() {
        lay_cpus(kernel, percpu, &laid);
    }
    lay_nodes(kernel, &laid);
    laid
}

fn lay_kmem_cache(kernel: &mut Kernel, laid: &LaidCache) {
    let (cache, geometry) = (&laid.cache, laid.geometry);
    let mut flags = 0;
    for flag in &cache.flags {
        flags |= flag.bit(&kernel.types);
    }
    if cache.flags.contains(&SlabFlag::Poison) && cache.ctor.is_none() {
        flags |= SlabFlag::ObjectPoison.bit(&kernel.types);
    }
    if !cache.flags.iter().any(|flag| flag.is_debug()) {
        flags |= SlabFlag::CmpxchgDouble.bit(&kernel.types);
    }
    let orders = |order: u32| u64::from(order << 16 | geometry.objects(order));
    let ctor = kernel.symbol("startup_64") + 0x10;
    let name = kernel.alloc_string(&cache.name);
    let fields = [
        ("flags", flags),
        ("min_partial", 5),
        ("size", u64::from(geometry.size)),
        ("object_size", u64::from(cache.object_size)),
        ("offset", u64::from(geometry.offset)),
        ("oo.x", orders(cache.order)),
        ("min.x", orders(geometry.min_order())),
        ("refcount", 1 + cache.aliases.len() as u64),
        (
            "ctor",
            cache.ctor.map_or(0, |number| ctor + u64::from(number)),
        ),
        ("inuse", u64::from(geometry.inuse)),
        ("align", u64::from(geometry.align)),
        ("red_left_pad", u64::from(geometry.red_left_pad)),
        ("name", name),
        (
            "usersize",
            if cache.usercopy {
                u64::from(cache.object_size)
            } else {
                0
            },
        ),
    ];
    for (path, value) in fields {
        if kernel.types.has("kmem_cache", path) {
            kernel.set(laid.address, "kmem_cache", path, value);
        }
    }
    let with_sheaves = kernel.era.has_sheaves_of(&cache.name);
    let (cpu_slab, cpu_sheaves, capacity) = match with_sheaves {
        true => (laid.idle_cpu_slab, laid.cpu_slab, sheaves::capacity(laid)),
        false => (laid.cpu_slab, 0, 0),
    };
    for (path, value) in [
        ("cpu_slab", cpu_slab),
        ("cpu_sheaves", cpu_sheaves),
        ("sheaf_capacity", u64::from(capacity)),
        ("cpu_partial", 30),
        ("cpu_partial_slabs", 4),
        ("max.x", orders(cache.order)),
    ] {
        if kernel.types.has("kmem_cache", path) {
            kernel.set(laid.address, "kmem_cache", path, value);
        }
    }
    if kernel.types.has("kmem_cache", "random") {
        let random = laid.pointers.random;
        kernel.set(laid.address, "kmem_cache", "random", random);
    }
    for (node, address) in laid.nodes.iter().enumerate() {
        let (array, entry) = node_array(kernel);
        // In per_node[] the node's pointer is the last of an entry's members.
        let slot = laid.address + array + node as u64 * entry + entry - 8;
        kernel.write_u64(slot, *address);
    }
}

/// `kmem_cache_cpu` of every CPU that has a current slab or a partial list.
fn lay_cpus(kernel: &mut Kernel, percpu: &PerCpu, laid: &LaidCache) {
    let tag = slab_tag(kernel.era);
    let (current, count) = if tag == "slab" {
        ("slab", "slabs")
    } else {
        ("page", "pages")
    };
    for cpu in 0..percpu.offsets.len() as u32 {
        let at = percpu.pointer(laid.cpu_slab, cpu);
        kernel.set(at, "kmem_cache_cpu", "tid", u64::from(cpu) + 0x400);
        for slab in &laid.slabs {
            if matches!(slab.place, Place::Current { cpu: owner, .. } if owner == cpu) {
                let head = slab.cpu_free.first().copied().unwrap_or(0);
                kernel.set(at, "kmem_cache_cpu", current, slab.descriptor);
                kernel.set(at, "kmem_cache_cpu", "freelist", head);
            }
        }
        let chain: Vec<_> = laid
            .slabs
            .iter()
            .filter(
                |slab| matches!(slab.place, Place::CpuPartial { cpu: owner, .. } if owner == cpu),
            )
            .collect();
        let mut next = 0;
        for (behind, slab) in chain.iter().rev().enumerate() {
            let free: usize = chain[chain.len() - 1 - behind..]
                .iter()
                .map(|slab| slab.free.len())
                .sum();
            kernel.set(slab.descriptor, tag, "next", next);
            kernel.set(slab.descriptor, tag, count, behind as u64 + 1);
            if kernel.types.has(tag, "pobjects") {
                kernel.set(slab.descriptor, tag, "pobjects", free as u64);
            }
            next = slab.descriptor;
        }
        kernel.set(at, "kmem_cache_cpu", "partial", next);
    }
}

/// Offset of `node[]` or `per_node[]` in a `kmem_cache`, and bytes of an entry.
pub(super) fn node_array(kernel: &Kernel) -> (u64, u64) {
    if kernel.types.has("kmem_cache", "per_node") {
        (kernel.types.offset("kmem_cache", "per_node"), 16)
    } else {
        (kernel.types.offset("kmem_cache", "node"), 8)
    }
}

/// Node lists and counters.
fn lay_nodes(kernel: &mut Kernel, laid: &LaidCache) {
    let link = kernel.types.offset(slab_tag(kernel.era), slab_link(kernel));
    let store_user = laid.cache.flags.contains(&SlabFlag::StoreUser);
    for (node, address) in laid.nodes.iter().enumerate() {
        let here = laid.slabs.iter().filter(|slab| slab.node as usize == node);
        let counted: Vec<_> = here
            .filter(|slab| slab.place != Place::PendingRcu)
            .collect();
        let partial: Vec<_> = counted.iter().filter(|slab| slab.on_node_partial).collect();
        let full = counted.iter().filter(|slab| slab.place == Place::Full);
        let full = full.filter(|_| store_user);
        let objects: usize = counted.iter().map(|slab| slab.objects.len()).sum();
        for (member, value) in [
            ("nr_partial", partial.len() as u64),
            ("nr_slabs", counted.len() as u64),
            ("total_objects", objects as u64),
        ] {
            if kernel.types.has("kmem_cache_node", member) {
                kernel.set(*address, "kmem_cache_node", member, value);
            }
        }
        let head = address + kernel.types.offset("kmem_cache_node", "partial");
        let entries: Vec<_> = partial.iter().map(|slab| slab.descriptor + link).collect();
        kernel.link_list(head, &entries);
        if kernel.types.has("kmem_cache_node", "full") {
            let head = address + kernel.types.offset("kmem_cache_node", "full");
            let entries: Vec<_> = full.map(|slab| slab.descriptor + link).collect();
            kernel.link_list(head, &entries);
        }
        if kernel.era.marks_node_partial() {
            for slab in partial {
                kernel.set_page_flag(slab.pfn, "PG_workingset");
            }
        }
    }
}
