//! kfree_rcu(): objects in batches of each CPU, as pointers in pages of their own or
//! chained through their `rcu_head`s; and what is left over in pages kept for the next.

use super::lay::LaidCache;
use crate::machine::cpus::{POSSIBLE_CPUS, PerCpu};
use crate::machine::{Kernel, Machine};

/// Where a batch waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Not yet handed on: in the CPU's own structure.
    Fresh,
    /// In one of the two that wait for a grace period.
    Waiting(u64),
}

/// How `rcu_head.func` says which object is to be freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreedBy {
    /// By the way from its start to the `rcu_head` (up to 6.1).
    Offset,
    /// By its address.
    Address,
}

/// Every CPU's structure with nothing in it, but a spare page full of old pointers:
/// to objects that are in use.
pub(crate) fn lay(kernel: &mut Kernel, percpu: &PerCpu, caches: &[LaidCache]) {
    if !kernel.types.aggregates.contains_key("kfree_rcu_cpu") {
        return;
    }
    let symbol = kernel.per_cpu_symbol("krc");
    let stale: Vec<u64> = caches
        .iter()
        .flat_map(|laid| laid.slabs.iter().filter_map(|slab| slab.objects.first()))
        .copied()
        .collect();
    for cpu in 0..POSSIBLE_CPUS {
        let at = percpu.pointer(symbol, cpu);
        if kernel.types.has("kfree_rcu_cpu", "bulk_head") {
            for head in list_heads(kernel, at) {
                kernel.link_list(head, &[]);
            }
        }
        let spare = lay_page(kernel, &stale);
        kernel.write_u64(spare, 0);
        kernel.set(at, "kfree_rcu_cpu", "bkvcache.first", spare);
        kernel.set(at, "kfree_rcu_cpu", "nr_bkv_objs", 1);
    }
}

/// `bulk_head[]` of a CPU and `bulk_head_free[]` of its two batches.
fn list_heads(kernel: &Kernel, at: u64) -> Vec<u64> {
    let own = at + kernel.types.offset("kfree_rcu_cpu", "bulk_head");
    let mut heads = vec![own, own + 16];
    for index in 0..2 {
        let free =
            work(kernel, at, index) + kernel.types.offset("kfree_rcu_cpu_work", "bulk_head_free");
        heads.extend([free, free + 16]);
    }
    heads
}

fn work(kernel: &Kernel, at: u64, index: u64) -> u64 {
    let size = kernel.types.sizeof("kfree_rcu_cpu_work");
    at + kernel.types.offset("kfree_rcu_cpu", "krw_arr") + index * size
}

fn lay_page(kernel: &mut Kernel, records: &[u64]) -> u64 {
    let page = kernel.alloc(kernel.page_size(), kernel.page_size());
    let first = kernel.types.offset("kvfree_rcu_bulk_data", "records");
    let count = records.len() as u64;
    kernel.set(page, "kvfree_rcu_bulk_data", "nr_records", count);
    for (index, record) in records.iter().enumerate() {
        kernel.write_u64(page + first + index as u64 * 8, *record);
    }
    page
}

fn cpu_at(kernel: &Kernel, cpu: u64) -> u64 {
    let offsets = kernel.symbol("__per_cpu_offset");
    kernel
        .read_u64(offsets + cpu * 8)
        .wrapping_add(kernel.per_cpu_symbol("krc"))
}

/// Puts pointers into pages of at most `per_page` records on a CPU's batch, `stale` ones behind
/// the count of each. Returns the pages.
pub fn add_pages(
    machine: &mut Machine,
    place: (u64, Batch, u64),
    objects: &[u64],
    per_page: usize,
    stale: &[u64],
) -> Vec<u64> {
    lay_batch(&mut machine.kernel, place, objects, per_page, stale)
}

/// The same while the machine is being built.
pub(crate) fn lay_batch(
    kernel: &mut Kernel,
    (cpu, batch, channel): (u64, Batch, u64),
    objects: &[u64],
    per_page: usize,
    stale: &[u64],
) -> Vec<u64> {
    let at = cpu_at(kernel, cpu);
    let first = kernel.types.offset("kvfree_rcu_bulk_data", "records");
    let mut pages = Vec::new();
    for records in objects.chunks(per_page) {
        let page = lay_page(kernel, records);
        for (index, record) in stale.iter().enumerate() {
            let slot = first + (records.len() + index) as u64 * 8;
            kernel.write_u64(page + slot, *record);
        }
        pages.push(page);
    }
    let lists = kernel.types.has("kfree_rcu_cpu", "bulk_head");
    let (tag, base, member) = match batch {
        Batch::Fresh => ("kfree_rcu_cpu", at, ["bkvhead", "bulk_head"]),
        Batch::Waiting(index) => (
            "kfree_rcu_cpu_work",
            work(kernel, at, index),
            ["bkvhead_free", "bulk_head_free"],
        ),
    };
    let head = base + kernel.types.offset(tag, member[usize::from(lists)]);
    if lists {
        kernel.link_list(head + channel * 16, &pages);
    } else {
        for (index, page) in pages.iter().enumerate() {
            let next = pages.get(index + 1).copied().unwrap_or(0);
            kernel.set(*page, "kvfree_rcu_bulk_data", "next", next);
        }
        kernel.write_u64(head + channel * 8, pages[0]);
    }
    pages
}

/// Chains objects through `rcu_head`s `offset` bytes into them.
pub fn add_heads(
    machine: &mut Machine,
    (cpu, batch): (u64, Batch),
    objects: &[u64],
    offset: u64,
    by: FreedBy,
) {
    let kernel = &mut machine.kernel;
    let first = lay_heads(kernel, objects, offset, by);
    let at = cpu_at(kernel, cpu);
    match batch {
        Batch::Fresh => kernel.set(at, "kfree_rcu_cpu", "head", first),
        Batch::Waiting(index) => {
            let work = work(kernel, at, index);
            kernel.set(work, "kfree_rcu_cpu_work", "head_free", first);
        }
    }
}

fn lay_heads(kernel: &mut Kernel, objects: &[u64], offset: u64, by: FreedBy) -> u64 {
    for (index, object) in objects.iter().enumerate() {
        let next = objects.get(index + 1).map_or(0, |next| next + offset);
        let func = match by {
            FreedBy::Offset => offset,
            FreedBy::Address => *object,
        };
        kernel.set(object + offset, "callback_head", "next", next);
        kernel.set(object + offset, "callback_head", "func", func);
    }
    objects.first().map_or(0, |first| first + offset)
}

/// Gives callbacks to RCU on a CPU: `rcu_head`s with their functions, in order.
pub fn call_rcu(machine: &mut Machine, cpu: u64, callbacks: &[(u64, u64)]) {
    let kernel = &mut machine.kernel;
    let offsets = kernel.symbol("__per_cpu_offset");
    let at = kernel.read_u64(offsets + cpu * 8);
    let at = at.wrapping_add(kernel.per_cpu_symbol("rcu_data"));
    let mut link = at + kernel.types.offset("rcu_data", "cblist.head");
    for (head, func) in callbacks {
        kernel.write_u64(link, *head);
        kernel.set(*head, "callback_head", "func", *func);
        link = *head;
    }
    kernel.write_u64(link, 0);
}
