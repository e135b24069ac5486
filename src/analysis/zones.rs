//! Whether a zone could have given a block of some order at the crash, and why not
//! (__zone_watermark_ok(), mm/page_alloc.c).

use serde::Serialize;

use crate::subsys::mm::zones::{NodeFacts, ZoneFacts};

/// What becomes of a request for a block that can't be moved, such as most of the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It gets one at once.
    Served,
    /// It gets one, and kswapd is woken: free memory is below the low watermark.
    WakesKswapd,
    /// There is such a block, but free memory is below the min watermark: it has to reclaim, and
    /// gets one only if it may use reserves.
    ReservesOnly,
    /// No free block is large enough, though there is memory enough: fragmented.
    Fragmented,
    /// Neither a block nor memory.
    Exhausted,
}

impl Outcome {
    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::WakesKswapd => "served, wakes kswapd",
            Self::ReservesOnly => "only from reserves",
            Self::Fragmented => "fails: fragmented",
            Self::Exhausted => "fails: no memory",
        }
    }
}

/// Of each order from 0 on, for a request that may use zones up to Normal.
pub fn outcomes(node: &NodeFacts, zone: &ZoneFacts) -> Vec<Outcome> {
    let asked = node.zones.iter().position(|zone| zone.name == "Normal");
    let asked = asked.unwrap_or_else(|| node.zones.len().saturating_sub(1));
    let kept = zone.protection.get(asked).copied().unwrap_or(0).max(0);
    let counter = |name: &str| {
        let found = zone.counters.iter().find(|counter| counter.name == name);
        found.map_or(0, |counter| counter.value)
    };
    let unusable = zone
        .free_highatomic
        .or(zone.reserved_highatomic)
        .unwrap_or(0)
        + counter("nr_free_cma");
    let mark = |index: usize| {
        let mark = zone.watermarks.get(index).copied().unwrap_or(0);
        mark.saturating_add(kept.unsigned_abs())
    };
    let (min, low) = (mark(0), mark(1));
    let orders = 0..zone.free_blocks.len();
    orders
        .map(|order| {
            let free = zone.free.saturating_sub(unusable);
            let free = free.saturating_sub((1u64 << order.min(63)) - 1);
            let blocks = zone.free_blocks.get(order..).unwrap_or_default();
            let has_block = order == 0 || blocks.iter().any(|count| *count > 0);
            match (has_block, free > low, free > min) {
                (true, true, _) => Outcome::Served,
                (true, false, true) => Outcome::WakesKswapd,
                (true, false, false) => Outcome::ReservesOnly,
                (false, _, true) => Outcome::Fragmented,
                (false, _, false) => Outcome::Exhausted,
            }
        })
        .collect()
}
