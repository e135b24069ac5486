//! The tables that sockets hang in: bucket by bucket, as the kernel's own /proc files go.

use rustc_hash::FxHashSet;

use super::facts::Table;
use super::layouts::CommonLayout;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::{Field, layout};
use crate::kernel::namespaces::NetNamespaces;
use crate::kernel::walk::{self, NullsEnd};
use crate::kernel::{Kernel, KernelError};
use crate::partial::End;

layout! {
    /// include/net/inet_hashtables.h
    struct HashInfoLayout = "inet_hashinfo" in "net/ipv4/inet_hashtables.c" {
        need connections = "ehash",
        need connections_mask = "ehash_mask",
        /// Up to 5.19 (commit cae3873c5b3a).
        maybe listening = "listening_hash",
        /// 4.17 and later (commit 61b7c691c731).
        maybe listening2 = "lhash2",
        maybe listening2_mask = "lhash2_mask",
    }
}

layout! {
    /// include/net/inet_hashtables.h
    struct ListenBucketLayout = "inet_listen_hashbucket" in "net/ipv4/inet_hashtables.c" {
        need head = "nulls_head" | "head",
    }
}

layout! {
    /// include/net/udp.h
    struct DatagramTableLayout = "udp_table" in "net/ipv4/udp.c" {
        need buckets = "hash",
        need mask = "mask",
    }
}

layout! {
    /// include/net/udp.h
    struct DatagramBucketLayout = "udp_hslot" in "net/ipv4/udp.c" {
        need head = "head",
    }
}

layout! {
    /// include/net/raw.h
    struct RawTableLayout = "raw_hashinfo" in "net/ipv4/raw.c" {
        need buckets = "ht",
    }
}

layout! {
    /// include/net/net_namespace.h: where a namespace has tables of its own, or their roots.
    struct NetTablesLayout = "net" in "net/core/net_namespace.c" {
        /// 6.1 and later (commit 429e42c1c54e); before, the variable `tcp_hashinfo`.
        maybe tcp = "ipv4.tcp_death_row.hashinfo",
        /// 6.2 and later (commit ba6aac151624); before, the variable `udp_table`.
        maybe udp = "ipv4.udp_table",
        /// With CONFIG_PACKET built in.
        maybe packet = "packet.sklist",
        /// 6.0 and later (commit cf2f225e2653); before, the variable `unix_socket_table`.
        maybe unix = "unx.table.buckets",
        /// With CONFIG_XDP_SOCKETS.
        maybe xdp = "xdp.list",
    }
}

/// RAW_HTABLE_SIZE.
const RAW_BUCKETS: u64 = 256;
/// UNIX_HASH_SIZE and as many for those without a name.
const UNIX_BUCKETS: u64 = 512;
/// More buckets than any table has.
const MAX_BUCKETS: u64 = 1 << 24;
/// More sockets than any bucket has.
const MAX_CHAIN: u64 = 1 << 20;
/// Of an array of heads, so many at a time.
const STEP: u64 = 1 << 13;

/// A socket in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub(super) at: VirtAddr,
    pub(super) table: Table,
    pub(super) slot: u64,
}

/// All sockets that hang in tables.
pub(super) struct Tables<'k> {
    kernel: &'k Kernel,
    node: u64,
    nulls_node: u64,
    pub(super) found: Vec<Hashed>,
    /// Whether every chain of every table was followed to its end.
    pub(super) complete: bool,
    seen: FxHashSet<VirtAddr>,
    /// Array heads that were walked already: namespaces share them.
    walked: FxHashSet<VirtAddr>,
}

/// An array of heads of chains.
struct Buckets {
    first: VirtAddr,
    count: u64,
    /// From one head to the next.
    stride: u64,
    /// Chains end with a number, not with null.
    nulls: bool,
    table: Table,
}

