//! What anonymous objects are, by the typed members that point to them.
//!
//! The objects of a named cache are of a known structure, and so what its members point to is.
//! Only references that the scan counted anyway are looked at.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::holders::Source;
use crate::kernel::Kernel;
use crate::subsys::slab::cache::Cache;
use crate::types::{FoundStruct, MemberAt};

/// Caches with the structure of their objects, and a file that sees it.
const STRUCTURES: [(&str, &str, &str); 34] = [
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
    ("sock_inode_cache", "socket_alloc", "net/socket.c"),
    ("task_group", "task_group", "kernel/sched/core.c"),
    ("task_struct", "task_struct", "kernel/fork.c"),
    ("TCP", "tcp_sock", "net/ipv4/tcp.c"),
    ("TCPv6", "tcp6_sock", "net/ipv6/tcp_ipv6.c"),
    ("UDP", "udp_sock", "net/ipv4/udp.c"),
    ("vm_area_struct", "vm_area_struct", "kernel/fork.c"),
    ("vmap_area", "vmap_area", "mm/vmalloc.c"),
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

/// Holders that are asked for each cache.
const ASKED: usize = 16;
/// Types named for each cache.
const NAMED: usize = 5;

/// A structure that objects seem to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeGuess {
    /// `fdtable`, without `struct`.
    pub name: String,
    /// References by members of that type, of those counted.
    pub references: u64,
    /// All references counted.
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

    /// What objects are that are referred to so often from each place.
    pub(super) fn guess(&self, references: &[(Source, u64)]) -> Vec<TypeGuess> {
        let of = references.iter().map(|(_, count)| count).sum();
        let mut most: Vec<&(Source, u64)> = references.iter().collect();
        most.sort_by_key(|(source, count)| (std::cmp::Reverse(*count), source.order()));
        let mut guesses: Vec<TypeGuess> = Vec::new();
        for (source, count) in most.into_iter().take(ASKED) {
            let Source::Object(cache, offset) = source else {
                continue;
            };
            let Some(member) = self.member(*cache, *offset) else {
                continue;
            };
            let Some(name) = member.points_to.filter(|name| !is_part(name)) else {
                continue;
            };
            match guesses.iter_mut().find(|guess| guess.name == name) {
                Some(guess) => {
                    guess.references += count;
                    guess.members.push(member.path);
                }
                None => guesses.push(TypeGuess {
                    name,
                    references: *count,
                    of,
                    members: vec![member.path],
                }),
            }
        }
        guesses.sort_by(|a, b| (b.references, &a.name).cmp(&(a.references, &b.name)));
        guesses.truncate(NAMED);
        guesses
    }
}

/// Whether such a member points to a part of an object, and tells nothing of the whole.
pub(super) fn is_part(name: &str) -> bool {
    PARTS.contains(&name)
}

fn find<'k>(kernel: &'k Kernel, cache: &Cache) -> Option<(&'static str, FoundStruct<'k>)> {
    let entry = STRUCTURES.iter().find(|(name, ..)| *name == cache.name)?;
    let (_, name, home) = entry;
    // A unit that is not there would mean a search of all.
    let known = kernel.types.has_home(home) || kernel.types.origin() == "btf";
    let found = known.then(|| kernel.types.find_struct(name, home, false));
    let found = found?.ok()??;
    // Smaller objects are of another structure than is thought.
    (found.body.size <= cache.object_size).then_some((*name, found))
}
