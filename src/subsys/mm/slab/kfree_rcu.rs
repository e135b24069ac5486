//! Objects given to kfree_rcu(), which wait in batches of each CPU (`krc`,
//! kernel/rcu/tree.c, since 6.14 mm/slab_common.c).
//!
//! Their owner has freed them, the allocator has not got them yet. Most lie as pointers
//! in pages of their own; where no page was to be had, they are chained through their
//! `rcu_head`s. Each CPU keeps some empty pages (`bkvcache`), in which old pointers
//! stand: those are of no account.

use super::layouts::{BulkLayout, KfreeRcuLayout, KfreeRcuWorkLayout, RcuHeadLayout};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::{Kernel, KernelError, walk};

/// A cache of more pages than any setting asks for (`rcu_min_cached_objs` is 5).
const MAX_CACHED: u64 = 1 << 16;
/// More pages of pointers than RAM can hold.
const MAX_PAGES: u64 = 1 << 28;

/// The pages that kfree_rcu() writes its pointers to, by address.
///
/// Nothing in them refers to an object: those in use name objects that are freed
/// already, and the records beyond their count, as all in spare pages, are left over.
#[derive(Clone, Debug, Default)]
pub struct BulkPages {
    /// Pages with pointers that wait.
    pub in_use: Vec<VirtAddr>,
    /// Empty pages kept for the next ones.
    pub spare: Vec<VirtAddr>,
}

/// What waits on all CPUs.
#[derive(Clone, Debug, Default)]
pub(crate) struct KfreeRcuFacts {
    /// Starts of objects, of slabs or of large allocations.
    pub(crate) objects: Vec<VirtAddr>,
    pub(crate) pages: BulkPages,
    /// CPUs, lists and pages that are lost.
    pub(crate) broken: u64,
}

/// Reads the batches of all CPUs; there are none in kernels without them (up to 5.3).
///
/// # Errors
/// If there is no record of CPUs.
pub(crate) fn read(kernel: &Kernel, max_objects: u64) -> Result<KfreeRcuFacts, KernelError> {
    let mut facts = KfreeRcuFacts::default();
    let Some(percpu) = kernel.symbol("krc") else {
        return Ok(facts);
    };
    let reader = match BatchReader::new(kernel, max_objects) {
        Ok(reader) => reader,
        Err(error) => {
            facts.broken += 1;
            kernel.diag.warn(
                "kfree-rcu-unknown",
                format!("objects that wait in kfree_rcu's batches count as allocated: {error}"),
            );
            return Ok(facts);
        }
    };
    for (_, at) in Cpus::read(kernel)?.instances(percpu) {
        reader.add_cpu(at, &mut facts);
    }
    if facts.broken > 0 {
        kernel.diag.warn_many(
            "kfree-rcu-lost",
            "batches of kfree_rcu can't be followed to their end: objects in them count as allocated (look at them with crash: p krc)",
            facts.broken,
        );
    }
    Ok(facts)
}

struct BatchReader<'k> {
    kernel: &'k Kernel,
    cpu: KfreeRcuLayout,
    work: KfreeRcuWorkLayout,
    rcu_head: RcuHeadLayout,
    /// Where the batches are pages at all (5.7 and later).
    bulk: Option<BulkLayout>,
    max_objects: u64,
}

impl<'k> BatchReader<'k> {
    fn new(kernel: &'k Kernel, max_objects: u64) -> Result<Self, LayoutError> {
        let cpu: KfreeRcuLayout = kernel.layout()?;
        let in_pages = cpu.lists.is_some() || cpu.chains.is_some();
        Ok(Self {
            work: kernel.layout()?,
            rcu_head: kernel.layout()?,
            bulk: in_pages.then(|| kernel.layout()).transpose()?,
            cpu,
            kernel,
            max_objects,
        })
    }

