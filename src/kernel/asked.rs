//! All that vmleak asks a kernel's types and symbols: what a profile has to answer.
//!
//! Layouts register themselves (`layout!`). What code asks for by hand stands here; a test
//! compares the lists with the sources, and what a profile can't answer is said at run
//! time.

mod symbols;

use std::collections::BTreeSet;
use std::io;

use thiserror::Error;

pub use self::symbols::SYMBOLS;
use super::layout::Registered;
use crate::space::BootFacts;
use crate::types::{ProfileIdentity, ProfileWriter, SymbolOrigin, SymbolTable, TypeDb, TypeError};

/// Modules whose types are asked for, where the kernel has them as modules.
pub const MODULES: &[&str] = &["nf_conntrack", "nf_nat", "sch_netem", "sch_fq_codel"];

/// Modules that filter packets, with whose types rules are read. Profiles are without them: they
/// are many, and a kernel that has them as modules has their types in its memory.
pub const RULE_MODULES: &[&str] = &[
    "nf_tables",
    "nft_compat",
    "nft_connlimit",
    "nft_counter",
    "nft_ct",
    "nft_dup_ipv4",
    "nft_dup_ipv6",
    "nft_dup_netdev",
    "nft_fib",
    "nft_flow_offload",
    "nft_fwd_netdev",
    "nft_hash",
    "nft_limit",
    "nft_log",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "nft_numgen",
    "nft_objref",
    "nft_osf",
    "nft_queue",
    "nft_quota",
    "nft_redir",
    "nft_reject",
    "nft_reject_inet",
    "nft_socket",
    "nft_synproxy",
    "nft_tproxy",
    "nft_tunnel",
    "nft_xfrm",
    "x_tables",
    "ebtables",
    "ip_set",
    "ip_set_bitmap_ip",
    "ip_set_bitmap_ipmac",
    "ip_set_bitmap_port",
    "ip_set_hash_ip",
    "ip_set_hash_ipmac",
    "ip_set_hash_ipmark",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet",
    "ip_set_hash_mac",
    "ip_set_hash_net",
    "ip_set_hash_netiface",
    "ip_set_hash_netnet",
    "ip_set_hash_netport",
    "ip_set_hash_netportnet",
    "ip_set_list_set",
];

/// Structures that are looked up without a layout, with the units that see them.
pub const STRUCTURES: &[(&str, &str)] = &[
    ("cpumask", "kernel/cpu.c"),
    ("folio", "mm/slub.c"),
    ("hash_ip4", "net/netfilter/ipset/ip_set_hash_ip.c"),
    ("hash_ip6", "net/netfilter/ipset/ip_set_hash_ip.c"),
    ("hash_ipmac4", "net/netfilter/ipset/ip_set_hash_ipmac.c"),
    ("hash_ipmac6", "net/netfilter/ipset/ip_set_hash_ipmac.c"),
    ("hash_ipmark4", "net/netfilter/ipset/ip_set_hash_ipmark.c"),
    ("hash_ipmark6", "net/netfilter/ipset/ip_set_hash_ipmark.c"),
    ("hash_ipport4", "net/netfilter/ipset/ip_set_hash_ipport.c"),
    ("hash_ipport6", "net/netfilter/ipset/ip_set_hash_ipport.c"),
    ("hash_mac4", "net/netfilter/ipset/ip_set_hash_mac.c"),
    ("hash_net4", "net/netfilter/ipset/ip_set_hash_net.c"),
    ("hash_net6", "net/netfilter/ipset/ip_set_hash_net.c"),
    ("hash_netnet4", "net/netfilter/ipset/ip_set_hash_netnet.c"),
    ("hash_netnet6", "net/netfilter/ipset/ip_set_hash_netnet.c"),
    ("hash_netport4", "net/netfilter/ipset/ip_set_hash_netport.c"),
    ("hash_netport6", "net/netfilter/ipset/ip_set_hash_netport.c"),
    (
        "hash_ipportip4",
        "net/netfilter/ipset/ip_set_hash_ipportip.c",
    ),
    (
        "hash_ipportip6",
        "net/netfilter/ipset/ip_set_hash_ipportip.c",
    ),
    (
        "hash_ipportnet4",
        "net/netfilter/ipset/ip_set_hash_ipportnet.c",
    ),
    (
        "hash_ipportnet6",
        "net/netfilter/ipset/ip_set_hash_ipportnet.c",
    ),
    (
        "hash_netiface4",
        "net/netfilter/ipset/ip_set_hash_netiface.c",
    ),
    (
        "hash_netiface6",
        "net/netfilter/ipset/ip_set_hash_netiface.c",
    ),
    (
        "hash_netportnet4",
        "net/netfilter/ipset/ip_set_hash_netportnet.c",
    ),
    (
        "hash_netportnet6",
        "net/netfilter/ipset/ip_set_hash_netportnet.c",
    ),
    ("kmem_cache", "mm/slub.c"),
    ("log", "kernel/printk.c"),
    ("memcg_cache_params", "mm/slub.c"),
    ("vmalloc_info", "mm/vmalloc.c"),
    ("kmem_cache", "mm/slab_common.c"),
    ("mem_cgroup", "mm/memcontrol.c"),
    ("page", "mm/slub.c"),
    ("slab", "mm/slub.c"),
    ("task_struct", "kernel/fork.c"),
    ("thread_union", "kernel/fork.c"),
];

