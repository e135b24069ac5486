//! Names of single files: from the mapping of a page to its inode, and to a path.

use super::supers::{Super, Supers};
use super::{AliasLayout, InodeLayout};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/fs.h
    struct MappingLayout = "address_space" in "fs/inode.c" {
        need host = "host",
    }
}

layout! {
    /// include/linux/fs.h
    struct OwnerLayout = "inode" in "fs/inode.c" {
        need super_block = "i_sb",
    }
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct FileName {
    /// As of [`FileFacts`](super::FileFacts).
    pub(crate) path: Option<String>,
    /// Its number.
    pub(crate) inode: u64,
}

/// Finds names of files.
pub(crate) struct FileNames<'k> {
    kernel: &'k Kernel,
    supers: Supers<'k>,
    inode: InodeLayout,
    owner: OwnerLayout,
    alias: AliasLayout,
    mapping: MappingLayout,
}

impl<'k> FileNames<'k> {
    pub(crate) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            supers: Supers::read(kernel)?,
            inode: kernel.layout()?,
            owner: kernel.layout()?,
            alias: kernel.layout()?,
            mapping: kernel.layout()?,
            kernel,
        })
    }

    /// The file whose pages a `struct address_space` has.
    pub(crate) fn of_mapping(&self, mapping: VirtAddr) -> Option<FileName> {
        let host = mapping.plus(u64::from(self.mapping.host.offset));
        let inode = self.kernel.space.read_ptr(host).ok()?;
        self.of_inode(inode)
    }

    pub(crate) fn of_inode(&self, inode: VirtAddr) -> Option<FileName> {
        let space = &self.kernel.space;
        let record = space.span(inode, self.inode.len).ok()?;
        let of = inode.plus(u64::from(self.owner.super_block.offset));
        let of = space.read_ptr(of).ok()?;
        let mut supers = self.supers.list.iter();
        let of: &Super = supers.find(|one| one.address == of)?;
        let dentry = VirtAddr(self.inode.dentry.get(&record));
        let dentry = (!dentry.is_null()).then(|| dentry.minus(u64::from(self.alias.alias.offset)));
        Some(FileName {
            path: dentry.and_then(|dentry| of.name(&self.supers.paths, dentry)),
            inode: self.inode.number.get(&record),
        })
    }
}
