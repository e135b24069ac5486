//! The part of `ps`: processes, and their memory summed up by cgroup and by user.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::task::{MmFacts, ProcessFacts, TaskFacts};

/// Memory of several processes. Shared pages count for each that has them in RAM; an address
/// space that several share counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemorySum {
    /// Processes, kernel threads left out.
    pub processes: u64,
    /// Anonymous memory.
    pub rss_anon_bytes: u64,
    /// Pages of files.
    pub rss_file_bytes: u64,
    /// Shared memory and tmpfs.
    pub rss_shmem_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// Page tables.
    pub page_table_bytes: u64,
}

impl MemorySum {
    fn add(&mut self, process: &ProcessFacts) {
        let Some(memory) = &process.memory else {
            return;
        };
        self.processes += 1;
        let shared = process.shares_memory;
        let MmFacts {
            rss_anon_bytes,
            rss_file_bytes,
            rss_shmem_bytes,
            swap_bytes,
            page_table_bytes,
            ..
        } = if shared { MmFacts::default() } else { *memory };
        self.rss_anon_bytes += rss_anon_bytes;
        self.rss_file_bytes += rss_file_bytes;
        self.rss_shmem_bytes += rss_shmem_bytes;
        self.swap_bytes += swap_bytes;
        self.page_table_bytes += page_table_bytes;
    }

    /// What is gone if they all end: anonymous memory, swap and page tables.
    pub fn own_bytes(&self) -> u64 {
        self.rss_anon_bytes + self.swap_bytes + self.page_table_bytes
    }
}

/// A sum, and of whom.
#[derive(Clone, Debug, Serialize)]
pub struct GroupSum {
    /// A cgroup's path, or a user's number.
    pub name: String,
    /// Of its processes.
    #[serde(flatten)]
    pub sum: MemorySum,
}

/// The part of `ps`.
#[derive(Clone, Debug, Serialize)]
pub struct PsReport {
    /// Those with the most memory first; kernel threads behind, by pid.
    pub processes: Vec<ProcessFacts>,
    /// Over all.
    pub totals: MemorySum,
    /// Kernel threads.
    pub kernel_threads: u64,
    /// By cgroup, the largest first.
    pub cgroups: Vec<GroupSum>,
    /// By user.
    pub users: Vec<GroupSum>,
}

impl PsReport {
    /// Sorts and sums up.
    pub fn new(facts: TaskFacts) -> Self {
        let mut processes = facts.processes;
        let mut totals = MemorySum::default();
        processes.iter().for_each(|process| totals.add(process));
        let cgroups = grouped(&processes, |process| process.cgroup.clone());
        let users = grouped(&processes, |process| Some(process.uid?.to_string()));
        let kernel_threads = processes.iter().filter(|one| one.kernel_thread).count() as u64;
        let held = |process: &ProcessFacts| {
            let memory = process.memory.as_ref();
            memory.map(|memory| memory.rss_bytes() + memory.swap_bytes)
        };
        processes.sort_by_key(|process| (Reverse(held(process)), process.pid));
        Self {
            processes,
            totals,
            kernel_threads,
            cgroups,
            users,
        }
    }
}

fn grouped(
    processes: &[ProcessFacts],
    name: impl Fn(&ProcessFacts) -> Option<String>,
) -> Vec<GroupSum> {
    let mut sums: BTreeMap<String, MemorySum> = BTreeMap::new();
    for process in processes.iter().filter(|process| process.memory.is_some()) {
        let name = name(process).unwrap_or_else(|| "unknown".to_owned());
        sums.entry(name).or_default().add(process);
    }
    let mut groups: Vec<GroupSum> = sums
        .into_iter()
        .map(|(name, sum)| GroupSum { name, sum })
        .collect();
    groups.sort_by_key(|group| Reverse(group.sum.own_bytes()));
    groups
}
