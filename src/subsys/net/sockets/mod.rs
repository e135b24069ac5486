//! Sockets: every one of every network namespace, with its queues, limits and owners.
//!
//! Layer: subsys. Input: the tables of each protocol, and the descriptors of all processes, which
//! have those that no table holds. Output: [`SocketsFacts`], in the order of the kernel's own
//! files in /proc. Invariants: a socket is read once, whichever tables it hangs in; of the small
//! stand-ins for one (TIME_WAIT, a handshake) nothing is read but what they have; a queue that is
//! cut short says so.

pub mod counters;
mod facts;
mod layouts;
mod names;
mod netlink;
mod owners;
mod packet;
mod protocols;
mod queue;
mod reader;
mod small;
mod tables;
mod tcp;
mod tcp_layouts;
mod unix;

use std::sync::PoisonError;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

pub use self::counters::Counters;
pub use self::facts::{
    Holder, InetFacts, Kind, ListenFacts, MemoryFacts, NetlinkFacts, PacketFacts, QueueFacts,
    SocketFacts, Table, TimerFacts, UnixFacts,
};
use self::layouts::CommonLayout;
pub use self::protocols::ProtocolFacts;
use self::reader::Reader;
use self::tables::{Hashed, Tables};
pub use self::tcp::TcpFacts;
use crate::addr::VirtAddr;
use crate::kernel::namespaces::{self, NetNamespace};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;
use crate::subsys::net::devices;

/// All sockets, and what the kernel counts of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketsFacts {
    /// In the order of the tables; those that no table holds last.
    pub sockets: Vec<SocketFacts>,
    /// Buffers with the queue that each is on, where that was asked for.
    pub buffers: Vec<(VirtAddr, &'static str)>,
    /// The namespaces, in the kernel's order.
    pub namespaces: Vec<NetNamespace>,
    /// The kernel's counters and limits.
    pub counters: Counters,
    /// The kernel's clocks.
    pub clock: Option<Clock>,
    /// Whether all tables and all sockets could be read.
    pub complete: bool,
}

/// Reads all sockets.
///
/// # Errors
/// If the kernel's types or symbols lack what sockets are made of.
pub fn collect(kernel: &Kernel) -> Result<SocketsFacts, KernelError> {
    collect_keeping(kernel, false)
}

/// As [`collect`]; `keep` says whether where each buffer lies is kept.
///
/// # Errors
/// As [`collect`].
pub fn collect_keeping(kernel: &Kernel, keep: bool) -> Result<SocketsFacts, KernelError> {
    let nets = namespaces::of_networks(kernel)?;
    let common: CommonLayout = kernel.layout()?;
    let tables = Tables::read(kernel, &common, &nets)?;
    let reader = Reader::new(kernel, common, &nets.all, keep)?;
    let mut complete = tables.complete && reader.owners.complete();
    let mut found = tables.found;
    let mut seen = FxHashSet::default();
    found.retain(|one| seen.insert(one.at));
    let others = reader.owners.sockets().filter(|at| seen.insert(*at));
    let others: Vec<Hashed> = others
        .map(|at| Hashed {
            at,
            table: Table::Descriptor,
            slot: 0,
        })
        .collect();
    found.extend(others);
    let sockets: Vec<Option<SocketFacts>> = found.par_iter().map(|one| reader.read(*one)).collect();
    let lost = sockets.iter().filter(|socket| socket.is_none()).count() as u64;
    if lost > 0 {
        complete = false;
        kernel.diag.warn_many(
            "socket-lost",
            "a socket can't be read, or is none: its table is damaged, or the dump lacks its page",
            lost,
        );
    }
    let mut sockets: Vec<SocketFacts> = sockets.into_iter().flatten().collect();
    let broken = sockets.iter().flat_map(|socket| &socket.queues);
    let broken = broken.filter(|queue| !queue.end.is_complete()).count() as u64;
    if broken > 0 {
        complete = false;
        kernel.diag.warn_many(
            "socket-queue",
            "a queue of a socket could not be followed to its end: there is more on it than is counted",
            broken,
        );
    }
    name_peers(&mut sockets);
    name_devices(kernel, &nets.all, &mut sockets);
    let counters = Counters::read(kernel, &nets.all)?;
    let found = reader.queues.found;
    let found = found.map(|found| found.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(SocketsFacts {
        buffers: found.unwrap_or_default(),
        sockets,
        namespaces: nets.all,
        counters,
        clock: Clock::read(kernel)?,
        complete,
    })
}

/// Puts in the inode of each unix socket's peer.
fn name_peers(sockets: &mut [SocketFacts]) {
    let inodes = sockets.iter().filter(|socket| socket.unix.is_some());
    let inodes: FxHashMap<VirtAddr, u64> = inodes
        .map(|socket| (socket.address, socket.inode))
        .collect();
    for socket in sockets {
        let Some(unix) = &mut socket.unix else {
            continue;
        };
        unix.peer_inode = unix.peer.and_then(|peer| inodes.get(&peer).copied());
        socket.local = unix.name.clone().unwrap_or_else(|| "*".to_owned());
        socket.remote = match unix.peer_inode {
            Some(inode) => format!("* {inode}"),
            None => "*".to_owned(),
        };
    }
}

/// Puts in the names of the devices that sockets are bound to.
fn name_devices(kernel: &Kernel, nets: &[NetNamespace], sockets: &mut [SocketFacts]) {
    let mut known = FxHashMap::default();
    for socket in sockets {
        let of_packets = socket.packet.map(|packet| packet.ifindex);
        let index = of_packets.unwrap_or(socket.bound_ifindex);
        // Hardly any is bound.
        let Ok(index @ 1..) = u32::try_from(index) else {
            continue;
        };
        let net = nets.iter().find(|net| Some(net.inum) == socket.netns);
        let Some(net) = net else { continue };
        let names = known
            .entry(net.inum)
            .or_insert_with(|| devices::names(kernel, net.address));
        socket.device = names.get(&index).cloned();
    }
}
