//! The part of `zones`: nodes and zones, and what each could still have given.

use serde::Serialize;

use crate::analysis::zones::{Outcome, outcomes};
use crate::subsys::mm::zones::{NodeFacts, ZoneFacts, ZonesFacts};

/// What one zone could have given.
#[derive(Clone, Debug, Serialize)]
pub struct ZoneOutcomes {
    /// The node.
    pub node: usize,
    /// The zone.
    pub zone: String,
    /// Of each order, from 0 on.
    pub orders: Vec<Outcome>,
}

/// The part of `zones`.
#[derive(Clone, Debug, Serialize)]
pub struct ZonesReport {
    /// In order.
    pub nodes: Vec<NodeFacts>,
    /// Of each zone that has memory: what became of a request of the kernel for a block of each
    /// order.
    pub allocations: Vec<ZoneOutcomes>,
}

/// A zone with its node's number.
#[derive(Clone, Debug, Serialize)]
pub struct ZoneRow<'a> {
    /// The node's.
    pub node: usize,
    /// The zone.
    #[serde(flatten)]
    pub zone: &'a ZoneFacts,
}

impl ZonesReport {
    /// All zones, one a row.
    pub fn rows(&self) -> Vec<ZoneRow<'_>> {
        let of = |node: &'_ NodeFacts| {
            let node_number = node.node;
            move |zone| ZoneRow {
                node: node_number,
                zone,
            }
        };
        let nodes = self.nodes.iter();
        nodes
            .flat_map(|node| node.zones.iter().map(of(node)))
            .collect()
    }

    /// Judges each zone.
    pub fn new(facts: ZonesFacts) -> Self {
        let zones = facts.nodes.iter().flat_map(|node| {
            let populated = node.zones.iter().filter(|zone| zone.present > 0);
            populated.map(move |zone| ZoneOutcomes {
                node: node.node,
                zone: zone.name.clone(),
                orders: outcomes(node, zone),
            })
        });
        Self {
            allocations: zones.collect(),
            nodes: facts.nodes,
        }
    }
}
