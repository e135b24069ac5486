//! Files by what is cached of them: page cache, tmpfs and shared memory, by mount and by file.
//!
//! Layer: subsys. Input: the list of file systems and their inodes. Output: [`FilesFacts`].
//! Invariants: every inode of a list is counted once; names are looked up only for those that are
//! shown. Inodes of sockets and pipes are on no list, and hold no pages.

pub mod dentries;
pub(crate) mod descriptors;
mod names;
mod openers;
mod paths;
mod segments;
mod supers;
mod tables;

use std::cmp::Reverse;

use serde::Serialize;

pub(crate) use self::names::FileNames;
pub use self::openers::Opener;
pub(crate) use self::openers::Openers;
pub use self::segments::SegmentFacts;
use self::segments::Segments;
use self::supers::{Super, Supers};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/fs.h
    struct InodeLayout = "inode" in "fs/inode.c" {
        need link = "i_sb_list",
        need number = "i_ino",
        need links = "i_nlink" | "__i_nlink",
        need size = "i_size",
        /// Of its own pages; `i_mapping` may be a device's.
        need pages = "i_data.nrpages",
        /// The first of its names.
        need dentry = "i_dentry.first",
    }
}

layout! {
    /// include/linux/dcache.h
    struct AliasLayout = "dentry" in "fs/inode.c" | "fs/dcache.c" {
        need alias = "d_u.d_alias" | "d_alias",
    }
}

layout! {
    /// include/linux/shmem_fs.h
    struct ShmemLayout = "shmem_inode_info" in "mm/shmem.c" {
        need inode = "vfs_inode",
        need swapped = "swapped",
    }
}

impl ShmemLayout {
    /// Pages of a file of tmpfs that are swapped out.
    fn swapped_of(&self, kernel: &Kernel, inode: VirtAddr) -> Option<u64> {
        let info = inode.minus(u64::from(self.inode.offset));
        let at = info.plus(u64::from(self.swapped.offset));
        kernel.space.read_u64(at).ok()
    }
}

/// One file of which pages are cached.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FileFacts {
    /// From the root of its mount namespace on, or behind the type of a file system that is mounted
    /// nowhere; `None` if nothing in memory names it.
    pub path: Option<String>,
    /// `tmpfs`, `ext4`, ….
    pub kind: String,
    /// Its number.
    pub inode: u64,
    /// Address of its `struct inode`.
    pub address: VirtAddr,
    /// Bytes of it in RAM.
    pub cached_bytes: u64,
    /// Swapped out: of tmpfs and shared memory.
    pub swapped_bytes: u64,
    /// Its length.
    pub size: u64,
    /// Whether no directory has it any more: it goes when the last one closes or unmaps it.
    pub deleted: bool,
    /// Whether its pages are memory of their own, and no copy of what is on a disk.
    pub shmem: bool,
    /// Who has it open: 16 at most. None is who only maps it.
    pub openers: Vec<Opener>,
}

/// One file system.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MountFacts {
    /// Where it is mounted; `None` of the kernel's own.
    pub path: Option<String>,
    /// Its type.
    pub kind: String,
    /// The device, or what stands for one.
    pub device: String,
    /// Inodes in memory.
    pub inodes: u64,
    /// Of these, those of which pages are cached.
    pub files: u64,
    /// Bytes in RAM.
    pub cached_bytes: u64,
    /// Swapped out.
    pub swapped_bytes: u64,
    /// Of files that no directory has any more.
    pub deleted_bytes: u64,
    /// As of its files.
    pub shmem: bool,
}

/// All file systems.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FilesFacts {
    /// Those with the most first.
    pub mounts: Vec<MountFacts>,
    /// Those with the most first, as many as were asked for.
    pub files: Vec<FileFacts>,
    /// Segments of shared memory by System V, those with the most first.
    pub segments: Vec<SegmentFacts>,
    /// Whether all could be read.
    pub complete: bool,
}

/// What is kept of a file before it is known whether it is among the first.
#[derive(Clone, Copy)]
struct Cached {
    inode: VirtAddr,
    /// By its place among the mounts.
    of: usize,
    pages: u64,
    swapped: u64,
}

