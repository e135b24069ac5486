//! Names and inodes that the kernel keeps: by file system, and by the directory they are in.
//!
//! Layer: subsys. Input: the objects of the cache of dentries, the list of file systems. Output:
//! [`DentriesFacts`]. Invariants: each dentry is counted once, wherever it hangs, so that those that
//! no table finds any more are there too; what the kernel counted, and what its hash table holds,
//! stands beside it.

mod counters;
mod table;

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use serde::Serialize;

pub use self::counters::DentryCounters;
use self::table::HashTable;
use super::paths::Paths;
use super::supers::{Super, Supers};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabHeap;
use crate::subsys::mm::slab::objects::{self, ObjectState};

layout! {
    /// include/linux/dcache.h
    struct DentryLayout = "dentry" in "fs/dcache.c" {
        need parent = "d_parent",
        need inode = "d_inode",
        need super_block = "d_sb",
        /// What points to it in its chain of the hash table; null if it is on none.
        need hashed = "d_hash.pprev",
        /// The one before it on the LRU or on a list of those to free, else itself. The word before
        /// that has other uses.
        need before = "d_lru.prev",
        /// Negative once it is dead, and only waits for RCU.
        need count = "d_lockref.count",
    }
}

layout! {
    /// include/linux/fs.h
    struct InodeLayout = "inode" in "fs/inode.c" {
        need link = "i_sb_list",
        need count = "i_count",
        need before = "i_lru.prev",
    }
}

/// Dentries of one file system, or directory, or all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DentrySums {
    /// All of them, but for dead ones.
    pub dentries: u64,
    /// Names that there is no file for.
    pub negative: u64,
    /// On an LRU, or on their way from there: the kernel may free them.
    pub unused: u64,
    /// Of these, negative ones.
    pub negative_unused: u64,
    /// That somebody has a reference to: an open file, a mount, or a name below them.
    pub in_use: u64,
    /// That no look-up finds any more: of deleted files, sockets, pipes, and what never had a name.
    pub unhashed: u64,
}

/// One file system.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SuperFacts {
    /// Where it is mounted; `None` of the kernel's own.
    pub path: Option<String>,
    /// Its type.
    pub kind: String,
    /// The device, or what stands for one.
    pub device: String,
    /// Its dentries.
    #[serde(flatten)]
    pub sums: DentrySums,
    /// Inodes on its list. Those of sockets and pipes are on none.
    pub inodes: u64,
    /// Of these, those that somebody has a reference to: a dentry, or the writing of their pages.
    pub inodes_in_use: u64,
    /// Of these, those on its LRU.
    pub inodes_unused: u64,
}

/// One directory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DirectoryFacts {
    /// From the root of its mount namespace on, or behind the type of a file system that is mounted
    /// nowhere; `None` if a part of it can't be read.
    pub path: Option<String>,
    /// The type of its file system.
    pub kind: String,
    /// Address of its `struct dentry`.
    pub address: VirtAddr,
    /// Whether it is in no directory any more.
    pub deleted: bool,
    /// The names in it.
    #[serde(flatten)]
    pub sums: DentrySums,
}

/// All names that the kernel keeps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DentriesFacts {
    /// Over all.
    pub totals: DentrySums,
    /// Freed ones that wait for RCU.
    pub dead: u64,
    /// Bytes of one, without what a long name takes besides.
    pub object_bytes: u64,
    /// As the kernel counts them.
    pub counters: DentryCounters,
    /// Chains of the hash table, and the dentries on them.
    pub buckets: u64,
    /// See `buckets`.
    pub hashed: u64,
    /// Those with the most dentries first.
    pub supers: Vec<SuperFacts>,
    /// How many directories have a name in memory.
    pub directories_seen: u64,
    /// Those with the most first, as many as were asked for.
    pub directories: Vec<DirectoryFacts>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads all dentries, and names the `most` directories with the most of them.