impl<'k> Tables<'k> {
    pub(super) fn read(
        kernel: &'k Kernel,
        common: &CommonLayout,
        nets: &NetNamespaces,
    ) -> Result<Self, KernelError> {
        let mut tables = Self {
            kernel,
            node: u64::from(common.node.offset),
            nulls_node: u64::from(common.nulls_node.offset),
            found: Vec::new(),
            complete: nets.complete,
            seen: FxHashSet::default(),
            walked: FxHashSet::default(),
        };
        let layout: NetTablesLayout = kernel.layout()?;
        tables.tcp(&layout, nets)?;
        tables.datagrams(&layout, nets)?;
        tables.raw()?;
        tables.others(&layout, nets);
        super::netlink::add_all(kernel, &mut tables);
        Ok(tables)
    }

    /// A loss of a part of the tables.
    pub(super) fn lost(&mut self, what: &str, end: End) {
        self.complete = false;
        self.kernel.diag.warn(
            "socket-table",
            format!(
                "a table of {what} sockets {}: those behind it are missing",
                end.describe()
            ),
        );
    }

    /// The pointers of each namespace at `field`, or else that of the variable `symbol`.
    fn roots(
        &mut self,
        nets: &NetNamespaces,
        field: Option<Field>,
        variable: Option<VirtAddr>,
    ) -> Vec<VirtAddr> {
        let Some(field) = field else {
            return variable.into_iter().collect();
        };
        let mut roots = Vec::new();
        for net in &nets.all {
            let at = net.address.plus(u64::from(field.offset));
            match self.kernel.space.read_ptr(at) {
                Ok(root) if root.is_null() || roots.contains(&root) => {}
                Ok(root) => roots.push(root),
                Err(_) => self.complete = false,
            }
        }
        roots
    }

    fn tcp(&mut self, net: &NetTablesLayout, nets: &NetNamespaces) -> Result<(), KernelError> {
        let layout: HashInfoLayout = self.kernel.layout()?;
        let bucket: ListenBucketLayout = self.kernel.layout()?;
        let stride = bucket.struct_size as u64;
        let head = u64::from(bucket.head.offset);
        let variable = self.kernel.symbol("tcp_hashinfo");
        for root in self.roots(nets, net.tcp, variable) {
            let Ok(info) = self.kernel.space.read_bytes(root, layout.len) else {
                self.lost("TCP", End::Fault);
                continue;
            };
            let listening = match (layout.listening, layout.listening2, layout.listening2_mask) {
                (Some(field), _, _) => Some((
                    root.plus(u64::from(field.offset)),
                    u64::from(field.size) / stride.max(1),
                )),
                (None, Some(first), Some(mask)) => {
                    Some((VirtAddr(first.get(&info)), mask.get(&info) + 1))
                }
                _ => None,
            };
            if let Some((first, count)) = listening {
                self.walk(
                    "listening TCP",
                    &Buckets {
                        first: first.plus(head),
                        count,
                        stride,
                        nulls: true,
                        table: Table::Listening,
                    },
                );
            }
            let buckets = Buckets {
                first: VirtAddr(layout.connections.get(&info)),
                count: layout.connections_mask.get(&info) + 1,
                stride: 8,
                nulls: true,
                table: Table::Connections,
            };
            self.walk("TCP", &buckets);
        }
        Ok(())
    }

    fn datagrams(
        &mut self,
        net: &NetTablesLayout,
        nets: &NetNamespaces,
    ) -> Result<(), KernelError> {
        let layout: DatagramTableLayout = self.kernel.layout()?;
        let bucket: DatagramBucketLayout = self.kernel.layout()?;
        let mut roots = self.roots(nets, net.udp, self.kernel.symbol("udp_table"));
        // Up to 7.0: there is no UDP-Lite any more.
        roots.extend(self.kernel.symbol("udplite_table"));
        for root in roots {
            let Ok(record) = self.kernel.space.read_bytes(root, layout.len) else {
                self.lost("UDP", End::Fault);
                continue;
            };
            let first = VirtAddr(layout.buckets.get(&record));
            let buckets = Buckets {
                first: first.plus(u64::from(bucket.head.offset)),
                count: layout.mask.get(&record) + 1,
                stride: bucket.struct_size as u64,
                nulls: false,
                table: Table::Family,
            };
            self.walk("UDP", &buckets);
        }
        Ok(())
    }

