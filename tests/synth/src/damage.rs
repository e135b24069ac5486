//! Ways to break a machine before it is written, and to cut what was written.
//!
//! Each function does one harm and returns where, so that a test can ask for the
//! right complaint and for the caches that were left alone.

pub mod conntrack;
pub mod sheaves;

use crate::machine::Machine;
use crate::random::Random;
use crate::slub::page::{slab_link, slab_tag};
use crate::slub::scenario::Place;
use crate::slub::slab::LaidSlab;

/// An address in the hole between the two halves of the address space.
pub const NON_CANONICAL: u64 = 0x6b6b_6b6b_6b6b_6b6b;

/// A broken freelist: its slab and the object whose free pointer was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenFreelist {
    /// Address of the slab's descriptor.
    pub descriptor: u64,
    /// First page frame of the slab.
    pub pfn: u64,
    /// The object whose free pointer lies.
    pub object: u64,
    /// Objects that can be reached before it goes wrong, itself included.
    pub reachable: usize,
}

/// A slab of the cache that is on no CPU and has at least `free` free objects.
fn slab_with_free<'a>(machine: &'a Machine, cache: &str, free: usize) -> &'a LaidSlab {
    let mut slabs = machine.cache(cache).slabs.iter();
    let found = slabs.find(|slab| {
        slab.free.len() >= free && !matches!(slab.place, Place::Current { .. } | Place::PendingRcu)
    });
    found.expect("a slab with enough free objects")
}

/// Makes the `index`th free object of a slab point to `next`, encoded as it should.
fn redirect(machine: &mut Machine, cache: &str, index: usize, next: u64) -> BrokenFreelist {
    let slab = slab_with_free(machine, cache, index + 1);
    let broken = BrokenFreelist {
        descriptor: slab.descriptor,
        pfn: slab.pfn,
        object: slab.free[index],
        reachable: index + 1,
    };
    let pointers = machine.cache(cache).pointers;
    let at = broken.object + pointers.offset;
    machine.kernel.write_u64(at, pointers.encode(next, at));
    broken
}

/// The last free object of a slab points back to the first one.
pub fn freelist_cycle(machine: &mut Machine, cache: &str) -> BrokenFreelist {
    let slab = slab_with_free(machine, cache, 2);
    let (first, last) = (slab.free[0], slab.free.len() - 1);
    redirect(machine, cache, last, first)
}

/// The second free object of a slab points to `target`.
pub fn wild_free_pointer(machine: &mut Machine, cache: &str, target: u64) -> BrokenFreelist {
    slab_with_free(machine, cache, 3);
    redirect(machine, cache, 2, target)
}

/// The second free object's pointer is overwritten as by a buffer overrun: with
/// bytes that decode to nothing sensible.
pub fn overwritten_free_pointer(machine: &mut Machine, cache: &str) -> BrokenFreelist {
    let broken = redirect(machine, cache, 2, 0);
    let at = broken.object + machine.cache(cache).pointers.offset;
    machine.kernel.write(at, b"AAAAAAAA");
    broken
}

/// Where the `list_head` of a cache in `slab_caches` lies.
fn cache_link(machine: &Machine, cache: &str) -> u64 {
    machine.cache(cache).address + machine.kernel.types.offset("kmem_cache", "list")
}

/// In `slab_caches`, the cache `from` is followed by `to` again: a cycle that never
/// comes back to the head if `to` stands before `from`.
pub fn slab_caches_cycle(machine: &mut Machine, from: &str, to: &str) {
    let (from, to) = (cache_link(machine, from), cache_link(machine, to));
    machine.kernel.set(from, "list_head", "next", to);
}

/// In `slab_caches`, the cache `from` is followed by an address of your choice.
pub fn slab_caches_dangling(machine: &mut Machine, from: &str, target: u64) {
    let from = cache_link(machine, from);
    machine.kernel.set(from, "list_head", "next", target);
}

