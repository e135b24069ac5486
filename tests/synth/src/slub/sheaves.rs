//! Sheaves (7.0, and some in 6.18): arrays of free objects for each CPU, and barns of full ones for
//! each node. The slabs count these objects as in use.

use super::lay::{LaidCache, node_array};
use super::scenario::Place;
use crate::machine::Kernel;
use crate::machine::cpus::PerCpu;

/// Objects that fit into a sheaf; 0 for a debugged cache, which has none.
pub fn capacity(laid: &LaidCache) -> u32 {
    if laid.cache.flags.iter().any(|flag| flag.is_debug()) {
        return 0;
    }
    match laid.geometry.size {
        4096.. => 4,
        1024.. => 12,
        256.. => 26,
        _ => 60,
    }
}

/// The sheaves of one CPU.
#[derive(Default)]
struct CpuSheaves {
    main: Vec<u64>,
    spare: Vec<u64>,
}

/// Lays the CPUs' sheaves and the nodes' barns. What does not fit into a CPU's two
/// sheaves goes to the barn of its slab's node.
pub(super) fn lay(kernel: &mut Kernel, percpu: &PerCpu, laid: &LaidCache) {
    let capacity = capacity(laid) as usize;
    let mut cpus: Vec<CpuSheaves> = percpu
        .offsets
        .iter()
        .map(|_| CpuSheaves::default())
        .collect();
    let mut barns = vec![Vec::new(); laid.nodes.len()];
    for slab in &laid.slabs {
        let (Place::Current { cpu, .. } | Place::CpuPartial { cpu, .. }) = slab.place else {
            continue;
        };
        let mine = &mut cpus[cpu as usize];
        for objects in slab.cpu_free.chunks(capacity.max(1)) {
            if mine.main.is_empty() {
                mine.main = objects.to_vec();
            } else if mine.spare.is_empty() {
                mine.spare = objects.to_vec();
            } else {
                barns[slab.node as usize].push(objects.to_vec());
            }
        }
    }
    for (cpu, sheaves) in cpus.iter().enumerate() {
        let at = percpu.pointer(laid.cpu_slab, cpu as u32);
        let main = if capacity == 0 {
            kernel.symbol("bootstrap_sheaf")
        } else {
            lay_sheaf(kernel, laid, &sheaves.main)
        };
        kernel.set(at, "slub_percpu_sheaves", "main", main);
        if !sheaves.spare.is_empty() {
            let spare = lay_sheaf(kernel, laid, &sheaves.spare);
            kernel.set(at, "slub_percpu_sheaves", "spare", spare);
        }
    }
    if capacity > 0 {
        for (node, full) in barns.iter().enumerate() {
            lay_barn(kernel, laid, node, full);
        }
    }
}

fn lay_sheaf(kernel: &mut Kernel, laid: &LaidCache, objects: &[u64]) -> u64 {
    let header = kernel.types.sizeof("slab_sheaf");
    let room = u64::from(capacity(laid)) * 8;
    let sheaf = kernel.alloc(header + room, 8);
    kernel.set(sheaf, "slab_sheaf", "cache", laid.address);
    kernel.set(sheaf, "slab_sheaf", "size", objects.len() as u64);
    for (index, object) in objects.iter().enumerate() {
        kernel.write_u64(sheaf + header + index as u64 * 8, *object);
    }
    // Slots beyond the size keep what was in them once: here an object in use.
    let stale = laid.slabs.first().and_then(|slab| slab.objects.first());
    if let Some(stale) = stale
        && objects.len() < capacity(laid) as usize
    {
        let slot = sheaf + header + objects.len() as u64 * 8;
        kernel.write_u64(slot, *stale);
    }
    sheaf
}

fn lay_barn(kernel: &mut Kernel, laid: &LaidCache, node: usize, full: &[Vec<u64>]) {
    let barn = kernel.alloc_struct("node_barn");
    if kernel.types.has("kmem_cache_node", "barn") {
        kernel.set(laid.nodes[node], "kmem_cache_node", "barn", barn);
    } else {
        let (array, entry) = node_array(kernel);
        let slot = laid.address + array + node as u64 * entry;
        kernel.write_u64(slot, barn);
    }
    let full: Vec<_> = full
        .iter()
        .map(|objects| lay_sheaf(kernel, laid, objects))
        .collect();
    let empty = [lay_sheaf(kernel, laid, &[])];
    let link = kernel.types.offset("slab_sheaf", "barn_list");
    for (list, count, sheaves) in [
        ("sheaves_full", "nr_full", full.as_slice()),
        ("sheaves_empty", "nr_empty", &empty),
    ] {
        let head = barn + kernel.types.offset("node_barn", list);
        let entries: Vec<_> = sheaves.iter().map(|sheaf| sheaf + link).collect();
        kernel.link_list(head, &entries);
        kernel.set(barn, "node_barn", count, entries.len() as u64);
    }
}
