//! Areas of user memory, which each address space counts.

use rustc_hash::FxHashSet;

use super::{Bound, is_worth};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;
use crate::subsys::mm::slab::CacheFacts;

layout! {
    /// include/linux/sched.h
    struct TaskMemory = "task_struct" in "kernel/fork.c" {
        need mm = "mm",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct MmLayout = "mm_struct" in "kernel/fork.c" {
        need map_count = "map_count",
    }
}

/// Areas that wait for RCU after processes ended.
const WAITING: u64 = 200;

/// `vm_area_struct` against the sum of `map_count`. `None` if an address space can't be read.
pub(super) fn areas(kernel: &Kernel, caches: &[CacheFacts], tasks: &[VirtAddr]) -> Option<Bound> {
    const CACHE: &str = "vm_area_struct";
    if !is_worth(caches, CACHE) || tasks.is_empty() {
        return None;
    }
    let task: TaskMemory = kernel.layout().ok()?;
    let memory: MmLayout = kernel.layout().ok()?;
    let mut seen = FxHashSet::default();
    let mut sum = 0u64;
    for at in tasks {
        let mm = kernel.space.read_ptr(at.plus(u64::from(task.mm.offset)));
        let mm = mm.ok()?;
        // Kernel threads have none.
        if !mm.is_null() && seen.insert(mm) {
            let count = mm.plus(u64::from(memory.map_count.offset));
            sum = sum.saturating_add(u64::from(kernel.space.read_u32(count).ok()?));
        }
    }
    let counter = "mm_struct.map_count of all processes".to_owned();
    let bound = Bound::new(caches, |cache| cache.name == CACHE, counter, sum)?;
    Some(Bound {
        slack: bound.slack.max(WAITING + sum / 5),
        ..bound
    })
}
