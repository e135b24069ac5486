//! The whole of conntrack into memory, and the truth about it.

use std::collections::BTreeMap;

use super::entry::{Entry, HZ, Place};
use super::expect::{self, Masters};
use super::fields::Fields;
use super::lists::{self, DYING_NULLS, POISON, UNCONFIRMED_NULLS};
use super::netns::{self, LaidNetns, TIMEOUTS};
use super::object::{self, as_of};
use super::rooms::{Room, ext_cache};
use super::scenario::{Conntrack, Entries};
use super::truth::{self, ConntrackTruth, ExpectationTruth, Laid, NetnsTruth};
use super::{ext, proc};
use crate::machine::Kernel;
use crate::machine::cpus::PerCpu;
use crate::machine::identity::JIFFIES;
use crate::slub::lay::LaidSlub;

/// Where everything lies, for those who want to break it.
#[derive(Debug, Clone)]
pub struct LaidConntrack {
    /// Address of the bucket array.
    pub hash: u64,
    /// Addresses of the `hnnode`s in each bucket, in order.
    pub chains: Vec<Vec<u64>>,
    /// Addresses of the `nf_conn`s in the order of the scenario.
    pub entries: Vec<u64>,
    /// Addresses of their extensions; 0 for none.
    pub exts: Vec<u64>,
    /// Bytes from an `nf_conn` to its two `hnnode`s.
    pub nodes: [u64; 2],
}

/// What is known while entries are laid.
struct Work<'a> {
    conntrack: &'a Conntrack,
    fields: Fields,
    netns: Vec<LaidNetns>,
    counts: Vec<u64>,
    helpers: BTreeMap<&'static str, u64>,
    policy: u64,
    laid: LaidConntrack,
    /// Nodes of entries outside the hash, by place and namespace.
    apart: BTreeMap<(bool, usize), Vec<u64>>,
    in_hash: u64,
}

/// Lays a scenario's conntrack.
pub(crate) fn lay(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    slub: &LaidSlub,
    conntrack: &Conntrack,
) -> (LaidConntrack, ConntrackTruth) {
    let mut fields = Fields::new(&kernel.types);
    let cache = slub
        .caches
        .iter()
        .find(|laid| laid.cache.name == "nf_conntrack");
    let cache = cache.expect("cache").address;
    let netns = netns::lay(kernel, percpu, conntrack);
    let own = kernel.types.has("netns_ct", "hash");
    // Up to 4.6 each namespace has a table of its own: one behind the other here.
    let tables = if own { netns.len() as u64 } else { 1 };
    let hash = lay_globals(kernel, conntrack, tables);
    if own {
        for (index, netns) in netns.iter().enumerate() {
            let table = hash + index as u64 * conntrack.buckets * 8;
            for (path, value) in [
                ("ct.hash", table),
                ("ct.htable_size", conntrack.buckets),
                ("ct.nf_conntrack_cachep", cache),
            ] {
                kernel.set(netns.address, "net", path, value);
            }
        }
    } else {
        kernel.set_variable("nf_conntrack_cachep", cache);
    }
    let helpers = expect::lay_helpers(kernel, &mut fields);
    let policy = expect::lay_policy(kernel);
    let first = fields.offset("nf_conn", "tuplehash") as u64;
    let second = first + fields.sizeof("nf_conntrack_tuple_hash") as u64;
    let mut work = Work {
        conntrack,
        counts: vec![0; netns.len()],
        netns,
        helpers,
        policy,
        laid: LaidConntrack {
            hash,
            chains: vec![Vec::new(); (conntrack.buckets * tables) as usize],
            entries: Vec::new(),
            exts: Vec::new(),
            nodes: [first, second],
        },
        apart: BTreeMap::new(),
        in_hash: 0,
        fields,
    };
    let entries = lay_entries(kernel, slub, &mut work);
    lay_stale(kernel, slub, &mut work);
    link(kernel, percpu, &work);
    let expectations = lay_expectations(kernel, slub, &mut work);
    let netns = lay_counts(kernel, &work);
    let longest = work.laid.chains.iter().map(Vec::len).max().unwrap_or(0);
    let used = work.laid.chains.iter().filter(|chain| !chain.is_empty());
    let truth = ConntrackTruth {
        buckets: work.laid.chains.len() as u64,
        max: conntrack.max,
        hz: HZ as u32,
        objects: conntrack.entries.count(),
        in_hash: work.in_hash,
        longest_chain: longest as u64,
        used_buckets: used.count() as u64,
        gc_age: work
            .fields
            .has("conntrack_gc_work", "start_time")
            .then_some(conntrack.gc_age),
        timeouts: TIMEOUTS.iter().map(|each| (each.0, each.3)).collect(),
        netns,
        entries,
        expectations,
    };
    (work.laid, truth)
}

