//! What a reader of the connection table should find.

use super::entry::{Entry, Place, State};
use super::ext;
use super::object::raw_timeout;
use super::proc;
use super::scenario::{Expectation, Stat};
use super::status::NAMES;
use crate::era::Era;

/// Where an entry can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// In the hash.
    Hash,
    /// On a CPU's list of unconfirmed entries (to 5.18).
    Unconfirmed,
    /// On a CPU's list of dying entries (to 5.18), or on ecache's (5.19).
    Dying,
    /// On no list: an allocated object of the slab cache and nothing else.
    Unlinked,
}

impl List {
    /// Where this era keeps what is at `place`.
    pub fn of(era: Era, place: Place) -> Self {
        match place {
            Place::Hash => List::Hash,
            Place::Dying => List::Dying,
            Place::Unconfirmed if era.has_unconfirmed_list() => List::Unconfirmed,
            Place::Unconfirmed | Place::Unlinked => List::Unlinked,
        }
    }

    /// `hash`, `unconfirmed`, `dying` or `unlinked`.
    pub fn name(self) -> &'static str {
        match self {
            List::Hash => "hash",
            List::Unconfirmed => "unconfirmed",
            List::Dying => "dying",
            List::Unlinked => "unlinked",
        }
    }
}

/// All of conntrack.
#[derive(Debug, Clone)]
pub struct ConntrackTruth {
    /// `nf_conntrack_htable_size`.
    pub buckets: u64,
    /// `nf_conntrack_max`.
    pub max: u32,
    /// Ticks in a second.
    pub hz: u32,
    /// Objects allocated from the slab cache.
    pub objects: u64,
    /// Entries in the hash, each counted once.
    pub in_hash: u64,
    /// Nodes in the longest chain.
    pub longest_chain: u64,
    /// Buckets with at least one node.
    pub used_buckets: u64,
    /// Ticks since the garbage collector began its last round, where the era tells.
    pub gc_age: Option<u32>,
    /// Timeouts in force in every namespace: name without `nf_conntrack_` and
    /// `_timeout`, and seconds.
    pub timeouts: Vec<(&'static str, u32)>,
    /// Namespaces in the order of `net_namespace_list`.
    pub netns: Vec<NetnsTruth>,
    /// Entries in the order of the scenario; empty where they are made up.
    pub entries: Vec<EntryTruth>,
    /// Expectations.
    pub expectations: Vec<ExpectationTruth>,
}

impl ConntrackTruth {
    /// The lines of a namespace's /proc/net/nf_conntrack, in no order.
    pub fn proc_lines(&self, inum: u32) -> Vec<&str> {
        let here = self.entries.iter().filter(|entry| entry.netns == inum);
        here.filter_map(|entry| entry.proc_line.as_deref())
            .collect()
    }

    /// The lines of a namespace's /proc/net/nf_conntrack_expect, in no order.
    pub fn expect_lines(&self, inum: u32) -> Vec<&str> {
        let here = self.expectations.iter().filter(|each| each.netns == inum);
        here.map(|each| each.proc_line.as_str()).collect()
    }
}

/// One namespace.
#[derive(Debug, Clone)]
pub struct NetnsTruth {
    /// Address of the `struct net`.
    pub address: u64,
    /// `ns.inum`.
    pub inum: u32,
    /// It is `init_net`.
    pub initial: bool,
    /// `nf_conntrack_count`.
    pub count: u64,
    /// Expectations.
    pub expect_count: u64,
    /// Statistics of each possible CPU.
    pub stats: Vec<Stat>,
    /// Its /proc/net/stat/nf_conntrack, the header line first.
    pub stat_lines: Vec<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct EntryTruth {
    /// Address of the `nf_conn`.
    pub address: u64,
    /// `ns.inum` of its namespace.
    pub netns: u32,
    /// Everything that was asked for, as this era keeps it: tuples, mark, zone,
    /// uses, extensions.
    pub entry: Entry,
    /// Name of the network protocol.
    pub l3name: &'static str,
    /// Name of the transport protocol.
    pub l4name: &'static str,
    /// Name of the state.
    pub state: Option<&'static str>,
    /// Names of the status bits, lowest first.
    pub status: Vec<&'static str>,
    /// `nf_conn.timeout` as it is in memory.
    pub timeout_raw: u32,
    /// Seconds until it expires, 0 if it has.
    pub seconds: u32,
    /// It has expired and waits to be collected.
    pub expired: bool,
    /// Where it is.
    pub list: List,
    /// Buckets of its two directions.
    pub buckets: Option<[u64; 2]>,
    /// Address of its extensions; 0 if it has none.
    pub ext: u64,
    /// Address of its master.
    pub master: u64,
    /// When it began, in nanoseconds since 1970.
    pub start: Option<u64>,
    /// When it ended; 0 while it lives.
    pub stop: Option<u64>,
    /// The line that /proc/net/nf_conntrack prints in its namespace, if any.
    pub proc_line: Option<String>,
}

/// Where an entry was laid.
pub(super) struct Laid {
    pub(super) address: u64,
    pub(super) ext: u64,
    pub(super) master: u64,
    pub(super) netns: u32,
    pub(super) buckets: Option<[u64; 2]>,
}

/// The truth about one entry.
pub(super) fn entry(era: Era, entry: Entry, laid: &Laid) -> EntryTruth {
    let list = List::of(era, entry.place);
    let ticks = raw_timeout(&entry);
    let relative = entry.status & super::status::CONFIRMED == 0;
    let left = if relative { ticks as i32 } else { entry.left };
    let printed = list == List::Hash && (!entry.is_expired() || dying(&entry) || era.is_3_10());
    EntryTruth {
        address: laid.address,
        netns: laid.netns,
        l3name: proc::l3name(&entry.original),
        l4name: proc::l4name(era, entry.original.protonum),
        state: match entry.state {
            State::Tcp(name) | State::Sctp(name) | State::Dccp(name) => Some(name),
            State::Stateless | State::Gre { .. } => None,
        },
        status: NAMES
            .iter()
            .filter(|each| entry.status & each.1 != 0)
            .map(|each| each.0)
            .collect(),
        timeout_raw: ticks,
        seconds: left.max(0) as u32 / super::entry::HZ as u32,
        expired: entry.is_expired(),
        list,
        buckets: laid.buckets,
        ext: laid.ext,
        master: laid.master,
        start: ext::started(&entry),
        stop: entry.age.map(|_| ext::stopped(&entry)),
        proc_line: printed.then(|| proc::line(era, &entry)),
        entry,
    }
}

fn dying(entry: &Entry) -> bool {
    entry.status & super::status::DYING != 0
}

/// One expectation.
#[derive(Debug, Clone)]
pub struct ExpectationTruth {
    /// Address of the `nf_conntrack_expect`.
    pub address: u64,
    /// `ns.inum` of its master's namespace.
    pub netns: u32,
    /// Address of its master.
    pub master: u64,
    /// Name of its helper.
    pub helper: &'static str,
    /// Everything that was asked for.
    pub expectation: Expectation,
    /// Its line in /proc/net/nf_conntrack_expect.
    pub proc_line: String,
}
