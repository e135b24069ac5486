//! Objects that the kernel means to keep without a pointer to them.
//!
//! Each rule names the line of the kernel that makes it so. A rule must fit an object by
//! what it holds, never by its cache alone.

use crate::graph::{Cluster, Content};

struct Rule {
    why: &'static str,
    fits: fn(&Cluster) -> bool,
}

/// fs/proc/proc_sysctl.c: __register_sysctl_init() and sysctl_mount_point registrations drop
/// what they are given back and call kmemleak_not_leak(); the header of an empty table has no
/// node in its directory either.
const RULES: &[Rule] = &[Rule {
    why: "headers of sysctl tables that stay registered for ever (__register_sysctl_init)",
    fits: |cluster| {
        let names = |name: &str| name == "sysctl_table_root" || name.ends_with("_base_table");
        cluster
            .symbols
            .iter()
            .any(|at| at.module.is_none() && names(&at.symbol))
    },
}];

/// Why objects of this kind are no leak, if they are none.
pub(super) fn reason(cluster: &Cluster) -> Option<&'static str> {
    RULES
        .iter()
        .find(|rule| (rule.fits)(cluster))
        .map(|rule| rule.why)
}

/// The clusters of those that are none of these, and how many of the objects that were looked at
/// are none.
pub(super) fn others(content: &Content) -> (impl Iterator<Item = &Cluster>, u64) {
    let benign = |cluster: &&Cluster| reason(cluster).is_some();
    let meant: u64 = content
        .clusters
        .iter()
        .filter(benign)
        .map(|one| one.objects)
        .sum();
    let others = content.clusters.iter().filter(move |one| !benign(one));
    (others, content.looked_at.saturating_sub(meant))
}