    fn raw(&mut self) -> Result<(), KernelError> {
        let layout: RawTableLayout = self.kernel.layout()?;
        let roots = [
            self.kernel.symbol("raw_v4_hashinfo"),
            self.kernel.symbol("raw_v6_hashinfo"),
        ];
        for root in roots.into_iter().flatten() {
            let buckets = Buckets {
                first: root.plus(u64::from(layout.buckets.offset)),
                count: RAW_BUCKETS,
                stride: 8,
                nulls: false,
                table: Table::Family,
            };
            self.walk("raw", &buckets);
        }
        Ok(())
    }

    /// Families of which each namespace has a list or a table.
    fn others(&mut self, net: &NetTablesLayout, nets: &NetNamespaces) {
        let plain = |first, count| Buckets {
            first,
            count,
            stride: 8,
            nulls: false,
            table: Table::Family,
        };
        let variable = self.kernel.symbol("unix_socket_table");
        for root in self.roots(nets, net.unix, variable) {
            self.walk("unix", &plain(root, UNIX_BUCKETS));
        }
        for (what, field) in [("packet", net.packet), ("XDP", net.xdp)] {
            let Some(field) = field else { continue };
            for net in &nets.all {
                let at = net.address.plus(u64::from(field.offset));
                self.walk(what, &plain(at, 1));
            }
        }
    }

    fn walk(&mut self, what: &str, buckets: &Buckets) {
        if buckets.first.is_null() || !self.walked.insert(buckets.first) {
            return;
        }
        let count = buckets.count.min(MAX_BUCKETS);
        let mut slot = 0;
        while slot < count {
            let many = STEP.min(count - slot);
            let from = buckets.first.plus(slot * buckets.stride);
            let len = (many - 1) * buckets.stride + 8;
            let Ok(heads) = self.kernel.space.read_bytes(from, len as usize) else {
                self.lost(what, End::Fault);
                slot += many;
                continue;
            };
            for index in 0..many {
                let at = index * buckets.stride;
                let first = VirtAddr(u64_at(&heads, at as usize).unwrap_or(0));
                // An empty one: null, or its number.
                if !first.is_null() && first.0 & 1 == 0 {
                    self.chain(what, buckets, slot + index, from.plus(at), first);
                }
            }
            slot += many;
        }
    }

    fn chain(&mut self, what: &str, buckets: &Buckets, slot: u64, head: VirtAddr, first: VirtAddr) {
        let (node, end) = if buckets.nulls {
            let mut nodes = Vec::new();
            let end = walk::hlist_nulls(first, MAX_CHAIN, &mut self.seen, |at| {
                nodes.push(at);
                let next = self.kernel.space.read_ptr(at).map_err(|_| End::Fault)?;
                // Up to 4.x listeners are on plain lists.
                Ok(if next.is_null() { VirtAddr(1) } else { next })
            });
            let end = match end {
                NullsEnd::Marker(_) => End::Complete,
                NullsEnd::Broken(end) => end,
            };
            self.add(&nodes, self.nulls_node, buckets.table, slot);
            (nodes.len(), end)
        } else {
            let nodes = walk::hlist(&self.kernel.space, head, MAX_CHAIN);
            self.add(&nodes.value, self.node, buckets.table, slot);
            (nodes.value.len(), nodes.end)
        };
        if !end.is_complete() {
            self.lost(&format!("{what} ({node} in a bucket)"), end);
        }
    }

    pub(super) fn add(&mut self, nodes: &[VirtAddr], offset: u64, table: Table, slot: u64) {
        let sockets = nodes.iter().map(|node| Hashed {
            at: node.minus(offset),
            table,
            slot,
        });
        self.found.extend(sockets);
    }
}