    fn add_cpu(&self, at: VirtAddr, facts: &mut KfreeRcuFacts) {
        let Ok(record) = self.kernel.space.read_bytes(at, self.cpu.len) else {
            facts.broken += 1;
            return;
        };
        self.add_heads(VirtAddr(self.cpu.head.get(&record)), facts);
        self.add_channels(at, self.cpu.lists, self.cpu.chains, facts);
        let works = self.cpu.krw_arr;
        for index in 0..works.size as usize / self.work.struct_size.max(1) {
            let work = at.plus(u64::from(works.offset) + (index * self.work.struct_size) as u64);
            let head = work.plus(u64::from(self.work.head.offset));
            match self.kernel.space.read_ptr(head) {
                Ok(head) => self.add_heads(head, facts),
                Err(_) => facts.broken += 1,
            }
            self.add_channels(work, self.work.lists, self.work.chains, facts);
        }
        if let Some(spare) = self.cpu.bkvcache {
            let first = VirtAddr(spare.get(&record));
            let pages = walk::chain(&self.kernel.space, first, 0, MAX_CACHED);
            facts.broken += u64::from(!pages.is_complete());
            facts.pages.spare.extend(pages.value);
        }
    }

    /// Objects chained through their `rcu_head`s, whose `func` is the start of the object since
    /// 6.2 (commit 04a522b7da3d), and was the way from it to the `rcu_head` before.
    fn add_heads(&self, first: VirtAddr, facts: &mut KfreeRcuFacts) {
        let next = u64::from(self.rcu_head.next.offset);
        let heads = walk::chain(&self.kernel.space, first, next, self.max_objects);
        facts.broken += u64::from(!heads.is_complete());
        for head in heads.value {
            let func = head.plus(u64::from(self.rcu_head.func.offset));
            match self.kernel.space.read_u64(func) {
                Ok(func) => facts.objects.push(freed_object(head, func)),
                Err(_) => facts.broken += 1,
            }
        }
    }

    /// Pages of pointers: channel 0 is of kmalloc, channel 1 of vmalloc, which has no slabs.
    fn add_channels(
        &self,
        at: VirtAddr,
        lists: Option<Field>,
        chains: Option<Field>,
        facts: &mut KfreeRcuFacts,
    ) {
        let (Some(bulk), Some(channels)) = (&self.bulk, lists.or(chains)) else {
            return;
        };
        let entry = if lists.is_some() { 16 } else { 8 };
        let space = &self.kernel.space;
        for channel in 0..u64::from(channels.size) / entry {
            let head = at.plus(u64::from(channels.offset) + channel * entry);
            let pages = match (lists, bulk.next, space.read_ptr(head)) {
                (Some(_), ..) => walk::list(space, head, MAX_PAGES),
                (None, Some(next), Ok(first)) => {
                    walk::chain(space, first, u64::from(next.offset), MAX_PAGES)
                }
                _ => {
                    facts.broken += 1;
                    continue;
                }
            };
            facts.broken += u64::from(!pages.is_complete());
            for page in pages.value {
                let page = match (lists, bulk.list) {
                    (Some(_), Some(list)) => page.minus(u64::from(list.offset)),
                    _ => page,
                };
                facts.pages.in_use.push(page);
                if channel == 0 {
                    self.add_page(bulk, page, facts);
                }
            }
        }
    }

    fn add_page(&self, bulk: &BulkLayout, page: VirtAddr, facts: &mut KfreeRcuFacts) {
        let page_size = self.kernel.dump().page_size();
        let Ok(record) = self.kernel.space.read_bytes(page, page_size) else {
            facts.broken += 1;
            return;
        };
        let first = bulk.records.offset as usize;
        let count = bulk.nr_records.get(&record);
        if count > (page_size.saturating_sub(first) / 8) as u64 {
            facts.broken += 1;
            return;
        }
        let pointers = (0..count as usize).filter_map(|index| u64_at(&record, first + index * 8));
        facts.objects.extend(pointers.map(VirtAddr));
    }
}

/// The object that kfree_rcu() was given with the `rcu_head` at `head` and this `func`: the way
/// from the object to its `rcu_head`, which is less than a page, or since 6.2 the object itself.
pub(super) fn freed_object(head: VirtAddr, func: u64) -> VirtAddr {
    if func < MAX_OFFSET {
        head.minus(func)
    } else {
        VirtAddr(func)
    }
}

/// `__is_kvfree_rcu_offset()` (include/linux/rcupdate.h): no function lies below.
pub(super) const MAX_OFFSET: u64 = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_and_an_address_are_told_apart() {
        let head = VirtAddr(0xffff_8880_0000_1040);
        let object = VirtAddr(0xffff_8880_0000_1000);
        assert_eq!(freed_object(head, 0x40), object);
        assert_eq!(freed_object(head, object.0), object);
    }
}
