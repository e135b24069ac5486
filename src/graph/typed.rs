//! What anonymous objects are, by the typed members that point to them.
//!
//! The objects of a named cache are of a known structure, and so what its members point to is.
//! Only references that the scan counted anyway are looked at.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::kernel::Kernel;
use crate::subsys::mm::slab::cache::Cache;
use crate::types::{FoundStruct, MemberAt};

/// Caches with the structure of their objects, and a file that sees it.
///
/// Of two for one cache, the first that its kernel has and that fits.
const STRUCTURES: [(&str, &str, &str); 35] = [
    ("anon_vma", "anon_vma", "mm/rmap.c"),
    ("anon_vma_chain", "anon_vma_chain", "mm/rmap.c"),
    ("bdev_cache", "bdev_inode", "block/bdev.c"),
    ("buffer_head", "buffer_head", "fs/buffer.c"),
    ("cred_jar", "cred", "kernel/cred.c"),
    ("dentry", "dentry", "fs/dcache.c"),
    ("eventpoll_epi", "epitem", "fs/eventpoll.c"),
    ("files_cache", "files_struct", "fs/file.c"),
    ("filp", "file", "fs/file_table.c"),
    ("fs_cache", "fs_struct", "fs/fs_struct.c"),
    ("inode_cache", "inode", "fs/inode.c"),
    ("kernfs_node_cache", "kernfs_node", "fs/kernfs/dir.c"),
    ("key_jar", "key", "security/keys/key.c"),
    ("kmem_cache", "kmem_cache", "mm/slub.c"),
    ("mm_struct", "mm_struct", "kernel/fork.c"),
    ("mnt_cache", "mount", "fs/namespace.c"),
    ("net_namespace", "net", "net/core/net_namespace.c"),
    ("nsproxy", "nsproxy", "kernel/nsproxy.c"),
    ("pid", "pid", "kernel/pid.c"),
    ("proc_dir_entry", "proc_dir_entry", "fs/proc/generic.c"),
    ("proc_inode_cache", "proc_inode", "fs/proc/inode.c"),
    ("RAW", "raw_sock", "net/ipv4/raw.c"),
    ("shmem_inode_cache", "shmem_inode_info", "mm/shmem.c"),
    ("sighand_cache", "sighand_struct", "kernel/fork.c"),
    ("signal_cache", "signal_struct", "kernel/fork.c"),
    ("skbuff_head_cache", "sk_buff", "net/core/skbuff.c"),
    // With the other in it; 7.2 has it.
    ("sock_inode_cache", "sockfs_inode", "net/socket.c"),
    ("sock_inode_cache", "socket_alloc", "net/socket.c"),
    ("task_group", "task_group", "kernel/sched/core.c"),
    ("task_struct", "task_struct", "kernel/fork.c"),
    ("TCP", "tcp_sock", "net/ipv4/tcp.c"),
    ("TCPv6", "tcp6_sock", "net/ipv6/tcp_ipv6.c"),
    ("UDP", "udp_sock", "net/ipv4/udp.c"),
    ("vm_area_struct", "vm_area_struct", "kernel/fork.c"),
    ("vmap_area", "vmap_area", "mm/vmalloc.c"),
];

/// Those of these structures that end with something of a size known only at boot, or have it
/// behind them.
const LONGER: [&str; 5] = [
    "kmem_cache",
    "mm_struct",
    "pid",
    "proc_dir_entry",
    "task_struct",
];

/// Members of these types point to a part of an object, and tell nothing of the whole.
const PARTS: [&str; 8] = [
    "list_head",
    "hlist_head",
    "hlist_node",
    "hlist_bl_node",
    "hlist_nulls_node",
    "rb_node",
    "callback_head",
    "llist_node",
];

/// Members that are asked for each cache.
const ASKED: usize = 16;
/// Types named for each cache.
const NAMED: usize = 5;

/// A structure that objects seem to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeGuess {
    /// `fdtable`, without `struct`.
    pub name: String,
    /// Objects that such members point to; of one object (`whatis`), the references.
    pub count: u64,
    /// Of how many that were looked at.
    pub of: u64,
    /// The members, that with the most first: `files_struct.fdt`.
    pub members: Vec<String>,
}

/// The structures of some caches' objects, looked up when they are first asked for.
pub(super) struct Structures<'k> {
    kernel: &'k Kernel,
    caches: &'k [Cache],
    found: RefCell<FxHashMap<u32, Option<Known<'k>>>>,
}

/// A structure and its name.
type Known<'k> = Rc<(&'static str, FoundStruct<'k>)>;

impl<'k> Structures<'k> {
    pub(super) fn new(kernel: &'k Kernel, caches: &'k [Cache]) -> Self {
        Self {
            kernel,
            caches,
            found: RefCell::default(),
        }
    }

