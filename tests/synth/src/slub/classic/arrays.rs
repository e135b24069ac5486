//! The arrays of free objects that CPUs and nodes keep.

use super::super::lay::LaidCache;
use super::super::scenario::{Cache, Place};
use crate::machine::Kernel;
use crate::machine::cpus::{NODES, PerCpu};

/// `alloc_alien_cache()` makes them no larger.
const ALIEN_LIMIT: usize = 12;

/// The middle of a /proc/slabinfo row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tunables {
    /// Most objects in a CPU's array.
    pub limit: u32,
    /// Objects moved at once.
    pub batchcount: u32,
    /// Batches in a shared array.
    pub sharedfactor: u32,
}

/// `enable_cpucache()`: by the size of objects.
pub fn tunables(cache: &Cache) -> Tunables {
    let limit = match cache.object_size {
        4097.. => 8,
        1025.. => 24,
        257.. => 54,
        _ => 120,
    };
    Tunables {
        limit,
        batchcount: limit.div_ceil(2),
        sharedfactor: if cache.object_size <= 4096 { 8 } else { 0 },
    }
}

/// Which objects wait in the arrays of the nodes: shared, and alien by node.
fn in_nodes(laid: &LaidCache, node: u32) -> (Vec<u64>, Vec<u64>) {
    let (mut shared, mut alien) = (Vec::new(), Vec::new());
    let mut room = [ALIEN_LIMIT; NODES as usize];
    for slab in &laid.slabs {
        let Place::CpuPartial { cpu, .. } = slab.place else {
            continue;
        };
        // CPU 0 freed them on their own node, others on the other one: as many as fit there.
        let room = &mut room[slab.node as usize];
        let foreign = if cpu == 0 { 0 } else { *room };
        let (away, home) = slab.cpu_free.split_at(foreign.min(slab.cpu_free.len()));
        *room -= away.len();
        if slab.node == node {
            shared.extend(home);
        } else {
            alien.extend(away);
        }
    }
    (shared, alien)
}

/// Objects in the shared arrays, as /proc/slabinfo has them.
pub(in super::super) fn shared_avail(laid: &LaidCache) -> u64 {
    (0..NODES)
        .map(|node| in_nodes(laid, node).0.len() as u64)
        .sum()
}

/// Lays the arrays of all CPUs and nodes.
pub(super) fn lay(kernel: &mut Kernel, percpu: &PerCpu, laid: &LaidCache) {
    let tunables = tunables(&laid.cache);
    for cpu in 0..percpu.offsets.len() as u32 {
        let mine = laid
            .slabs
            .iter()
            .filter(|slab| matches!(slab.place, Place::Current { cpu: owner, .. } if owner == cpu));
        let objects: Vec<u64> = mine.flat_map(|slab| slab.cpu_free.clone()).collect();
        let at = percpu.pointer(laid.cpu_slab, cpu);
        lay_array(kernel, laid, at, tunables.limit as usize, &objects);
    }
    for node in 0..NODES {
        let (shared, alien) = in_nodes(laid, node);
        let address = laid.nodes[node as usize];
        if tunables.sharedfactor > 0 {
            let limit = (tunables.sharedfactor * tunables.batchcount) as usize;
            let at = kernel.alloc(16 + limit as u64 * 8, 8);
            lay_array(kernel, laid, at, limit, &shared);
            kernel.set(address, "kmem_cache_node", "shared", at);
        }
        let pointers = kernel.alloc(u64::from(NODES) * 8, 8);
        let header = kernel.types.offset("alien_cache", "ac");
        let cache = kernel.alloc(header + 16 + ALIEN_LIMIT as u64 * 8, 8);
        lay_array(kernel, laid, cache + header, ALIEN_LIMIT, &alien);
        // There is none of the node's own.
        let other = u64::from(NODES - 1 - node);
        kernel.write_u64(pointers + other * 8, cache);
        kernel.set(address, "kmem_cache_node", "alien", pointers);
    }
}

/// Pointers are to where an object starts, which is before what its user sees if it has a red zone.
fn lay_array(kernel: &mut Kernel, laid: &LaidCache, at: u64, limit: usize, objects: &[u64]) {
    assert!(
        objects.len() <= limit,
        "{}: array overflows",
        laid.cache.name
    );
    for (member, value) in [
        ("avail", objects.len()),
        ("limit", limit),
        ("batchcount", limit.div_ceil(2)),
    ] {
        kernel.set(at, "array_cache", member, value as u64);
    }
    let entry = at + kernel.types.offset("array_cache", "entry");
    let before = u64::from(laid.geometry.red_left_pad);
    for (slot, object) in (0u64..).zip(objects) {
        kernel.write_u64(entry + slot * 8, object - before);
    }
    // Slots beyond `avail` keep what was in them once: here an object in use.
    let first = laid.slabs.first().and_then(|slab| slab.objects.first());
    if let Some(stale) = first
        && objects.len() < limit
    {
        kernel.write_u64(entry + objects.len() as u64 * 8, stale - before);
    }
}
