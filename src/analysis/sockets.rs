//! What sockets come to: sums by state, process and remote, and limits that were reached.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::net::sockets::{Counters, Holder, Kind, SocketFacts};

/// Sums of some sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketSums {
    /// How many.
    pub sockets: u64,
    /// Buffers on their queues.
    pub skbs: u64,
    /// Memory that goes with them.
    pub memory_bytes: u64,
}

impl SocketSums {
    fn add(&mut self, socket: &SocketFacts) {
        self.sockets += 1;
        self.skbs += socket.skbs;
        self.memory_bytes = self.memory_bytes.saturating_add(socket.memory_bytes());
    }
}

/// Those of one kind in one state.
#[derive(Clone, Debug, Serialize)]
pub struct OfState {
    /// The kind.
    pub kind: Kind,
    /// The state.
    pub state: &'static str,
    /// Their sums.
    #[serde(flatten)]
    pub sums: SocketSums,
}

/// Those that one process has; a socket of several is with the first.
#[derive(Clone, Debug, Serialize)]
pub struct OfProcess {
    /// Its number; `None` for those of no process.
    pub pid: Option<u32>,
    /// Its name, or who holds them otherwise.
    pub name: String,
    /// Their sums.
    #[serde(flatten)]
    pub sums: SocketSums,
}

/// Those to one other end.
#[derive(Clone, Debug, Serialize)]
pub struct OfRemote {
    /// Its address, without the port.
    pub address: String,
    /// Their sums.
    #[serde(flatten)]
    pub sums: SocketSums,
}

/// A limit that was reached, or a queue that was full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SocketsSummary {
    /// Over all.
    pub total: SocketSums,
    /// By kind, then the most first.
    pub states: Vec<OfState>,
    /// Those with the most memory first.
    pub processes: Vec<OfProcess>,
    /// Those with the most sockets first.
    pub remotes: Vec<OfRemote>,
    /// What was reached, the most severe first.
    pub reached: Vec<Reached>,
    /// TCP sockets that listen.
    pub listeners: u64,
    /// Those of which no more are accepted.
    pub full_listeners: u64,
}

/// Of those who have a socket that no process has.
fn held_by(socket: &SocketFacts) -> &'static str {
    match socket.held_by {
        Holder::Process => "a process",
        Holder::Orphan => "no one any more (orphans)",
        Holder::NotAccepted => "no one yet (not accepted)",
        Holder::Protocol => "the protocol (TIME_WAIT, handshakes)",
        Holder::Kernel => "the kernel",
        Holder::NoProcess => "no process (in flight, or held by the kernel)",
        Holder::Unknown => "unknown",
    }
}

/// Sums up.
pub fn summary(sockets: &[SocketFacts], counters: &Counters, page_bytes: u64) -> SocketsSummary {
    let mut found = SocketsSummary::default();
    let mut states: BTreeMap<(Kind, &'static str), SocketSums> = BTreeMap::new();
    let mut processes: BTreeMap<(Option<u32>, String), SocketSums> = BTreeMap::new();
    let mut remotes: BTreeMap<String, SocketSums> = BTreeMap::new();
    for socket in sockets {
        found.total.add(socket);
        let key = (socket.kind, socket.state);
        states.entry(key).or_default().add(socket);
        let key = match socket.owners.first() {
            Some(owner) => (Some(owner.pid), owner.comm.clone()),
            None => (None, held_by(socket).to_owned()),
        };
        processes.entry(key).or_default().add(socket);
        if let Some(inet) = socket.inet.filter(|inet| inet.remote_port != 0) {
            let key = inet.remote.to_string();
            remotes.entry(key).or_default().add(socket);
        }
        if socket.kind == Kind::Tcp && socket.listen.is_some() {
            found.listeners += 1;
            found.full_listeners += u64::from(socket.listen.is_some_and(|one| one.is_full()));
        }
    }
    let states = states.into_iter();
    found.states = states
        .map(|((kind, state), sums)| OfState { kind, state, sums })
        .collect();
    found
        .states
        .sort_by_key(|of| (of.kind, std::cmp::Reverse(of.sums.sockets)));
    let processes = processes.into_iter();
    found.processes = processes
        .map(|((pid, name), sums)| OfProcess { pid, name, sums })
        .collect();
    found
        .processes
        .sort_by_key(|of| std::cmp::Reverse((of.sums.memory_bytes, of.sums.sockets)));
    let remotes = remotes.into_iter();
    found.remotes = remotes
        .map(|(address, sums)| OfRemote { address, sums })
        .collect();
    found
        .remotes
        .sort_by_key(|of| std::cmp::Reverse((of.sums.sockets, of.sums.memory_bytes)));
    found.reached = reached(sockets, counters, page_bytes);
    found
}

/// Limits by their use, each where the kernel applies it.
fn reached(sockets: &[SocketFacts], counters: &Counters, page_bytes: u64) -> Vec<Reached> {
    let mut found = Vec::new();
    let mebibytes = |pages: u64| pages.saturating_mul(page_bytes) as f64 / f64::from(1 << 20);
    for (name, sysctl) in [("TCP", "tcp_mem"), ("UDP", "udp_mem")] {
        let Some(of) = counters.protocol(name) else {
            continue;
        };
        let pages = of.memory_pages.and_then(|pages| u64::try_from(pages).ok());
        let (Some(pages), Some([_, pressure, most])) = (pages, of.limits_pages) else {
            continue;
        };
        let (mark, what) = match pages {
            pages if pages > most => (most, "the limit: data was refused"),
            pages if pages > pressure => (pressure, "the mark of pressure: windows shrink"),
            _ => continue,
        };
        let (now, mark) = (mebibytes(pages), mebibytes(mark));
        found.push(Reached {
            code: "memory",
            message: format!(
                "{name} sockets had {now:.1} MiB of memory, more than the {mark:.1} MiB of {sysctl} that are {what}"
            ),
        });
    }
    for net in &counters.namespaces {
        let (now, most) = (net.time_wait.unwrap_or(0), net.max_time_wait.unwrap_or(0));
        if now >= most && most > 0 {
            let cut = match net.time_wait_overflows {
                Some(cut) => format!("{cut} were cut short since boot"),
                None => "how many were cut short is not known".to_owned(),
            };
            found.push(Reached {
                code: "time-wait",
                message: format!(
                    "{now} connections in TIME_WAIT, as many as tcp_max_tw_buckets lets there be in namespace {}; {cut}",
                    net.inum
                ),
            });
        }
    }
    if let (Some(now), Some(most)) = (counters.orphans, counters.max_orphans)
        && now >= most
    {
        found.push(Reached {
            code: "orphans",
            message: format!("{now} orphans, and tcp_max_orphans is {most}: they are reset"),
        });
    }
    let full = sockets.iter().filter(|socket| {
        let listen = socket.listen.filter(|_| socket.kind == Kind::Tcp);
        listen.is_some_and(|one| one.is_full())
    });
    for socket in full {
        let (waiting, backlog) = (socket.recv_q, socket.send_q);
        let owner = socket.owners.first();
        let owner = owner.map_or_else(
            || held_by(socket).to_owned(),
            |owner| format!("{} (pid {})", owner.comm, owner.pid),
        );
        let drops = socket.limits.as_ref().map_or(0, |memory| memory.drops);
        found.push(Reached {
            code: "listen-queue",
            message: format!(
                "{} of {owner} accepts no connection: {waiting} wait, and the backlog is {backlog}; {drops} were dropped",
                socket.local
            ),
        });
    }
    found
}
