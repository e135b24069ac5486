//! Paths of cgroups, by the file system that shows them (kernfs), up to 3.14 by themselves.

use super::layouts::{CgroupLayout, CgroupNameLayout, CssLayout, CssSetLayout, KernfsLayout};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::{Kernel, KernelError};

/// Cgroups may be nested without an end, but no path is longer than PATH_MAX.
const MAX_DEPTH: usize = 2048;
/// Where the controllers are numbered, and as what that of memory: since 4.11, since 3.15, before.
const MEMORY: [(&str, &str); 3] = [
    ("kernel/cgroup/cgroup.c", "memory_cgrp_id"),
    ("kernel/cgroup.c", "memory_cgrp_id"),
    ("kernel/cgroup.c", "mem_cgroup_subsys_id"),
];
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
    by: By,
}

/// What names a cgroup.
#[derive(Debug)]
enum By {
    /// The node of its directory, at a member of the cgroup.
    Node(Field, KernfsLayout),
    /// The cgroup itself: its name and the one above it.
    Itself(Field, Field, CgroupNameLayout),
}

/// The number of the memory controller, which arrays have it by.
pub(super) fn memory_id(kernel: &Kernel) -> Result<Option<u64>, KernelError> {
    for (home, name) in MEMORY {
        let id = kernel.types.enumerator("cgroup_subsys_id", home, name)?;
        if let Some(id) = id.and_then(|id| u64::try_from(id).ok()) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

impl<'k> Names<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let cgroup: CgroupLayout = kernel.layout()?;
        let by = match (cgroup.node, cgroup.name, cgroup.parent) {
            (Some(node), ..) => By::Node(node, kernel.layout()?),
            (None, Some(name), Some(parent)) => By::Itself(name, parent, kernel.layout()?),
            _ => {
                return Err(KernelError::Layout(LayoutError::NoMember {
                    structure: "cgroup",
                    member: "kn or name",
                }));
            }
        };
        Ok(Self { kernel, cgroup, by })
    }

    /// Of the `struct cgroup` at an address.
    pub(super) fn of(&self, cgroup: VirtAddr) -> Named {
        let Ok(record) = self.kernel.space.read_bytes(cgroup, self.cgroup.len) else {
            return Named::default();
        };
        let dying = self.cgroup.dying.map(|field| field.get(&record));
        let (path, inode) = match &self.by {
            By::Node(at, layout) => {
                let node = VirtAddr(at.get(&record));
                (self.path(node), self.inode(node, layout))
            }
            By::Itself(..) => (self.path(cgroup), None),
        };
        Named { path, inode, dying }
    }

    fn inode(&self, node: VirtAddr, layout: &KernfsLayout) -> Option<u64> {
        let field = layout.id?;
        let record = self.kernel.space.read_bytes(node, layout.len).ok()?;
        Some(field.get(&record))
    }

    /// What is above the node or cgroup at an address, and where its own name is.
    fn step(&self, at: VirtAddr) -> Option<(VirtAddr, VirtAddr)> {
        let space = &self.kernel.space;
        match &self.by {
            By::Node(_, layout) => {
                let record = space.read_bytes(at, layout.len).ok()?;
                let of = |field: &Field| VirtAddr(field.get(&record));
                Some((of(&layout.parent), of(&layout.name)))
            }
            By::Itself(name, parent, layout) => {
                let record = space.read_bytes(at, self.cgroup.len).ok()?;
                let name = VirtAddr(name.get(&record));
                let name = name.plus(u64::from(layout.name.offset));
                Some((VirtAddr(parent.get(&record)), name))
            }
        }
    }

    /// Of the hierarchy that a cgroup is in.
    fn root(&self, cgroup: VirtAddr) -> Option<VirtAddr> {
        let at = cgroup.plus(u64::from(self.cgroup.root.as_ref()?.offset));
        self.kernel.space.read_ptr(at).ok()
    }

    fn path(&self, mut at: VirtAddr) -> Option<String> {
        let mut names = Vec::new();
        let mut length = 0;
        while names.len() < MAX_DEPTH && length < MAX_DEPTH * 2 {
            let (parent, name) = self.step(at)?;
            if parent.is_null() {
                // The root has no name.
                names.reverse();
                return Some(format!("/{}", names.join("/")));
            }
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
        Ok(Self {
            names: Names::new(kernel)?,
            set: kernel.layout()?,
            css: kernel.layout()?,
            memory: memory_id(kernel)?,
        })
    }

    /// Of the `struct cgroup` at an address.
    pub(crate) fn of_cgroup(&self, cgroup: VirtAddr) -> Option<String> {
        self.names.of(cgroup).path
    }

    /// Of a task's `struct css_set`: its place in the hierarchy of the memory controller where that
    /// has one of its own (cgroup v1), else in the unified one. Who is nowhere in particular in the
    /// first is told by the second, which systemd keeps beside the controllers'.
    pub(crate) fn of_css_set(&self, set: VirtAddr) -> Option<String> {
        let space = &self.names.kernel.space;
        let record = space.read_bytes(set, self.set.len).ok()?;
        let unified = self.set.unified.map(|field| VirtAddr(field.get(&record)));
        let of_memory = self.memory.and_then(|id| {
            let at = set.plus(u64::from(self.set.subsys.offset) + id * 8);
            let css = space.read_ptr(at).ok().filter(|css| !css.is_null())?;
            let at = css.plus(u64::from(self.css.cgroup.offset));
            space.read_ptr(at).ok()
        });
        let path = |cgroup: Option<VirtAddr>| self.names.of(cgroup?).path;
        let telling = |path: &String| path != "/";
        // One that is not mounted is the unified hierarchy's.
        let same = || Some(self.names.root(of_memory?)? == self.names.root(unified?)?);
        if same() == Some(false)
            && let Some(found) = path(of_memory).filter(telling)
        {
            return Some(found);
        }
        path(unified)
            .filter(telling)
            .or_else(|| path(of_memory))
            .or_else(|| path(unified))
    }
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    const TYPES: &str = "enum cgroup_subsys_id 4 {
    memory_cgrp_id 1
}
struct kernfs_node 24 {
    0 struct kernfs_node * parent
    8 char * name
}
struct cgroup 16 {
    0 struct kernfs_node * kn
    8 struct cgroup_root * root
}
struct cgroup_subsys_state 8 {
    0 struct cgroup * cgroup
}
struct css_set 24 {
    0 struct cgroup_subsys_state * [2] subsys
    16 struct cgroup * dfl_cgrp
}";

    /// The memory controller's own hierarchy comes first, where a task is somewhere in it; a
    /// controller of the unified one may be an ancestor's.
    #[test]
    fn the_hierarchy_of_memory() {
        for (own, of_memory, unified, expected) in [
            (true, "web", "gateway", "/web"),
            (true, "", "gateway", "/gateway"),
            (true, "web", "", "/web"),
            (false, "web", "gateway", "/gateway"),
            (true, "", "", "/"),
        ] {
            let mut m = Machine::build(Era::V4_18, PagingLevels::Four, &Scenario::standard());
            m.kernel.types.parse(TYPES);
            m.kernel.vmlinux_types.parse(TYPES);
            let mut cgroup = |name: &str, root: u64| {
                let [at, top, node] = [16, 24, 24].map(|size| m.kernel.alloc(size, 8));
                let text = m.kernel.alloc_string(name);
                m.kernel.write_u64(node, top);
                m.kernel.write_u64(node + 8, text);
                m.kernel
                    .write_u64(at, if name.is_empty() { top } else { node });
                m.kernel.write_u64(at + 8, root);
                at
            };
            let of_memory = cgroup(of_memory, 1 + u64::from(own));
            let unified = cgroup(unified, 1);
            let [set, css] = [24, 8].map(|size| m.kernel.alloc(size, 8));
            m.kernel.write_u64(css, of_memory);
            m.kernel.write_u64(set + 8, css);
            m.kernel.write_u64(set + 16, unified);
            let kernel = synthetic::kernel(&m);
            let names = CgroupNames::new(&kernel).expect("layouts");
            let found = names.of_css_set(VirtAddr(set));
            assert_eq!(found.as_deref(), Some(expected));
        }
    }
}
