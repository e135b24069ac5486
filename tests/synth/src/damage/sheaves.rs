//! Ways to break the sheaves of a cache, and to move what is in them.
//!
//! Each function takes the first CPU whose main sheaf holds objects, and returns how
//! many they were.

use crate::machine::{Kernel, Machine};
use crate::slub::kfree_rcu;
use crate::slub::scenario::Place;

/// The main sheaf of a CPU.
struct Main {
    /// Where the CPU's `slub_percpu_sheaves` lies.
    per_cpu: u64,
    sheaf: u64,
    size: u64,
}

fn main_sheaf(machine: &Machine, cache: &str) -> Main {
    let kernel = &machine.kernel;
    let offsets = kernel.symbol("__per_cpu_offset");
    let pointer = machine.cache(cache).cpu_slab;
    let mains = (0..u64::from(crate::machine::cpus::POSSIBLE_CPUS)).map(|cpu| {
        let per_cpu = kernel.read_u64(offsets + cpu * 8).wrapping_add(pointer);
        let sheaf = kernel.get(per_cpu, "slub_percpu_sheaves", "main");
        Main {
            per_cpu,
            sheaf,
            size: kernel.get(sheaf, "slab_sheaf", "size"),
        }
    });
    let mut filled = mains.filter(|main| main.size > 0);
    filled.next().expect("a CPU with objects in its sheaf")
}

fn slot(machine: &Machine, sheaf: u64, index: u64) -> u64 {
    sheaf + machine.kernel.types.sizeof("slab_sheaf") + index * 8
}

/// The sheaf says that it is another cache's.
pub fn sheaf_of_another(machine: &mut Machine, cache: &str, other: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let other = machine.cache(other).address;
    machine.kernel.set(main.sheaf, "slab_sheaf", "cache", other);
    main.size
}

/// The sheaf says that it holds more than it can.
pub fn sheaf_overfull(machine: &mut Machine, cache: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let size = 0x6b6b_6b6b;
    machine.kernel.set(main.sheaf, "slab_sheaf", "size", size);
    main.size
}

/// The CPU's pointer to the sheaf leads to `target`.
pub fn wild_sheaf(machine: &mut Machine, cache: &str, target: u64) -> u64 {
    let main = main_sheaf(machine, cache);
    let kernel = &mut machine.kernel;
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "main", target);
    main.size
}

/// The first slot of the sheaf leads to `target`: one object is lost.
pub fn wild_sheaf_slot(machine: &mut Machine, cache: &str, target: u64) -> u64 {
    let main = main_sheaf(machine, cache);
    let slot = slot(machine, main.sheaf, 0);
    machine.kernel.write_u64(slot, target);
    1
}

/// The sheaf is the CPU's spare one too. Nothing is lost: the spare one was not there.
pub fn sheaf_twice(machine: &mut Machine, cache: &str) {
    let main = main_sheaf(machine, cache);
    let kernel = &mut machine.kernel;
    let spare = kernel.get(main.per_cpu, "slub_percpu_sheaves", "spare");
    assert_eq!(spare, 0, "the spare sheaf would be lost");
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "spare", main.sheaf);
}

/// One more object is put into the sheaf: one that is on its slab's free chain.
pub fn free_twice(machine: &mut Machine, cache: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let slabs = &machine.cache(cache).slabs;
    let free = slabs.iter().find_map(|slab| slab.free.first());
    let object = *free.expect("an object on a free chain");
    let slot = slot(machine, main.sheaf, main.size);
    let kernel = &mut machine.kernel;
    kernel.write_u64(slot, object);
    kernel.set(main.sheaf, "slab_sheaf", "size", main.size + 1);
    object
}

/// The sheaf waits for RCU: its objects are not free yet.
pub fn await_rcu(machine: &mut Machine, cache: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let kernel = &mut machine.kernel;
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "main", 0);
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "rcu_free", main.sheaf);
    main.size
}

/// RCU has got the sheaf: none of the CPU's pointers leads to it any more.
pub fn give_to_rcu(machine: &mut Machine, cache: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let kernel = &mut machine.kernel;
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "main", 0);
    let (free_sheaf, other) = (kernel.symbol("rcu_free_sheaf"), kernel.symbol("panic"));
    let another = kernel.alloc_struct("callback_head");
    kfree_rcu::call_rcu(machine, 2, &[(another, other), (main.sheaf, free_sheaf)]);
    main.size
}

/// Allocated objects of a cache are freed where no lock may be taken: they wait on a CPU's
/// list. Returns them.
pub fn defer_free(machine: &mut Machine, cache: &str, count: usize) -> Vec<u64> {
    let laid = machine.cache(cache);
    let truth = machine.truth().caches.iter();
    let truth = truth.filter(|truth| truth.name == cache);
    let objects: Vec<u64> = truth
        .flat_map(|truth| truth.allocated.iter().copied())
        .take(count)
        .collect();
    let offset = laid.pointers.offset;
    let kernel = &mut machine.kernel;
    let head = if kernel.types.aggregates.contains_key("deferred_percpu_work") {
        deferred_list(kernel, "deferred_percpu_work", "objects")
    } else {
        deferred_list(kernel, "defer_free_objects", "")
    };
    let links: Vec<u64> = objects.iter().map(|object| object + offset).collect();
    link_all(kernel, head, &links);
    objects
}

