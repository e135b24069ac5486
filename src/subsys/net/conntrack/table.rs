//! The hash table, walked bucket by bucket, on all cores, in the table's order.
//!
//! A connection is in the table twice, once per direction; it is given where its
//! original direction is. A chain ends with its bucket's number instead of a null
//! pointer (`hlist_nulls`): another number says that an object moved to another chain
//! under the reader's feet, which a dump can have caught.

use std::ops::ControlFlow;

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::entry::{Entry, EntryReader, List};
use super::netns::Namespace;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::walk::{self, NullsEnd};
use crate::partial::End;

/// Buckets that one thread walks at a time, and that are in flight at once.
const CHUNK: usize = 256;
const IN_FLIGHT: usize = 64 * CHUNK;
/// How often a chain of a kernel that runs is followed at most.
const ATTEMPTS: u32 = 8;

/// The table and everything needed to read it.
#[derive(Debug)]
pub struct Table<'k> {
    pub(crate) kernel: &'k Kernel,
    pub(crate) reader: EntryReader,
    pub(crate) namespaces: Vec<Namespace>,
    /// One behind the other: one of all namespaces, or one of each (up to 4.6).
    pub(crate) parts: Vec<Part>,
    /// Number of buckets.
    pub buckets: usize,
    /// More nodes than this are in no chain.
    pub(crate) bound: u64,
}

/// An array of buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) hash: VirtAddr,
    /// How many buckets come before it, and are in it.
    pub(crate) first: u64,
    pub(crate) buckets: u64,
}

impl Part {
    /// Parts out of arrays and their lengths, of `most` buckets at most.
    pub(crate) fn all(arrays: impl Iterator<Item = (VirtAddr, u64)>, most: u64) -> Vec<Self> {
        let mut first = 0;
        let mut parts = Vec::new();
        for (hash, buckets) in arrays {
            let buckets = buckets.min(most - first);
            parts.push(Self {
                hash,
                first,
                buckets,
            });
            first += buckets;
        }
        parts
    }

    fn end(&self) -> u64 {
        self.first + self.buckets
    }
}

/// What the walk says besides the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct WalkFacts {
    /// Connections, by their original direction.
    pub entries: u64,
    /// Nodes of the reply direction.
    pub replies: u64,
    /// Buckets that hold anything.
    pub used_buckets: u64,
    /// Nodes in the longest chain.
    pub longest_chain: u64,
    /// Chains that are circular, broken or enter missing memory: what is behind the break is lost.
    pub broken_chains: u64,
    /// Chains that end with another bucket's number.
    pub moved_chains: u64,
    /// Buckets whose head is not in the dump.
    pub lost_buckets: u64,
    /// Connections that can't be read.
    pub lost_entries: u64,
    /// Connections whose extensions can't be read.
    pub lost_extensions: u64,
}

impl WalkFacts {
    fn merge(&mut self, other: &Self) {
        self.entries += other.entries;
        self.replies += other.replies;
        self.used_buckets += other.used_buckets;
        self.longest_chain = self.longest_chain.max(other.longest_chain);
        self.broken_chains += other.broken_chains;
        self.moved_chains += other.moved_chains;
        self.lost_buckets += other.lost_buckets;
        self.lost_entries += other.lost_entries;
        self.lost_extensions += other.lost_extensions;
    }

    /// Whether nothing was lost.
    pub fn is_complete(&self) -> bool {
        self.broken_chains == 0
            && self.lost_buckets == 0
            && self.lost_entries == 0
            && self.lost_extensions == 0
            && self.moved_chains == 0
    }
}

