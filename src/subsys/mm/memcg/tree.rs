//! Which memory cgroups are below one.
//!
//! Since 3.12 what controls memory is linked itself, and stays so until it is gone. Before, and in
//! RHEL 7, the cgroups are linked, and one that is removed is freed: what is left of it (its `css`)
//! has a number still (`mem_cgroup_idr`), and a counter above its own.

use rustc_hash::FxHashMap;

use super::layouts::{CgroupTreeLayout, MemcgLayout};
use super::names::memory_id;
use super::{MAX_MEMCGS, ONLINE};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::LayoutError;
use crate::kernel::walk::{self, idr};
use crate::kernel::{Kernel, KernelError};

/// Finds those below.
#[derive(Debug)]
pub(super) struct Below<'k> {
    kernel: &'k Kernel,
    links: Links,
    /// Removed ones by what is above them; empty where these are in the lists.
    removed: FxHashMap<VirtAddr, Vec<VirtAddr>>,
    /// Whether all removed ones were found.
    pub(super) complete: bool,
}

#[derive(Debug)]
enum Links {
    /// Offsets of children and sibling in what controls memory.
    Own(u64, u64),
    /// The cgroups', and the number of the controller.
    Cgroups(CgroupTreeLayout, u64),
}

impl<'k> Below<'k> {
    /// `root` is above all.
    pub(super) fn new(
        kernel: &'k Kernel,
        layout: &MemcgLayout,
        root: VirtAddr,
    ) -> Result<Self, KernelError> {
        if let (Some(children), Some(sibling)) = (layout.children, layout.sibling) {
            return Ok(Self {
                kernel,
                links: Links::Own(children.offset.into(), sibling.offset.into()),
                removed: FxHashMap::default(),
                complete: true,
            });
        }
        let unknown = KernelError::Layout(LayoutError::NoMember {
            structure: "cgroup_subsys_state",
            member: "children",
        });
        let id = memory_id(kernel)?.ok_or(unknown)?;
        let mut below = Self {
            kernel,
            links: Links::Cgroups(kernel.layout()?, id),
            removed: FxHashMap::default(),
            complete: true,
        };
        below.find_removed(layout, root)?;
        Ok(below)
    }

    fn find_removed(&mut self, layout: &MemcgLayout, root: VirtAddr) -> Result<(), KernelError> {
        let Some(at) = self.kernel.symbol("mem_cgroup_idr") else {
            return Ok(());
        };
        let numbered = idr::layered(self.kernel, at, MAX_MEMCGS)?;
        self.complete = numbered.end.is_complete();
        for (_, at) in numbered.value {
            let Ok(record) = self.kernel.space.read_bytes(at, layout.len) else {
                self.complete = false;
                continue;
            };
            if at == root || layout.css_flags.get(&record) & ONLINE != 0 {
                continue;
            }
            let above = match layout.parent.get(&record) {
                // By itself, without use_hierarchy.
                0 => root,
                counter => VirtAddr(counter).minus(u64::from(layout.memory.offset)),
            };
            self.removed.entry(above).or_default().push(at);
        }
        Ok(())
    }

    /// Those right below the one at `at`, whose bytes are `record`; and whether these are all.
    pub(super) fn of(
        &self,
        layout: &MemcgLayout,
        at: VirtAddr,
        record: &[u8],
    ) -> (Vec<VirtAddr>, bool) {
        let space = &self.kernel.space;
        match &self.links {
            Links::Own(children, sibling) => {
                let links = walk::list(space, at.plus(*children), MAX_MEMCGS as u64);
                let found = links.value.iter().map(|link| link.minus(*sibling));
                (found.collect(), links.end.is_complete())
            }
            Links::Cgroups(tree, id) => {
                let mut found = Vec::new();
                let mut whole = true;
                // A removed one has no cgroup, and nothing below it that is not removed.
                if layout.css_flags.get(record) & ONLINE != 0 {
                    let head = VirtAddr(layout.cgroup.get(record));
                    let head = head.plus(u64::from(tree.children.offset));
                    let links = walk::list(space, head, MAX_MEMCGS as u64);
                    whole = links.end.is_complete();
                    for link in links.value {
                        let cgroup = link.minus(u64::from(tree.sibling.offset));
                        match self.controller(tree, cgroup, *id) {
                            Some(css) => found.push(css.minus(u64::from(layout.css.offset))),
                            None => whole = false,
                        }
                    }
                }
                found.extend(self.removed.get(&at).into_iter().flatten());
                (found, whole)
            }
        }
    }

    /// What controls the memory of a cgroup.
    fn controller(&self, tree: &CgroupTreeLayout, cgroup: VirtAddr, id: u64) -> Option<VirtAddr> {
        let record = self.kernel.space.read_bytes(cgroup, tree.len).ok()?;
        let bytes = record.get(tree.subsys.offset as usize..)?;
        if id >= u64::from(tree.subsys.size / 8) {
            return None;
        }
        let css = VirtAddr(u64_at(bytes, id as usize * 8)?);
        (!css.is_null()).then_some(css)
    }
}