///
/// # Errors
/// If the kernel's types or symbols lack what dentries are made of.
pub fn collect(heap: &SlabHeap<'_>, most: usize) -> Result<DentriesFacts, KernelError> {
    let kernel = heap.kernel();
    let supers = Supers::read(kernel)?;
    let index = cache_of(heap).ok_or_else(|| {
        KernelError::Unsupported("the cache of dentries is not among the slab caches".to_owned())
    })?;
    let mut counter = Counter::new(kernel, &supers)?;
    let mut unknown = 0u64;
    let whole = objects::each(heap, index, |object| match object.state {
        ObjectState::Allocated => counter.dentry(object.address),
        ObjectState::Unknown => unknown += 1,
        _ => {}
    });
    let cache = heap.caches().get(index);
    counter.complete &= whole && unknown == 0 && heap.is_complete() && supers.complete;
    if cache.is_some_and(|cache| cache.name == CACHE) && counter.strangers > 0 {
        counter.complete = false;
        kernel.diag.warn_many(
            "dentry-of-no-file-system",
            "dentries belong to no file system on the kernel's list: they are broken, or the list is; take the dump with kernel pages included",
            counter.strangers,
        );
    }
    let table = HashTable::read(kernel, counter.totals.dentries + counter.dead)?;
    counter.compare(&table);
    counter.finish(
        most,
        table,
        cache.map_or(0, |cache| cache.object_size.into()),
    )
}

/// Its name (`dcache_init()`, fs/dcache.c); the cache may be merged with another up to 4.15.
const CACHE: &str = "dentry";

fn cache_of(heap: &SlabHeap<'_>) -> Option<usize> {
    heap.find(CACHE).or_else(|| {
        let at = heap.kernel().u64_of("dentry_cache").value().map(VirtAddr)?;
        heap.caches().iter().position(|cache| cache.address == at)
    })
}

struct Counter<'k, 's> {
    kernel: &'k Kernel,
    supers: &'s Supers<'k>,
    dentry: DentryLayout,
    inode: InodeLayout,
    /// Places of the file systems in the list.
    places: FxHashMap<VirtAddr, usize>,
    of_supers: Vec<DentrySums>,
    /// By directory, with its file system's place.
    of_directories: FxHashMap<VirtAddr, (usize, DentrySums)>,
    totals: DentrySums,
    dead: u64,
    /// On a chain of the hash table, as they say themselves.
    hashed: u64,
    /// Of no file system on the list.
    strangers: u64,
    complete: bool,
}

impl<'k, 's> Counter<'k, 's> {
    fn new(kernel: &'k Kernel, supers: &'s Supers<'k>) -> Result<Self, KernelError> {
        let places = supers.list.iter().enumerate();
        Ok(Self {
            dentry: kernel.layout()?,
            inode: kernel.layout()?,
            places: places.map(|(place, of)| (of.address, place)).collect(),
            of_supers: vec![DentrySums::default(); supers.list.len()],
            of_directories: FxHashMap::default(),
            totals: DentrySums::default(),
            dead: 0,
            hashed: 0,
            strangers: 0,
            complete: true,
            kernel,
            supers,
        })
    }

    fn dentry(&mut self, at: VirtAddr) {
        let Ok(record) = self.kernel.space.span(at, self.dentry.len) else {
            self.complete = false;
            return;
        };
        let layout = &self.dentry;
        let super_block = VirtAddr(layout.super_block.get(&record));
        let Some(place) = self.places.get(&super_block).copied() else {
            self.strangers += 1;
            return;
        };
        let count = (layout.count.get(&record) as u32).cast_signed();
        if count < 0 {
            self.dead += 1;
            return;
        }
        let parent = VirtAddr(layout.parent.get(&record));
        let is_root = parent == at;
        let negative = layout.inode.get(&record) == 0;
        let unused = is_linked(at, layout.before, &record);
        let unhashed = layout.hashed.get(&record) == 0;
        // What has no parent is kept by its file system, and not in the table.
        self.hashed += u64::from(!unhashed && !is_root);
        let one = DentrySums {
            dentries: 1,
            negative: negative.into(),
            unused: unused.into(),
            negative_unused: (negative && unused).into(),
            in_use: (count > 0).into(),
            unhashed: unhashed.into(),
        };
        self.totals.add(&one);
        if let Some(sums) = self.of_supers.get_mut(place) {
            sums.add(&one);
        }
        if !is_root {
            let directory = self.of_directories.entry(parent);
            let (_, sums) = directory.or_insert((place, DentrySums::default()));
            sums.add(&one);
        }
    }

