//! Ways to break the connection table.
//!
//! Each function returns the bucket that was harmed and what is lost with it, so that
//! a test can ask for everything else.

use super::{NON_CANONICAL, exclude_address};
use crate::conntrack::LaidConntrack;
use crate::machine::Machine;

/// An address that is none and even: an odd one would be a marker.
pub const WILD: u64 = NON_CANONICAL & !7;

/// What a broken chain costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenChain {
    /// The bucket.
    pub bucket: u64,
    /// Nodes that can still be reached through it.
    pub reachable: u64,
    /// Entries whose original direction cannot be reached any more.
    pub lost: Vec<u64>,
}

fn laid(machine: &Machine) -> &LaidConntrack {
    machine.conntrack.as_ref().expect("a connection table")
}

/// Entries whose original direction is among these nodes.
fn originals(machine: &Machine, nodes: &[u64]) -> Vec<u64> {
    let first = laid(machine).nodes[0];
    let dir = machine
        .kernel
        .types
        .offset("nf_conntrack_tuple_hash", "tuple.dst.dir");
    let all = nodes.iter();
    let mine = all.filter(|node| machine.kernel.read_u64(**node + dir) & 0xff == 0);
    mine.map(|node| node - first).collect()
}

/// The `number`th bucket that has at least `nodes` nodes.
pub fn bucket_with(machine: &Machine, nodes: usize, number: usize) -> u64 {
    let chains = laid(machine).chains.iter().enumerate();
    let mut long = chains.filter(|(_, chain)| chain.len() >= nodes);
    long.nth(number).expect("a bucket with enough nodes").0 as u64
}

/// Lets the node at `index` of a chain be followed by `next`.
fn redirect(machine: &mut Machine, bucket: u64, index: usize, next: u64) -> BrokenChain {
    let chain = laid(machine).chains[bucket as usize].clone();
    let lost = originals(machine, &chain[index + 1..]);
    machine.kernel.write_u64(chain[index], next);
    BrokenChain {
        bucket,
        reachable: index as u64 + 1,
        lost,
    }
}

/// The last node of a chain is followed by the chain's first: nothing is lost, and
/// the chain never ends.
pub fn chain_cycle(machine: &mut Machine, bucket: u64) -> BrokenChain {
    let chain = &laid(machine).chains[bucket as usize];
    let (first, last) = (chain[0], chain.len() - 1);
    redirect(machine, bucket, last, first)
}

/// The first node of a chain is followed by `target` ([`WILD`] will do); the rest is
/// lost.
pub fn wild_node(machine: &mut Machine, bucket: u64, target: u64) -> BrokenChain {
    redirect(machine, bucket, 0, target)
}

/// CPU 0's list `unconfirmed` or `dying` of the first namespace begins where no memory is; kernels
/// up to 5.18.
pub fn wild_list(machine: &mut Machine, list: &str) {
    let kernel = &mut machine.kernel;
    let lists = kernel.get(kernel.symbol("init_net"), "net", "ct.pcpu_lists");
    let area = kernel.read_u64(kernel.symbol("__per_cpu_offset"));
    let head = area.wrapping_add(lists) + kernel.types.offset("ct_pcpu", list);
    kernel.write_u64(head, WILD);
}

/// A chain's head is an address that is none; all of it is lost.
pub fn wild_head(machine: &mut Machine, bucket: u64) -> BrokenChain {
    let chain = laid(machine).chains[bucket as usize].clone();
    let head = laid(machine).hash + bucket * 8;
    machine.kernel.write_u64(head, WILD);
    BrokenChain {
        bucket,
        reachable: 0,
        lost: originals(machine, &chain),
    }
}

/// A chain ends with the marker of another bucket, as when an entry was moved while
/// the machine died. Nothing is lost.
pub fn foreign_marker(machine: &mut Machine, bucket: u64, other: u64) -> BrokenChain {
    let last = laid(machine).chains[bucket as usize].len() - 1;
    redirect(machine, bucket, last, other << 1 | 1)
}

/// A chain goes over into another bucket's chain and ends there: entries of the other
/// one can be reached twice. Returns what the first chain loses: nothing.
pub fn moved_chain(machine: &mut Machine, bucket: u64, other: u64) -> BrokenChain {
    let first = laid(machine).chains[other as usize][0];
    let last = laid(machine).chains[bucket as usize].len() - 1;
    redirect(machine, bucket, last, first)
}

/// What an excluded page of the bucket array costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostBuckets {
    /// The buckets.
    pub buckets: std::ops::Range<u64>,
    /// The page frame.
    pub pfn: u64,
    /// Entries whose original direction was in them.
    pub lost: Vec<u64>,
    /// Those of them whose other direction was in them too: not in the hash at all.
    pub lost_entirely: Vec<u64>,
}

/// Takes a page of the bucket array out of the dump.
pub fn exclude_buckets(machine: &mut Machine, page: u64) -> LostBuckets {
    let buckets = page * 512..(page + 1) * 512;
    let table = laid(machine);
    let chains = &table.chains[buckets.start as usize..buckets.end as usize];
    let nodes: Vec<u64> = chains.concat();
    let (second, hash) = (table.nodes[1], table.hash);
    let lost = originals(machine, &nodes);
    let entirely = lost.iter().copied();
    let lost_entirely = entirely
        .filter(|ct| nodes.contains(&(ct + second)))
        .collect();
    LostBuckets {
        pfn: exclude_address(machine, hash + page * 4096),
        buckets,
        lost,
        lost_entirely,
    }
}

/// The extensions of an entry lie at an address that is none. Returns the entry.
pub fn wild_ext(machine: &mut Machine, number: usize) -> u64 {
    let entry = laid(machine).entries[number];
    machine.kernel.set(entry, "nf_conn", "ext", WILD);
    entry
}

/// An extension's offset points beyond the block's length. Returns the entry.
pub fn wild_ext_offset(machine: &mut Machine, number: usize) -> u64 {
    let table = laid(machine);
    let (entry, ext) = (table.entries[number], table.exts[number]);
    assert_ne!(ext, 0, "entry {number} has extensions");
    let id = machine.kernel.types.constant("NF_CT_EXT_ACCT");
    machine.kernel.write(ext + id, &[0xf8]);
    entry
}
