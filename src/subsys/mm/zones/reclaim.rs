//! What reclaim notes of a zone, up to 4.7: how much was scanned for how much there is, and how many
//! active pages it lets be for one inactive page (mm/vmscan.c). Later it works by nodes.

use serde::Serialize;

use super::Counter;
use super::layouts::ZoneLayout;
use crate::kernel::Kernel;
use crate::kernel::layout::Field;

/// Of one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReclaimFacts {
    /// Pages scanned since one was reclaimed.
    pub scanned: u64,
    /// Whether reclaim gave up on the zone.
    pub all_unreclaimable: bool,
    /// Anonymous pages that may be active for one that is inactive.
    pub inactive_ratio: u64,
}

/// So many times the pages of its lists, and the zone is given up (`zone_reclaimable()`).
const ROUNDS: u64 = 6;

pub(super) struct ReclaimReader {
    ratio: Field,
    scanned: Option<Field>,
    /// Kept up to 3.11, worked out since.
    given_up: Option<Field>,
    /// Whether there is room in swap, so that anonymous pages can go.
    swap: bool,
}

impl ReclaimReader {
    /// `None` for kernels that have no ratio of each zone.
    pub(super) fn new(kernel: &Kernel, layout: &ZoneLayout) -> Option<Self> {
        let works_it_out = kernel.symbol("zone_reclaimable").is_some();
        let free = kernel.u64_of("nr_swap_pages").value().unwrap_or(0);
        Some(Self {
            ratio: layout.inactive_ratio?,
            scanned: layout.pages_scanned,
            given_up: layout.all_unreclaimable.filter(|_| !works_it_out),
            swap: free.cast_signed() > 0,
        })
    }

    /// `counters` are the zone's.
    pub(super) fn read(&self, zone: &[u8], counters: &[Counter]) -> ReclaimFacts {
        let of = |name: &str| {
            let found = counters.iter().find(|one| one.name == name);
            found.map_or(0, |counter| counter.value)
        };
        let scanned = match self.scanned {
            Some(field) => field.get(zone),
            None => of("nr_pages_scanned"),
        };
        let files = of("nr_active_file") + of("nr_inactive_file");
        let anonymous = match self.swap {
            true => of("nr_active_anon") + of("nr_inactive_anon"),
            false => 0,
        };
        ReclaimFacts {
            scanned,
            all_unreclaimable: match self.given_up {
                Some(field) => field.get(zone) != 0,
                None => scanned >= (files + anonymous).saturating_mul(ROUNDS),
            },
            inactive_ratio: self.ratio.get(zone),
        }
    }
}