/// The links of a cache's slabs on a node's partial list, in order.
fn partial_links(machine: &Machine, cache: &str, node: u32) -> Vec<u64> {
    let link = machine
        .kernel
        .types
        .offset(slab_tag(machine.options.era), slab_link(&machine.kernel));
    let slabs = machine.cache(cache).slabs.iter();
    slabs
        .filter(|slab| slab.node == node && slab.on_node_partial)
        .map(|slab| slab.descriptor + link)
        .collect()
}

/// The last slab on a node's partial list points to the first slab and not to the
/// head. Returns how many slabs are on the list.
pub fn partial_list_cycle(machine: &mut Machine, cache: &str, node: u32) -> usize {
    let links = partial_links(machine, cache, node);
    let (first, last) = (links[0], links[links.len() - 1]);
    machine.kernel.set(last, "list_head", "next", first);
    links.len()
}

/// The first slab on a node's partial list is followed by `target`. Returns how
/// many slabs are on the list.
pub fn partial_list_dangling(machine: &mut Machine, cache: &str, node: u32, target: u64) -> usize {
    let links = partial_links(machine, cache, node);
    machine.kernel.set(links[0], "list_head", "next", target);
    links.len()
}

/// Takes pages out of the dump, as a dump level that is too eager does.
pub fn exclude(machine: &mut Machine, pfns: impl IntoIterator<Item = u64>) {
    for pfn in pfns {
        machine.kernel.memory.exclude(pfn);
    }
}

/// Takes the pages of a cache's `index`th slab out. Returns its frames.
pub fn exclude_slab(machine: &mut Machine, cache: &str, index: usize) -> std::ops::Range<u64> {
    let slab = &machine.cache(cache).slabs[index];
    let frames = slab.pfn..slab.pfn + (1 << slab.order);
    exclude(machine, frames.clone());
    frames
}

/// Takes the page out that holds a virtual address. Returns its frame.
pub fn exclude_address(machine: &mut Machine, virt: u64) -> u64 {
    let pfn = machine.kernel.space.phys(virt) >> machine.kernel.page_shift();
    machine.kernel.memory.exclude(pfn);
    pfn
}

/// Fills a page with zeros.
pub fn zero_page(machine: &mut Machine, pfn: u64) {
    machine.kernel.memory.page_mut(pfn).fill(0);
}

/// Flips `count` bits somewhere in `length` bytes at a virtual address.
pub fn flip_bits(machine: &mut Machine, virt: u64, length: u64, count: u32, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let phys = machine.kernel.space.phys(virt + random.below(length));
        let within = (phys % machine.kernel.page_size()) as usize;
        let pfn = phys >> machine.kernel.page_shift();
        let page = machine.kernel.memory.page_mut(pfn);
        page[within] ^= 1 << random.below(8);
    }
}

/// A page table entry for `virt` leads nowhere.
pub fn unmap(machine: &mut Machine, virt: u64) {
    let kernel = &mut machine.kernel;
    kernel.tables.hide(&mut kernel.memory, virt);
}

/// The first `length` bytes of a file.
pub fn cut(mut file: Vec<u8>, length: usize) -> Vec<u8> {
    file.truncate(length);
    file
}

/// Flips `count` bits anywhere in a file.
pub fn corrupt(file: &mut [u8], count: u32, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let at = random.below(file.len() as u64) as usize;
        file[at] ^= 1 << random.below(8);
    }
}

/// Takes out what a makedumpfile that does not know PAGE_SLAB_MAPCOUNT_VALUE (1.7.2 is one) takes for pages of a process on
/// kernels from 6.10 on: slabs are a page type there, and the
/// count in a slab of a CPU's partial list makes `page.mapping` odd. Returns the
/// frames: the first page of each such slab.
pub fn exclude_as_old_makedumpfile(machine: &mut Machine) -> Vec<u64> {
    if !machine.options.era.slab_is_page_type() {
        return Vec::new();
    }
    let slabs = machine.slub.caches.iter().flat_map(|laid| &laid.slabs);
    let taken: Vec<u64> = slabs
        .filter(|slab| machine.kernel.get(slab.descriptor, "page", "mapping") & 1 == 1)
        .map(|slab| slab.pfn)
        .collect();
    exclude(machine, taken.iter().copied());
    taken
}
