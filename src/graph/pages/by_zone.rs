//! All of RAM once more, node by node and zone by zone.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::super::search::Search;
use super::blocks::Block;
use crate::addr::Pfn;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::page_zone::ZoneMap;

/// The pages of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZonePages {
    /// The number of its node; `None` of RAM that is of no zone.
    pub node: Option<u64>,
    /// Its name.
    pub zone: String,
    /// By what page structures say.
    pub kinds: BTreeMap<PageKind, u64>,
    /// Of the kernel's own: by the kind of owner, or that there is none.
    pub own: BTreeMap<&'static str, u64>,
}

/// Adds up pages by zone.
pub(super) struct ByZone<'s, 'k> {
    search: &'s Search<'k>,
    /// `None` if the types don't tell zones.
    map: Option<ZoneMap>,
    /// As many as there are zones, and one for what is of none.
    sums: Vec<ZonePages>,
    /// Pages that are all of one zone, and which.
    run: (Range<u64>, usize),
}

impl<'s, 'k> ByZone<'s, 'k> {
    pub(super) fn new(search: &'s Search<'k>) -> Self {
        let map = ZoneMap::read(search.kernel, &search.memmap).ok();
        let sums = |node: Option<usize>, zone: &str| ZonePages {
            node: node.map(|node| node as u64),
            zone: zone.to_owned(),
            kinds: BTreeMap::new(),
            own: BTreeMap::new(),
        };
        let zones = map.iter().flat_map(|map| &map.zones);
        let zones = zones.map(|zone| sums(Some(zone.node), &zone.name));
        Self {
            sums: zones.chain([sums(None, "none")]).collect(),
            run: (0..0, 0),
            map,
            search,
        }
    }

    /// One page of RAM.
    pub(super) fn page(&mut self, pfn: Pfn, kind: PageKind) {
        let zone = self.zone(pfn);
        if let Some(sums) = self.sums.get_mut(zone) {
            *sums.kinds.entry(kind).or_default() += 1;
        }
    }

    /// A block of the kernel's own pages, which never reaches over the end of a zone.
    pub(super) fn block(&mut self, block: &Block, code: &'static str) {
        let zone = self.zone(block.pfn);
        if let Some(sums) = self.sums.get_mut(zone) {
            *sums.own.entry(code).or_default() += u64::from(block.pages);
        }
    }

    fn zone(&mut self, pfn: Pfn) -> usize {
        if !self.run.0.contains(&pfn.0) {
            let none = self.sums.len() - 1;
            let (kernel, memmap) = (self.search.kernel, &self.search.memmap);
            let found = self.map.as_ref().map(|map| map.run(kernel, memmap, pfn));
            let (zone, end) = found.unwrap_or((None, u64::MAX));
            self.run = (pfn.0..end, zone.unwrap_or(none));
        }
        self.run.1
    }

    /// Those that have pages, in the order of nodes.
    pub(super) fn finish(self) -> Vec<ZonePages> {
        let mut found = self.sums;
        found.retain(|zone| !zone.kinds.is_empty());
        found
    }
}
