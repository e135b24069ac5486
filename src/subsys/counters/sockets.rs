//! Sockets of each protocol: those that it says are in use (net/core/sock.c).
//!
//! `sockets_allocated`, which TCP keeps, goes down when a socket is destroyed, whoever still has
//! a reference to it. The others count in each namespace what is hashed: for raw sockets that is
//! every one but the kernel's own, for datagrams those that are bound.

use super::{Bound, is_worth};
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, namespaces, walk};
use crate::subsys::mm::slab::CacheFacts;

layout! {
    /// include/net/sock.h
    struct ProtoLayout = "proto" in "net/core/sock.c" {
        need node = "node",
        need slab = "slab",
        need sockets_allocated = "sockets_allocated",
        /// With CONFIG_PROC_FS.
        maybe inuse_idx = "inuse_idx",
    }
}

layout! {
    /// include/net/net_namespace.h
    struct NetSockets = "net" in "net/core/sock.c" {
        /// With CONFIG_PROC_FS.
        maybe in_use = "core.prot_inuse",
    }
}

layout! {
    /// include/net/netns/ipv4.h, ipv6.h: raw sockets that the kernel sends from. Nobody receives by
    /// them, and `inet_ctl_sock_create` takes them off the hash.
    struct OwnSockets = "net" in "net/core/sock.c" {
        maybe ndisc = "ipv6.ndisc_sk",
        maybe mld = "ipv6.igmp_sk",
        /// 4.1 and later.
        maybe autojoin = "ipv6.mc_autojoin_sk",
        maybe tcp_v6 = "ipv6.tcp_sk",
        /// One for each possible CPU; up to 5.16 (commits a15c89c703d4, 37ba017dcc3b,
        /// e5f80fcf869a).
        maybe icmp = "ipv4.icmp_sk",
        maybe tcp = "ipv4.tcp_sk",
        maybe icmp_v6 = "ipv6.icmp_sk",
    }
}

/// Raw sockets of the kernel's own.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    raw: u64,
    raw_v6: u64,
}

impl OwnSockets {
    /// Those of one namespace.
    fn count(&self, record: &[u8], cpus: u64) -> Own {
        let there = |field: &Option<Field>| {
            let at = field.as_ref().map_or(0, |field| field.get(record));
            u64::from(at != 0)
        };
        let single = [&self.ndisc, &self.mld, &self.autojoin, &self.tcp_v6].map(there);
        Own {
            raw: (there(&self.icmp) + there(&self.tcp)) * cpus,
            raw_v6: single.iter().sum::<u64>() + there(&self.icmp_v6) * cpus,
        }
    }
}

impl Own {
    /// Those that all namespaces share, since each has none of its own: one on each CPU.
    fn shared(kernel: &Kernel, cpus: u64) -> Self {
        let there = |name: &str| u64::from(kernel.symbol(name).is_some()) * cpus;
        Self {
            raw: there("ipv4_icmp_sk") + there("ipv4_tcp_sk") + there("nat_keepalive_sk_ipv4"),
            // Keepalives of IPsec: 6.11 and later (commit f531d13bdfe3).
            raw_v6: there("ipv6_icmp_sk") + there("nat_keepalive_sk_ipv6"),
        }
    }

    fn of(&self, protocol: &str) -> u64 {
        match protocol {
            "RAW" => self.raw,
            "RAWv6" => self.raw_v6,
            _ => 0,
        }
    }
}

layout! {
    /// include/net/sock.h, net/core/sock.c before 5.17.
    struct InUseLayout = "prot_inuse" in "net/core/sock.c" {
        need values = "val",
    }
}

/// PROTO_INUSE_NR.
const MAX_PROTOCOLS: u64 = 64;
const MAX_LISTED: u64 = 4 << 10;
/// Protocols whose sockets are hashed from their making to their end.
const ALWAYS_HASHED: [&str; 2] = ["RAW", "RAWv6"];

/// The bounds of all protocols that have a cache of their own and enough sockets.
pub(super) fn bounds(kernel: &Kernel, cpus: &Cpus, caches: &[CacheFacts]) -> Vec<Bound> {
    read(kernel, cpus, caches).unwrap_or_default()
}

struct Protocol<'c> {
    cache: &'c CacheFacts,
    allocated: VirtAddr,
    index: Option<u64>,
}