/// 7.3: allocated objects of a cache are given to kfree_rcu where no lock may be taken: they wait
/// on a CPU's list, by their `rcu_head`s somewhere in them. Returns how many.
pub fn defer_kfree_rcu(machine: &mut Machine, cache: &str, count: usize) -> u64 {
    let truth = machine.truth().caches.iter();
    let truth = truth.filter(|truth| truth.name == cache);
    let allocated = truth.flat_map(|truth| truth.allocated.iter());
    let heads: Vec<u64> = allocated.take(count).map(|object| object + 24).collect();
    let kernel = &mut machine.kernel;
    let list = deferred_list(kernel, "deferred_percpu_work", "objects_by_rcu");
    link_all(kernel, list, &heads);
    heads.len() as u64
}

/// 7.3: the sheaf is to be given to RCU, but not where no lock may be taken. Returns how many
/// objects it holds.
pub fn defer_give_to_rcu(machine: &mut Machine, cache: &str) -> u64 {
    let main = main_sheaf(machine, cache);
    let kernel = &mut machine.kernel;
    kernel.set(main.per_cpu, "slub_percpu_sheaves", "main", 0);
    let node = main.sheaf + kernel.types.offset("slab_sheaf", "llnode");
    let list = deferred_list(kernel, "deferred_percpu_work", "rcu_sheaves");
    link_all(kernel, list, &[node]);
    main.size
}

/// 7.3: a list of what is put off for RCU, `objects_by_rcu` or `rcu_sheaves`, begins where no
/// memory is.
pub fn defer_rcu_dangling(machine: &mut Machine, list: &str, target: u64) {
    let kernel = &mut machine.kernel;
    let list = deferred_list(kernel, "deferred_percpu_work", list);
    kernel.write_u64(list, target);
}

/// Where the list lies of CPU 2, whose area is not in the direct map.
fn deferred_list(kernel: &Kernel, variable: &str, member: &str) -> u64 {
    let offset = match member {
        "" => 0,
        member => kernel.types.offset(variable, member),
    };
    let area = kernel.read_u64(kernel.symbol("__per_cpu_offset") + 16);
    area.wrapping_add(kernel.symbol(variable) + offset)
}

fn link_all(kernel: &mut Kernel, head: u64, links: &[u64]) {
    let mut at = head;
    for link in links {
        kernel.write_u64(at, *link);
        at = *link;
    }
    kernel.write_u64(at, 0);
}

/// 6.18: the current slabs of all CPUs were taken from them where no lock may be taken; they wait
/// with the CPUs' chains to be given back. Nothing is lost. Returns how many.
pub fn defer_slabs(machine: &mut Machine, cache: &str) -> usize {
    let laid = machine.cache(cache).clone();
    let kernel = &mut machine.kernel;
    let offsets = kernel.symbol("__per_cpu_offset");
    let area = |kernel: &Kernel, cpu: u64| kernel.read_u64(offsets + cpu * 8);
    let head = kernel.types.offset("defer_free", "slabs");
    let list = area(kernel, 2).wrapping_add(kernel.symbol("defer_free_objects") + head);
    let (mut link, mut count) = (list, 0);
    for slab in &laid.slabs {
        let Place::Current { cpu, .. } = slab.place else {
            continue;
        };
        let cpu_slab = area(kernel, u64::from(cpu)).wrapping_add(laid.cpu_slab);
        let chain = kernel.get(cpu_slab, "kmem_cache_cpu", "freelist");
        kernel.set(cpu_slab, "kmem_cache_cpu", "freelist", 0);
        kernel.set(cpu_slab, "kmem_cache_cpu", "slab", 0);
        kernel.set(slab.descriptor, "slab", "flush_freelist", chain);
        let node = slab.descriptor + kernel.types.offset("slab", "llnode");
        kernel.write_u64(link, node);
        (link, count) = (node, count + 1);
    }
    kernel.write_u64(link, 0);
    count
}

/// 6.18: the list of slabs to be given back begins where no memory is.
pub fn defer_slabs_dangling(machine: &mut Machine, target: u64) {
    let kernel = &mut machine.kernel;
    let list = deferred_list(kernel, "defer_free_objects", "");
    let slabs = kernel.types.offset("defer_free", "slabs");
    kernel.write_u64(list + slabs, target);
}

/// The last of some deferred objects is followed by `target`.
pub fn deferred_dangling(machine: &mut Machine, cache: &str, objects: &[u64], target: u64) {
    let offset = machine.cache(cache).pointers.offset;
    let last = objects.last().expect("a deferred object");
    machine.kernel.write_u64(last + offset, target);
}

/// The barn of node 0 counts one sheaf more than it has. Nothing is lost.
pub fn barn_miscounted(machine: &mut Machine, cache: &str) {
    let kernel = &mut machine.kernel;
    let per_node = kernel.types.offset("kmem_cache", "per_node");
    let at = machine
        .slub
        .caches
        .iter()
        .find(|laid| laid.cache.name == cache);
    let at = at.expect("the cache").address + per_node;
    let barn = kernel.get(at, "kmem_cache_per_node_ptrs", "barn");
    let full = kernel.get(barn, "node_barn", "nr_full");
    kernel.set(barn, "node_barn", "nr_full", full + 1);
}
