//! What the kernel counts of sockets: /proc/net/sockstat and protocols (net/ipv4/proc.c,
//! net/core/sock.c), and the limits that stand beside.

use serde::Serialize;

use super::super::fragments::Fragments;
use super::protocols::{ProtocolCountersLayout, ProtocolFacts, ProtocolReader};
use crate::addr::VirtAddr;
use crate::bytes::uint_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::namespaces::NetNamespace;
use crate::kernel::{Kernel, KernelError, walk};
use crate::subsys::sysctl::usage::Usage;

layout! {
    /// include/net/net_namespace.h
    struct NetCountersLayout = "net" in "net/core/net_namespace.c" {
        /// With CONFIG_PROC_FS.
        maybe in_use = "core.prot_inuse",
        /// Up to 5.16 (commit 4199bae10c49); since, in `prot_inuse`.
        maybe used = "core.sock_inuse",
        need somaxconn = "core.sysctl_somaxconn",
        maybe max_syn_backlog = "ipv4.sysctl_max_syn_backlog",
        /// One more than there are, 5.17 and later (commit fbb8295248e1).
        maybe time_wait_refs = "ipv4.tcp_death_row.tw_refcount.refs.counter",
        maybe time_wait_count = "ipv4.tcp_death_row.tw_count.counter",
        maybe max_time_wait = "ipv4.tcp_death_row.sysctl_max_tw_buckets",
        need statistics = "mib.net_statistics",
    }
}

layout! {
    /// include/net/sock.h, net/core/sock.c before 5.17.
    struct InUseLayout = "prot_inuse" in "net/core/sock.c" {
        need values = "val",
        maybe all = "all",
    }
}

/// More protocols than a kernel has.
const MAX_PROTOCOLS: u64 = 4 << 10;
/// More names of counters than a kernel has.
const MAX_NAMES: u64 = 1 << 10;

/// What one namespace counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NamespaceCounters {
    /// Its number.
    pub inum: u32,
    /// Sockets of all families.
    pub used: Option<u64>,
    /// Of each protocol, by its number.
    #[serde(skip)]
    pub in_use: Vec<u64>,
    /// TCP sockets in TIME_WAIT.
    pub time_wait: Option<u64>,
    /// The most of them.
    pub max_time_wait: Option<u64>,
    /// The most that listen() is given.
    pub somaxconn: u64,
    /// Handshakes at a time.
    pub max_syn_backlog: Option<u64>,
    /// IPv4 packets of which parts are missing, and their bytes.
    pub fragments: Option<(u64, u64)>,
    /// The same of IPv6.
    pub fragments6: Option<(u64, u64)>,
    /// Connections refused since a listener's queue was full, since boot.
    pub listen_overflows: Option<u64>,
    /// Connections that a listener did not take, for any reason.
    pub listen_drops: Option<u64>,
    /// TIME_WAITs that were cut short, since there were too many.
    pub time_wait_overflows: Option<u64>,
    /// Times that TCP was short of memory.
    pub memory_pressures: Option<u64>,
    /// Connections that were reset for want of memory.
    pub aborts_on_memory: Option<u64>,
}

/// The kernel's counters.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// In the kernel's order.
    pub protocols: Vec<ProtocolFacts>,
    /// In the order of the namespaces.
    pub namespaces: Vec<NamespaceCounters>,
    /// TCP sockets that no process has any more.
    pub orphans: Option<u64>,
    /// The most of them.
    pub max_orphans: Option<u64>,
    /// Pages of all TCP sockets, with what CPUs had not handed over.
    pub tcp_pages: Option<u64>,
    /// Pages of all UDP sockets.
    pub udp_pages: Option<u64>,
    /// Whether /proc/net/protocols has a column for sendpage.
    #[serde(skip)]
    pub sendpage: bool,
}

impl Counters {
    pub(super) fn read(kernel: &Kernel, nets: &[NetNamespace]) -> Result<Self, KernelError> {
        let cpus = Cpus::read(kernel)?;
        let usage = Usage::read(kernel, None);
        let layout: ProtocolCountersLayout = kernel.layout()?;
        let reader = ProtocolReader {
            kernel,
            cpus: &cpus,
            module: kernel.layout()?,
            counter: kernel.layout()?,
            layout: &layout,
        };
        let head = kernel.need_symbol("proto_list")?;
        let list = walk::list(&kernel.space, head, MAX_PROTOCOLS);
        if !list.end.is_complete() {
            kernel.diag.warn(
                "protocols",
                format!("the list of protocols {}", list.end.describe()),
            );
        }
        let node = u64::from(layout.node.offset);
        let protocols = list
            .value
            .iter()
            .filter_map(|at| reader.one(at.minus(node)));
        let protocols = protocols.collect();
        Ok(Self {
            protocols,
            namespaces: of_namespaces(kernel, nets)?,
            orphans: usage.tcp_orphans,
            max_orphans: kernel
                .u32_of("sysctl_tcp_max_orphans")
                .value()
                .map(u64::from),
            tcp_pages: usage.tcp_pages,
            udp_pages: usage.udp_pages,
            sendpage: layout.sendpage.is_some(),
        })
    }

    /// The protocol of that name.
    pub fn protocol(&self, name: &str) -> Option<&ProtocolFacts> {
        self.protocols.iter().find(|one| one.name == name)
    }

    /// Sockets of a protocol that a namespace counts; `None` if that can't be read.
    pub fn in_use(&self, net: &NamespaceCounters, protocol: &ProtocolFacts) -> Option<u64> {
        net.in_use.get(protocol.index?).copied()
    }
}

