//! The part of `dentries`: names and inodes that are kept, by file system and by directory.

use serde::Serialize;

use crate::subsys::fs::dentries::{
    DentriesFacts, DentryCounters, DentrySums, DirectoryFacts, SuperFacts,
};

/// Over all file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DentryTotals {
    /// Dentries.
    #[serde(flatten)]
    pub sums: DentrySums,
    /// Freed ones that wait for RCU.
    pub dead: u64,
    /// Bytes of the dentries, without what long names take besides.
    pub bytes: u64,
    /// Inodes on the lists of file systems.
    pub inodes: u64,
    /// Of these, those on an LRU.
    pub inodes_unused: u64,
    /// Directories that have a name in memory.
    pub directories: u64,
    /// Dentries on the chains of the hash table.
    pub hashed: u64,
    /// Chains of the hash table.
    pub hash_buckets: u64,
}

/// The part of `dentries`.
#[derive(Clone, Debug, Serialize)]
pub struct DentriesReport {
    /// Over all.
    pub totals: DentryTotals,
    /// As the kernel's own counters have it.
    pub counters: DentryCounters,
    /// File systems, those with the most first.
    pub mounts: Vec<SuperFacts>,
    /// Directories, those with the most first, as many as were asked for.
    pub directories: Vec<DirectoryFacts>,
}

impl DentriesReport {
    /// Sums up.
    pub fn new(facts: DentriesFacts) -> Self {
        let sums = facts.totals;
        let totals = DentryTotals {
            bytes: (sums.dentries + facts.dead).saturating_mul(facts.object_bytes),
            inodes: facts.supers.iter().map(|of| of.inodes).sum(),
            inodes_unused: facts.supers.iter().map(|of| of.inodes_unused).sum(),
            directories: facts.directories_seen,
            hashed: facts.hashed,
            hash_buckets: facts.buckets,
            dead: facts.dead,
            sums,
        };
        Self {
            totals,
            counters: facts.counters,
            mounts: facts.supers,
            directories: facts.directories,
        }
    }
}
