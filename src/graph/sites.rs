//! Who allocated the objects that nothing points to, where the kernel kept it.

use crate::addr::VirtAddr;
use crate::kernel::variables::Variables;
use crate::subsys::mm::slab::SlabHeap;
use crate::subsys::mm::slab::cache::Cache;
use crate::subsys::mm::slab::tracks::{SiteFacts, TrackOf, Tracks};

/// Places given of each cache.
const PLACES: usize = 20;

/// Reads the tracks of unreachable objects, in kernels that have tracks.
pub(super) struct LostSites<'a> {
    tracks: Option<Tracks<'a>>,
    symbols: &'a Variables<'a>,
    heap: &'a SlabHeap<'a>,
}

impl<'a> LostSites<'a> {
    /// A kernel whose tracks can't be read is one without, after a warning.
    pub(super) fn new(heap: &'a SlabHeap<'a>, symbols: &'a Variables<'a>) -> Self {
        let tracks = Tracks::open(heap).unwrap_or_else(|error| {
            heap.kernel().diag.warn("tracks-unreadable", format!("who allocated the unreachable objects can't be said, though the kernel recorded it: {error}"));
            None
        });
        Self {
            tracks,
            symbols,
            heap,
        }
    }

    /// Who allocated `lost` objects of `cache`; `None` if nobody recorded it, or there are none.
    pub(super) fn of(
        &self,
        cache: &Cache,
        lost: impl Iterator<Item = VirtAddr>,
    ) -> Option<SiteFacts> {
        let tracks = self.tracks.as_ref().filter(|tracks| tracks.has(cache))?;
        let mut lost = lost.peekable();
        lost.peek()?;
        let sites = tracks.sites(cache, lost, TrackOf::Alloc);
        let name = |address| self.symbols.name(address);
        let facts = tracks.describe(sites, PLACES, &name).ok()?;
        facts.warn(self.heap.kernel(), &cache.name);
        Some(facts)
    }
}