fn read(kernel: &Kernel, cpus: &Cpus, caches: &[CacheFacts]) -> Option<Vec<Bound>> {
    let may_be = |cache: &&CacheFacts| {
        cache
            .name
            .starts_with(|first: char| first.is_ascii_uppercase())
            && is_worth(caches, &cache.name)
    };
    // Without any sockets, no types need be looked up.
    caches.iter().find(may_be)?;
    let layout: ProtoLayout = kernel.layout().ok()?;
    let head = kernel.symbol("proto_list")?;
    let list = walk::list(&kernel.space, head, MAX_LISTED);
    let protocols = list.value.iter().filter_map(|link| {
        let at = link.minus(u64::from(layout.node.offset));
        let record = kernel.space.read_bytes(at, layout.len).ok()?;
        let slab = VirtAddr(layout.slab.get(&record));
        Some(Protocol {
            cache: caches.iter().find(|cache| cache.address == slab)?,
            allocated: VirtAddr(layout.sockets_allocated.get(&record)),
            index: layout.inuse_idx.map(|field| field.get(&record)),
        })
    });
    let protocols: Vec<Protocol<'_>> = protocols.collect();
    let mut bounds = allocated(kernel, cpus, caches, &protocols);
    let bounded: Vec<String> = bounds.iter().flat_map(|b| b.caches.clone()).collect();
    let rest: Vec<&Protocol<'_>> = protocols
        .iter()
        .filter(|of| is_worth(caches, &of.cache.name) && !bounded.contains(&of.cache.name))
        .collect();
    if !rest.is_empty()
        && let Some((sums, own)) = in_use(kernel, cpus)
    {
        bounds.extend(rest.iter().filter_map(|of| {
            let name = &of.cache.name;
            let limit = *sums.get(usize::try_from(of.index?).ok()?)?;
            let (limit, counter) = match own.of(name) {
                0 => (limit, format!("prot_inuse of {name}")),
                own => (
                    limit + own,
                    format!("prot_inuse of {name} with {own} of the kernel's own"),
                ),
            };
            let bound = Bound::new(caches, |cache| cache.name == *name, counter, limit)?;
            Some(Bound {
                strict: bound.strict && ALWAYS_HASHED.contains(&name.as_str()),
                ..bound
            })
        }));
    }
    Some(bounds)
}

/// Those that count their sockets in one `percpu_counter`, TCP over both families.
fn allocated(
    kernel: &Kernel,
    cpus: &Cpus,
    caches: &[CacheFacts],
    protocols: &[Protocol<'_>],
) -> Vec<Bound> {
    let mut counters: Vec<VirtAddr> = protocols.iter().map(|of| of.allocated).collect();
    counters.retain(|at| !at.is_null());
    counters.sort_unstable();
    counters.dedup();
    let Ok(layout) = kernel.layout::<PercpuCounter>() else {
        return Vec::new();
    };
    let bounds = counters.into_iter().filter_map(|at| {
        let of_this = |cache: &CacheFacts| {
            let mut protocols = protocols.iter();
            protocols.any(|of| of.allocated == at && of.cache.address == cache.address)
        };
        let sum = u64::try_from(layout.sum(kernel, cpus, at).ok()?).ok()?;
        Bound::new(caches, of_this, "sockets_allocated".to_owned(), sum)
    });
    bounds.filter(|bound| bound.objects > 0).collect()
}

/// The sum of each protocol over all CPUs and namespaces, and the kernel's own sockets.
fn in_use(kernel: &Kernel, cpus: &Cpus) -> Option<(Vec<u64>, Own)> {
    let net: NetSockets = kernel.layout().ok()?;
    let control: OwnSockets = kernel.layout().ok()?;
    let possible = cpus.len() as u64;
    let mut own = Own::shared(kernel, possible);
    let values: InUseLayout = kernel.layout().ok()?;
    let networks = namespaces::of_networks(kernel).ok()?;
    if !networks.complete {
        return None;
    }
    let mut sums = vec![0i64; MAX_PROTOCOLS as usize];
    let first = u64::from(values.values.offset);
    let len = u64::from(values.values.size).min(MAX_PROTOCOLS * 4);
    for network in &networks.all {
        let record = kernel.space.read_bytes(network.address, control.len).ok()?;
        let of_net = control.count(&record, possible);
        own.raw += of_net.raw;
        own.raw_v6 += of_net.raw_v6;
        let in_use = network.address.plus(u64::from(net.in_use?.offset));
        let percpu = kernel.space.read_ptr(in_use);
        for (_, at) in cpus.instances(percpu.ok()?) {
            let record = kernel.space.read_bytes(at.plus(first), len as usize).ok()?;
            let (counts, _) = record.as_chunks::<4>();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += i64::from(i32::from_le_bytes(*count));
            }
        }
    }
    let sums = sums.into_iter();
    let sums = sums.map(|sum| u64::try_from(sum).unwrap_or(0)).collect();
    Some((sums, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By drgn, of dumps of two possible CPUs: with three namespaces RAW has 8 and RAWv6 18 on
    /// 5.10.223, whose TCP has no socket in a namespace any more, 4 and 14 on 6.1; with one, 4 and
    /// 6 on Ubuntu's 5.4.0-216.
    #[test]
    fn the_kernels_own_sockets_are_those_of_namespaces_and_cpus() {
        let field = |offset| {
            Some(Field {
                offset,
                size: 8,
                bits: None,
            })
        };
        let of_5_4 = OwnSockets {
            ndisc: field(0),
            mld: field(8),
            autojoin: field(16),
            tcp_v6: field(24),
            icmp: field(32),
            tcp: field(40),
            icmp_v6: field(48),
            len: 56,
            struct_size: 56,
        };
        let count = |layout: &OwnSockets, record: &[u8]| {
            let own = layout.count(record, 2);
            (own.of("RAW"), own.of("RAWv6"), own.of("UDP"))
        };
        assert_eq!(count(&of_5_4, &[1; 56]), (4, 6, 0));
        let of_6_1 = OwnSockets {
            icmp: None,
            tcp: None,
            icmp_v6: None,
            ..of_5_4
        };
        assert_eq!(count(&of_6_1, &[1; 56]), (0, 4, 0));
        // IPv6 is built as a module, and was not loaded.
        assert_eq!(count(&of_5_4, &[0; 56]), (0, 0, 0));
    }
}
