//! Network namespaces: `net_namespace_list`, which everything per namespace begins with.

use super::layout::layout;
use super::{Kernel, KernelError, walk};
use crate::addr::VirtAddr;

/// More namespaces than any machine has.
const MAX_NAMESPACES: u64 = 1 << 20;

layout! {
    /// include/net/net_namespace.h
    struct NetLayout = "net" in "net/core/net_namespace.c" {
        need list = "list",
        /// Up to 3.18 without a structure around it (commit 435d5f4bb2cc).
        need inum = "ns.inum" | "proc_inum",
    }
}

layout! {
    /// include/net/net_namespace.h
    struct GenericLayout = "net" in "net/core/net_namespace.c" {
        need generic = "gen",
    }
}

layout! {
    /// include/net/netns/generic.h
    struct PointersLayout = "net_generic" in "net/core/net_namespace.c" {
        need pointers = "ptr",
    }
}

/// More kinds of data per namespace than there are.
const MAX_GENERIC: u32 = 4 << 10;

/// What a subsystem keeps per namespace: `net_generic(net, id)`, with the id at `id`. The pointers
/// overlay the header of their array, so that the id indexes it directly; up to 4.9 (commit
/// 6af2d5fff2fd) they follow it, and the first id is 1. `None` if the namespace has none, or memory
/// is missing.
pub fn generic(kernel: &Kernel, net: VirtAddr, id: VirtAddr) -> Option<VirtAddr> {
    let layout: GenericLayout = kernel.layout().ok()?;
    let id = kernel
        .space
        .read_u32(id)
        .ok()
        .filter(|id| *id < MAX_GENERIC)?;
    let at = net.plus(u64::from(layout.generic.offset));
    let array = kernel.space.read_ptr(at).ok().filter(|at| !at.is_null())?;
    let behind = kernel.layout::<PointersLayout>();
    let behind = behind.map_or(0, |layout| u64::from(layout.pointers.offset));
    let index = match behind {
        0 => u64::from(id),
        _ => u64::from(id.checked_sub(1)?),
    };
    let own = kernel.space.read_ptr(array.plus(behind + index * 8)).ok()?;
    (!own.is_null()).then_some(own)
}

/// One network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetNamespace {
    /// Its `struct net`.
    pub address: VirtAddr,
    /// `ns.inum`: the number of /proc/PID/ns/net.
    pub inum: u32,
    /// Whether it is `init_net`.
    pub initial: bool,
}

/// The namespaces on the list.
#[derive(Clone, Debug)]
pub struct NetNamespaces {
    /// In the order of the list.
    pub all: Vec<NetNamespace>,
    /// Whether none is missing; that some are has been warned of.
    pub complete: bool,
}

/// All network namespaces that are not being taken down (net/core/net_namespace.c).
///
/// # Errors
/// If the kernel's types don't describe a namespace.
pub fn of_networks(kernel: &Kernel) -> Result<NetNamespaces, KernelError> {
    let layout: NetLayout = kernel.layout()?;
    let initial = kernel.symbol("init_net");
    let head = kernel.need_symbol("net_namespace_list")?;
    let list = walk::list(&kernel.space, head, MAX_NAMESPACES);
    let mut complete = list.end.is_complete();
    if !complete {
        kernel.diag.warn(
            "netns-list",
            format!(
                "the list of network namespaces {} after {}: what belongs to those behind it is missing, or has no namespace",
                list.end.describe(),
                list.seen
            ),
        );
    }
    let mut all = Vec::new();
    for link in list.value {
        let address = link.minus(u64::from(layout.list.offset));
        match kernel
            .space
            .read_u32(address.plus(u64::from(layout.inum.offset)))
        {
            Ok(inum) => all.push(NetNamespace {
                address,
                inum,
                initial: Some(address) == initial,
            }),
            Err(fault) => {
                complete = false;
                kernel.diag.warn(
                    "netns-lost",
                    format!("the network namespace at {address} can't be read: {fault}"),
                );
            }
        }
    }
    Ok(NetNamespaces { all, complete })
}
