//! All that vmleak asks a kernel's types and symbols: what a profile has to answer.
//!
//! Layouts register themselves (`layout!`). What code asks for by hand stands here; a test
//! compares the lists with the sources, and what a profile can't answer is said at run
//! time.

use std::collections::BTreeSet;
use std::io;

use thiserror::Error;

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
    ("packet_sock_flags", "net/packet/af_packet.c"),
];

/// Symbols, sorted. Those of modules are in the dump itself; here they stand for kernels that
/// have the module built in.
pub const SYMBOLS: &[&str] = &[
    "__bss_start",
    "__bss_stop",
    "__cpu_active_mask",
    "__cpu_online_mask",
    "__cpu_possible_mask",
    "__cpu_present_mask",
    "__end_rodata",
    "__entry_task",
    "__init_begin",
    "__init_end",
    "__kfence_pool",
    "__log_buf",
    "__per_cpu_end",
    "__per_cpu_offset",
    "__per_cpu_start",
    "__start_BTF",
    "__start_orc_unwind",
    "__start_orc_unwind_ip",
    "__start_rodata",
    "__stop_BTF",
    "__stop_orc_unwind",
    "__stop_orc_unwind_ip",
    "_edata",
    "_end",
    "_etext",
    "_sdata",
    "_stext",
    "_text",
    "_totalram_pages",
    "all_bdevs",
    "alloc_tag_cttype",
    "arp_tbl",
    "audit_hold_queue",
    "audit_queue",
    "audit_retry_queue",
    "avenrun",
    "block_class",
    "boot_command_line",
    "btf_modules",
    "cached_stacks",
    "cma_area_count",
    "conntrack_gc_work",
    "contig_page_data",
    "count_partial_free_approx",
    "cpu_active_bits",
    "cpu_online_bits",
    "cpu_possible_bits",
    "cpu_present_bits",
    "crash_notes",
    "crashing_cpu",
    "ct_id_seed",
    "current_task",
    "d_hash_mask",
    "d_hash_shift",
    "defer_free_objects",
    "deferred_percpu_work",
    "dentry_cache",
    "dentry_hashtable",
    "depot_index",
    "direct_pages_count",
    "dirty_background_bytes",
    "dirty_background_ratio",
    "efi_mm",
    "extra_mem",
    "fib_new_table",
    "free_vmap_area_root",
    "gfpflag_names",
    "high_memory",
    "hstates",
    "idle_threads",
    "init_ipc_ns",
    "init_net",
    "init_nsproxy",
    "init_task",
    "init_top_pgt",
    "init_uts_ns",
    "iomem_resource",
    "ip_set_net_id",
    "ipv4_icmp_sk",
    "ipv4_tcp_sk",
    "ipv6_icmp_sk",
    "jiffies_64",
    "jiffies_last_scan",
    "jiffies_min_age",
    "jiffies_scan_wait",
    "kallsyms_addresses",
    "kallsyms_names",
    "kallsyms_num_syms",
    "kallsyms_offsets",
    "kallsyms_relative_base",
    "kallsyms_token_index",
    "kallsyms_token_table",
    "kfence_metadata",
    "kmemleak_enabled",
    "kmemleak_error",
    "kptr_restrict",
    "krc",
    "linux_banner",
    "log_first_idx",
    "max_pfn",
    "mem_alloc_profiling_key",
    "mem_cgroup_stats_index",
    "mem_pool",
    "mem_section",
    "migratetype_names",
    "modules",
    "napi_alloc_cache",
    "nat_keepalive_sk_ipv4",
    "nat_keepalive_sk_ipv6",
    "nd_tbl",
    "net_hotdata",
    "net_namespace_list",
    "nf_conntrack_hash",
    "nf_conntrack_htable_size",
    "nf_conntrack_l4proto_dccp",
    "nf_conntrack_l4proto_dccp4",
    "nf_conntrack_l4proto_gre",
    "nf_conntrack_l4proto_gre4",
    "nf_conntrack_l4proto_sctp",
    "nf_conntrack_l4proto_sctp4",
    "nf_conntrack_l4proto_udplite",
    "nf_conntrack_l4proto_udplite4",
    "nf_conntrack_max",
    "nf_conntrack_net_id",
    "nf_ct_expect_hash",
    "nf_ct_expect_hsize",
    "nf_ct_expect_max",
    "nf_ct_get_id",
    "nf_tables_net_id",
    "nft_register_expr",
    "nl_table",
    "no_hash_pointers",
    "node_data",
    "nr_cpu_ids",
    "nr_dentry",
    "nr_dentry_negative",
    "nr_dentry_unused",
    "nr_files",
    "nr_inodes",
    "nr_memmap_boot_pages",
    "nr_memmap_pages",
    "nr_node_ids",
    "nr_swap_pages",
    "nr_swapper_spaces",
    "nr_threads",
    "nr_unused",
    "nr_vmalloc_pages",
    "nr_vmap_nodes",
    "object_list",
    "orc_lookup",
    "orc_lookup_end",
    "page_ext_size",
    "page_offset_base",
    "page_owner_inited",
    "page_owner_ops",
    "page_owner_pages_threshold",
    "panic_cpu",
    "pcpu_hot",
    "percpu_counter_sync",
    "pool_index",
    "pools_num",
    "prb",
    "proto_list",
    "ptr_key",
    "purge_vmap_area_list",
    "raw_v4_hashinfo",
    "raw_v6_hashinfo",
    "rcu_bh_data",
    "rcu_data",
    "rcu_free_sheaf",
    "rcu_preempt_data",
    "rcu_sched_data",
    "root_mem_cgroup",
    "saved_command_line",
    "sched_is_eas_possible",
    "skbuff_fclone_cache",
    "skbuff_head_cache",
    "slab_caches",
    "slab_kset",
    "slab_nomerge",
    "slab_root_caches",
    "snmp4_net_list",
    "socket_file_ops",
    "softnet_data",
    "stack_list",
    "stack_max_pools",
    "stack_pools",
    "stack_slabs",
    "super_blocks",
    "swap_info",
    "swapper_pg_dir",
    "swapper_spaces",
    "sysctl_table_root",
    "sysctl_tcp_max_orphans",
    "tcp_hashinfo",
    "tcp_orphan_count",
    "tcp_prot",
    "tick_nsec",
    "tk_ntp_data",
    "total_swap_pages",
    "totalram_pages",
    "totalreserve_pages",
    "transparent_hugepage_flags",
    "udp_prot",
    "udp_table",
    "udplite_table",
    "unix_socket_table",
    "vm_dirty_bytes",
    "vm_dirty_ratio",
    "vm_event_states",
    "vm_node_stat",
    "vm_numa_stat",
    "vm_stat",
    "vm_zone_stat",
    "vmalloc_base",
    "vmap_area_list",
    "vmap_nodes",
    "vmap_purge_list",
    "vmemmap_base",
    "vmstat_text",
    "xt_pernet_id",
    "xt_register_table",
    "zswap_pools",
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