/// Variables and the bucket array. Returns the array's address.
fn lay_globals(kernel: &mut Kernel, conntrack: &Conntrack, tables: u64) -> u64 {
    let hash = kernel.vmalloc(conntrack.buckets * tables * 8);
    let old = kernel.types.has("netns_ct", "hash");
    for (name, value) in [
        ("nf_conntrack_hash", hash),
        ("nf_conntrack_htable_size", conntrack.buckets),
        ("nf_conntrack_max", u64::from(conntrack.max)),
        ("nf_conntrack_generation", 2),
    ] {
        if !old || !matches!(name, "nf_conntrack_hash" | "nf_conntrack_generation") {
            kernel.set_variable(name, value);
        }
    }
    if old {
        return hash;
    }
    let gc = kernel.symbol("conntrack_gc_work");
    let started = (JIFFIES as u32).wrapping_sub(conntrack.gc_age);
    for (member, value) in [
        ("next_bucket", conntrack.buckets / 3),
        ("start_time", u64::from(started)),
        ("avg_timeout", 60 * HZ as u64),
        ("dwork.timer.expires", JIFFIES + 60 * HZ as u64),
    ] {
        if kernel.types.has("conntrack_gc_work", member) {
            kernel.set(gc, "conntrack_gc_work", member, value);
        }
    }
    hash
}

fn lay_entries(
    kernel: &mut Kernel,
    slub: &LaidSlub,
    work: &mut Work<'_>,
) -> Vec<truth::EntryTruth> {
    let listed = matches!(work.conntrack.entries, Entries::Listed(_));
    let mut room = Room::of(kernel, slub, "nf_conntrack", listed);
    let mut small = Room::of(kernel, slub, "kmalloc-128", listed);
    let mut large = Room::of(kernel, slub, "kmalloc-256", listed);
    let count = work.conntrack.entries.count();
    work.laid.entries = (0..count).map(|_| room.take()).collect();
    let mut truths = Vec::new();
    for number in 0..count {
        let entry = as_of(kernel.era, work.conntrack.entries.get(number));
        let links = ext::Links {
            helper: entry.helper.map_or(0, |name| work.helpers[name]),
            policy: work.policy,
        };
        let mut at = 0;
        if let Some(block) = ext::bytes(&mut work.fields, &entry, links) {
            let is_small = ext_cache(block.len()) == "kmalloc-128";
            at = if is_small { &mut small } else { &mut large }.take();
            kernel.write(at, &block);
        }
        work.laid.exts.push(at);
        let laid = lay_entry(kernel, work, number, &entry, at);
        if listed {
            truths.push(truth::entry(kernel.era, entry, &laid));
        }
    }
    assert!(room.is_empty() && small.is_empty() && large.is_empty());
    truths
}

fn lay_entry(
    kernel: &mut Kernel,
    work: &mut Work<'_>,
    number: u64,
    entry: &Entry,
    ext: u64,
) -> Laid {
    let address = work.laid.entries[number as usize];
    let master = entry.master.map_or(0, |master| work.laid.entries[master]);
    let links = object::Links {
        net: work.netns[entry.netns].address,
        ext,
        master,
    };
    let bytes = object::bytes(&mut work.fields, entry, links);
    kernel.write(address, &bytes);
    work.counts[entry.netns] += 1;
    let nodes = work.laid.nodes.map(|node| address + node);
    let mut buckets = None;
    match entry.place {
        Place::Hash => {
            let size = work.conntrack.buckets;
            let two =
                [0, 1].map(|dir| entry.bucket.unwrap_or_else(|| mix(number * 2 + dir) % size));
            let tables = work.laid.chains.len() as u64 / size;
            let table = if tables > 1 { entry.netns as u64 } else { 0 };
            for (node, bucket) in nodes.iter().zip(two) {
                let chain = table * size + bucket;
                work.laid.chains[chain as usize].push(*node);
            }
            buckets = Some(two);
            work.in_hash += 1;
        }
        Place::Unconfirmed | Place::Dying => {
            let key = (entry.place == Place::Dying, entry.netns);
            work.apart.entry(key).or_default().push(nodes[0]);
        }
        Place::Unlinked => {}
    }
    if matches!(entry.place, Place::Dying | Place::Unlinked) {
        // Deleted from the hash: next stays, pprev is poisoned.
        for node in nodes {
            kernel.write_u64(node, ((mix(number) % work.conntrack.buckets) << 1) | 1);
            kernel.write_u64(node + 8, POISON);
        }
    }
    Laid {
        address,
        ext,
        master,
        netns: work.conntrack.netns[entry.netns].inum,
        buckets,
    }
}

