//! IPv4 routes (net/ipv4/fib_trie.c), and how many IPv6 has.

use std::net::Ipv4Addr;

use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::u32_at;
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/net/net_namespace.h
    struct NetRoutesLayout = "net" in "net/core/net_namespace.c" {
        need tables = "ipv4.fib_table_hash",
        maybe rt6_stats = "ipv6.rt6_stats",
    }
}

layout! {
    /// include/net/ip_fib.h
    struct TableLayout = "fib_table" in "net/ipv4/fib_trie.c" {
        need link = "tb_hlist",
        need id = "tb_id",
        need data = "tb_data",
    }
}

layout! {
    /// net/ipv4/fib_trie.c
    struct TrieLayout = "trie" in "net/ipv4/fib_trie.c" {
        need root = "kv",
    }
}

layout! {
    /// net/ipv4/fib_trie.c
    struct NodeLayout = "key_vector" in "net/ipv4/fib_trie.c" {
        need key = "key",
        need bits = "bits",
        need leaf = "leaf",
        need children = "tnode",
    }
}

layout! {
    /// net/ipv4/fib_lookup.h
    struct AliasLayout = "fib_alias" in "net/ipv4/fib_trie.c" {
        need link = "fa_list",
        need info = "fa_info",
        need type_ = "fa_type",
        need table = "tb_id",
        need suffix = "fa_slen",
    }
}

layout! {
    /// include/net/ip_fib.h
    struct InfoLayout = "fib_info" in "net/ipv4/fib_trie.c" {
        need priority = "fib_priority",
        need protocol = "fib_protocol",
        need metrics = "fib_metrics",
        need hops = "fib_nhs",
        /// 5.3 and later (commit 4c7e8084fd46): an object of its own in place of `fib_nh`.
        maybe object = "nh",
        need first_hop = "fib_nh",
    }
}

layout! {
    /// include/net/ip_fib.h
    struct HopLayout = "fib_nh" in "net/ipv4/fib_trie.c" {
        need device = "nh_common.nhc_dev" | "nh_dev",
        need gateway = "nh_common.nhc_gw.ipv4" | "nh_gw",
    }
}

layout! {
    /// include/net/dst.h
    struct MetricsLayout = "dst_metrics" in "net/ipv4/fib_trie.c" {
        need metrics = "metrics",
    }
}

layout! {
    /// include/net/ip6_fib.h
    struct Statistics6Layout = "rt6_statistics" in "net/ipv6/ip6_fib.c" {
        need routes = "fib_rt_entries",
    }
}

/// More routes than fit into memory.
const MAX_NODES: usize = 1 << 24;
const MAX_CHAIN: u64 = 1 << 16;
/// A trie's node has as many children as fit into a page table.
const MAX_BITS: u64 = 24;
/// FIB_TABLE_HASHSZ with CONFIG_IP_MULTIPLE_TABLES, else 2.
const TABLES: u64 = 256;
const TABLES_WITHOUT: u64 = 2;
/// RTAX_ADVMSS, WINDOW, RTT of include/uapi/linux/rtnetlink.h, less one.
const ADVMSS: usize = 7;
const WINDOW: usize = 2;
const RTT: usize = 3;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteFacts {
    /// Of which table: 254 is main, 255 local.
    pub table: u64,
    /// The network, with how many bits of it count.
    pub destination: String,
    #[serde(skip)]
    /// The network's first address.
    pub key: u32,
    /// How many bits of it count.
    #[serde(skip)]
    pub prefix: u32,
    /// `unicast`, `local`, `broadcast`, `unreachable`, ….
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// RTN_….
    #[serde(skip)]
    pub type_number: u64,
    /// Through which device; `None` if there is none.
    pub device: Option<String>,
    /// Through whom; `None`: it is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Of several, the lowest is taken.
    pub metric: u64,
    /// Who made it: 2 is the kernel, 3 at boot, 4 static.
    pub protocol: u64,
    /// Ways that share it.
    pub hops: u64,
    /// advmss, window and rtt, as they were set.
    #[serde(skip)]
    pub metrics: [u32; 3],
}

pub(super) struct Reader<'k> {
    kernel: &'k Kernel,
    net: NetRoutesLayout,
    table: TableLayout,
    trie: TrieLayout,
    node: NodeLayout,
    alias: AliasLayout,
    info: InfoLayout,
    hop: HopLayout,
    metrics: MetricsLayout,
    six: Option<Statistics6Layout>,
}

