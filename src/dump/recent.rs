//! The pages that this thread read last, in front of the cache that all threads share.
//!
//! Reading one structure takes several small reads of one or two pages; finding them
//! again must not cost a lock and a hash each time.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A power of two; 256 KiB of pages a thread.
const SLOTS: usize = 64;

/// A slot per low bits of the pfn: whoever comes later takes the place.
struct Recent {
    /// Which dump the pages are of; a process may have several open.
    dump: u64,
    slots: Vec<Option<(u64, Arc<[u8]>)>>,
}

thread_local! {
    static RECENT: RefCell<Recent> = const { RefCell::new(Recent { dump: 0, slots: Vec::new() }) };
}

/// A number that no other dump of this process has.
pub(super) fn new_dump_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn slot(pfn: u64) -> usize {
    pfn as usize % SLOTS
}

/// The page, if this thread read it a moment ago.
pub(super) fn get(dump: u64, pfn: u64) -> Option<Arc<[u8]>> {
    RECENT.with_borrow(|recent| {
        let (known, page) = recent.slots.get(slot(pfn))?.as_ref()?;
        (recent.dump == dump && *known == pfn).then(|| Arc::clone(page))
    })
}

/// Remembers the page.
pub(super) fn put(dump: u64, pfn: u64, page: &Arc<[u8]>) {
    RECENT.with_borrow_mut(|recent| {
        if recent.dump != dump || recent.slots.is_empty() {
            recent.dump = dump;
            recent.slots.clear();
            recent.slots.resize(SLOTS, None);
        }
        if let Some(place) = recent.slots.get_mut(slot(pfn)) {
            *place = Some((pfn, Arc::clone(page)));
        }
    });
}
