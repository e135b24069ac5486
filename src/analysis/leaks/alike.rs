//! What the look of lost memory outside of caches says for a leak: whose it is, and that it is alike.

use super::super::accounting::{Reason, share};
use super::{Owner, owners, reason};
use crate::graph::{CacheReach, Cluster, Content};

/// Of the lost, as with objects.
const ALIKE: f64 = 0.5;

/// Whose `lost` pieces seem to be, by what they point to, as with objects.
pub(super) fn owners_of(content: &Content, lost: u64) -> Vec<Owner> {
    owners::owners(&CacheReach {
        content: content.clone(),
        unreachable: lost,
        ..CacheReach::default()
    })
}

/// Each is a kind of evidence of its own.
pub(super) fn evidence(content: &Content, owners: &[Owner]) -> Vec<Reason> {
    let owner = owners.iter().find(|owner| owner.is_module());
    let owner = owner.map(|owner| {
        let text = format!("module {}: {}", owner.module, owner.how);
        reason("owner", "content", text)
    });
    let alike = content.clusters.first().filter(|cluster| {
        share(cluster.objects, content.looked_at) >= ALIKE && cluster.text.is_some()
    });
    let alike = alike.and_then(Cluster::describe_text).map(|text| {
        let text = format!("most of them are alike: they {text}");
        reason("alike", "content", text)
    });
    owner.into_iter().chain(alike).collect()
}
