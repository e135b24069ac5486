//! The part of `allocinfo`: who allocated what was not freed.

use serde::Serialize;

use crate::subsys::mm::allocinfo::{AllocFacts, AllocSite};

/// Over all sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AllocTotals {
    /// Places in the code that allocate.
    pub sites: u64,
    /// Of these, such as have something allocated.
    pub used_sites: u64,
    /// Bytes allocated and not freed.
    pub bytes: i64,
    /// Allocations.
    pub calls: u64,
    /// Sites whose counters missed something, by the kernel's own word.
    pub inaccurate: u64,
}

/// The part of `allocinfo`.
#[derive(Clone, Debug, Serialize)]
pub struct AllocReport {
    /// Whether the kernel was counting at the crash.
    pub enabled: Option<bool>,
    /// Of /proc/allocinfo.
    pub version: String,
    /// Over all sites.
    pub totals: AllocTotals,
    /// Each place in the code.
    pub sites: Vec<AllocSite>,
}

impl AllocReport {
    /// Sums up; sites stay in the order of /proc/allocinfo.
    pub fn new(facts: AllocFacts) -> Self {
        let mut totals = AllocTotals::default();
        for site in &facts.sites {
            totals.sites += 1;
            totals.used_sites += u64::from(site.bytes.is_some_and(|bytes| bytes != 0));
            totals.bytes = totals.bytes.saturating_add(site.bytes.unwrap_or(0));
            totals.calls = totals.calls.saturating_add(site.calls.unwrap_or(0));
            totals.inaccurate += u64::from(!site.accurate);
        }
        Self {
            enabled: facts.enabled,
            version: facts.version,
            totals,
            sites: facts.sites,
        }
    }

    /// The largest first; those of one size stay in the kernel's order.
    pub fn sort_by_size(&mut self) {
        self.sites
            .sort_by_key(|site| std::cmp::Reverse(site.bytes.unwrap_or(i64::MIN)));
    }
}