/// Reads all file systems, and the `most` files of which most is in memory.
///
/// # Errors
/// If the kernel's types or symbols lack what inodes are made of.
pub fn collect(kernel: &Kernel, most: usize) -> Result<FilesFacts, KernelError> {
    let reader = Reader::new(kernel)?;
    let mut complete = reader.supers.complete;
    let (mut mounts, mut cached) = (Vec::new(), Vec::new());
    for (place, of) in reader.supers.list.iter().enumerate() {
        let (mount, whole) = reader.mount(of, place, &mut cached);
        complete &= whole;
        mounts.push(mount);
    }
    cached.sort_by_key(|file: &Cached| (Reverse(file.pages + file.swapped), file.inode));
    cached.truncate(most);
    let openers = Openers::read_if_known(kernel)?;
    let segments = Segments::read_if_known(kernel)?;
    complete &= openers.complete && segments.complete;
    let files = cached.iter().map(|file| reader.file(file, &openers));
    let files: Vec<Option<FileFacts>> = files.collect();
    complete &= files.iter().all(Option::is_some);
    mounts.sort_by_key(|mount: &MountFacts| Reverse(mount.cached_bytes + mount.swapped_bytes));
    if !complete {
        kernel.diag.warn(
            "files-lost",
            "not all file systems, inodes or tables of open files can be read: what they cache is missing from the sums; take the dump with kernel pages included",
        );
    }
    Ok(FilesFacts {
        mounts,
        files: files.into_iter().flatten().collect(),
        segments: segments.list,
        complete,
    })
}

struct Reader<'k> {
    kernel: &'k Kernel,
    inode: InodeLayout,
    alias: AliasLayout,
    shmem: Option<ShmemLayout>,
    supers: Supers<'k>,
    page: u64,
}

impl<'k> Reader<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            inode: kernel.layout()?,
            alias: kernel.layout()?,
            // A kernel without CONFIG_SHMEM has none.
            shmem: kernel.layout().ok(),
            supers: Supers::read(kernel)?,
            page: kernel.dump().page_size() as u64,
            kernel,
        })
    }

    /// What is cached of one file system, and whether all of its inodes could be read; files that
    /// have pages go to `cached`.
    fn mount(&self, of: &Super, place: usize, cached: &mut Vec<Cached>) -> (MountFacts, bool) {
        let space = &self.kernel.space;
        let mut mount = MountFacts {
            path: of.path.clone(),
            kind: of.kind.clone(),
            device: of.device.clone(),
            inodes: 0,
            files: 0,
            cached_bytes: 0,
            swapped_bytes: 0,
            deleted_bytes: 0,
            shmem: is_shmem(&of.kind),
        };
        let (links, mut whole) = self.supers.inodes(of.address);
        for link in &links {
            let inode = link.minus(u64::from(self.inode.link.offset));
            let Ok(record) = space.span(inode, self.inode.len) else {
                whole = false;
                continue;
            };
            mount.inodes += 1;
            let pages = self.inode.pages.get(&record);
            let swapped = match (&self.shmem, mount.kind == "tmpfs") {
                (Some(shmem), true) => shmem.swapped_of(self.kernel, inode),
                _ => Some(0),
            };
            whole &= swapped.is_some();
            let swapped = swapped.unwrap_or(0);
            if pages + swapped == 0 {
                continue;
            }
            let bytes = (pages + swapped).saturating_mul(self.page);
            mount.files += 1;
            mount.cached_bytes += pages.saturating_mul(self.page);
            mount.swapped_bytes += swapped.saturating_mul(self.page);
            if self.inode.links.get(&record) == 0 {
                mount.deleted_bytes += bytes;
            }
            cached.push(Cached {
                inode,
                of: place,
                pages,
                swapped,
            });
        }
        (mount, whole)
    }

    fn file(&self, file: &Cached, openers: &Openers) -> Option<FileFacts> {
        let record = self.kernel.space.span(file.inode, self.inode.len).ok()?;
        let of = self.supers.list.get(file.of)?;
        Some(FileFacts {
            path: self.path(VirtAddr(self.inode.dentry.get(&record)), of),
            kind: of.kind.clone(),
            inode: self.inode.number.get(&record),
            address: file.inode,
            cached_bytes: file.pages.saturating_mul(self.page),
            swapped_bytes: file.swapped.saturating_mul(self.page),
            size: self.inode.size.get(&record),
            deleted: self.inode.links.get(&record) == 0,
            shmem: is_shmem(&of.kind),
            openers: openers.of(file.inode),
        })
    }

    fn path(&self, alias: VirtAddr, of: &Super) -> Option<String> {
        if alias.is_null() {
            return None;
        }
        let dentry = alias.minus(u64::from(self.alias.alias.offset));
        of.name(&self.supers.paths, dentry)
    }
}

/// Whether pages of such a file system are memory of their own, and no copy of what is on a disk.
fn is_shmem(kind: &str) -> bool {
    matches!(kind, "tmpfs" | "devtmpfs" | "rootfs" | "ramfs")
}
