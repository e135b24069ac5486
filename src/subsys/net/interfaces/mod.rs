//! Interfaces, neighbours and routes of each network namespace, and what keeps the namespace.
//!
//! Layer: subsys. Input: the devices of every namespace, the tables of neighbours that all share,
//! the tries of routes. Output: [`NetFacts`], in the order of the kernel's own files. Invariants:
//! counters that a driver keeps in a way of its own are `None`, not zero; every walk has a bound
//! and its loss is said.

mod addresses;
mod device;
mod napi;
mod neighbours;
mod qdiscs;
mod routes;

use rustc_hash::FxHashMap;
use serde::Serialize;

pub use self::addresses::AddressFacts;
use self::device::DeviceReader;
pub use self::device::{DeviceFacts, Statistics};
pub(in crate::subsys::net) use self::napi::NapiReader;
pub use self::napi::{HeldPackets, NapiFacts};
pub use self::neighbours::{NeighbourFacts, NeighbourTable};
pub use self::qdiscs::QdiscFacts;
pub use self::routes::RouteFacts;
use crate::addr::VirtAddr;
use crate::bytes::c_string;
use crate::kernel::layout::{Field, layout};
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError, namespaces};

layout! {
    /// include/net/net_namespace.h
    struct NetKeptLayout = "net" in "net/core/net_namespace.c" {
        /// `atomic_t` up to 4.x; in the namespace itself up to 5.10.
        maybe count = "ns.__ns_ref.refs.counter" | "ns.count.refs.counter" | "count.refs.counter" | "count.counter",
    }
}

layout! {
    /// include/linux/sched.h
    struct TaskNetLayout = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need comm = "comm",
        need proxy = "nsproxy",
    }
}

layout! {
    /// include/linux/nsproxy.h
    struct ProxyLayout = "nsproxy" in "kernel/nsproxy.c" {
        need net = "net_ns",
    }
}

/// Of processes in a namespace, so many are named.
const NAMED: usize = 8;

/// A process in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inhabitant {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// One network namespace.
#[derive(Clone, Debug, Serialize)]
pub struct NetnsFacts {
    /// Its number.
    pub inum: u32,
    /// Its `struct net`.
    pub address: VirtAddr,
    /// Whether it is the first.
    pub initial: bool,
    /// References that keep it.
    pub references: Option<u64>,
    /// Processes in it.
    pub processes: u64,
    /// The first of them.
    pub inhabitants: Vec<Inhabitant>,
    /// Its devices, in the order of /proc/net/dev.
    pub devices: Vec<DeviceFacts>,
    /// Its IPv4 routes, in the order of /proc/net/route, those of other tables too.
    pub routes: Vec<RouteFacts>,
    /// Its IPv6 routes, by the kernel's count.
    pub ipv6_routes: Option<u64>,
}

/// All of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetFacts {
    /// In the kernel's order.
    pub namespaces: Vec<NetnsFacts>,
    /// The tables of IPv4 and IPv6, which all namespaces share.
    pub neighbours: Vec<NeighbourTable>,
    /// Whether all could be read.
    pub complete: bool,
}

impl NetFacts {
    /// Names the functions that poll.
    pub fn name_polls(&mut self, functions: &dyn Fn(u64) -> String) {
        let devices = self.namespaces.iter_mut().flat_map(|net| &mut net.devices);
        for napi in devices.flat_map(|device| &mut device.napi) {
            napi.poll_function = Some(functions(napi.poll.0));
        }
    }
}

/// Reads all namespaces.
///
/// # Errors
/// If the kernel's types or symbols lack what devices are made of.
pub fn collect(kernel: &Kernel) -> Result<NetFacts, KernelError> {
    let nets = namespaces::of_networks(kernel)?;
    let reader = DeviceReader::new(kernel)?;
    let routes = routes::Reader::new(kernel)?;
    let (people, mut complete) = inhabitants(kernel)?;
    complete &= nets.complete;
    let kept: NetKeptLayout = kernel.layout()?;
    let mut namespaces = Vec::new();
    let mut names: FxHashMap<VirtAddr, (String, u32)> = FxHashMap::default();
    for net in &nets.all {
        let (devices, whole) = reader.devices(net.address);
        complete &= whole;
        for device in &devices {
            names.insert(device.address, (device.name.clone(), net.inum));
        }
        let own = routes.of(net.address, &|at| {
            names.get(&at).map(|(name, _)| name.clone())
        });
        complete &= own.is_some();
        let who = people.get(&net.address);
        let read = |field: Field| {
            let at = net.address.plus(u64::from(field.offset));
            kernel.space.read_u32(at).ok().map(u64::from)
        };
        namespaces.push(NetnsFacts {
            inum: net.inum,
            address: net.address,
            initial: net.initial,
            references: kept.count.and_then(read),
            processes: who.map_or(0, |(count, _)| *count),
            inhabitants: who.map_or(Vec::new(), |(_, named)| named.clone()),
            devices,
            routes: own.unwrap_or_default(),
            ipv6_routes: routes.ipv6(net.address),
        });
    }
    let (neighbours, whole) = neighbours::read(kernel, &names)?;
    complete &= whole;
    if !complete {
        kernel.diag.warn(
            "net-incomplete",
            "not all interfaces, neighbours, routes or processes of the network namespaces could be read",
        );
    }
    Ok(NetFacts {
        namespaces,
        neighbours,
        complete,
    })
}

type Inhabitants = FxHashMap<VirtAddr, (u64, Vec<Inhabitant>)>;

/// The processes of each namespace, and whether all could be read.
fn inhabitants(kernel: &Kernel) -> Result<(Inhabitants, bool), KernelError> {
    let (task, proxy): (TaskNetLayout, ProxyLayout) = (kernel.layout()?, kernel.layout()?);
    let processes = Processes::read(kernel)?;
    let mut complete = processes.complete;
    let mut found: Inhabitants = FxHashMap::default();
    for process in &processes.list {
        let Ok(record) = kernel.space.span(process.leader, task.len) else {
            complete = false;
            continue;
        };
        let own = VirtAddr(task.proxy.get(&record));
        // It has exited.
        if own.is_null() {
            continue;
        }
        let Ok(net) = kernel.space.read_ptr(own.plus(u64::from(proxy.net.offset))) else {
            complete = false;
            continue;
        };
        let (count, named) = found.entry(net).or_default();
        *count += 1;
        if named.len() < NAMED {
            let at = task.comm.offset as usize;
            let comm = record.get(at..at + task.comm.size as usize).map(c_string);
            named.push(Inhabitant {
                pid: task.pid.get(&record) as u32,
                comm: comm.unwrap_or_default(),
            });
        }
    }
    Ok((found, complete))
}