    /// What is in the hash table is what says that it is.
    fn compare(&mut self, table: &HashTable) {
        let diag = &self.kernel.diag;
        if table.broken > 0 {
            self.complete = false;
            diag.warn_many(
                "dentry-chain-broken",
                "a chain of the hash table of dentries is broken, or enters memory that the dump lacks: its dentries are counted all the same; take the dump with kernel pages included",
                table.broken,
            );
        } else if table.dentries != self.hashed && self.complete && !self.kernel.dump().is_live() {
            self.complete = false;
            diag.warn(
                "dentry-table-differs",
                format!(
                    "the hash table holds {} dentries, of all objects of their cache {} say that they are in it: one of them is broken",
                    table.dentries, self.hashed
                ),
            );
        }
    }

    fn finish(
        mut self,
        most: usize,
        table: HashTable,
        object_bytes: u64,
    ) -> Result<DentriesFacts, KernelError> {
        let of_supers = std::mem::take(&mut self.of_supers);
        let supers = self.supers.list.iter().zip(of_supers);
        let supers: Vec<_> = supers
            .map(|(of, sums)| self.file_system(of, sums))
            .collect();
        let mut facts = DentriesFacts {
            totals: self.totals,
            dead: self.dead,
            object_bytes,
            counters: DentryCounters::read(self.kernel)?,
            buckets: table.buckets,
            hashed: table.dentries,
            directories_seen: self.of_directories.len() as u64,
            directories: self.directories(most),
            complete: self.complete,
            supers,
        };
        facts
            .supers
            .sort_by_key(|of| Reverse((of.sums.dentries, of.inodes)));
        if !facts.complete {
            self.kernel.diag.warn(
                "dentries-lost",
                "not all dentries, inodes or file systems can be read: what is missing is in no sum; take the dump with kernel pages included",
            );
        }
        Ok(facts)
    }

    fn file_system(&mut self, of: &Super, sums: DentrySums) -> SuperFacts {
        let (links, whole) = self.supers.inodes(of.address);
        self.complete &= whole;
        let mut facts = SuperFacts {
            path: of.path.clone(),
            kind: of.kind.clone(),
            device: of.device.clone(),
            sums,
            inodes: 0,
            inodes_in_use: 0,
            inodes_unused: 0,
        };
        for link in links {
            let inode = link.minus(u64::from(self.inode.link.offset));
            let Ok(record) = self.kernel.space.span(inode, self.inode.len) else {
                self.complete = false;
                continue;
            };
            facts.inodes += 1;
            facts.inodes_in_use += u64::from(self.inode.count.get(&record) != 0);
            facts.inodes_unused += u64::from(is_linked(inode, self.inode.before, &record));
        }
        facts
    }

    fn directories(&mut self, most: usize) -> Vec<DirectoryFacts> {
        let mut all: Vec<_> = self.of_directories.drain().collect();
        all.sort_by_key(|(at, (_, sums))| (Reverse(sums.dentries), *at));
        all.truncate(most);
        let named = all.into_iter().filter_map(|(at, (place, sums))| {
            let of = self.supers.list.get(place)?;
            Some(self.directory(at, of, sums))
        });
        named.collect()
    }

    fn directory(&self, at: VirtAddr, of: &Super, sums: DentrySums) -> DirectoryFacts {
        let paths: &Paths<'_> = &self.supers.paths;
        let record = self.kernel.space.span(at, self.dentry.len);
        let deleted = record.is_ok_and(|record| {
            let is_root = VirtAddr(self.dentry.parent.get(&record)) == at;
            !is_root && self.dentry.hashed.get(&record) == 0
        });
        DirectoryFacts {
            path: of.name(paths, at),
            kind: of.kind.clone(),
            address: at,
            deleted,
            sums,
        }
    }
}

/// Whether the list node of the object at `at` is on a list; `before` is its link back, which leads
/// to itself while it is on none.
fn is_linked(at: VirtAddr, before: crate::kernel::layout::Field, record: &[u8]) -> bool {
    // The link forward stands in front of it.
    let itself = at.plus(u64::from(before.offset)).minus(8);
    VirtAddr(before.get(record)) != itself
}

impl DentrySums {
    fn add(&mut self, more: &Self) {
        self.dentries += more.dentries;
        self.negative += more.negative;
        self.unused += more.unused;
        self.negative_unused += more.negative_unused;
        self.in_use += more.in_use;
        self.unhashed += more.unhashed;
    }
}