impl<'k> Reader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            net: kernel.layout()?,
            table: kernel.layout()?,
            trie: kernel.layout()?,
            node: kernel.layout()?,
            alias: kernel.layout()?,
            info: kernel.layout()?,
            hop: kernel.layout()?,
            metrics: kernel.layout()?,
            six: kernel.layout().ok(),
            kernel,
        })
    }

    /// How many IPv6 routes a namespace has.
    pub(super) fn ipv6(&self, net: VirtAddr) -> Option<u64> {
        let (field, layout) = (self.net.rt6_stats?, self.six.as_ref()?);
        let space = &self.kernel.space;
        let stats = space.read_ptr(net.plus(u64::from(field.offset))).ok()?;
        let record = space.read_bytes(stats, layout.len).ok()?;
        Some(layout.routes.get(&record))
    }

    /// The routes of all tables of a namespace; `None` if one could not be read as a whole.
    pub(super) fn of(
        &self,
        net: VirtAddr,
        name: &dyn Fn(VirtAddr) -> Option<String>,
    ) -> Option<Vec<RouteFacts>> {
        let space = &self.kernel.space;
        let first = net.plus(u64::from(self.net.tables.offset));
        let first = space.read_ptr(first).ok()?;
        // A function that only kernels with CONFIG_IP_MULTIPLE_TABLES have.
        let many = self.kernel.symbol("fib_new_table").is_some();
        let mut routes = Vec::new();
        for bucket in 0..if many { TABLES } else { TABLES_WITHOUT } {
            let tables = walk::hlist(space, first.plus(bucket * 8), MAX_CHAIN);
            for link in &tables.value {
                let at = link.minus(u64::from(self.table.link.offset));
                self.table(at, name, &mut routes)?;
            }
            tables.end.is_complete().then_some(())?;
        }
        Some(routes)
    }

    fn table(
        &self,
        at: VirtAddr,
        name: &dyn Fn(VirtAddr) -> Option<String>,
        routes: &mut Vec<RouteFacts>,
    ) -> Option<()> {
        let space = &self.kernel.space;
        let record = space.read_bytes(at, self.table.len).ok()?;
        let id = self.table.id.get(&record);
        let trie = VirtAddr(self.table.data.get(&record));
        let children = u64::from(self.node.children.offset);
        let root = trie.plus(u64::from(self.trie.root.offset) + children);
        let mut stack = vec![space.read_ptr(root).ok()?];
        let mut seen = FxHashSet::default();
        while let Some(node) = stack.pop() {
            if node.is_null() {
                continue;
            }
            if !seen.insert(node) || seen.len() > MAX_NODES {
                return None;
            }
            let record = space.read_bytes(node, self.node.len).ok()?;
            let bits = self.node.bits.get(&record);
            if bits == 0 {
                let key = self.node.key.get(&record) as u32;
                self.leaf(node, key, id, name, routes)?;
                continue;
            }
            if bits > MAX_BITS {
                return None;
            }
            let array = space.read_bytes(node.plus(children), 8 << bits).ok()?;
            // The first is to be taken first.
            let (words, _) = array.as_chunks::<8>();
            let words = words.iter().rev();
            stack.extend(words.map(|word| VirtAddr(u64::from_le_bytes(*word))));
        }
        Some(())
    }

    /// The routes to one network; the tables local and main may share a trie.
    fn leaf(
        &self,
        node: VirtAddr,
        key: u32,
        table: u64,
        name: &dyn Fn(VirtAddr) -> Option<String>,
        routes: &mut Vec<RouteFacts>,
    ) -> Option<()> {
        let head = node.plus(u64::from(self.node.leaf.offset));
        let aliases = walk::hlist(&self.kernel.space, head, MAX_CHAIN);
        for link in &aliases.value {
            let at = link.minus(u64::from(self.alias.link.offset));
            let record = self.kernel.space.read_bytes(at, self.alias.len).ok()?;
            if self.alias.table.get(&record) == table {
                routes.push(self.route(key, table, &record, name)?);
            }
        }
        aliases.end.is_complete().then_some(())
    }

    fn route(
        &self,
        key: u32,
        table: u64,
        alias: &[u8],
        name: &dyn Fn(VirtAddr) -> Option<String>,
    ) -> Option<RouteFacts> {
        let space = &self.kernel.space;
        let info = VirtAddr(self.alias.info.get(alias));
        let record = space.read_bytes(info, self.info.len).ok()?;
        let prefix = 32u32.saturating_sub(self.alias.suffix.get(alias) as u32);
        let object = self.info.object.map_or(0, |field| field.get(&record));
        let (mut device, mut gateway) = (None, None);
        if object == 0 && self.info.hops.get(&record) > 0 {
            let hop = info.plus(u64::from(self.info.first_hop.offset));
            let hop = space.read_bytes(hop, self.hop.len).ok()?;
            let at = VirtAddr(self.hop.device.get(&hop));
            device = (!at.is_null()).then(|| name(at).unwrap_or_else(|| at.to_string()));
            let word = (self.hop.gateway.get(&hop) as u32).to_le_bytes();
            gateway = Some(Ipv4Addr::from(word)).filter(|at| !at.is_unspecified());
        }
        let metrics = VirtAddr(self.info.metrics.get(&record));
        let metrics = metrics.plus(u64::from(self.metrics.metrics.offset));
        let metrics = space.read_bytes(metrics, (ADVMSS + 1) * 4).ok()?;
        let metric = |index: usize| u32_at(&metrics, index * 4).unwrap_or(0);
        let number = |field: Field| field.get(&record);
        let type_number = self.alias.type_.get(alias);
        Some(RouteFacts {
            table,
            destination: format!("{}/{prefix}", Ipv4Addr::from(key)),
            key,
            prefix,
            type_name: type_name(type_number),
            type_number,
            device,
            gateway,
            metric: number(self.info.priority),
            protocol: number(self.info.protocol),
            hops: number(self.info.hops),
            metrics: [metric(ADVMSS), metric(WINDOW), metric(RTT)],
        })
    }
}

/// RTN_… of include/uapi/linux/rtnetlink.h.
fn type_name(number: u64) -> &'static str {
    match number {
        1 => "unicast",
        2 => "local",
        3 => "broadcast",
        4 => "anycast",
        5 => "multicast",
        6 => "blackhole",
        7 => "unreachable",
        8 => "prohibit",
        9 => "throw",
        _ => "unknown",
    }
}