/// Enumerations, with the units that see them.
pub const ENUMERATIONS: &[(&str, &str)] = &[
    ("_slab_flag_bits", "mm/slub.c"),
    ("nf_ct_ext_id", "net/netfilter/nf_conntrack_core.c"),
    ("nft_set_extensions", "net/netfilter/nf_tables_api.c"),
    ("migratetype", "mm/page_alloc.c"),
    ("pageflags", "mm/slub.c"),
    ("page_ext_flags", "mm/page_ext.c"),
    ("pageblock_bits", "mm/page_alloc.c"),
    ("pagetype", "mm/slub.c"),
    ("pcpu_chunk_type", "mm/percpu.c"),
    ("vm_event_item", "mm/vmstat.c"),
    ("node_stat_item", "mm/memcontrol.c"),
    ("node_stat_item", "mm/vmstat.c"),
    ("zone_stat_item", "mm/vmstat.c"),
    ("numa_stat_item", "mm/vmstat.c"),
    ("cgroup_subsys_id", "kernel/cgroup/cgroup.c"),
    ("memcg_stat_item", "mm/memcontrol.c"),
    ("mem_cgroup_stat_index", "mm/memcontrol.c"),
    ("packet_sock_flags", "net/packet/af_packet.c"),
];

/// Why a profile can't be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The type information is damaged.
    #[error(transparent)]
    Types(#[from] TypeError),
    /// It can't be packed.
    #[error("the profile can't be packed: {0}")]
    Pack(#[from] io::Error),
}

/// The profile of a kernel, as the bytes of a file. With symbols that were found where they were at
/// run time comes where the kernel had been moved to.
///
/// # Errors
/// If the types are damaged.
pub fn profile(
    types: &TypeDb,
    symbols: Option<(&SymbolTable, Option<&BootFacts>)>,
    identity: ProfileIdentity,
) -> Result<Vec<u8>, ProfileError> {
    let mut writer = ProfileWriter::new(types, identity);
    // The linker gathers them in any order; a profile should not depend on it.
    let layouts: BTreeSet<_> = Registered::all()
        .map(|layout| (layout.structure, layout.homes))
        .collect();
    for (structure, homes) in layouts {
        writer.structure(structure, homes)?;
    }
    for (name, home) in STRUCTURES {
        writer.structure(name, &[home])?;
    }
    for (name, home) in ENUMERATIONS {
        writer.enumeration(name, home)?;
    }
    if let Some((table, boot)) = symbols {
        let moved = boot.filter(|_| table.origin() == SymbolOrigin::Kallsyms);
        let linked = |address: u64| moved.map_or(address, |boot| boot.linked(address));
        writer.symbols(table, linked, SYMBOLS.iter().copied());
    }
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests;
