//! The other names of merged caches, from sysfs's kernfs tree in the dump.
//!
//! SLUB merges caches of like size and flags; `slab_caches` then knows one name. In
//! /sys/kernel/slab each of the others is a symbolic link to the one cache's directory
//! (mm/slub.c: sysfs_slab_alias), whose kernfs node points to the cache's kobject.

use rustc_hash::FxHashMap;

use super::cache::Cache;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::End;

layout! {
    /// include/linux/kernfs.h
    struct KernfsNodeLayout = "kernfs_node" in "fs/kernfs/dir.c" {
        need name = "name",
        need rb = "rb",
        need children = "dir.children",
        need target = "symlink.target_kn",
        need flags = "flags",
        need private = "priv",
    }
}

layout! {
    /// include/linux/kobject.h
    struct KsetLayout = "kset" in "mm/slub.c" {
        need directory = "kobj.sd",
    }
}

const KERNFS_TYPE_MASK: u64 = 0xf;
const KERNFS_LINK: u64 = 4;
const MAX_ENTRIES: usize = 1 << 20;
const MAX_NAME: usize = 256;

/// Names that lead to each cache besides its own, sorted; by the cache's index.
#[derive(Debug)]
pub struct Aliases {
    /// Of each cache.
    pub of_caches: Vec<Vec<String>>,
    /// Entries that can't be read.
    pub lost: u64,
}

pub(crate) fn read(kernel: &Kernel, caches: &[Cache]) -> Result<Aliases, KernelError> {
    let mut aliases = vec![Vec::new(); caches.len()];
    // Without CONFIG_SYSFS there is no such symbol, and no record of aliases; it is null until
    // sysfs is there.
    let kset = kernel.symbol("slab_kset");
    let kset = kset.map(|at| kernel.space.read_ptr(at));
    let Some(kset) = kset.filter(|kset| !kset.as_ref().is_ok_and(|at| at.is_null())) else {
        return Ok(Aliases {
            of_caches: aliases,
            lost: 0,
        });
    };
    let by_kobj: FxHashMap<VirtAddr, usize> = caches
        .iter()
        .enumerate()
        .filter_map(|(index, cache)| Some((cache.kobj?, index)))
        .collect();
    let node: KernfsNodeLayout = kernel.layout()?;
    let kset_layout: KsetLayout = kernel.layout()?;
    let offset = u64::from(kset_layout.directory.offset);
    let directory = kset.and_then(|kset| kernel.space.read_ptr(kset.plus(offset)));
    let found = directory.map(|directory| {
        let root = directory.plus(u64::from(node.children.offset));
        walk::rbtree(&kernel.space, root, MAX_ENTRIES)
    });
    let (entries, end) = match found {
        Ok(tree) => (tree.value, tree.end),
        Err(_) => (Vec::new(), End::Fault),
    };
    let mut lost = u64::from(!end.is_complete());
    for link in entries {
        let entry = link.minus(u64::from(node.rb.offset));
        match alias(kernel, &node, entry, &by_kobj) {
            Ok(Some((index, name))) => {
                if let Some(names) = aliases.get_mut(index) {
                    names.push(name);
                }
            }
            Ok(None) => {}
            Err(_) => lost += 1,
        }
    }
    if lost > 0 {
        kernel.diag.warn_many(
            "aliases-lost",
            "entries of /sys/kernel/slab can't be read: aliases of merged caches may be missing",
            lost,
        );
    }
    for (cache, names) in caches.iter().zip(&mut aliases) {
        names.retain(|name| *name != cache.name);
        names.sort();
    }
    Ok(Aliases {
        of_caches: aliases,
        lost,
    })
}

fn alias(
    kernel: &Kernel,
    layout: &KernfsNodeLayout,
    entry: VirtAddr,
    by_kobj: &FxHashMap<VirtAddr, usize>,
) -> Result<Option<(usize, String)>, crate::space::MemFault> {
    let record = kernel.space.read_bytes(entry, layout.len)?;
    if layout.flags.get(&record) & KERNFS_TYPE_MASK != KERNFS_LINK {
        return Ok(None);
    }
    let target = VirtAddr(layout.target.get(&record));
    let kobj = kernel
        .space
        .read_ptr(target.plus(u64::from(layout.private.offset)))?;
    let Some(index) = by_kobj.get(&kobj) else {
        return Ok(None);
    };
    let name = kernel
        .space
        .read_c_string(VirtAddr(layout.name.get(&record)), MAX_NAME)?;
    Ok(Some((*index, name)))
}
