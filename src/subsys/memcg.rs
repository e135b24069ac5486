//! Memory cgroups, by what charged objects point to.
//!
//! Layer: subsys. Input: the address of a `struct obj_cgroup`. Output: the [`Group`] behind
//! it. Invariant: paths are walked up a bounded number of steps; what can't be read is `None`.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// include/linux/memcontrol.h, 5.9 and later.
    struct ObjcgLayout = "obj_cgroup" in "mm/memcontrol.c" {
        need memcg = "memcg",
    }
}

layout! {
    /// include/linux/memcontrol.h
    struct MemcgLayout = "mem_cgroup" in "mm/memcontrol.c" {
        need cgroup = "css.cgroup",
        need flags = "css.flags",
    }
}

layout! {
    /// include/linux/cgroup-defs.h
    struct CgroupLayout = "cgroup" in "mm/memcontrol.c" {
        need kn = "kn",
    }
}

layout! {
    /// include/linux/kernfs.h
    struct KernfsLayout = "kernfs_node" in "mm/memcontrol.c" {
        /// Renamed in 6.15.
        need parent = "__parent" | "parent",
        need name = "name",
    }
}

/// CSS_ONLINE (include/linux/cgroup-defs.h).
const ONLINE: u64 = 1 << 1;
/// No tree of cgroups is deeper by far.
const MAX_DEPTH: usize = 256;
/// NAME_MAX and the end.
const MAX_NAME: usize = 256;

/// A memory cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// From the root of the hierarchy: `/` is the root itself.
    pub path: String,
    /// Whether it was removed, and only what is charged to it keeps it.
    pub dying: bool,
}

/// Reads groups.
#[derive(Debug)]
pub(crate) struct Groups<'k> {
    kernel: &'k Kernel,
    objcg: ObjcgLayout,
    memcg: MemcgLayout,
    cgroup: CgroupLayout,
    kernfs: KernfsLayout,
}

impl<'k> Groups<'k> {
    /// `None` if the kernel has no memory controller.
    pub(crate) fn new(kernel: &'k Kernel) -> Option<Self> {
        Some(Self {
            objcg: kernel.layout().ok()?,
            memcg: kernel.layout().ok()?,
            cgroup: kernel.layout().ok()?,
            kernfs: kernel.layout().ok()?,
            kernel,
        })
    }

    /// The group that a `struct obj_cgroup` charges. When a group is removed, what its objects
    /// are charged to passes on to its parent.
    pub(crate) fn of(&self, objcg: VirtAddr) -> Option<Group> {
        let follow = |at: VirtAddr, offset: u32| {
            let to = self
                .kernel
                .space
                .read_ptr(at.plus(u64::from(offset)))
                .ok()?;
            (!to.is_null()).then_some(to)
        };
        let memcg = follow(objcg, self.objcg.memcg.offset)?;
        let flags = memcg.plus(u64::from(self.memcg.flags.offset));
        let flags = self.kernel.space.read_u32(flags).ok()?;
        let cgroup = follow(memcg, self.memcg.cgroup.offset)?;
        let mut node = follow(cgroup, self.cgroup.kn.offset)?;
        let mut names = Vec::new();
        for _ in 0..MAX_DEPTH {
            let name = follow(node, self.kernfs.name.offset)?;
            let name = self.kernel.space.read_c_string(name, MAX_NAME).ok()?;
            match follow(node, self.kernfs.parent.offset) {
                Some(parent) => {
                    names.push(name);
                    node = parent;
                }
                None => {
                    names.reverse();
                    return Some(Group {
                        path: format!("/{}", names.join("/")),
                        dying: u64::from(flags) & ONLINE == 0,
                    });
                }
            }
        }
        None
    }
}
