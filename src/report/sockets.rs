//! The part of `sockets`.

use serde::Serialize;

use crate::analysis::sockets::{SocketsSummary, summary};
use crate::subsys::net::sockets::{Counters, SocketFacts, SocketsFacts};

/// A network namespace, by which the sockets are told apart.
#[derive(Clone, Debug, Serialize)]
pub struct NetnsRow {
    /// Its number.
    pub inum: u32,
    /// Whether it is the first.
    pub initial: bool,
}

/// The part of `sockets`.
#[derive(Clone, Debug, Serialize)]
pub struct SocketsReport {
    /// Sums, and limits that were reached.
    pub summary: SocketsSummary,
    /// What the kernel counts, and its limits.
    pub counters: Counters,
    /// All of them.
    pub namespaces: Vec<NetnsRow>,
    /// Those asked for.
    pub sockets: Vec<SocketFacts>,
    /// Ticks per second.
    #[serde(skip)]
    pub hz: u64,
}

impl SocketsReport {
    /// Of those sockets that `wanted` lets pass.
    pub fn new(
        facts: SocketsFacts,
        page_bytes: u64,
        wanted: impl Fn(&SocketFacts) -> bool,
    ) -> Self {
        let mut sockets = facts.sockets;
        sockets.retain(wanted);
        let namespaces = facts.namespaces.iter().map(|net| NetnsRow {
            inum: net.inum,
            initial: net.initial,
        });
        Self {
            summary: summary(&sockets, &facts.counters, page_bytes),
            namespaces: namespaces.collect(),
            counters: facts.counters,
            sockets,
            hz: facts.clock.map_or(250, |clock| clock.hz),
        }
    }
}
