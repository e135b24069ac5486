//! How many memory cgroups there are, and how many of them were removed: for those who want no
//! more of them.

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::layouts::MemcgLayout;
use super::tree::Below;
use super::{MAX_MEMCGS, ONLINE, root};
use crate::kernel::{Kernel, KernelError};

/// Memory cgroups, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemcgCount {
    /// Those that are not removed, the root included.
    pub online: u64,
    /// Those that were removed, but that something holds.
    pub dying: u64,
    /// Bytes charged to the dying, nested ones once.
    pub dying_bytes: u64,
    /// Whether all were found.
    pub complete: bool,
}

/// Walks the tree below `root_mem_cgroup`.
///
/// # Errors
/// If the kernel has no memory cgroups, or its types don't describe them.
pub fn count(kernel: &Kernel) -> Result<MemcgCount, KernelError> {
    let layout: MemcgLayout = kernel.layout()?;
    let page = kernel.dump().page_size() as u64;
    let root = root(kernel)?;
    let below = Below::new(kernel, &layout, root)?;
    let mut counted = MemcgCount {
        complete: below.complete,
        ..MemcgCount::default()
    };
    let mut seen = FxHashSet::default();
    let mut stack = vec![(root, false)];
    while let Some((at, below_dying)) = stack.pop() {
        let new = seen.len() < MAX_MEMCGS && seen.insert(at);
        let record = kernel.space.read_bytes(at, layout.len);
        let (true, Ok(record)) = (new, record) else {
            counted.complete = false;
            continue;
        };
        let dying = layout.css_flags.get(&record) & ONLINE == 0;
        if dying {
            counted.dying += 1;
            let pages = layout.usage.get(&record).cast_signed().max(0);
            if !below_dying {
                let bytes = pages.cast_unsigned().saturating_mul(page);
                counted.dying_bytes = counted.dying_bytes.saturating_add(bytes);
            }
        } else {
            counted.online += 1;
        }
        let (children, whole) = below.of(&layout, at, &record);
        counted.complete &= whole;
        stack.extend(children.into_iter().map(|child| (child, dying)));
    }
    Ok(counted)
}
