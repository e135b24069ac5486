//! Objects counted by the place that allocated or freed them (mm/slub.c, `add_location`).

use std::collections::BTreeSet;

use super::{Stack, Table, Track};

/// What is known of the objects of one place.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) objects: u64,
    /// Jiffies, in the kernel's arithmetic.
    pub(super) sum: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) pids: (i32, i32),
    pub(super) cpus: BTreeSet<u32>,
    pub(super) nodes: BTreeSet<u32>,
}

/// Objects by place.
#[derive(Debug)]
pub struct Sites {
    pub(super) table: Table,
    pub(super) jiffies: u64,
    /// Whether the kernel itself tells places apart by their stacks.
    pub(super) by_stack: bool,
    /// Objects whose track the dump lacks.
    pub(super) lost: u64,
}

impl Sites {
    pub(super) fn new(jiffies: u64, by_stack: bool) -> Self {
        Self {
            table: Table::default(),
            jiffies,
            by_stack,
            lost: 0,
        }
    }

    pub(super) fn add(&mut self, track: &Track, node: Option<u32>) {
        let age = self.jiffies.wrapping_sub(track.when);
        let key = (track.addr, track.stack.clone(), track.waste);
        match self.table.get_mut(&key) {
            None => {
                self.table.insert(key, Counts::first(track, age, node));
            }
            Some(known) => known.more(track, age, node),
        }
    }

    /// The table with places that differ only in their stacks put together, for a kernel that
    /// prints no stacks.
    pub(super) fn by_address(self) -> Table {
        let mut merged = Table::default();
        for ((addr, _, waste), counts) in self.table {
            let key = (addr, Stack::default(), waste);
            match merged.get_mut(&key) {
                None => {
                    merged.insert(key, counts);
                }
                Some(known) => known.merge(&counts),
            }
        }
        merged
    }
}

impl Counts {
    fn first(track: &Track, age: u64, node: Option<u32>) -> Self {
        Self {
            objects: 1,
            sum: age,
            min: age,
            max: age,
            pids: (track.pid, track.pid),
            cpus: BTreeSet::from([track.cpu]),
            nodes: node.into_iter().collect(),
        }
    }

    fn more(&mut self, track: &Track, age: u64, node: Option<u32>) {
        self.objects += 1;
        self.nodes.extend(node);
        // Without a time, nothing of the track was ever written.
        if track.when != 0 {
            self.sum = self.sum.wrapping_add(age);
            self.min = self.min.min(age);
            self.max = self.max.max(age);
            self.pids = (self.pids.0.min(track.pid), self.pids.1.max(track.pid));
            self.cpus.insert(track.cpu);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.objects += other.objects;
        self.sum = self.sum.wrapping_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.pids = (self.pids.0.min(other.pids.0), self.pids.1.max(other.pids.1));
        self.cpus.extend(&other.cpus);
        self.nodes.extend(&other.nodes);
    }
}
