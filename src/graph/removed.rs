//! Names and inodes that were removed, and that something still has a reference to.
//!
//! They are looked at in the pass over slabs, where the bytes of each object are at hand. A removed
//! name is on no chain of the hash table, and its directory still is its parent; what never was in
//! a directory (of a socket, a pipe) is its own. A removed inode has no links and no name. Where in
//! an object the inode lies is told by the inode itself: its pages are its own.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;
use crate::subsys::mm::slab::SlabHeap;

layout! {
    /// include/linux/dcache.h
    struct NameLayout = "dentry" in "fs/dcache.c" {
        need parent = "d_parent",
        need hashed = "d_hash.pprev",
        need count = "d_lockref.count",
    }
}

layout! {
    /// include/linux/fs.h
    struct InodeLayout = "inode" in "fs/inode.c" {
        need links = "i_nlink" | "__i_nlink",
        need count = "i_count",
        need names = "i_dentry.first",
        /// `address_space.host`, its first member.
        need host = "i_data.host",
    }
}

/// What is in use, and was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The cache.
    pub cache: VirtAddr,
    /// Objects of it.
    pub objects: u64,
    /// One of them: the dentry, or the object that the inode lies in.
    pub example: VirtAddr,
    /// Whether they are names, not inodes.
    pub names: bool,
}

/// What one cache holds.
#[derive(Debug)]
enum What {
    Other,
    Names,
    /// Where the inode lies in an object; [`UNKNOWN`] until one told.
    Inodes(AtomicU32),
}

const UNKNOWN: u32 = u32::MAX;

/// Counts them, by cache.
#[derive(Debug)]
pub(super) struct RemovedWatch {
    name: Option<NameLayout>,
    inode: Option<InodeLayout>,
    caches: Vec<(What, AtomicU64, AtomicU64)>,
}

impl RemovedWatch {
    /// Over the caches whose names say that they may hold some.
    pub(super) fn new(kernel: &Kernel, heap: &SlabHeap<'_>) -> Self {
        let what = |name: &str| match name {
            "dentry" => What::Names,
            _ if name.contains("inode") => What::Inodes(AtomicU32::new(UNKNOWN)),
            _ => What::Other,
        };
        let caches = heap.caches().iter();
        let caches = caches.map(|cache| {
            let first = AtomicU64::new(u64::MAX);
            (what(&cache.name), AtomicU64::new(0), first)
        });
        Self {
            name: kernel.layout().ok(),
            inode: kernel.layout().ok(),
            caches: caches.collect(),
        }
    }

    /// Looks at an object in use that begins at `at`.
    pub(super) fn look(&self, cache: u32, at: VirtAddr, object: &[u8]) {
        let Some((what, count, first)) = self.caches.get(cache as usize) else {
            return;
        };
        let is_removed = match what {
            What::Other => false,
            What::Names => self
                .name
                .as_ref()
                .is_some_and(|name| name.is_removed(at, object)),
            What::Inodes(place) => {
                let inode = self.inode.as_ref();
                inode.is_some_and(|inode| inode.is_removed(place, at, object))
            }
        };
        if is_removed {
            count.fetch_add(1, Ordering::Relaxed);
            first.fetch_min(at.0, Ordering::Relaxed);
        }
    }

    /// What was found, of caches that have any.
    pub(super) fn take(&self, heap: &SlabHeap<'_>) -> Vec<Removed> {
        let counted = self.caches.iter().zip(heap.caches());
        let counted = counted.filter_map(|((what, count, first), cache)| {
            let objects = count.load(Ordering::Relaxed);
            (objects > 0).then(|| Removed {
                cache: cache.address,
                objects,
                example: VirtAddr(first.load(Ordering::Relaxed)),
                names: matches!(what, What::Names),
            })
        });
        counted.collect()
    }
}

impl NameLayout {
    fn is_removed(&self, at: VirtAddr, object: &[u8]) -> bool {
        let parent = self.parent.get(object);
        object.len() >= self.len
            && parent != at.0
            && parent != 0
            && self.hashed.get(object) == 0
            && (self.count.get(object) as u32).cast_signed() > 0
    }
}

impl InodeLayout {
    fn is_removed(&self, place: &AtomicU32, at: VirtAddr, object: &[u8]) -> bool {
        let mut start = place.load(Ordering::Relaxed);
        if start == UNKNOWN {
            let Some(found) = self.find(at, object) else {
                return false;
            };
            start = found;
            place.store(start, Ordering::Relaxed);
        }
        let inode = object.get(start as usize..).unwrap_or_default();
        inode.len() >= self.len
            && self.host.get(inode) == at.0 + u64::from(start)
            && self.links.get(inode) == 0
            && (self.count.get(inode) as u32).cast_signed() > 0
            && self.names.get(inode) == 0
    }

    /// Where the inode begins: its pages are those of that address.
    fn find(&self, at: VirtAddr, object: &[u8]) -> Option<u32> {
        let host = self.host.offset;
        let last = object.len().checked_sub(self.len)?;
        let mut starts = (0..=last as u32).step_by(8);
        starts.find(|start| {
            let word = u64_at(object, (start + host) as usize);
            word == Some(at.0 + u64::from(*start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::layout::Field;

    fn field(offset: u32, size: u32) -> Field {
        Field {
            offset,
            size,
            bits: None,
        }
    }

    const AT: VirtAddr = VirtAddr(0xffff_8880_0100_0000);

    #[test]
    fn a_removed_name_is_in_use_on_no_chain_and_below_another() {
        let layout = NameLayout {
            struct_size: 32,
            len: 32,
            parent: field(0, 8),
            hashed: field(8, 8),
            count: field(16, 4),
        };
        let of = |parent: u64, hashed: u64, count: i32| {
            let mut object = [0; 32];
            object[..8].copy_from_slice(&parent.to_le_bytes());
            object[8..16].copy_from_slice(&hashed.to_le_bytes());
            object[16..20].copy_from_slice(&count.to_le_bytes());
            layout.is_removed(AT, &object)
        };
        assert!(of(0x1000, 0, 1));
        assert!(!of(AT.0, 0, 1), "a socket's");
        assert!(!of(0x1000, 0x2000, 1), "on a chain");
        assert!(!of(0x1000, 0, 0), "unused");
        assert!(!of(0x1000, 0, -128), "dead");
    }

    #[test]
    fn an_inode_is_found_by_its_own_pages() {
        let layout = InodeLayout {
            struct_size: 40,
            len: 40,
            links: field(0, 4),
            count: field(4, 4),
            names: field(8, 8),
            host: field(32, 8),
        };
        let mut object = [0u8; 96];
        object[16 + 32..16 + 40].copy_from_slice(&(AT.0 + 16).to_le_bytes());
        object[16 + 4] = 1;
        let place = AtomicU32::new(UNKNOWN);
        assert!(layout.is_removed(&place, AT, &object));
        assert_eq!(place.load(Ordering::Relaxed), 16);
        object[16] = 1;
        assert!(!layout.is_removed(&place, AT, &object), "it has a link");
        object[16] = 0;
        object[16 + 8] = 1;
        assert!(!layout.is_removed(&place, AT, &object), "it has a name");
    }
}
