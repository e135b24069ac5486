//! Which memory cgroup a charged object belongs to.

use serde::Serialize;

use super::ONLINE;
use super::layouts::{MemcgLayout, ObjcgLayout};
use super::names::Names;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;

/// A memory cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// From the root of the hierarchy: `/` is the root itself.
    pub path: String,
    /// Whether it was removed, and only what is charged to it keeps it.
    pub dying: bool,
}

/// Reads groups by what charged objects point to.
#[derive(Debug)]
pub(crate) struct Groups<'k> {
    kernel: &'k Kernel,
    /// 5.9 and later.
    objcg: Option<ObjcgLayout>,
    memcg: MemcgLayout,
    names: Names<'k>,
}

impl<'k> Groups<'k> {
    /// `None` if the kernel has no memory controller.
    pub(crate) fn new(kernel: &'k Kernel) -> Option<Self> {
        Some(Self {
            objcg: kernel.layout().ok(),
            memcg: kernel.layout().ok()?,
            names: Names::new(kernel).ok()?,
            kernel,
        })
    }

    /// The group that a `struct obj_cgroup` charges. When a group is removed, what its objects
    /// are charged to passes on to its parent.
    pub(crate) fn of(&self, objcg: VirtAddr) -> Option<Group> {
        let at = objcg.plus(u64::from(self.objcg.as_ref()?.memcg.offset));
        let memcg = self.kernel.space.read_ptr(at).ok();
        self.of_memcg(memcg.filter(|memcg| !memcg.is_null())?)
    }

    /// The group of a `struct mem_cgroup`.
    pub(crate) fn of_memcg(&self, memcg: VirtAddr) -> Option<Group> {
        let record = self.kernel.space.read_bytes(memcg, self.memcg.len).ok()?;
        let cgroup = VirtAddr(self.memcg.cgroup.get(&record));
        Some(Group {
            path: self.names.of(cgroup).path?,
            dying: self.memcg.css_flags.get(&record) & ONLINE == 0,
        })
    }
}
