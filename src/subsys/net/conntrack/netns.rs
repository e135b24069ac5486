//! Network namespaces and what each keeps of connection tracking.

use serde::Serialize;

use super::Symbols;
use super::layouts::{ConntrackNetLayout, NetLayout};
use crate::addr::VirtAddr;
use crate::bytes::uint_at;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::namespaces::{self, NetNamespace};
use crate::kernel::{Kernel, KernelError};

/// One network namespace.
#[derive(Clone, Debug, Serialize)]
pub struct Namespace {
    /// `ns.inum`: the number of /proc/PID/ns/net.
    pub inum: u32,
    /// `net_cookie`, 5.12 and later.
    pub cookie: Option<u64>,
    /// Address of `struct net`.
    pub address: VirtAddr,
    /// Whether it is the initial one.
    pub initial: bool,
    /// Connections that the kernel counts in it.
    pub count: Option<u64>,
    /// Expectations that the kernel counts in it.
    pub expect_count: Option<u64>,
    /// Timeouts in force, in seconds.
    pub timeouts: Timeouts,
    #[serde(skip)]
    pub(crate) stat: Option<VirtAddr>,
    #[serde(skip)]
    pub(crate) pcpu_lists: Option<VirtAddr>,
    #[serde(skip)]
    pub(crate) dying_list: Option<VirtAddr>,
    /// Lists that are not of CPUs: unconfirmed and dying connections.
    #[serde(skip)]
    pub(crate) lists: [Option<VirtAddr>; 2],
    /// A table of its own, up to 4.6.
    #[serde(skip)]
    pub(crate) own_table: Option<OwnTable>,
}

/// What a namespace has of its own up to 4.6, and all have together since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnTable {
    pub(crate) hash: VirtAddr,
    pub(crate) buckets: u64,
    pub(crate) expect_hash: Option<VirtAddr>,
}

/// The timeouts that fill tables, in seconds; `None` where this kernel keeps them elsewhere.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // named as their sysctls
pub struct Timeouts {
    pub tcp_established: Option<u64>,
    pub tcp_syn_sent: Option<u64>,
    pub tcp_time_wait: Option<u64>,
    pub udp: Option<u64>,
    pub udp_stream: Option<u64>,
    pub icmp: Option<u64>,
    pub generic: Option<u64>,
}

/// enum tcp_conntrack.
const TCP_SYN_SENT: usize = 1;
const TCP_ESTABLISHED: usize = 3;
const TCP_TIME_WAIT: usize = 7;

/// All namespaces in the order of `net_namespace_list`.
///
/// # Errors
/// If the kernel's types don't describe a namespace.
pub(crate) fn read_all(
    kernel: &Kernel,
    symbols: &dyn Symbols,
    hz: u64,
) -> Result<Vec<Namespace>, KernelError> {
    let layout: NetLayout = kernel.layout()?;
    // Up to 4.18 it has none; what is counted is in the namespace itself then.
    let conntrack = kernel.layout::<ConntrackNetLayout>();
    let conntrack = match conntrack {
        Ok(layout) => Some(layout),
        Err(LayoutError::NoStruct(_)) if layout.ct_count.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let id = symbols
        .address("nf_conntrack_net_id")
        .and_then(|at| kernel.space.read_u32(at).ok());
    let reader = NamespaceReader {
        kernel,
        layout: &layout,
        conntrack: conntrack.as_ref(),
        id,
        hz,
    };
    let mut found = Vec::new();
    for network in namespaces::of_networks(kernel)?.all {
        match kernel.space.read_bytes(network.address, layout.len) {
            Ok(record) => found.push(reader.namespace(network, &record)),
            Err(fault) => kernel.diag.warn(
                "netns-lost",
                format!(
                    "the network namespace at {} can't be read: {fault}",
                    network.address
                ),
            ),
        }
    }
    Ok(found)
}

struct NamespaceReader<'k> {
    kernel: &'k Kernel,
    layout: &'k NetLayout,
    conntrack: Option<&'k ConntrackNetLayout>,
    id: Option<u32>,
    hz: u64,
}

impl NamespaceReader<'_> {
    fn namespace(&self, network: NetNamespace, record: &[u8]) -> Namespace {
        let layout = self.layout;
        let at = |field: Field| VirtAddr(field.get(record));
        let own = self.conntrack.zip(self.own(at(layout.generic)));
        let own_record = own.and_then(|(layout, at)| {
            let space = &self.kernel.space;
            space.read_bytes(at, layout.len.max(8)).ok()
        });
        let count = |outside: Option<Field>, inside: Option<Field>| {
            let inside = inside
                .zip(own_record.as_deref())
                .map(|(field, bytes)| field.get(bytes));
            outside.map(|field| field.get(record)).or(inside)
        };
        Namespace {
            inum: network.inum,
            cookie: layout
                .cookie
                .map(|field| field.get(record))
                .filter(|c| *c != 0),
            address: network.address,
            initial: network.initial,
            count: count(layout.ct_count, own.and_then(|(own, _)| own.count)),
            expect_count: count(
                layout.ct_expect_count,
                own.and_then(|(own, _)| own.expect_count),
            ),
            timeouts: self.timeouts(network.address),
            stat: Some(at(layout.ct_stat)).filter(|at| !at.is_null()),
            pcpu_lists: layout.pcpu_lists.map(at).filter(|at| !at.is_null()),
            lists: match layout.pcpu_lists {
                Some(_) => [None; 2],
                None => [layout.unconfirmed, layout.dying]
                    .map(|list| Some(network.address.plus(u64::from(list?.offset)))),
            },
            own_table: layout
                .hash
                .zip(layout.htable_size)
                .map(|(hash, size)| OwnTable {
                    hash: at(hash),
                    buckets: size.get(record),
                    expect_hash: layout.expect_hash.map(at),
                }),
            dying_list: own.and_then(|(layout, at)| {
                let field = layout.dying_list?;
                Some(at.plus(u64::from(field.offset)))
            }),
        }
    }

    /// `net_generic(net, nf_conntrack_net_id)`: the pointers overlay the header of the array, so
    /// the id indexes it directly (include/net/netns/generic.h).
    fn own(&self, generic: VirtAddr) -> Option<VirtAddr> {
        let at = generic.plus(u64::from(self.id?) * 8);
        let own = self.kernel.space.read_ptr(at).ok()?;
        (!own.is_null()).then_some(own)
    }

    fn timeouts(&self, net: VirtAddr) -> Timeouts {
        let read = |field: Option<Field>, index: usize| {
            let field = field?;
            let at = net.plus(u64::from(field.offset) + index as u64 * 4);
            let bytes = self.kernel.space.read_bytes(at, 4).ok()?;
            (index * 4 < field.size as usize)
                .then(|| uint_at(&bytes, 0, 4).map(|jiffies| jiffies / self.hz))
                .flatten()
        };
        let layout = self.layout;
        Timeouts {
            tcp_established: read(layout.tcp_timeouts, TCP_ESTABLISHED),
            tcp_syn_sent: read(layout.tcp_timeouts, TCP_SYN_SENT),
            tcp_time_wait: read(layout.tcp_timeouts, TCP_TIME_WAIT),
            udp: read(layout.udp_timeouts, 0),
            udp_stream: read(layout.udp_timeouts, 1),
            icmp: read(layout.icmp_timeout, 0),
            generic: read(layout.generic_timeout, 0),
        }
    }
}
