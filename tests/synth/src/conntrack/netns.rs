//! Network namespaces: `struct net`, its generic pointers, counts and statistics.

use super::entry::HZ;
use super::scenario::{Conntrack, Stat};
use crate::machine::Kernel;
use crate::machine::cpus::PerCpu;

/// `nf_conntrack_net_id`.
const NET_ID: u64 = 9;
/// Pointers in `net_generic`, the header's three words included.
const GENERIC_SLOTS: u64 = 24;

/// A namespace in memory.
#[derive(Debug, Clone)]
pub(super) struct LaidNetns {
    /// Address of the `struct net`.
    pub(super) address: u64,
    /// Address of its `nf_conntrack_net`.
    pub(super) conntrack: u64,
    /// Per-CPU pointer to its `ct_pcpu`, where the era has one.
    pub(super) lists: Option<u64>,
}

/// Timeouts of a namespace, in seconds: path in `nf_ip_net`, index, value.
pub(super) const TIMEOUTS: &[(&str, &str, u64, u32)] = &[
    ("generic", "generic.timeout", 0, 600),
    ("tcp_syn_sent", "tcp.timeouts", 1, 120),
    ("tcp_syn_recv", "tcp.timeouts", 2, 60),
    ("tcp_established", "tcp.timeouts", 3, 432_000),
    ("tcp_fin_wait", "tcp.timeouts", 4, 120),
    ("tcp_close_wait", "tcp.timeouts", 5, 60),
    ("tcp_last_ack", "tcp.timeouts", 6, 30),
    ("tcp_time_wait", "tcp.timeouts", 7, 120),
    ("tcp_close", "tcp.timeouts", 8, 10),
    ("tcp_max_retrans", "tcp.timeouts", 12, 300),
    ("tcp_unacknowledged", "tcp.timeouts", 13, 300),
    ("udp", "udp.timeouts", 0, 30),
    ("udp_stream", "udp.timeouts", 1, 120),
    ("icmp", "icmp.timeout", 0, 30),
    ("icmpv6", "icmpv6.timeout", 0, 30),
    ("sctp_established", "sctp.timeouts", 4, 210),
    ("gre", "gre.timeouts", 0, 30),
    ("gre_stream", "gre.timeouts", 1, 180),
];

/// Lays every namespace and links them.
pub(super) fn lay(
    kernel: &mut Kernel,
    percpu: &mut PerCpu,
    conntrack: &Conntrack,
) -> Vec<LaidNetns> {
    kernel.set_variable("nf_conntrack_net_id", NET_ID);
    let mut laid = Vec::new();
    for (index, netns) in conntrack.netns.iter().enumerate() {
        let address = match index {
            0 => kernel.symbol("init_net"),
            _ => kernel.alloc_struct("net"),
        };
        let old = kernel.types.has("net", "proc_inum");
        let inum = if old { "proc_inum" } else { "ns.inum" };
        kernel.set(address, "net", inum, u64::from(netns.inum));
        let own = kernel.alloc(64, 8);
        let generic = kernel.alloc(GENERIC_SLOTS * 8, 8);
        // The first pointers share their place with the header.
        // In old kernels they follow it, and the first id is 1.
        let (len, behind) = if old { ("len", 2) } else { ("s.len", 0) };
        kernel.set(generic, "net_generic", len, GENERIC_SLOTS);
        for slot in 3..GENERIC_SLOTS {
            let other = kernel.alloc(32, 8);
            kernel.write_u64(generic + slot * 8, other);
        }
        kernel.write_u64(generic + (NET_ID + behind) * 8, own);
        kernel.set(address, "net", "gen", generic);
        if !old {
            kernel.set(own, "nf_conntrack_net", "users4", 1);
        }
        lay_timeouts(kernel, address);
        lay_stats(kernel, percpu, address, &netns.stats);
        let lists = kernel.types.has("netns_ct", "pcpu_lists").then(|| {
            let pointer = percpu.alloc(kernel.types.sizeof("ct_pcpu"));
            kernel.set(address, "net", "ct.pcpu_lists", pointer);
            pointer
        });
        laid.push(LaidNetns {
            address,
            conntrack: own,
            lists,
        });
    }
    let link = kernel.types.offset("net", "list");
    let entries: Vec<_> = laid.iter().map(|netns| netns.address + link).collect();
    let head = kernel.symbol("net_namespace_list");
    kernel.link_list(head, &entries);
    laid
}

fn lay_timeouts(kernel: &mut Kernel, net: u64) {
    for (_, path, index, seconds) in TIMEOUTS {
        let path = format!("ct.nf_ct_proto.{path}");
        let at = net + kernel.types.offset("net", &path) + index * 4;
        let ticks = seconds * HZ as u32;
        kernel.write(at, &ticks.to_le_bytes());
    }
}

fn lay_stats(kernel: &mut Kernel, percpu: &mut PerCpu, net: u64, stats: &[Stat]) {
    let pointer = percpu.alloc(kernel.types.sizeof("ip_conntrack_stat"));
    kernel.set(net, "net", "ct.stat", pointer);
    for (cpu, stat) in stats.iter().enumerate() {
        let at = percpu.pointer(pointer, cpu as u32);
        for (member, value) in stat.members() {
            if kernel.types.has("ip_conntrack_stat", member) {
                kernel.set(at, "ip_conntrack_stat", member, u64::from(value));
            }
        }
    }
}

/// Sets a namespace's counts where the era keeps them.
pub(super) fn set_counts(kernel: &mut Kernel, netns: &LaidNetns, count: u64, expected: u64) {
    for (member, value) in [("count", count), ("expect_count", expected)] {
        if kernel.types.has("nf_conntrack_net", member) {
            kernel.set(netns.conntrack, "nf_conntrack_net", member, value);
        } else {
            let path = format!("ct.{member}");
            kernel.set(netns.address, "net", &path, value);
        }
    }
}
