//! Netlink sockets: a hash table for each protocol (net/netlink/af_netlink.c).

use super::facts::{NetlinkFacts, Table};
use super::tables::Tables;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;
use crate::kernel::walk;
use crate::partial::End;

layout! {
    /// net/netlink/af_netlink.h
    struct NetlinkTableLayout = "netlink_table" in "net/netlink/af_netlink.c" {
        need hash = "hash",
    }
}

layout! {
    /// net/netlink/af_netlink.h
    pub(super) struct NetlinkLayout = "netlink_sock" in "net/netlink/af_netlink.c" {
        need node = "node",
        need portid = "portid",
        need groups = "groups",
        need ngroups = "ngroups",
        need dumping = "cb_running",
    }
}

/// Sockets of one protocol.
const MAX_SOCKETS: usize = 1 << 26;

/// MAX_LINKS.
const PROTOCOLS: u64 = 32;

/// Adds those of all protocols and namespaces.
pub(super) fn add_all(kernel: &Kernel, tables: &mut Tables<'_>) {
    let layouts = kernel.layout::<NetlinkTableLayout>().ok();
    let Some((table, socket)) = layouts.zip(kernel.layout::<NetlinkLayout>().ok()) else {
        kernel.diag.note(
            "netlink-unknown",
            "this kernel's netlink sockets have a shape not known yet: those that no process has open are missing",
        );
        return;
    };
    let Some(variable) = kernel.symbol("nl_table") else {
        return;
    };
    let Ok(first) = kernel.space.read_ptr(variable) else {
        return tables.lost("netlink", End::Fault);
    };
    for protocol in 0..PROTOCOLS {
        let at = first.plus(protocol * table.struct_size as u64);
        let at = at.plus(u64::from(table.hash.offset));
        let Ok(nodes) = walk::rhashtable(kernel, at, MAX_SOCKETS) else {
            return;
        };
        let node = u64::from(socket.node.offset);
        tables.add(&nodes.value, node, Table::Family, protocol);
        if !nodes.end.is_complete() {
            tables.lost("netlink", nodes.end);
        }
    }
}

impl NetlinkLayout {
    /// What a socket has beside what all have; `None` if its memory is missing.
    pub(super) fn read(&self, kernel: &Kernel, at: VirtAddr) -> Option<NetlinkFacts> {
        let record = kernel.space.span(at, self.len).ok()?;
        let groups = VirtAddr(self.groups.get(&record));
        let groups = match groups.is_null() || self.ngroups.get(&record) == 0 {
            true => 0,
            false => u64::from(kernel.space.read_u32(groups).ok()?),
        };
        Some(NetlinkFacts {
            portid: self.portid.get(&record),
            groups,
            dumping: self.dumping.get(&record) != 0,
        })
    }
}
