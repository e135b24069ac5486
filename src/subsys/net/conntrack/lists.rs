//! Connections that are not in the hash table: those not confirmed yet, those that wait
//! for their destroy event, and allocated ones that no list holds.

use rustc_hash::FxHashSet;

use super::entry::{Entry, List};
use super::layouts::PcpuListsLayout;
use super::table::Table;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::walk::NullsEnd;
use crate::kernel::{Kernel, KernelError};
use crate::space::MemFault;
use crate::subsys::mm::slab::SlabHeap;
use crate::subsys::mm::slab::objects::{self, ObjectState};

/// Entries on the unconfirmed and dying lists: per CPU up to 5.18 (commit 8a75a2c17410), since
/// then only the dying list of undelivered events, per namespace. With how many lists are broken.
pub(crate) fn listed(table: &Table<'_>) -> Result<(Vec<Entry>, u64), KernelError> {
    let kernel = table.kernel;
    let mut found = Vec::new();
    let mut heads = Vec::new();
    for namespace in &table.namespaces {
        if let Some(lists) = namespace.pcpu_lists {
            let layout: PcpuListsLayout = kernel.layout()?;
            for (_, at) in Cpus::read(kernel)?.instances(lists) {
                heads.push((
                    at.plus(u64::from(layout.unconfirmed.offset)),
                    List::Unconfirmed,
                ));
                heads.push((at.plus(u64::from(layout.dying.offset)), List::Dying));
            }
        }
        let kinds = [List::Unconfirmed, List::Dying];
        for (head, list) in namespace.lists.iter().zip(kinds) {
            heads.extend(head.map(|head| (head, list)));
        }
        heads.extend(namespace.dying_list.map(|head| (head, List::Dying)));
    }
    let (mut lost, mut unread) = (0u64, Unread::default());
    for (head, list) in heads {
        lost += u64::from(!follow(table, head, list, &mut found, &mut unread));
    }
    unread.warn(kernel);
    if lost > 0 {
        kernel.diag.warn_many(
            "conntrack-list-broken",
            "lists of unconfirmed or dying connections are broken: what is behind the break is not seen",
            lost,
        );
    }
    Ok((found, lost))
}

/// Connections beside the table that can't be read, or not wholly.
#[derive(Default)]
struct Unread {
    entries: u64,
    extensions: u64,
}

impl Unread {
    fn keep(&mut self, read: Result<Entry, MemFault>) -> Option<Entry> {
        match read {
            Ok(entry) => {
                self.extensions += u64::from(entry.ext.is_lost());
                Some(entry)
            }
            Err(_) => {
                self.entries += 1;
                None
            }
        }
    }

    fn warn(&self, kernel: &Kernel) {
        if self.entries > 0 {
            kernel.diag.warn_many(
                "conntrack-entry",
                "connections beside the table can't be read from the dump and are left out",
                self.entries,
            );
        }
        if self.extensions > 0 {
            kernel.diag.warn_many(
                "conntrack-extension",
                "connections beside the table whose extensions can't be read: shown without counters, times, labels and helper",
                self.extensions,
            );
        }
    }
}

fn follow(
    table: &Table<'_>,
    head: VirtAddr,
    list: List,
    found: &mut Vec<Entry>,
    unread: &mut Unread,
) -> bool {
    let kernel = table.kernel;
    let Ok(first) = kernel.space.read_ptr(head) else {
        return false;
    };
    let mut whole = true;
    let mut seen = FxHashSet::default();
    let end = table.follow(first, None, &mut seen, |node, _| {
        let conn = node.minus(table.reader.node_offset(0));
        let read = table.reader.read(kernel, &table.namespaces, conn, list);
        match unread.keep(read) {
            Some(entry) => found.push(entry),
            None => whole = false,
        }
        true
    });
    whole && matches!(end, NullsEnd::Marker(_))
}

/// The caches of connections: one, or one for each namespace (up to 4.6, with a number or an address
/// behind its name). Empty if there is none.
pub(super) fn caches(heap: &SlabHeap<'_>) -> Vec<usize> {
    if let Some(one) = heap.find("nf_conntrack") {
        return vec![one];
    }
    let is_own = |name: &str| {
        let rest = name.strip_prefix("nf_conntrack_");
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let caches = heap.caches().iter().enumerate();
    caches
        .filter(|(_, cache)| is_own(&cache.name))
        .map(|(index, _)| index)
        .collect()
}

/// Allocated connections, by address. `None` if the kernel has no cache of their own.
pub(super) fn allocated(heap: &SlabHeap<'_>) -> Option<Vec<VirtAddr>> {
    let caches = caches(heap);
    let mut found = Vec::new();
    for cache in &caches {
        objects::each(heap, *cache, |object| {
            if object.state == ObjectState::Allocated {
                found.push(object.address);
            }
        });
    }
    found.sort_unstable();
    (!caches.is_empty()).then_some(found)
}

/// Those of `allocated` that are not in `known`, both sorted: the signature of a leaked reference.
pub(super) fn unlinked(
    table: &Table<'_>,
    allocated: &[VirtAddr],
    known: &[VirtAddr],
) -> Vec<Entry> {
    let (mut found, mut unread) = (Vec::new(), Unread::default());
    let mut known = known.iter().peekable();
    for address in allocated {
        while known.next_if(|known| *known < address).is_some() {}
        if known.peek() == Some(&address) {
            continue;
        }
        let read = table
            .reader
            .read(table.kernel, &table.namespaces, *address, List::Unlinked);
        found.extend(unread.keep(read));
    }
    unread.warn(table.kernel);
    found
}
