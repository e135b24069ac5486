//! kmemleak's own objects: one for everything that is allocated, so that what they say of it must
//! keep nothing.
//!
//! Input: the layout of `struct kmemleak_object`. Output: which bytes of such an object hold no
//! references. Invariant: only members that are known are left out; links to others of its kind,
//! and whatever else a kernel adds, count.

use std::ops::Range;

use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, layout};
use crate::subsys::mm::slab::SlabHeap;

layout! {
    /// mm/kmemleak.c: one for every object that kmemleak watches over, leaked or not.
    struct KmemleakLayout = "kmemleak_object" in "mm/kmemleak.c" {
        /// What it watches over.
        need pointer = "pointer",
        /// What else has to be kept with that: an area's own structure.
        maybe other = "excess_ref",
        /// What the unwinder took for return addresses, up to 6.2; only the first `trace_len`
        /// were written at all.
        maybe trace = "trace",
        /// Text, behind whose end lies what was there before.
        maybe comm = "comm",
        /// Written when the object is given up, and not before.
        maybe rcu = "rcu",
        maybe use_count = "use_count.counter",
    }
}

/// The cache's name.
const CACHE: &str = "kmemleak_object";
/// The objects that kmemleak has before the allocator works.
const POOL: &str = "mem_pool";
/// More than CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE can be.
const MAX_POOL: u64 = 1 << 20;

/// What of kmemleak's objects is not looked at.
#[derive(Debug)]
pub(crate) struct KmemleakObjects {
    /// Their cache, by number.
    cache: u32,
    /// Bytes of one.
    size: usize,
    /// Members that never hold a reference.
    never: Vec<Range<usize>>,
    /// A member that is unused until nobody uses the object, and the count that says so.
    until_unused: Option<(Range<usize>, Field)>,
}

impl KmemleakObjects {
    /// `None` in a kernel without kmemleak.
    pub(crate) fn of(kernel: &Kernel, heap: &SlabHeap<'_>) -> Option<Self> {
        let cache = heap.find(CACHE)? as u32;
        let layout = kernel.layout::<KmemleakLayout>().ok()?;
        let never = [
            Some(layout.pointer),
            layout.other,
            layout.trace,
            layout.comm,
        ];
        Some(Self {
            cache,
            size: layout.struct_size,
            never: never.into_iter().flatten().map(range).collect(),
            until_unused: layout.rcu.map(range).zip(layout.use_count),
        })
    }

    /// Whether a cache, by number, is theirs.
    pub(crate) fn are_of(&self, cache: u32) -> bool {
        self.cache == cache
    }

    /// Which bytes of an object hold no references.
    fn unread(&self, object: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
        // put_object(): the `rcu_head` is queued once the count has become zero.
        let queued = self.until_unused.as_ref().and_then(|(rcu, users)| {
            let used = users.end() <= object.len() && users.get(object) != 0;
            used.then(|| rcu.clone())
        });
        self.never.iter().cloned().chain(queued)
    }

    /// Clears what holds no references.
    pub(crate) fn clear(&self, object: &mut [u8]) {
        for range in self.unread(object) {
            if let Some(bytes) = object.get_mut(range) {
                bytes.fill(0);
            }
        }
    }

    /// Where in the pool for early boot there are no references, and how many bytes; and of how
    /// many of its objects that can't be read.
    pub(crate) fn in_pool(&self, kernel: &Kernel) -> (Vec<(VirtAddr, u64)>, u64) {
        let Some(pool) = kernel.symbol(POOL) else {
            return (Vec::new(), 0);
        };
        let mut gaps = 0;
        let objects = 0..pool_len(kernel, pool, self.size as u64);
        let mut object = vec![0; self.size];
        let ranges = objects.flat_map(|index| {
            let at = pool.plus(index * self.size as u64);
            let unread = match kernel.space.read(at, &mut object) {
                Ok(()) => self.unread(&object).collect(),
                Err(_) => {
                    gaps += 1;
                    Vec::new()
                }
            };
            let placed =
                move |range: Range<usize>| (at.plus(range.start as u64), range.len() as u64);
            unread.into_iter().map(placed)
        });
        (ranges.collect(), gaps)
    }
}

fn range(field: Field) -> Range<usize> {
    let start = field.offset as usize;
    start..start + field.size as usize
}

/// How many objects the pool has room for: up to the next variable.
fn pool_len(kernel: &Kernel, pool: VirtAddr, size: u64) -> u64 {
    let room = kernel.symbol_room(POOL).unwrap_or(0);
    let end = kernel.symbol("_end").and_then(|end| end.offset_from(pool));
    (room.min(end.unwrap_or(room)) / size.max(1)).min(MAX_POOL)
}
