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
use super::links::{Cursor, Links};
use super::netns::Namespace;
use super::ordered::{Lost, Ordered, Records, Scratch};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::walk::{self, NullsEnd};
use crate::partial::End;

/// Buckets that one thread walks at a time, and that are in flight at once.
pub(super) const CHUNK: usize = 256;
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
    /// How many connections it may hold, by the kernel's counters.
    pub(super) expected: Option<u64>,
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

/// The connections of some buckets, in the order of their chains.
#[derive(Default)]
pub(super) struct Chained {
    /// Which number the first of them has among those that are gathered together.
    pub(super) first: usize,
    pub(super) conns: Vec<VirtAddr>,
    facts: WalkFacts,
}

impl Table<'_> {
    /// Walks the table. Threads fold the entries of some buckets into an `A` each; `each` gets
    /// those in the order of the buckets, and may stop the walk. Memory is bounded by what a
    /// few thousand buckets hold, and by the size of the cache of pages.
    pub fn walk<A: Send>(
        &self,
        make: impl Fn() -> A + Sync,
        add: impl Fn(&mut A, &Entry) + Sync,
        mut each: impl FnMut(A) -> ControlFlow<()>,
    ) -> WalkFacts {
        let mut all = WalkFacts::default();
        let fold = |chain: &mut Chained, records: Option<&Records>| {
            let (mut made, mut scratch) = (make(), Scratch::default());
            if let Some(records) = records {
                records.touch(chain);
            }
            for (index, conn) in (chain.first..).zip(&chain.conns) {
                let read = match records {
                    Some(records) => records.entry(self, index, *conn, &mut scratch),
                    None => self.entry(*conn),
                };
                match read {
                    Ok(entry) => {
                        chain.facts.entries += 1;
                        chain.facts.lost_extensions += u64::from(entry.ext.is_lost());
                        add(&mut made, &entry);
                    }
                    Err(Lost) => chain.facts.lost_entries += 1,
                }
            }
            made
        };
        let ordered = Ordered::when_it_pays(self);
        let window = ordered
            .as_ref()
            .map_or(IN_FLIGHT, |ordered| ordered.buckets);
        for start in (0..self.buckets).step_by(window) {
            let end = self.buckets.min(start + window);
            let chains = (start..end).into_par_iter().step_by(CHUNK);
            let chains = chains.map(|first| first..end.min(first + CHUNK));
            let mut give = |made: Vec<(A, WalkFacts)>| {
                for (made, facts) in made {
                    all.merge(&facts);
                    each(made)?;
                }
                ControlFlow::Continue(())
            };
            let given = match &ordered {
                None => give(
                    chains
                        .map(|range| {
                            let mut chain = self.chains(range, None);
                            (fold(&mut chain, None), chain.facts)
                        })
                        .collect(),
                ),
                Some(ordered) => {
                    let chains = chains.map(|range| self.chains(range, Some(&ordered.links)));
                    let mut chains: Vec<Chained> = chains.collect();
                    let records = Records::read(self, &mut chains);
                    chains.chunks_mut(IN_FLIGHT / CHUNK).try_for_each(|some| {
                        let folded = some.par_iter_mut().map(|chain| {
                            let made = fold(chain, Some(&records));
                            (made, std::mem::take(&mut chain.facts))
                        });
                        give(folded.collect())
                    })
                }
            };
            if given.is_break() {
                break;
            }
        }
        all
    }

    /// The connection at `conn`. A kernel that runs may be changing it: it is read again, too.
    fn entry(&self, conn: VirtAddr) -> Result<Entry, Lost> {
        let (kernel, namespaces) = (self.kernel, &self.namespaces);
        let read = || self.reader.read(kernel, namespaces, conn, List::Hash);
        let is_whole = |read: &Result<Entry, _>| read.as_ref().is_ok_and(|one| !one.ext.is_lost());
        let mut found = read();
        let mut attempts = if kernel.dump().is_live() { ATTEMPTS } else { 1 };
        while attempts > 1 && !is_whole(&found) {
            found = read();
            attempts -= 1;
        }
        found.map_err(|_| Lost)
    }

    /// Follows the chains of some buckets.
    fn chains(&self, range: std::ops::Range<usize>, links: Option<&Links>) -> Chained {
        let mut chained = Chained::default();
        let mut seen = FxHashSet::default();
        let page = self.kernel.dump().page_size() as u64;
        let (mut at, end) = (range.start as u64, range.end as u64);
        if let Some(links) = links {
            links.touch(&self.heads(at..end));
        }
        while at < end {
            let part = self.parts.partition_point(|part| part.end() <= at);
            let Some(part) = self.parts.get(part) else {
                break;
            };
            // Chains end with the number that a bucket has in its own array.
            let bucket = at - part.first;
            let head = part.hash.plus(bucket * 8);
            let step = match self.kernel.space.read_ptr(head) {
                Ok(first) => {
                    match self.kernel.dump().is_live() {
                        true => self.live_chain(bucket, head, &mut chained),
                        false => self.chain(bucket, first, links, &mut seen, &mut chained),
                    }
                    1
                }
                // A size that was overwritten names millions of buckets: the rest of a page that
                // is not there need not be tried one by one.
                Err(_) => {
                    let rest = (page - head.0 % page) / 8;
                    let lost = rest.clamp(1, end.min(part.end()) - at);
                    chained.facts.lost_buckets += lost;
                    lost
                }
            };
            at += step;
        }
        chained
    }

    /// What the buckets point to that can be read.
    fn heads(&self, buckets: std::ops::Range<u64>) -> Vec<VirtAddr> {
        let space = self.kernel.space.quiet();
        let head = |bucket: u64| {
            let mut parts = self.parts.iter();
            let part = parts.find(|part| bucket < part.end())?;
            space
                .read_ptr(part.hash.plus((bucket - part.first) * 8))
                .ok()
        };
        buckets.filter_map(head).collect()
    }

    /// A chain that changes while it is followed is followed again, as the kernel does where it
    /// ends in another one's marker (net/netfilter/nf_conntrack_core.c).
    fn live_chain(&self, bucket: u64, head: VirtAddr, chained: &mut Chained) {
        for attempt in 1..=ATTEMPTS {
            let mut once = Chained::default();
            match self.kernel.space.read_ptr(head) {
                Ok(first) => {
                    self.chain(bucket, first, None, &mut FxHashSet::default(), &mut once);
                }
                Err(_) => once.facts.lost_buckets += 1,
            }
            if once.facts.is_complete() || attempt == ATTEMPTS {
                chained.facts.merge(&once.facts);
                chained.conns.extend(once.conns);
                return;
            }
        }
    }

    fn chain(
        &self,
        bucket: u64,
        first: VirtAddr,
        links: Option<&Links>,
        seen: &mut FxHashSet<VirtAddr>,
        chained: &mut Chained,
    ) {
        let facts = &mut chained.facts;
        let end = self.follow(first, links, seen, |node, direction| {
            match direction {
                0 => chained.conns.push(node.minus(self.reader.node_offset(0))),
                1 => facts.replies += 1,
                // What it is part of makes no sense: the chain is not followed.
                _ => return false,
            }
            true
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

    /// Follows a chain from `first` on, by `links` as far as they are known. Each node is given
    /// once, with its direction; who gets it says whether it makes sense.
    pub(super) fn follow(
        &self,
        first: VirtAddr,
        links: Option<&Links>,
        seen: &mut FxHashSet<VirtAddr>,
        mut given: impl FnMut(VirtAddr, u8) -> bool,
    ) -> NullsEnd {
        let mut known = links.map(Cursor::new);
        walk::hlist_nulls(first, self.bound, seen, |node| {
            let (next, direction) = match known.as_mut().and_then(|known| known.next(node)) {
                Some(known) => known,
                None => self
                    .reader
                    .node(self.kernel, node)
                    .map_err(|_| End::Fault)?,
            };
            match given(node, direction) {
                true => Ok(next),
                false => Err(End::BrokenLink),
            }
        })
    }
}
