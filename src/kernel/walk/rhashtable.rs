//! Resizable hash tables (include/linux/rhashtable.h, lib/rhashtable.c).

use rustc_hash::FxHashSet;

use super::{NullsEnd, hlist_nulls};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::layout::{LayoutError, layout};
use crate::partial::{End, Partial};

layout! {
    /// include/linux/rhashtable-types.h, include/linux/rhashtable.h before 4.17.
    struct TableLayout = "rhashtable" in "lib/rhashtable.c" {
        need buckets = "tbl",
        need elements = "nelems.counter",
    }
}

layout! {
    /// include/linux/rhashtable.h
    struct BucketsLayout = "bucket_table" in "lib/rhashtable.c" {
        need size = "size",
        /// 4.12 and later (commit da20420f83ea): where there was no memory in one piece.
        maybe nest = "nest",
        /// The table that all are being moved to.
        need future = "future_tbl",
        need first = "buckets",
    }
}

const MAX_BUCKETS: u64 = 1 << 26;
const MAX_ELEMENTS: u64 = 1 << 26;
/// A table grows into the next before a third is made.
const MAX_TABLES: usize = 4;
const STEP: u64 = 1 << 13;

/// Walks tables of this kernel.
#[derive(Debug)]
pub struct Walker<'k> {
    kernel: &'k Kernel,
    table: TableLayout,
    buckets: BucketsLayout,
}

impl<'k> Walker<'k> {
    /// For this kernel.
    ///
    /// # Errors
    /// If its types do not describe such tables.
    pub fn new(kernel: &'k Kernel) -> Result<Self, LayoutError> {
        Ok(Self {
            table: kernel.layout()?,
            buckets: kernel.layout()?,
            kernel,
        })
    }

    /// The `struct rhash_head`s in the table at `at`, bucket by bucket. The table's own count says
    /// how many there should be.
    pub fn nodes(&self, at: VirtAddr) -> Partial<Vec<VirtAddr>> {
        let space = &self.kernel.space;
        let mut found = Vec::new();
        let Ok(table) = space.read_bytes(at, self.table.len) else {
            return Partial::new(found, End::Fault, 0);
        };
        let expected = self.table.elements.get(&table) & 0xffff_ffff;
        let mut next = VirtAddr(self.table.buckets.get(&table));
        let mut end = End::Complete;
        let mut tables = 0;
        while !next.is_null() && end.is_complete() {
            tables += 1;
            if tables > MAX_TABLES {
                end = End::Limit;
                break;
            }
            next = match self.one(next, &mut found) {
                Ok(next) => next,
                Err(how) => {
                    end = how;
                    break;
                }
            };
        }
        let seen = found.len() as u64;
        Partial::new(found, end, seen).expecting(expected)
    }

    /// The nodes of one array of buckets, and the next array.
    fn one(&self, at: VirtAddr, found: &mut Vec<VirtAddr>) -> Result<VirtAddr, End> {
        let space = &self.kernel.space;
        let layout = &self.buckets;
        let record = space.read_bytes(at, layout.len).map_err(|_| End::Fault)?;
        let size = layout.size.get(&record) & 0xffff_ffff;
        if layout.nest.is_some_and(|nest| nest.get(&record) != 0) || size > MAX_BUCKETS {
            return Err(End::BrokenLink);
        }
        let first = at.plus(u64::from(layout.first.offset));
        let mut seen = FxHashSet::default();
        let mut slot = 0;
        while slot < size {
            let many = STEP.min(size - slot);
            let heads = space.read_bytes(first.plus(slot * 8), many as usize * 8);
            let heads = heads.map_err(|_| End::Fault)?;
            for index in 0..many as usize {
                // Its lowest bit is a lock (5.2 and later); before, it is set in an empty one.
                let head = u64_at(&heads, index * 8).unwrap_or(0) & !1;
                if head >> 47 == 0 || head & 7 != 0 {
                    continue;
                }
                let walk = hlist_nulls(VirtAddr(head), MAX_ELEMENTS, &mut seen, |node| {
                    found.push(node);
                    space.read_ptr(node).map_err(|_| End::Fault)
                });
                if let NullsEnd::Broken(end) = walk {
                    return Err(end);
                }
            }
            slot += many;
        }
        Ok(VirtAddr(layout.future.get(&record)))
    }
}
