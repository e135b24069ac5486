//! Network namespaces, which are on a list until they are taken down.

use rustc_hash::FxHashSet;

use super::{Bound, has_own};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, layout};
use crate::kernel::namespaces::NetNamespace;
use crate::kernel::{Kernel, namespaces};
use crate::subsys::mm::slab::CacheFacts;
use crate::subsys::net::sockets::counters;

layout! {
    /// include/net/net_namespace.h
    struct NetHeld = "net" in "net/core/net_namespace.c" {
        /// What a file of nsfs, open or mounted, leaves there (fs/nsfs.c).
        need file = "ns.stashed" | "ns.stashed.counter",
        /// Renamed in 6.18, in the namespace itself up to 5.10.
        maybe count = "ns.__ns_ref.refs.counter" | "ns.count.refs.counter" | "count.refs.counter" | "count.counter",
    }
}

layout! {
    /// include/linux/sched.h
    struct TaskProxy = "task_struct" in "kernel/fork.c" {
        need proxy = "nsproxy",
    }
}

layout! {
    /// include/linux/nsproxy.h
    struct ProxyNet = "nsproxy" in "kernel/nsproxy.c" {
        need net = "net_ns",
    }
}

/// Each has hundreds of KiB with it, so that few prove something.
const SLACK: u64 = 16;

/// `net_namespace` against those of `net_namespace_list` (net/core/net_namespace.c) that somebody has
/// who can be seen: one of `tasks`, a file, a socket of a process; or that are being taken down. Where
/// not all tasks are known, against the list. The initial one is on the list, but no object.
pub(super) fn of_networks(
    kernel: &Kernel,
    caches: &[CacheFacts],
    tasks: Option<&[VirtAddr]>,
) -> Option<Bound> {
    const CACHE: &str = "net_namespace";
    if !has_own(caches, CACHE, SLACK) {
        return None;
    }
    let networks = namespaces::of_networks(kernel).ok()?;
    if !networks.complete {
        return None;
    }
    let held = tasks.and_then(|tasks| held(kernel, &networks.all, tasks));
    let (counter, limit) = match held {
        Some(held) => ("network namespaces that a task, file or socket has", held),
        None => (
            "net_namespace_list",
            (networks.all.len() as u64).saturating_sub(1),
        ),
    };
    let of_cache = |cache: &CacheFacts| cache.name == CACHE;
    let bound = Bound::new(caches, of_cache, counter.to_owned(), limit)?;
    Some(Bound {
        slack: SLACK.max(limit / 20),
        ..bound
    })
}

/// How many but the initial one somebody has; `None` if that can't be told of all.
fn held(kernel: &Kernel, networks: &[NetNamespace], tasks: &[VirtAddr]) -> Option<u64> {
    let layout: NetHeld = kernel.layout().ok()?;
    let (task, proxy): (TaskProxy, ProxyNet) = (kernel.layout().ok()?, kernel.layout().ok()?);
    let space = &kernel.space;
    let word = |at: VirtAddr, field: Field| space.read_ptr(at.plus(u64::from(field.offset))).ok();
    let mut lived_in = FxHashSet::default();
    for at in tasks {
        // A task that has exited has none any more.
        let proxied = word(*at, task.proxy)?;
        if !proxied.is_null() {
            lived_in.insert(word(proxied, proxy.net)?);
        }
    }
    let sockets = counters::of_namespaces(kernel, networks).ok()?;
    let mut held = 0;
    for network in networks.iter().filter(|network| !network.initial) {
        let at = network.address;
        let ends = match layout.count {
            Some(count) => space.read_u32(at.plus(u64::from(count.offset))).ok()? == 0,
            None => false,
        };
        let mut sockets = sockets.iter();
        let used = sockets.find(|one| one.inum == network.inum)?.used?;
        let has_file = !word(at, layout.file)?.is_null();
        held += u64::from(ends || has_file || used > 0 || lived_in.contains(&at));
    }
    Some(held)
}
