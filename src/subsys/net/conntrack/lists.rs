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
    fn keep(&mut self, read: Result<(Entry, Option<MemFault>), MemFault>) -> Option<Entry> {
        match read {
            Ok((entry, without)) => {
                self.extensions += u64::from(without.is_some());
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
    let end = table.follow(first, &mut seen, |node, _| {
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

/// The caches of connections: one, or one for each namespace (up to 4.6). `None` if there is none.
fn caches(table: &Table<'_>, heap: &SlabHeap<'_>) -> Option<Vec<usize>> {
    let own = table.namespaces.iter().filter_map(|ns| ns.own_table);
    let mut own: Vec<_> = own
        .filter_map(|one| {
            let mut caches = heap.caches().iter();
            caches.position(|cache| cache.address == one.cache)
        })
        .collect();
    own.sort_unstable();
    own.dedup();
    match own.is_empty() {
        true => Some(vec![heap.find("nf_conntrack")?]),
        false => Some(own),
    }
}

/// Allocated objects of the `nf_conntrack` cache that are not in `known`, which is sorted: the
/// signature of a leaked reference. `None` if the kernel has no cache of that name.
pub(crate) fn unlinked(
    table: &Table<'_>,
    heap: &SlabHeap<'_>,
    known: &[VirtAddr],
) -> Option<(u64, Vec<Entry>)> {
    let caches = caches(table, heap)?;
    let (mut alive, mut found, mut unread) = (0, Vec::new(), Unread::default());
    let mut each = |object: objects::Object| {
        if object.state != ObjectState::Allocated {
            return;
        }
        alive += 1;
        if known.binary_search(&object.address).is_ok() {
            return;
        }
        let reader = &table.reader;
        let read = reader.read(
            table.kernel,
            &table.namespaces,
            object.address,
            List::Unlinked,
        );
        found.extend(unread.keep(read));
    };
    for cache in caches {
        objects::each(heap, cache, &mut each);
    }
    unread.warn(table.kernel);
    Some((alive, found))
}
