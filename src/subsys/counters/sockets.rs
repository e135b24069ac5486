//! Sockets of each protocol: those that it says are in use (net/core/sock.c).
//!
//! `sockets_allocated`, which TCP keeps, goes down when a socket is destroyed, whoever still has
//! a reference to it. The others count in each namespace what is hashed: for raw sockets that is
//! every one, for datagrams those that are bound.

use super::{Bound, is_worth};
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, walk};
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
        need list = "list",
        /// With CONFIG_PROC_FS.
        maybe in_use = "core.prot_inuse",
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
const MAX_NAMESPACES: u64 = 1 << 20;
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
        && let Some(sums) = in_use(kernel, cpus)
    {
        bounds.extend(rest.iter().filter_map(|of| {
            let name = &of.cache.name;
            let limit = *sums.get(usize::try_from(of.index?).ok()?)?;
            let counter = format!("prot_inuse of {name}");
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

/// The sum of each protocol over all CPUs and namespaces.
fn in_use(kernel: &Kernel, cpus: &Cpus) -> Option<Vec<u64>> {
    let net: NetSockets = kernel.layout().ok()?;
    let values: InUseLayout = kernel.layout().ok()?;
    let head = kernel.symbol("net_namespace_list")?;
    let list = walk::list(&kernel.space, head, MAX_NAMESPACES);
    if !list.end.is_complete() {
        return None;
    }
    let mut sums = vec![0i64; MAX_PROTOCOLS as usize];
    let first = u64::from(values.values.offset);
    let len = u64::from(values.values.size).min(MAX_PROTOCOLS * 4);
    for link in &list.value {
        let at = link.minus(u64::from(net.list.offset));
        let percpu = kernel
            .space
            .read_ptr(at.plus(u64::from(net.in_use?.offset)));
        for (_, at) in cpus.instances(percpu.ok()?) {
            let record = kernel.space.read_bytes(at.plus(first), len as usize).ok()?;
            let (counts, _) = record.as_chunks::<4>();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += i64::from(i32::from_le_bytes(*count));
            }
        }
    }
    Some(
        sums.into_iter()
            .map(|sum| u64::try_from(sum).unwrap_or(0))
            .collect(),
    )
}
