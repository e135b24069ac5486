//! The part of `net`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::net::interfaces::{DeviceFacts, NeighbourTable, NetFacts, NetnsFacts};
use crate::subsys::net::page_pools::PagePoolFacts;
use crate::subsys::net::sockets::{Holder, SocketFacts};

/// A namespace with its sockets, which may be all that keeps it.
#[derive(Clone, Debug, Serialize)]
pub struct NetnsReport {
    /// What it is made of.
    #[serde(flatten)]
    pub facts: NetnsFacts,
    /// Sockets of processes, and those that are being brought to their end.
    pub sockets: u64,
    /// Processes of other namespaces that have a socket of this one, as far as they are kept.
    pub held_by: Vec<String>,
}

/// The part of `net`.
#[derive(Clone, Debug, Serialize)]
pub struct NetReport {
    /// In the kernel's order.
    pub namespaces: Vec<NetnsReport>,
    /// Those of IPv4 and IPv6, which all namespaces share.
    pub neighbours: Vec<NeighbourTable>,
    /// Pools of pages for packets, by address; `None` if they are not known or not asked for.
    pub page_pools: Option<Vec<PagePoolFacts>>,
}

/// Of those that hold a namespace, so many are named.
const NAMED: usize = 8;

/// A device with the number of its network namespace.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRow<'a> {
    /// The namespace's.
    pub netns: u32,
    /// The device.
    #[serde(flatten)]
    pub device: &'a DeviceFacts,
}

impl NetReport {
    /// The devices of all namespaces, one a row.
    pub fn devices(&self) -> Vec<DeviceRow<'_>> {
        let of = |facts: &NetnsFacts| {
            let netns = facts.inum;
            move |device| DeviceRow { netns, device }
        };
        let all = self.namespaces.iter().map(|net| &net.facts);
        all.flat_map(|net| net.devices.iter().map(of(net)))
            .collect()
    }

    /// With the pools, which are of no namespace.
    #[must_use]
    pub fn with_page_pools(self, page_pools: Option<Vec<PagePoolFacts>>) -> Self {
        Self { page_pools, ..self }
    }

    /// Puts sockets to their namespaces.
    pub fn new(facts: NetFacts, sockets: &[SocketFacts]) -> Self {
        let mut by_net: BTreeMap<u32, (u64, Vec<String>)> = BTreeMap::new();
        let counted = sockets
            .iter()
            .filter(|socket| socket.held_by != Holder::Kernel);
        for socket in counted {
            let Some(inum) = socket.netns else { continue };
            let (count, names) = by_net.entry(inum).or_default();
            *count += 1;
            for owner in &socket.owners {
                let name = format!("{} (pid {})", owner.comm, owner.pid);
                if names.len() < NAMED && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let namespaces = facts.namespaces.into_iter().map(|facts| {
            let (sockets, held_by) = by_net.remove(&facts.inum).unwrap_or_default();
            NetnsReport {
                facts,
                sockets,
                held_by,
            }
        });
        Self {
            namespaces: namespaces.collect(),
            neighbours: facts.neighbours,
            page_pools: None,
        }
    }
}