impl Table<'_> {
    /// Walks the table. Threads fold the entries of some buckets into an `A` each; `each` gets
    /// those in the order of the buckets, and may stop the walk. Memory is bounded by what a
    /// few thousand buckets hold.
    pub fn walk<A: Send>(
        &self,
        make: impl Fn() -> A + Sync,
        add: impl Fn(&mut A, &Entry) + Sync,
        mut each: impl FnMut(A) -> ControlFlow<()>,
    ) -> WalkFacts {
        let mut facts = WalkFacts::default();
        for start in (0..self.buckets).step_by(IN_FLIGHT) {
            let end = self.buckets.min(start + IN_FLIGHT);
            let chunks: Vec<(A, WalkFacts)> = (start..end)
                .into_par_iter()
                .step_by(CHUNK)
                .map(|first| {
                    let mut made = make();
                    let mut facts = WalkFacts::default();
                    let last = end.min(first + CHUNK);
                    self.buckets(first..last, &mut facts, |entry| add(&mut made, entry));
                    (made, facts)
                })
                .collect();
            for (made, chunk) in chunks {
                facts.merge(&chunk);
                if each(made).is_break() {
                    return facts;
                }
            }
        }
        facts
    }

    fn buckets(
        &self,
        range: std::ops::Range<usize>,
        facts: &mut WalkFacts,
        mut found: impl FnMut(&Entry),
    ) {
        let mut seen = FxHashSet::default();
        let page = self.kernel.dump().page_size() as u64;
        let (mut at, end) = (range.start as u64, range.end as u64);
        while at < end {
            let part = self.parts.partition_point(|part| part.end() <= at);
            let Some(part) = self.parts.get(part) else {
                return;
            };
            // Chains end with the number that a bucket has in its own array.
            let bucket = at - part.first;
            let head = part.hash.plus(bucket * 8);
            let step = match self.kernel.space.read_ptr(head) {
                Ok(first) => {
                    match self.kernel.dump().is_live() {
                        true => self.live_chain(bucket, head, facts, &mut found),
                        false => self.chain(bucket, first, facts, &mut seen, &mut found),
                    }
                    1
                }
                // A size that was overwritten names millions of buckets: the rest of a page that
                // is not there need not be tried one by one.
                Err(_) => {
                    let rest = (page - head.0 % page) / 8;
                    let lost = rest.clamp(1, end.min(part.end()) - at);
                    facts.lost_buckets += lost;
                    lost
                }
            };
            at += step;
        }
    }

    /// A chain that changes while it is followed is followed again, as the kernel does where it
    /// ends in another one's marker (net/netfilter/nf_conntrack_core.c).
    fn live_chain(
        &self,
        bucket: u64,
        head: VirtAddr,
        facts: &mut WalkFacts,
        found: &mut impl FnMut(&Entry),
    ) {
        for attempt in 1..=ATTEMPTS {
            let (mut once, mut entries) = (WalkFacts::default(), Vec::new());
            match self.kernel.space.read_ptr(head) {
                Ok(first) => {
                    let mut keep = |entry: &Entry| entries.push(entry.clone());
                    self.chain(
                        bucket,
                        first,
                        &mut once,
                        &mut FxHashSet::default(),
                        &mut keep,
                    );
                }
                Err(_) => once.lost_buckets += 1,
            }
            if once.is_complete() || attempt == ATTEMPTS {
                facts.merge(&once);
                entries.iter().for_each(found);
                return;
            }
        }
    }

    fn chain(
        &self,
        bucket: u64,
        first: VirtAddr,
        facts: &mut WalkFacts,
        seen: &mut FxHashSet<VirtAddr>,
        found: &mut impl FnMut(&Entry),
    ) {
        let end = self.follow(first, seen, |node, direction| {
            self.node(node, direction, facts, found)
        });
        let length = seen.len() as u64;
        facts.used_buckets += u64::from(length > 0);
        facts.longest_chain = facts.longest_chain.max(length);
        match end {
            NullsEnd::Marker(marker) if marker != bucket => facts.moved_chains += 1,
            NullsEnd::Marker(_) => {}
            NullsEnd::Broken(_) => facts.broken_chains += 1,
        }
    }

    /// Follows a chain from `first` on. Each node is given once, with its direction; who gets it
    /// says whether it makes sense.
    pub(super) fn follow(
        &self,
        first: VirtAddr,
        seen: &mut FxHashSet<VirtAddr>,
        mut given: impl FnMut(VirtAddr, u8) -> bool,
    ) -> NullsEnd {
        walk::hlist_nulls(first, self.bound, seen, |node| {
            let read = self.reader.node(self.kernel, node);
            let (next, direction) = read.map_err(|_| End::Fault)?;
            match given(node, direction) {
                true => Ok(next),
                false => Err(End::BrokenLink),
            }
        })
    }

    /// `false` if what the node is part of makes no sense, so that the chain is not followed.
    fn node(
        &self,
        node: VirtAddr,
        direction: u8,
        facts: &mut WalkFacts,
        found: &mut impl FnMut(&Entry),
    ) -> bool {
        match direction {
            0 => {
                let conn = node.minus(self.reader.node_offset(0));
                match self
                    .reader
                    .read(self.kernel, &self.namespaces, conn, List::Hash)
                {
                    Ok((entry, fault)) => {
                        facts.entries += 1;
                        facts.lost_extensions += u64::from(fault.is_some());
                        found(&entry);
                    }
                    Err(_) => facts.lost_entries += 1,
                }
                true
            }
            1 => {
                facts.replies += 1;
                true
            }
            _ => false,
        }
    }
}
