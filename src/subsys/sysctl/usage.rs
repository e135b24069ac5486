//! How much of what some sysctls limit was in use.

use serde::Serialize;

use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// include/net/neighbour.h
    struct NeighbourLayout = "neigh_table" in "net/core/neighbour.c" {
        need entries = "entries.counter",
    }
}

/// What was in use; `None` if the dump does not tell.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// RAM that the kernel managed, in bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// Threads of all processes.
    pub threads: Option<u64>,
    /// Entries of the IPv4 neighbour (ARP) table, over all namespaces.
    pub ipv4_neighbours: Option<u64>,
    /// Entries of the IPv6 neighbour table, over all namespaces.
    pub ipv6_neighbours: Option<u64>,
}

impl Usage {
    /// Reads the kernel's counters.
    pub fn read(kernel: &Kernel, memory_bytes: Option<u64>) -> Self {
        let layout: Option<NeighbourLayout> = kernel.layout().ok();
        let neighbours = |table: &str| {
            let entries = u64::from(layout.as_ref()?.entries.offset);
            let at = kernel.symbol(table)?.plus(entries);
            kernel.space.read_u32(at).ok().map(u64::from)
        };
        Self {
            memory_bytes,
            page_bytes: kernel.dump().page_size() as u64,
            threads: kernel.u32_of("nr_threads").value().map(u64::from),
            ipv4_neighbours: neighbours("arp_tbl"),
            ipv6_neighbours: neighbours("nd_tbl"),
        }
    }
}
