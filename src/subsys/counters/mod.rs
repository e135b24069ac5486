//! Counters that the kernel keeps of its objects, and the caches whose objects they count.
//!
//! Layer: subsys. Input: variables, lists, and the caches' own facts. Output: [`Bound`]s.
//! Invariants: a counter that goes down only when an object is freed bounds nothing and is
//! not here; a cache that others are merged into can't be beyond its bound.

mod cgroups;
mod connections;
mod mounts;
mod namespaces;
mod sockets;
mod tasks;

use rayon::prelude::*;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::modules::Modules;
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::memcg::MemcgCount;
use crate::subsys::mm::slab::CacheFacts;

/// How a counter is kept.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An `int`.
    Int,
    /// A `long` on every CPU.
    PerCpuLong,
    /// A `struct percpu_counter`.
    Percpu,
}

/// What counts the objects of some caches together.
struct Counter {
    caches: &'static [&'static str],
    symbol: &'static str,
    kind: Kind,
    /// Objects of the cache that each CPU has and nobody counts, idle tasks for one.
    per_cpu: u64,
}

/// To add one: the caches, the variable that counts their objects, and how it is kept.
const COUNTERS: &[Counter] = &[
    // fs/file_table.c: alloc_empty_file, file_free
    Counter {
        caches: &["filp"],
        symbol: "nr_files",
        kind: Kind::Percpu,
        per_cpu: 0,
    },
    // kernel/fork.c: copy_process, free_task after a grace period; idle tasks are not counted
    Counter {
        caches: &["task_struct"],
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    // kernel/fork.c: each task has one at most, most share theirs
    Counter {
        caches: &["signal_cache"],
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    Counter {
        caches: &["sighand_cache"],
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    Counter {
        caches: &["files_cache"],
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    Counter {
        caches: &["mm_struct"],
        symbol: "nr_threads",
        kind: Kind::Int,
        per_cpu: 8,
    },
    // fs/dcache.c: __d_alloc, dentry_free
    Counter {
        caches: &["dentry"],
        symbol: "nr_dentry",
        kind: Kind::PerCpuLong,
        per_cpu: 0,
    },
    // fs/inode.c: inode_init_always, __destroy_inode; those of each file system together
    Counter {
        caches: &[
            "inode_cache",
            "sock_inode_cache",
            "proc_inode_cache",
            "shmem_inode_cache",
            "bdev_cache",
            "ext4_inode_cache",
            "xfs_inode",
            "btrfs_inode",
            "nfs_inode_cache",
            "ovl_inode",
            "fuse_inode",
            "hugetlbfs_inode_cache",
            "mqueue_inode_cache",
            "rpc_inode_cache",
            "cifs_inode_cache",
            "ceph_inode_info",
            "fat_inode_cache",
            "isofs_inode_cache",
            "squashfs_inode_cache",
            "f2fs_inode_cache",
            "erofs_inode",
            "gfs2_inode",
            "ocfs2_inode_cache",
            "v9fs_inode_cache",
            "udf_inode_cache",
            "dax_cache",
        ],
        symbol: "nr_inodes",
        kind: Kind::PerCpuLong,
        per_cpu: 0,
    },
];

/// A counter's value, and the caches that it bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The caches, that with the most objects first.
    pub caches: Vec<String>,
    /// The counter.
    pub counter: String,
    /// Objects that it accounts for.
    pub limit: u64,
    /// Objects that these caches have in use for certain.
    pub objects: u64,
    /// How many more may well be: those that wait for RCU, or are not counted by then.
    pub slack: u64,
    /// Whether there can be no more; if not, some that are rightly in use are not counted.
    pub strict: bool,
}

impl Bound {
    /// Of those of `caches` that `choose` accepts; `None` if there are none.
    fn new(
        caches: &[CacheFacts],
        choose: impl Fn(&CacheFacts) -> bool,
        counter: String,
        limit: u64,
    ) -> Option<Self> {
        let mut own: Vec<&CacheFacts> = caches.iter().filter(|cache| choose(cache)).collect();
        // With others' objects in it, a cache has more than any counter knows.
        let is_own = |cache: &&CacheFacts| cache.aliases.is_empty();
        let strict = own.iter().any(is_own);
        if strict {
            own.retain(is_own);
        }
        own.sort_by_key(|cache| std::cmp::Reverse(cache.exact.allocated_min));
        (!own.is_empty()).then(|| Self {
            // Of a cache that the dump lacks part of, free objects count as allocated.
            objects: own.iter().map(|cache| cache.exact.allocated_min).sum(),
            caches: own.iter().map(|cache| cache.name.clone()).collect(),
            counter,
            limit,
            slack: SLACK.max(limit / 20),
            strict,
        })
    }
}

/// Objects above a counter that prove nothing.
const SLACK: u64 = 50;

/// Reads the counters that this kernel has of `caches`. `tasks` are all of them, `None` where not all
/// were found; `modules` are all modules, `memcgs` are memory cgroups, where there are any.
///
/// # Errors
/// If the kernel's CPUs can't be told.
pub fn collect(
    kernel: &Kernel,
    modules: &Modules,
    caches: &[CacheFacts],
    tasks: Option<&[VirtAddr]>,
    memcgs: Option<&MemcgCount>,
) -> Result<Vec<Bound>, KernelError> {
    let cpus = Cpus::read(kernel)?;
    let bounds = COUNTERS.iter().filter_map(|counter| {
        let at = kernel.symbol(counter.symbol)?;
        let value = match counter.kind {
            Kind::Int => i64::from(kernel.space.read_u32(at).ok()?.cast_signed()),
            Kind::PerCpuLong => per_cpu_long(kernel, &cpus, at)?,
            Kind::Percpu => {
                let layout: PercpuCounter = kernel.layout().ok()?;
                layout.sum(kernel, &cpus, at).ok()?
            }
        };
        let limit = u64::try_from(value).ok()? + counter.per_cpu * cpus.len() as u64;
        let counted = |cache: &CacheFacts| counter.caches.contains(&cache.name.as_str());
        Bound::new(caches, counted, counter.symbol.to_owned(), limit)
    });
    let mut bounds: Vec<Bound> = bounds.collect();
    let walks: [&(dyn Fn() -> Option<Bound> + Sync); 5] = [
        &|| tasks::areas(kernel, caches, tasks?),
        &|| namespaces::of_networks(kernel, caches, tasks),
        &|| mounts::in_namespaces(kernel, caches),
        &|| connections::in_table(kernel, modules, caches),
        &|| cgroups::bound(caches, memcgs),
    ];
    let walked: Vec<Option<Bound>> = walks.par_iter().map(|walk| walk()).collect();
    bounds.extend(walked.into_iter().flatten());
    bounds.extend(sockets::bounds(kernel, &cpus, caches));
    Ok(bounds)
}

/// Whether a cache of this name has enough objects of its own to be worth a bound.
fn is_worth(caches: &[CacheFacts], name: &str) -> bool {
    has_own(caches, name, SLACK)
}

/// Whether a cache of this name has so many objects, and none of another's.
fn has_own(caches: &[CacheFacts], name: &str, least: u64) -> bool {
    let mut caches = caches.iter();
    caches.any(|cache| {
        cache.name == name && cache.aliases.is_empty() && cache.exact.allocated_min >= least
    })
}

fn per_cpu_long(kernel: &Kernel, cpus: &Cpus, at: VirtAddr) -> Option<i64> {
    let mut sum = 0i64;
    for (_, at) in cpus.instances(at) {
        sum = sum.wrapping_add(kernel.space.read_u64(at).ok()?.cast_signed());
    }
    Some(sum)
}