/// Any good spread will do: nobody recomputes the kernel's keyed hash.
fn mix(number: u64) -> u64 {
    crate::random::Random::new(number).word() >> 8
}

/// Free objects that look like connections, and even hold a reference.
fn lay_stale(kernel: &mut Kernel, slub: &LaidSlub, work: &mut Work<'_>) {
    let mut room = Room::of(kernel, slub, "nf_conntrack", false);
    for number in 0..work.conntrack.stale {
        let Some(address) = room.take_free() else {
            break;
        };
        let mut entry = as_of(kernel.era, work.conntrack.entries.get(number));
        entry.uses = number as u32 % 2;
        let links = object::Links {
            net: work.netns[entry.netns].address,
            ext: work.laid.exts[number as usize],
            master: 0,
        };
        let bytes = object::bytes(&mut work.fields, &entry, links);
        kernel.write(address, &bytes);
        for node in work.laid.nodes {
            kernel.write_u64(address + node, number << 1 | 1);
            kernel.write_u64(address + node + 8, POISON);
        }
    }
}

/// Links the chains of the hash and the lists beside it.
fn link(kernel: &mut Kernel, percpu: &PerCpu, work: &Work<'_>) {
    for (bucket, chain) in work.laid.chains.iter().enumerate() {
        let head = work.laid.hash + bucket as u64 * 8;
        let own = bucket as u64 % work.conntrack.buckets;
        lists::link(kernel, head, chain, own);
    }
    let none = Vec::new();
    for (index, netns) in work.netns.iter().enumerate() {
        let nodes = |dying| work.apart.get(&(dying, index)).unwrap_or(&none);
        if let Some(pointer) = netns.lists {
            // Every second entry is on another CPU.
            for cpu in 0..percpu.offsets.len() {
                for (dying, member, nulls) in [
                    (false, "unconfirmed", UNCONFIRMED_NULLS),
                    (true, "dying", DYING_NULLS),
                ] {
                    let nodes = nodes(dying).iter().skip(cpu).step_by(2);
                    let mine: Vec<u64> = if cpu < 2 {
                        nodes.copied().collect()
                    } else {
                        Vec::new()
                    };
                    let at = percpu.pointer(pointer, cpu as u32);
                    let head = at + kernel.types.offset("ct_pcpu", member);
                    lists::link(kernel, head, &mine, nulls);
                }
            }
        } else {
            let path = "ecache.dying_list";
            let head = netns.conntrack + kernel.types.offset("nf_conntrack_net", path);
            lists::link(kernel, head, nodes(true), DYING_NULLS);
        }
    }
}

fn lay_expectations(
    kernel: &mut Kernel,
    slub: &LaidSlub,
    work: &mut Work<'_>,
) -> Vec<ExpectationTruth> {
    let conntrack = work.conntrack;
    let mut room = Room::of(kernel, slub, "nf_conntrack_expect", true);
    let masters = Masters {
        entries: &work.laid.entries,
        exts: &work.laid.exts,
        helpers: &work.helpers,
        netns: &work.netns,
    };
    let laid = expect::lay(kernel, &mut work.fields, &mut room, conntrack, &masters);
    let all = laid.iter().zip(&conntrack.expectations);
    all.map(|(address, expected)| {
        let master = conntrack.entries.get(expected.master as u64);
        let helper = master.helper.expect("a helper");
        ExpectationTruth {
            address: *address,
            netns: conntrack.netns[master.netns].inum,
            master: work.laid.entries[expected.master],
            helper,
            proc_line: proc::expect_line(expected, helper),
            expectation: expected.clone(),
        }
    })
    .collect()
}

fn lay_counts(kernel: &mut Kernel, work: &Work<'_>) -> Vec<NetnsTruth> {
    let conntrack = work.conntrack;
    let mut found = Vec::new();
    for (index, laid) in work.netns.iter().enumerate() {
        let mine = conntrack
            .expectations
            .iter()
            .filter(|expected| conntrack.entries.get(expected.master as u64).netns == index);
        let expect_count = mine.count() as u64;
        netns::set_counts(kernel, laid, work.counts[index], expect_count);
        let netns = &conntrack.netns[index];
        found.push(NetnsTruth {
            address: laid.address,
            inum: netns.inum,
            initial: index == 0,
            count: work.counts[index],
            expect_count,
            stats: netns.stats.clone(),
            stat_lines: proc::stat_lines(kernel.era, work.counts[index], &netns.stats),
        });
    }
    found
}
