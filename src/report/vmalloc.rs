//! The part of `vmalloc`: areas, and their sums by caller.

use serde::Serialize;

use crate::analysis::vmalloc::{CallerGroup, by_caller};
use crate::subsys::mm::vmalloc::{AreaKind, Pointers, VmallocArea, VmallocFacts};

/// Over all areas.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct VmallocTotals {
    /// Areas in use.
    pub areas: u64,
    /// Areas freed, but still mapped.
    pub unpurged: u64,
    /// Bytes of memory that they hold.
    pub bytes: u64,
    /// Bytes of addresses.
    pub address_bytes: u64,
}

/// The part of `vmalloc`.
#[derive(Clone, Debug, Serialize)]
pub struct VmallocReport {
    /// Over all areas.
    pub totals: VmallocTotals,
    /// By caller, the largest first.
    pub callers: Vec<CallerGroup>,
    /// Each area, in the order of /proc/vmallocinfo.
    pub areas: Vec<VmallocArea>,
    /// Bytes in a page.
    pub page_size: u64,
    /// How this kernel printed addresses.
    #[serde(skip)]
    pub pointers: Option<Pointers>,
    /// Which areas this kernel's file leaves out.
    #[serde(skip)]
    pub unprinted: Vec<AreaKind>,
}

impl VmallocReport {
    /// Sums up. Where the dump does not tell how the kernel prints addresses, they stand as they
    /// are.
    pub fn new(facts: VmallocFacts, page_size: u64) -> Self {
        let mut totals = VmallocTotals::default();
        for area in &facts.areas {
            match area.kind {
                AreaKind::Unpurged => totals.unpurged += 1,
                _ => totals.areas += 1,
            }
            let bytes = area.pages.saturating_mul(page_size);
            totals.bytes = totals.bytes.saturating_add(bytes);
            totals.address_bytes = totals.address_bytes.saturating_add(area.bytes());
        }
        Self {
            totals,
            callers: by_caller(&facts.areas),
            areas: facts.areas,
            page_size,
            pointers: facts.pointers,
            unprinted: facts.unprinted,
        }
    }
}
