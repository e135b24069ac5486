//! Where fragments of packets wait for the rest: a structure of each network namespace.

use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, layout};

layout! {
    /// include/net/net_namespace.h
    struct NetLayout = "net" in "net/core/net_namespace.c" {
        /// 5.3 and later (commit a39aca678a06): pointers.
        maybe four = "ipv4.fqdir",
        maybe six = "ipv6.fqdir",
        /// Before: the structures themselves.
        maybe own_four = "ipv4.frags",
        maybe own_six = "ipv6.frags",
    }
}

layout! {
    /// include/net/inet_frag.h
    struct DirectoryLayout = "fqdir" in "net/ipv4/inet_fragment.c" {
        need memory = "mem.counter",
        need table = "rhashtable",
        need queues = "rhashtable.nelems.counter",
    }
}

layout! {
    /// include/net/inet_frag.h, 4.17 to 5.2
    struct OwnLayout = "netns_frags" in "net/ipv4/inet_fragment.c" {
        need memory = "mem.counter",
        need table = "rhashtable",
        need queues = "rhashtable.nelems.counter",
    }
}

/// How they are read.
pub(super) struct Fragments {
    net: NetLayout,
    memory: Field,
    table: Field,
    queues: Field,
    len: usize,
}

impl Fragments {
    /// `None` if this kernel keeps them otherwise.
    pub(super) fn read(kernel: &Kernel) -> Option<Self> {
        let net = kernel.layout().ok()?;
        if let Ok(layout) = kernel.layout::<DirectoryLayout>() {
            return Some(Self {
                net,
                memory: layout.memory,
                table: layout.table,
                queues: layout.queues,
                len: layout.len,
            });
        }
        let layout: OwnLayout = kernel.layout().ok()?;
        Some(Self {
            net,
            memory: layout.memory,
            table: layout.table,
            queues: layout.queues,
            len: layout.len,
        })
    }

    /// Those of IPv4 and of IPv6 of the namespace at `net`.
    pub(super) fn of(&self, kernel: &Kernel, net: VirtAddr) -> [Option<VirtAddr>; 2] {
        let place = |field: Field| net.plus(u64::from(field.offset));
        let pointed = |field: Option<Field>| {
            let at = kernel.space.read_ptr(place(field?)).ok()?;
            (!at.is_null()).then_some(at)
        };
        let own = |field: Option<Field>| field.map(place);
        [
            pointed(self.net.four).or_else(|| own(self.net.own_four)),
            pointed(self.net.six).or_else(|| own(self.net.own_six)),
        ]
    }

    /// Packets that wait for the rest, and bytes.
    pub(super) fn waiting(&self, kernel: &Kernel, at: VirtAddr) -> Option<(u64, u64)> {
        let record = kernel.space.read_bytes(at, self.len).ok()?;
        Some((self.queues.get(&record), self.memory.get(&record)))
    }

    /// The hash table of those packets.
    pub(super) fn table(&self, at: VirtAddr) -> VirtAddr {
        at.plus(u64::from(self.table.offset))
    }
}