/// What each namespace counts.
///
/// # Errors
/// If the kernel's types don't describe a namespace.
pub(crate) fn of_namespaces(
    kernel: &Kernel,
    nets: &[NetNamespace],
) -> Result<Vec<NamespaceCounters>, KernelError> {
    let cpus = Cpus::read(kernel)?;
    let reader = NetReader::new(kernel, &cpus)?;
    Ok(nets.iter().map(|net| reader.one(*net)).collect())
}

struct NetReader<'k> {
    kernel: &'k Kernel,
    cpus: &'k Cpus,
    net: NetCountersLayout,
    in_use: Option<InUseLayout>,
    fragments: Option<Fragments>,
    /// Where counters stand, by their names.
    names: Vec<(String, u64)>,
}

impl<'k> NetReader<'k> {
    fn new(kernel: &'k Kernel, cpus: &'k Cpus) -> Result<Self, KernelError> {
        Ok(Self {
            net: kernel.layout()?,
            in_use: kernel.layout().ok(),
            fragments: Fragments::read(kernel),
            names: names(kernel),
            kernel,
            cpus,
        })
    }

    fn one(&self, of: NetNamespace) -> NamespaceCounters {
        let (kernel, net) = (self.kernel, &self.net);
        let mut found = NamespaceCounters {
            inum: of.inum,
            ..NamespaceCounters::default()
        };
        let Ok(record) = kernel.space.read_bytes(of.address, net.len) else {
            return found;
        };
        let value = |field: Option<Field>| field.map(|field| field.get(&record));
        found.time_wait = match value(net.time_wait_refs) {
            Some(references) => Some(references.saturating_sub(1)),
            None => value(net.time_wait_count),
        };
        found.max_time_wait = value(net.max_time_wait);
        found.somaxconn = net.somaxconn.get(&record);
        found.max_syn_backlog = value(net.max_syn_backlog);
        if let Some(fragments) = &self.fragments {
            let waiting = fragments.of(kernel, of.address);
            let waiting = waiting.map(|at| fragments.waiting(kernel, at?));
            [found.fragments, found.fragments6] = waiting;
        }
        if let Some(in_use) = value(net.in_use).map(VirtAddr) {
            self.count(in_use, &mut found);
        }
        if let Some(used) = value(net.used).map(VirtAddr) {
            found.used = self.sum(used, 4).map(|sum| sum.max(0).cast_unsigned());
        }
        let statistics = VirtAddr(net.statistics.get(&record));
        let named = |name: &str| {
            let (_, index) = self.names.iter().find(|(one, _)| one == name)?;
            let sum = self.sum(statistics.plus(index * 8), 8);
            sum.map(i64::cast_unsigned)
        };
        found.listen_overflows = named("ListenOverflows");
        found.listen_drops = named("ListenDrops");
        found.time_wait_overflows = named("TCPTimeWaitOverflow");
        found.memory_pressures = named("TCPMemoryPressures");
        found.aborts_on_memory = named("TCPAbortOnMemory");
        found
    }

    /// A number of `size` bytes over all possible CPUs.
    fn sum(&self, percpu: VirtAddr, size: usize) -> Option<i64> {
        let mut sum = 0i64;
        for (_, at) in self.cpus.instances(percpu) {
            let one = match size {
                4 => i64::from(self.kernel.space.read_u32(at).ok()?.cast_signed()),
                _ => self.kernel.space.read_u64(at).ok()?.cast_signed(),
            };
            sum = sum.wrapping_add(one);
        }
        Some(sum)
    }

    fn count(&self, percpu: VirtAddr, found: &mut NamespaceCounters) {
        let Some(layout) = &self.in_use else { return };
        let many = layout.values.size as usize / 4;
        let mut sums = vec![0i64; many];
        let mut all = 0i64;
        for (_, at) in self.cpus.instances(percpu) {
            let Ok(record) = self
                .kernel
                .space
                .read_bytes(at, layout.struct_size.min(1 << 13))
            else {
                return;
            };
            let int =
                |at: usize| i64::from((uint_at(&record, at, 4).unwrap_or(0) as u32).cast_signed());
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = sum.wrapping_add(int(layout.values.offset as usize + index * 4));
            }
            all = all.wrapping_add(layout.all.map_or(0, |field| int(field.offset as usize)));
        }
        let sums = sums.into_iter().map(|sum| sum.max(0).cast_unsigned());
        found.in_use = sums.collect();
        found.used = layout.all.map(|_| all.max(0).cast_unsigned());
    }
}

/// `snmp4_net_list`: pairs of a name and a number, up to a null name or, since 7.0, the end of the
/// array.
fn names(kernel: &Kernel) -> Vec<(String, u64)> {
    let Some(at) = kernel.symbol("snmp4_net_list") else {
        return Vec::new();
    };
    let room = kernel.symbol_room("snmp4_net_list").unwrap_or(0) / 16;
    let mut found = Vec::new();
    for index in 0..room.min(MAX_NAMES) {
        let at = at.plus(index * 16);
        let Ok(name) = kernel.space.read_ptr(at) else {
            break;
        };
        if name.is_null() {
            break;
        }
        let Ok(entry) = kernel.space.read_u32(at.plus(8)) else {
            break;
        };
        // Behind the last one there may be padding.
        match kernel.space.quiet().read_c_string(name, 64) {
            Ok(name) => found.push((name, u64::from(entry))),
            Err(_) => break,
        }
    }
    found
}
