//! How much of what some sysctls limit was in use.

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::namespaces::{self, NetNamespace};
use crate::kernel::percpu_counter::PercpuCounter;
use crate::subsys::net::sockets;

layout! {
    /// include/net/neighbour.h
    struct NeighbourLayout = "neigh_table" in "net/core/neighbour.c" {
        need entries = "entries.counter",
    }
}

layout! {
    /// include/net/sock.h
    struct ProtoUse = "proto" in "net/core/sock.c" {
        need memory = "memory_allocated",
        /// What each CPU has taken of it and not handed over, 6.0 and later (commit 0defbb0af775).
        maybe per_cpu = "per_cpu_fw_alloc",
        /// A `percpu_counter` up to 5.14, an `int` on each CPU since (commit 19757cebf0c5).
        maybe orphans = "orphan_count",
    }
}

layout! {
    /// include/net/netns/ipv4.h
    struct NetUse = "net" in "net/core/net_namespace.c" {
        /// One more than there are, 5.17 and later (commit fbb8295248e1).
        maybe tw_refs = "ipv4.tcp_death_row.tw_refcount.refs.counter",
        maybe tw_count = "ipv4.tcp_death_row.tw_count.counter",
    }
}

/// What was in use; `None` if the dump does not tell.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// RAM that the kernel managed, in bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// Threads of all processes.
    pub threads: Option<u64>,
    /// Entries of the IPv4 neighbour (ARP) table, over all namespaces.
    pub ipv4_neighbours: Option<u64>,
    /// Entries of the IPv6 neighbour table, over all namespaces.
    pub ipv6_neighbours: Option<u64>,
    /// Pages of the buffers of all TCP sockets, with what CPUs had not handed over.
    pub tcp_pages: Option<u64>,
    /// Pages of the buffers of all UDP sockets.
    pub udp_pages: Option<u64>,
    /// TCP sockets that no process has any more.
    pub tcp_orphans: Option<u64>,
    /// What each network namespace uses.
    pub networks: Vec<NetworkUsage>,
}

/// What one network namespace uses of what is limited in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkUsage {
    /// Its number.
    pub inum: u32,
    /// TCP sockets in TIME_WAIT.
    pub tcp_time_wait: Option<u64>,
    /// Connections that were refused since a listener's queue was full, since boot.
    pub listen_overflows: Option<u64>,
    /// Bytes of IPv4 fragments that wait for the rest.
    pub ipv4_fragment_bytes: Option<u64>,
    /// Bytes of IPv6 fragments that wait for the rest.
    pub ipv6_fragment_bytes: Option<u64>,
}

impl Usage {
    /// Reads the kernel's counters.
    pub fn read(kernel: &Kernel, memory_bytes: Option<u64>) -> Self {
        let layout: Option<NeighbourLayout> = kernel.layout().ok();
        let neighbours = |table: &str| {
            let entries = u64::from(layout.as_ref()?.entries.offset);
            let at = kernel.symbol(table)?.plus(entries);
            kernel.space.read_u32(at).ok().map(u64::from)
        };
        let cpus = Cpus::read(kernel).ok();
        let protocol = |name: &str| Protocol::of(kernel, cpus.as_ref()?, name);
        let (tcp, udp) = (protocol("tcp_prot"), protocol("udp_prot"));
        Self {
            memory_bytes,
            page_bytes: kernel.dump().page_size() as u64,
            threads: kernel.u32_of("nr_threads").value().map(u64::from),
            ipv4_neighbours: neighbours("arp_tbl"),
            ipv6_neighbours: neighbours("nd_tbl"),
            tcp_pages: tcp.as_ref().and_then(Protocol::pages),
            udp_pages: udp.as_ref().and_then(Protocol::pages),
            tcp_orphans: tcp.as_ref().and_then(Protocol::orphans),
            networks: networks(kernel).unwrap_or_default(),
        }
    }

