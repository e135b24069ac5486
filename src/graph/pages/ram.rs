//! Where RAM is, and what was set apart of it before the page allocator began.

use serde::Serialize;

use super::super::search::Search;
use super::by_zone::ByZone;
use crate::addr::{Pfn, PhysAddr};
use crate::kernel::iomem::{self, Resource};
use crate::kernel::page_kinds::PageKind;

/// RAM page by page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// All of it, in pages; `None` if the kernel's own table of it can't be read: then what is
    /// reserved may be no RAM.
    pub pages: Option<u64>,
    /// By what page structures say. What was reserved at boot is below.
    pub kinds: Vec<(PageKind, u64)>,
    /// The kernel's code and data.
    pub image: u64,
    /// Set apart for the kernel that takes the dump.
    pub crash_kernel: u64,
    /// Reserved at boot for something else: early tables, firmware.
    pub boot: u64,
    /// RAM without page structures, or whose structures are missing.
    pub unknown: u64,
}

/// Kinds that are told by where pages lie.
fn is_reserved(kind: PageKind) -> bool {
    matches!(kind, PageKind::Reserved | PageKind::Code)
}

impl Ram {
    pub(super) fn read(search: &Search<'_>, zones: &mut ByZone<'_, '_>) -> Self {
        let kernel = search.kernel;
        let resources = match iomem::resources(kernel) {
            Ok(found) if found.end.is_complete() => found.value,
            Ok(_) => {
                kernel.diag.warn(
                    "iomem-lost",
                    "a part of the table of physical addresses can't be read, so that reserved pages that are no RAM can't be told: take the dump with kernel pages included",
                );
                Vec::new()
            }
            // Types that are not all there: what is reserved stays without a name.
            Err(_) => Vec::new(),
        };
        if resources.is_empty() {
            return Self::without_places(search);
        }
        let mut found = Self {
            pages: Some(0),
            ..Self::default()
        };
        let mut counts = std::collections::BTreeMap::new();
        for (at, ram) in resources.iter().enumerate() {
            if ram.depth > 0 || !ram.name.starts_with("System RAM") {
                continue;
            }
            let rest = resources.get(at + 1..).unwrap_or_default();
            let within: Vec<&Resource> = rest.iter().take_while(|one| one.depth > 0).collect();
            found.count(search, ram, &within, &mut counts, zones);
        }
        found.kinds = counts.into_iter().collect();
        found
    }

    /// Page structures alone: what is reserved is left out, for much of it is no RAM.
    fn without_places(search: &Search<'_>) -> Self {
        let kinds = search.kinds.counts().into_iter();
        let kinds = kinds.filter(|(kind, _)| *kind != PageKind::Unknown && !is_reserved(*kind));
        Self {
            kinds: kinds.filter(|(_, pages)| *pages > 0).collect(),
            ..Self::default()
        }
    }

    fn count(
        &mut self,
        search: &Search<'_>,
        ram: &Resource,
        within: &[&Resource],
        counts: &mut std::collections::BTreeMap<PageKind, u64>,
        zones: &mut ByZone<'_, '_>,
    ) {
        let shift = search.kernel.dump().page_shift();
        let page = 1u64 << shift;
        // Only whole pages are ever given to anybody.
        let first = ram.start.0.div_ceil(page);
        let end = (ram.end.0 >> shift).min(search.kinds.index().end().0.max(first));
        let beyond = (ram.end.0 >> shift).saturating_sub(end);
        self.unknown += beyond;
        if let Some(pages) = &mut self.pages {
            *pages += end.saturating_sub(first) + beyond;
        }
        for pfn in first..end {
            let kind = search.kinds.get(Pfn(pfn));
            zones.page(Pfn(pfn), kind);
            if kind == PageKind::Unknown {
                self.unknown += 1;
            } else if is_reserved(kind) {
                let at = PhysAddr(pfn << shift);
                let range = within.iter().find(|one| one.start <= at && at < one.end);
                match range.map(|range| range.name.as_str()) {
                    Some("Crash kernel") => self.crash_kernel += 1,
                    Some(name) if name.starts_with("Kernel ") => self.image += 1,
                    _ => self.boot += 1,
                }
            } else {
                *counts.entry(kind).or_default() += 1;
            }
        }
    }
}
