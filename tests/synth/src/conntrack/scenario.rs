//! What the connection tables of all namespaces held at the crash.

use super::entry::Entry;
use super::many;
use super::tuple::Tuple;

/// The state of conntrack.
#[derive(Debug, Clone)]
pub struct Conntrack {
    /// `nf_conntrack_htable_size`.
    pub buckets: u64,
    /// `nf_conntrack_max`.
    pub max: u32,
    /// Namespaces in the order of `net_namespace_list`; the first is the initial one.
    pub netns: Vec<Netns>,
    /// The connections.
    pub entries: Entries,
    /// Objects of the slab cache that were freed and still look like connections.
    pub stale: u64,
    /// Expected connections.
    pub expectations: Vec<Expectation>,
    /// Ticks since the garbage collector began its last round.
    pub gc_age: u32,
}

impl Conntrack {
    /// Whether the entries are made up.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self.entries, Entries::Many(_))
    }
}

/// Connections, listed or made up one by one.
#[derive(Debug, Clone)]
pub enum Entries {
    /// These.
    Listed(Vec<Entry>),
    /// So many, as [`many::entry`] has them.
    Many(u64),
}

impl Entries {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Entries::Listed(entries) => entries.len() as u64,
            Entries::Many(count) => *count,
        }
    }

    /// The one with a number.
    pub fn get(&self, number: u64) -> Entry {
        match self {
            Entries::Listed(entries) => entries[number as usize].clone(),
            Entries::Many(_) => many::entry(number),
        }
    }
}

/// One network namespace.
#[derive(Debug, Clone)]
pub struct Netns {
    /// `net.ns.inum`.
    pub inum: u32,
    /// Statistics of each possible CPU.
    pub stats: Vec<Stat>,
}

/// A CPU's `ip_conntrack_stat`, in the order of /proc/net/stat/nf_conntrack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Two packets of one connection met.
    pub clash_resolve: u32,
    /// Entries found by others.
    pub found: u32,
    /// Packets that could not be tracked.
    pub invalid: u32,
    /// Chains that were too long (5.15).
    pub chaintoolong: u32,
    /// Entries inserted by others.
    pub insert: u32,
    /// Entries that could not be inserted.
    pub insert_failed: u32,
    /// Packets dropped for want of an entry.
    pub drop: u32,
    /// Entries dropped for newer ones.
    pub early_drop: u32,
    /// ICMP errors that match nothing.
    pub error: u32,
    /// Expectations that came true.
    pub expect_new: u32,
    /// Expectations made.
    pub expect_create: u32,
    /// Expectations removed.
    pub expect_delete: u32,
    /// Searches begun again while the table was resized.
    pub search_restart: u32,
}

impl Stat {
    /// Members by name.
    pub fn members(&self) -> [(&'static str, u32); 13] {
        [
            ("clash_resolve", self.clash_resolve),
            ("found", self.found),
            ("invalid", self.invalid),
            ("chaintoolong", self.chaintoolong),
            ("insert", self.insert),
            ("insert_failed", self.insert_failed),
            ("drop", self.drop),
            ("early_drop", self.early_drop),
            ("error", self.error),
            ("expect_new", self.expect_new),
            ("expect_create", self.expect_create),
            ("expect_delete", self.expect_delete),
            ("search_restart", self.search_restart),
        ]
    }
}

/// A connection that a helper waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Number of the entry whose helper expects it.
    pub master: usize,
    /// What is expected.
    pub tuple: Tuple,
    /// Class: which of the helper's policies.
    pub class: u32,
    /// `NF_CT_EXPECT_*`: 1 permanent, 2 inactive, 4 user space.
    pub flags: u32,
    /// Ticks until it is given up.
    pub left: i32,
}

/// Helpers that exist: name, port, names of the policies of its classes.
pub const HELPERS: &[(&str, u16, &[&str])] = &[
    ("ftp", 21, &[""]),
    ("tftp", 69, &[""]),
    ("sip", 5060, &["signalling", "audio", "video", "image"]),
];
