//! File systems: each with its type, its device and where it is mounted.

use super::paths::Paths;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/fs.h
    struct SuperLayout = "super_block" in "fs/super.c" {
        need list = "s_list",
        need inodes = "s_inodes",
        need kind = "s_type",
        need id = "s_id",
    }
}

layout! {
    /// include/linux/fs.h
    struct KindLayout = "file_system_type" in "fs/filesystems.c" {
        need name = "name",
    }
}

/// More file systems, and inodes of one, than any machine has.
const MAX_SUPERS: u64 = 1 << 20;
const MAX_INODES: u64 = 1 << 32;

/// One file system.
#[derive(Clone, Debug)]
pub(super) struct Super {
    pub(super) address: VirtAddr,
    /// Where it is mounted; `None` of the kernel's own.
    pub(super) path: Option<String>,
    /// Its type.
    pub(super) kind: String,
    /// The device, or what stands for one.
    pub(super) device: String,
}

/// All file systems.
pub(super) struct Supers<'k> {
    kernel: &'k Kernel,
    layout: SuperLayout,
    pub(super) paths: Paths<'k>,
    /// In the order of their making.
    pub(super) list: Vec<Super>,
    /// Whether all could be read.
    pub(super) complete: bool,
}

impl<'k> Supers<'k> {
    pub(super) fn read(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let kind: KindLayout = kernel.layout()?;
        let head = kernel.need_symbol("super_blocks")?;
        let walked = walk::list(&kernel.space, head, MAX_SUPERS);
        let mut supers = Self {
            layout: kernel.layout()?,
            paths: Paths::new(kernel)?,
            list: Vec::new(),
            complete: walked.end.is_complete(),
            kernel,
        };
        for link in &walked.value {
            let at = link.minus(u64::from(supers.layout.list.offset));
            match supers.one(at, &kind) {
                Some(found) => supers.list.push(found),
                None => supers.complete = false,
            }
        }
        Ok(supers)
    }

    fn one(&self, at: VirtAddr, kind: &KindLayout) -> Option<Super> {
        let space = &self.kernel.space;
        let record = space.read_bytes(at, self.layout.len).ok()?;
        let of = VirtAddr(self.layout.kind.get(&record));
        let name = space.read_ptr(of.plus(u64::from(kind.name.offset))).ok()?;
        let id = self.layout.id;
        let id = record.get(id.offset as usize..(id.offset + id.size) as usize)?;
        Some(Super {
            address: at,
            path: self.paths.mount_point(at),
            kind: space.read_c_string(name, 64).ok()?,
            device: crate::bytes::c_string(id),
        })
    }

    /// The `list_head`s of a file system's inodes, and whether all were reached.
    pub(super) fn inodes(&self, of: VirtAddr) -> (Vec<VirtAddr>, bool) {
        let head = of.plus(u64::from(self.layout.inodes.offset));
        let links = walk::list(&self.kernel.space, head, MAX_INODES);
        (links.value, links.end.is_complete())
    }
}

impl Super {
    /// The name of one of its dentries from the root of the mount namespace on, or behind the type
    /// of a file system that is mounted nowhere.
    pub(super) fn name(&self, paths: &Paths<'_>, dentry: VirtAddr) -> Option<String> {
        let within = paths.within(dentry)?;
        Some(match &self.path {
            Some(at) if at == "/" => within,
            Some(at) if within == "/" => at.clone(),
            Some(at) => format!("{at}{within}"),
            None if within == "/" => format!("{}:{}", self.kind, paths.own_name(dentry)?),
            None => format!("{}:{within}", self.kind),
        })
    }
}
