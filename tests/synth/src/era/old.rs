//! What kernels of 3.10 lack of what the tables of 5.10 have.

use super::Era;
use crate::ctypes::TypeTable;

/// Takes it out of the types of one.
pub(super) fn take_away(era: Era, table: &mut TypeTable) {
    let gone = |name: &str| NOT_OF_3_10.contains(&name);
    table.variables.retain(|(name, _)| !gone(name));
    for tag in ["printk_ringbuffer", "slab", "folio"] {
        table.aggregates.remove(tag);
    }
    let counted = Some("node_stat_item");
    table.enums.retain(|known| known.tag.as_deref() != counted);
    if era == Era::V3_10 {
        let base = |name: &str| name.ends_with("_base");
        table.variables.retain(|(name, _)| !base(name));
        table.drop_member("kmem_cache", "red_left_pad");
    }
}

/// The same of connection tracking.
pub(super) fn take_conntrack_away(table: &mut TypeTable) {
    let gone = |name: &str| NOT_OF_OLD_CONNTRACK.contains(&name);
    table.variables.retain(|(name, _)| !gone(name));
    for tag in ["nf_conn_acct", "nf_conntrack_net", "conntrack_gc_work"] {
        table.aggregates.remove(tag);
    }
}

/// Variables of 5.10 that 3.10 has by other names, or not at all.
const NOT_OF_3_10: &[&str] = &[
    "__cpu_possible_mask",
    "__cpu_present_mask",
    "__cpu_online_mask",
    "prb",
    "printk_rb_static",
    "free_vmap_area_root",
    "vmap_purge_list",
    "_totalram_pages",
    "vm_node_stat",
    "vm_zone_stat",
];

/// What all namespaces have together, and came later.
const NOT_OF_OLD_CONNTRACK: &[&str] = &[
    "nf_conntrack_hash",
    "nf_conntrack_generation",
    "nf_conntrack_cachep",
    "nf_ct_expect_hash",
    "conntrack_gc_work",
    "nf_conntrack_l4proto_udplite",
    "nf_conntrack_l4proto_dccp",
    "nf_conntrack_l4proto_sctp",
    "nf_conntrack_l4proto_gre",
];
