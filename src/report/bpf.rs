//! The part of `bpf`: maps and programs.

use serde::Serialize;

use crate::subsys::bpf::{BpfFacts, MapFacts, ProgramFacts};

/// The part of `bpf`.
#[derive(Clone, Debug, Serialize)]
pub struct BpfReport {
    /// Those with the most memory first.
    pub maps: Vec<MapFacts>,
    /// By number.
    pub programs: Vec<ProgramFacts>,
}

impl BpfReport {
    /// Sorts.
    pub fn new(facts: BpfFacts) -> Self {
        let mut maps = facts.maps;
        maps.sort_by_key(|map| (std::cmp::Reverse(map.area_bytes + map.percpu_bytes), map.id));
        Self {
            maps,
            programs: facts.programs,
        }
    }
}
