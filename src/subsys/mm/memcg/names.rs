//! Paths of cgroups, by the file system that shows them (kernfs).

use super::layouts::{CgroupLayout, CssLayout, CssSetLayout, KernfsLayout};
use crate::addr::VirtAddr;
use crate::kernel::{Kernel, KernelError};

/// Cgroups may be nested without an end, but no path is longer than PATH_MAX.
const MAX_DEPTH: usize = 2048;
/// Where the controllers are numbered.
const HOME: &str = "kernel/cgroup/cgroup.c";
/// NAME_MAX.
const MAX_NAME: usize = 256;

/// What a cgroup is called.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// From the root of its hierarchy, `/`; `None` if a part of it can't be read.
    pub(super) path: Option<String>,
    /// The number of its directory.
    pub(super) inode: Option<u64>,
    /// Cgroups below it that were removed, but are not gone.
    pub(super) dying: Option<u64>,
}

/// Finds names.
#[derive(Debug)]
pub(super) struct Names<'k> {
    kernel: &'k Kernel,
    cgroup: CgroupLayout,
    node: KernfsLayout,
}

impl<'k> Names<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            kernel,
            cgroup: kernel.layout()?,
            node: kernel.layout()?,
        })
    }

    /// Of the `struct cgroup` at an address.
    pub(super) fn of(&self, cgroup: VirtAddr) -> Named {
        let Ok(record) = self.kernel.space.read_bytes(cgroup, self.cgroup.len) else {
            return Named::default();
        };
        let node = VirtAddr(self.cgroup.node.get(&record));
        let dying = self.cgroup.dying.map(|field| field.get(&record));
        let inode = self.node.id.and_then(|field| {
            let record = self.kernel.space.read_bytes(node, self.node.len).ok()?;
            Some(field.get(&record))
        });
        Named {
            path: self.path(node),
            inode,
            dying,
        }
    }

    fn path(&self, mut at: VirtAddr) -> Option<String> {
        let mut names = Vec::new();
        let mut length = 0;
        while names.len() < MAX_DEPTH && length < MAX_DEPTH * 2 {
            let record = self.kernel.space.read_bytes(at, self.node.len).ok()?;
            let parent = VirtAddr(self.node.parent.get(&record));
            if parent.is_null() {
                // The root has no name.
                names.reverse();
                return Some(format!("/{}", names.join("/")));
            }
            let name = VirtAddr(self.node.name.get(&record));
            let name = self.kernel.space.read_c_string(name, MAX_NAME).ok()?;
            length += name.len() + 1;
            names.push(name);
            at = parent;
        }
        None
    }
}

/// Names of the cgroups that tasks are in.
pub(crate) struct CgroupNames<'k> {
    names: Names<'k>,
    set: CssSetLayout,
    css: CssLayout,
    /// Which of the controllers is that of memory.
    memory: Option<u64>,
}

impl<'k> CgroupNames<'k> {
    pub(crate) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let memory = kernel
            .types
            .enumerator("cgroup_subsys_id", HOME, "memory_cgrp_id")?;
        Ok(Self {
            names: Names::new(kernel)?,
            set: kernel.layout()?,
            css: kernel.layout()?,
            memory: memory.and_then(|id| u64::try_from(id).ok()),
        })
    }

    /// Of the `struct cgroup` at an address.
    pub(crate) fn of_cgroup(&self, cgroup: VirtAddr) -> Option<String> {
        self.names.of(cgroup).path
    }

    /// Of a task's `struct css_set`: its place in the unified hierarchy, or in that of the memory
    /// controller where that one has its own (cgroup v1).
    pub(crate) fn of_css_set(&self, set: VirtAddr) -> Option<String> {
        let space = &self.names.kernel.space;
        let record = space.read_bytes(set, self.set.len).ok()?;
        let unified = self.set.unified.map(|field| VirtAddr(field.get(&record)));
        let unified = unified.and_then(|cgroup| self.names.of(cgroup).path);
        if unified.as_deref().is_some_and(|path| path != "/") {
            return unified;
        }
        let of_memory = self.memory.and_then(|id| {
            let at = set.plus(u64::from(self.set.subsys.offset) + id * 8);
            let css = space.read_ptr(at).ok().filter(|css| !css.is_null())?;
            let cgroup = space
                .read_ptr(css.plus(u64::from(self.css.cgroup.offset)))
                .ok()?;
            self.names.of(cgroup).path
        });
        of_memory.or(unified)
    }
}