    /// The member at `offset` of the objects of a cache, by number: `dentry.d_inode`.
    pub(super) fn member(&self, cache: u32, offset: u32) -> Option<MemberAt> {
        let mut found = self.found.borrow_mut();
        let known = found.entry(cache).or_insert_with(|| {
            let cache = self.caches.get(cache as usize)?;
            find(self.kernel, cache).map(Rc::new)
        });
        let known = known.as_ref()?;
        let (name, body) = known.as_ref();
        let member = body.member_at(offset)?;
        Some(MemberAt {
            path: format!("{name}.{}", member.path),
            ..member
        })
    }

    /// What the `of` items seem to be that members point to: each is an item's number, a
    /// cache and an offset in its objects.
    pub(super) fn guess(
        &self,
        members: impl Iterator<Item = (u32, u32, u32)>,
        of: u64,
    ) -> Vec<TypeGuess> {
        let mut by_member: BTreeMap<(u32, u32), BTreeSet<u32>> = BTreeMap::new();
        for (item, cache, offset) in members {
            by_member.entry((cache, offset)).or_default().insert(item);
        }
        let mut most: Vec<_> = by_member.into_iter().collect();
        most.sort_by_key(|(place, items)| (std::cmp::Reverse(items.len()), *place));
        let mut by_type: BTreeMap<String, (BTreeSet<u32>, Vec<String>)> = BTreeMap::new();
        for ((cache, offset), items) in most.into_iter().take(ASKED) {
            let Some(member) = self.member(cache, offset) else {
                continue;
            };
            if let Some(name) = member.points_to.filter(|name| !is_part(name)) {
                let (all, members) = by_type.entry(name).or_default();
                all.extend(items);
                if !members.contains(&member.path) {
                    members.push(member.path);
                }
            }
        }
        let guesses = by_type
            .into_iter()
            .map(|(name, (items, members))| TypeGuess {
                name,
                count: items.len() as u64,
                of,
                members,
            });
        let mut guesses: Vec<TypeGuess> = guesses.collect();
        guesses.sort_by(|a, b| (b.count, &a.name).cmp(&(a.count, &b.name)));
        guesses.truncate(NAMED);
        guesses
    }
}

/// Whether the structure of a cache's objects is known by its name. What lies in a cache that
/// others were merged into, its name does not tell.
pub(super) fn is_known(cache: &Cache) -> bool {
    !is_merged(cache) && STRUCTURES.iter().any(|(name, ..)| *name == cache.name)
}

/// The allocator's own first caches have -1.
fn is_merged(cache: &Cache) -> bool {
    cache.refcount.cast_signed() > 1
}

/// Whether such a member points to a part of an object, and tells nothing of the whole.
pub(super) fn is_part(name: &str) -> bool {
    PARTS.contains(&name)
}

fn find<'k>(kernel: &'k Kernel, cache: &Cache) -> Option<(&'static str, FoundStruct<'k>)> {
    let called_so = |(of, ..): &&(&str, &str, &str)| *of == cache.name && !is_merged(cache);
    STRUCTURES
        .iter()
        .filter(called_so)
        .find_map(|(_, name, home)| {
            // A unit that is not there would mean a search of all.
            if !kernel.types.has_home(home) && kernel.types.origin() != "btf" {
                return None;
            }
            let found = kernel.types.find_struct(name, home, false).ok()??;
            fits(name, found.body.size, cache.object_size).then_some((*name, found))
        })
}

/// Whether objects of this size can be that structure: a cache is made for one, and objects of
/// another size are of another structure than is thought.
fn fits(name: &str, structure: u32, object: u32) -> bool {
    match LONGER.contains(&name) {
        true => structure <= object,
        false => structure == object,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str, refcount: i32) -> Cache {
        Cache {
            name: name.into(),
            refcount: refcount.cast_unsigned(),
            ..Cache::default()
        }
    }

    #[test]
    fn what_lies_in_a_merged_cache_its_name_does_not_tell() {
        assert!(is_known(&cache("anon_vma_chain", 1)));
        assert!(!is_known(&cache("anon_vma_chain", 3)));
        // Never merged.
        assert!(is_known(&cache("kmem_cache", -1)));
        assert!(!is_known(&cache("kmalloc-64", 1)));
    }

    /// By drgn: on 7.2 `sock_inode_cache` has objects of 768 bytes, `struct socket_alloc` 704, and
    /// `mm_struct` has objects of 1752 bytes for a structure of 1728.
    #[test]
    fn a_structure_has_the_size_of_its_caches_objects() {
        assert!(fits("sockfs_inode", 768, 768));
        assert!(!fits("socket_alloc", 704, 768));
        assert!(fits("mm_struct", 1728, 1752) && !fits("mm_struct", 1760, 1752));
    }
}