    /// What one network namespace uses.
    pub fn of_network(&self, inum: u32) -> Option<NetworkUsage> {
        self.networks.iter().find(|of| of.inum == inum).copied()
    }
}

/// One `struct proto`, which points to the counters of its sockets.
struct Protocol<'k> {
    kernel: &'k Kernel,
    cpus: &'k Cpus,
    layout: ProtoUse,
    record: Vec<u8>,
}

impl<'k> Protocol<'k> {
    fn of(kernel: &'k Kernel, cpus: &'k Cpus, name: &str) -> Option<Self> {
        let layout: ProtoUse = kernel.layout().ok()?;
        let record = kernel.space.read_bytes(kernel.symbol(name)?, layout.len);
        Some(Self {
            kernel,
            cpus,
            record: record.ok()?,
            layout,
        })
    }

    fn points_to(&self, field: Field) -> Option<VirtAddr> {
        let at = VirtAddr(field.get(&self.record));
        (!at.is_null()).then_some(at)
    }

    /// sk_memory_allocated(), and what each CPU has taken beside it.
    fn pages(&self) -> Option<u64> {
        let at = self.points_to(self.layout.memory)?;
        let mut pages = self.kernel.space.read_u64(at).ok()?.cast_signed();
        if let Some(parts) = self.layout.per_cpu.and_then(|field| self.points_to(field)) {
            pages = pages.checked_add(self.sum(parts)?)?;
        }
        Some(u64::try_from(pages).unwrap_or(0))
    }

    /// tcp_orphan_count_sum(): a `percpu_counter`, or an `int` on each CPU, which stable kernels
    /// took too (commit 19757cebf0c5). Where it lies tells which.
    fn orphans(&self) -> Option<u64> {
        let pointed_to = self.layout.orphans.and_then(|field| self.points_to(field));
        let at = pointed_to.or_else(|| self.kernel.symbol("tcp_orphan_count"))?;
        let symbol = |name| self.kernel.symbol(name);
        let percpu = symbol("__per_cpu_start")?..symbol("__per_cpu_end")?;
        let sum = match percpu.contains(&at) {
            true => self.sum(at)?,
            false => {
                let counter: PercpuCounter = self.kernel.layout().ok()?;
                counter.sum(self.kernel, self.cpus, at).ok()?
            }
        };
        Some(u64::try_from(sum).unwrap_or(0))
    }

    /// The sum of an `int` on each CPU.
    fn sum(&self, at: VirtAddr) -> Option<i64> {
        let mut parts = self.cpus.instances(at);
        parts.try_fold(0i64, |sum, (_, part)| {
            let part = self.kernel.space.read_u32(part).ok()?.cast_signed();
            Some(sum + i64::from(part))
        })
    }
}

/// Those of `net_namespace_list`.
fn networks(kernel: &Kernel) -> Option<Vec<NetworkUsage>> {
    let layout: NetUse = kernel.layout().ok()?;
    let networks = namespaces::of_networks(kernel).ok()?;
    let counters = sockets::counters::of_namespaces(kernel, &networks.all).unwrap_or_default();
    let one = |network: NetNamespace| {
        let record = kernel.space.read_bytes(network.address, layout.len).ok()?;
        let counted = counters.iter().find(|of| of.inum == network.inum);
        let waiting = |of: Option<(u64, u64)>| {
            let (_, bytes) = of?;
            u64::try_from(bytes.cast_signed()).ok()
        };
        let refs = layout.tw_refs.map(|field| field.get(&record));
        let count = layout.tw_count.map(|field| field.get(&record));
        Some(NetworkUsage {
            inum: network.inum,
            tcp_time_wait: refs.map(|refs| refs.saturating_sub(1)).or(count),
            listen_overflows: counted.and_then(|of| of.listen_overflows),
            ipv4_fragment_bytes: waiting(counted.and_then(|of| of.fragments)),
            ipv6_fragment_bytes: waiting(counted.and_then(|of| of.fragments6)),
        })
    };
    Some(networks.all.into_iter().filter_map(one).collect())
}
