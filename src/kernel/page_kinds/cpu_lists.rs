//! The free pages that CPUs keep: no mark tells them, only the lists that they are on.

use super::{PageKind, PageKinds, lock};
use crate::kernel::memmap::Memmap;
use crate::kernel::zones::CpuList;
use crate::kernel::{Kernel, walk};

/// How often a list of a kernel that runs is followed at most.
const ATTEMPTS: u32 = 8;
/// More pages than any CPU keeps.
const MAX_LISTED: u64 = 1 << 22;

impl PageKinds {
    /// Marks what is on them, by the links that were gathered with the page structures.
    pub(super) fn mark_cpu_lists(&self, kernel: &Kernel, memmap: &Memmap, lists: &[CpuList]) {
        let mut links = std::mem::take(&mut *lock(&self.links));
        if kernel.dump().is_live() {
            lists
                .iter()
                .for_each(|list| self.follow_live(kernel, memmap, list));
            return;
        }
        let mut follow = |list: &CpuList| {
            let mut next = kernel.space.read_ptr(list.head).ok()?;
            while next != list.head {
                // A page is on one list only, so none is met twice.
                let pfn = memmap.pfn_of(next.minus(u64::from(self.usage.lru.offset)))?;
                next = links.remove(&pfn)?;
                self.set(pfn, list.order, PageKind::CpuFree);
            }
            Some(())
        };
        for list in lists {
            if follow(list).is_none() {
                kernel.diag.warn(
                    "cpu-free-list",
                    "a CPU's list of free pages is broken: pages behind the break are taken for used ones (look at it with crash: kmem -z)",
                );
            }
        }
    }

    /// As it is now, and not as it was when the page structures were read: pages that were freed
    /// since hold whatever their last user left there.
    fn follow_live(&self, kernel: &Kernel, memmap: &Memmap, list: &CpuList) {
        let lru = u64::from(self.usage.lru.offset);
        for _ in 0..ATTEMPTS {
            let found = walk::list(&kernel.space.quiet(), list.head, MAX_LISTED);
            let pages = found.value.iter();
            let pages = pages.filter_map(|link| memmap.pfn_of(link.minus(lru)));
            pages.for_each(|pfn| self.set(pfn, list.order, PageKind::CpuFree));
            if found.end.is_complete() {
                return;
            }
        }
    }
}
