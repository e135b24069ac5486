//! Mounts: each is on the list of its file system from its making to the last reference, and is
//! in a namespace only until it is unmounted (fs/namespace.c: umount_tree).
//!
//! One that is in no namespace any more is kept by those who still use it: open files, or a
//! reference that nobody gives back.

use super::{Bound, is_worth};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, walk};
use crate::subsys::mm::slab::CacheFacts;

layout! {
    /// include/linux/fs.h
    struct SuperMounts = "super_block" in "fs/namespace.c" {
        need list = "s_list",
        /// A list head; since 6.17 the first mount.
        need mounts = "s_mounts",
    }
}

layout! {
    /// fs/mount.h
    struct MountLayout = "mount" in "fs/namespace.c" {
        /// Of its namespace; an error number for those of the kernel itself.
        need ns = "mnt_ns",
        /// On the list of its file system, up to 6.16.
        maybe instance = "mnt_instance",
        /// 6.17 and later.
        maybe next = "mnt_next_for_sb",
    }
}

/// More file systems than any machine has.
const MAX_SUPERS: u64 = 1 << 20;
/// More mounts: the kernel allows 100,000 a namespace.
const MAX_MOUNTS: u64 = 1 << 24;

/// `mnt_cache` against the mounts that are in a namespace, or the kernel's own. A few of the
/// kernel's own are in none (securityfs, debugfs): fewer than the slack.
pub(super) fn in_namespaces(kernel: &Kernel, caches: &[CacheFacts]) -> Option<Bound> {
    const CACHE: &str = "mnt_cache";
    if !is_worth(caches, CACHE) {
        return None;
    }
    let layouts = (kernel.layout().ok()?, kernel.layout().ok()?);
    let (fs, mount): (SuperMounts, MountLayout) = layouts;
    let supers = walk::list(&kernel.space, kernel.symbol("super_blocks")?, MAX_SUPERS);
    if !supers.end.is_complete() {
        return None;
    }
    let mut limit = 0;
    for link in supers.value {
        let at = link.minus(u64::from(fs.list.offset));
        for one in mounts_of(kernel, at.plus(u64::from(fs.mounts.offset)), &mount)? {
            let ns = kernel
                .space
                .read_ptr(one.plus(u64::from(mount.ns.offset)))
                .ok()?;
            limit += u64::from(!ns.is_null());
        }
    }
    let counter = "mounts in namespaces".to_owned();
    Bound::new(caches, |cache| cache.name == CACHE, counter, limit)
}

/// The mounts of one file system.
fn mounts_of(kernel: &Kernel, head: VirtAddr, layout: &MountLayout) -> Option<Vec<VirtAddr>> {
    let (found, link) = match (layout.next, layout.instance) {
        (Some(next), _) => {
            let first = kernel.space.read_ptr(head).ok()?;
            let link = u64::from(next.offset);
            (walk::chain(&kernel.space, first, link, MAX_MOUNTS), 0)
        }
        (None, Some(instance)) => {
            let link = u64::from(instance.offset);
            (walk::list(&kernel.space, head, MAX_MOUNTS), link)
        }
        (None, None) => return None,
    };
    let complete = found.end.is_complete();
    let mounts = found.value.into_iter().map(|at| at.minus(link));
    complete.then(|| mounts.collect())
}
