//! /sys/kernel/slab: the only place that still knows the names of merged caches.
//!
//! A cache that may be merged has a directory named after its properties
//! (`:A-0000200`) and a link under its own name; each alias is another link.

use super::flags::SlabFlag;
use super::lay::LaidCache;
use crate::machine::Kernel;

const KERNFS_DIR: u64 = 1;
const KERNFS_LINK: u64 = 4;
/// `KERNFS_ACTIVATED`, set in every node that is visible.
const KERNFS_ACTIVATED: u64 = 0x10;
const RB_BLACK: u64 = 1;

/// Lays `slab_kset` and a kernfs directory for each cache.
pub fn lay(kernel: &mut Kernel, caches: &[LaidCache]) {
    let kset = kernel.alloc_struct("kset");
    kernel.set_variable("slab_kset", kset);
    let root = lay_node(kernel, "slab", 0, KERNFS_DIR);
    let name = kernel.alloc_string("slab");
    kernel.set(kset, "kset", "kobj.name", name);
    kernel.set(kset, "kset", "kobj.sd", root);
    let kset_kobj = kset + kernel.types.offset("kset", "kobj");
    kernel.set(root, "kernfs_node", "priv", kset_kobj);

    let kobj = kernel.types.offset("kmem_cache", "kobj");
    let mut children = Vec::new();
    // Copies for memory cgroups are elsewhere.
    for laid in caches.iter().filter(|laid| laid.cache.memcg_of.is_none()) {
        let mergeable = is_mergeable(laid);
        let directory = if mergeable {
            unique_name(laid)
        } else {
            laid.cache.name.clone()
        };
        let node = lay_node(kernel, &directory, root, KERNFS_DIR);
        kernel.set(node, "kernfs_node", "priv", laid.address + kobj);
        children.push((directory.clone(), node));
        if mergeable {
            let names = std::iter::once(&laid.cache.name).chain(&laid.cache.aliases);
            for name in names {
                let link = lay_node(kernel, name, root, KERNFS_LINK);
                kernel.set(link, "kernfs_node", "symlink.target_kn", node);
                children.push((name.clone(), link));
            }
        }
        let name = kernel.alloc_string(&directory);
        for (path, value) in [
            ("kobj.name", name),
            ("kobj.parent", kset_kobj),
            ("kobj.kset", kset),
            ("kobj.sd", node),
            ("kobj.kref.refcount", 1),
            ("kobj.state_initialized", 1),
            ("kobj.state_in_sysfs", 1),
        ] {
            kernel.set(laid.address, "kmem_cache", path, value);
        }
    }
    kernel.set(root, "kernfs_node", "dir.subdirs", caches.len() as u64);
    lay_tree(kernel, root, children);
    let entry = kobj + kernel.types.offset("kobject", "entry");
    let listed = caches.iter().filter(|laid| laid.cache.memcg_of.is_none());
    let entries: Vec<_> = listed.map(|laid| laid.address + entry).collect();
    kernel.link_list(kset, &entries);
}

fn is_mergeable(laid: &LaidCache) -> bool {
    let forbidden = laid.cache.flags.iter().any(|flag| flag.forbids_merging());
    !forbidden && laid.cache.ctor.is_none() && !laid.cache.usercopy
}

/// `create_unique_id()`: letters for the flags that matter, then the size.
fn unique_name(laid: &LaidCache) -> String {
    let mut letters = String::new();
    for (flag, letter) in [
        (SlabFlag::CacheDma, 'd'),
        (SlabFlag::ReclaimAccount, 'a'),
        (SlabFlag::ConsistencyChecks, 'F'),
        (SlabFlag::Account, 'A'),
    ] {
        if laid.cache.flags.contains(&flag) {
            letters.push(letter);
        }
    }
    let dash = if letters.is_empty() { "" } else { "-" };
    format!(":{letters}{dash}{:07}", laid.geometry.size)
}

fn lay_node(kernel: &mut Kernel, name: &str, parent: u64, kind: u64) -> u64 {
    let node = kernel.alloc_struct("kernfs_node");
    let text = kernel.alloc_string(name);
    let parent_member = if kernel.types.has("kernfs_node", "parent") {
        "parent"
    } else {
        "__parent"
    };
    for (path, value) in [
        ("count", 1),
        ("name", text),
        (parent_member, parent),
        ("hash", u64::from(hash(name))),
        ("flags", kind | KERNFS_ACTIVATED),
        (
            "mode",
            if kind == KERNFS_DIR {
                0o40755
            } else {
                0o120_777
            },
        ),
    ] {
        kernel.set(node, "kernfs_node", path, value);
    }
    node
}

/// Any hash would do: the kernel's is salted. Bits as kernfs_name_hash() leaves them.
fn hash(name: &str) -> u32 {
    let sum = name.bytes().fold(7u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    (sum & 0x7fff_ffff).clamp(2, 0x7fff_fffe)
}

/// A balanced red-black tree in order of hash: the deepest level is red.
fn lay_tree(kernel: &mut Kernel, directory: u64, mut children: Vec<(String, u64)>) {
    children.sort_by(|one, other| (hash(&one.0), &one.0).cmp(&(hash(&other.0), &other.0)));
    let offset = kernel.types.offset("kernfs_node", "rb");
    let nodes: Vec<_> = children.iter().map(|child| child.1 + offset).collect();
    let levels = usize::BITS - nodes.len().leading_zeros();
    let top = lay_subtree(kernel, &nodes, 0, 1, levels);
    kernel.set(directory, "kernfs_node", "dir.children.rb_node", top);
}

fn lay_subtree(kernel: &mut Kernel, nodes: &[u64], parent: u64, level: u32, levels: u32) -> u64 {
    if nodes.is_empty() {
        return 0;
    }
    let middle = nodes.len() / 2;
    let node = nodes[middle];
    let colour = if level == levels { 0 } else { RB_BLACK };
    kernel.set(node, "rb_node", "__rb_parent_color", parent | colour);
    let left = lay_subtree(kernel, &nodes[..middle], node, level + 1, levels);
    let right = lay_subtree(kernel, &nodes[middle + 1..], node, level + 1, levels);
    kernel.set(node, "rb_node", "rb_left", left);
    kernel.set(node, "rb_node", "rb_right", right);
    node
}
