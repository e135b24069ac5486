//! Resizable hash tables (lib/rhashtable.c).

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::partial::{End, Partial};

layout! {
    /// include/linux/rhashtable-types.h
    struct RhashtableLayout = "rhashtable" in "lib/rhashtable.c" {
        need table = "tbl",
        need elements = "nelems.counter",
    }
}

layout! {
    /// include/linux/rhashtable.h
    struct BucketTableLayout = "bucket_table" in "lib/rhashtable.c" {
        need size = "size",
        /// 4.11 and later.
        maybe nest = "nest",
        need future = "future_tbl",
        need buckets = "buckets",
    }
}

/// A table grows while it is used: the old one points to the new one. More at once there are not.
const MAX_TABLES: usize = 8;
/// Buckets of the largest table.
const MAX_BUCKETS: u64 = 1 << 31;

/// The nodes (`struct rhash_head`) of the table at `table`, bucket by bucket, each once. `bound` is
/// the most that there can be; the table's own count says how many there should be.
///
/// # Errors
/// If the kernel's types don't describe such a table.
pub fn rhashtable(
    kernel: &Kernel,
    table: VirtAddr,
    bound: usize,
) -> Result<Partial<Vec<VirtAddr>>, KernelError> {
    let outer: RhashtableLayout = kernel.layout()?;
    let inner: BucketTableLayout = kernel.layout()?;
    let mut walk = Walk {
        kernel,
        bound,
        found: Vec::new(),
        seen: FxHashSet::default(),
        end: End::Complete,
    };
    let first = table.plus(u64::from(outer.table.offset));
    let mut next = kernel.space.read_ptr(first);
    let mut tables = 0;
    loop {
        match next {
            Ok(at) if at.is_null() => break,
            Ok(at) if tables < MAX_TABLES => next = walk.table(&inner, at),
            Ok(_) => walk.end = End::Cycle,
            Err(_) => walk.end = End::Fault,
        }
        tables += 1;
        if tables > MAX_TABLES || next.is_err() || walk.end == End::Limit {
            walk.end = match walk.end {
                End::Complete => End::Fault,
                other => other,
            };
            break;
        }
    }
    let seen = walk.found.len() as u64;
    let walked = Partial::new(walk.found, walk.end, seen);
    let count = table.plus(u64::from(outer.elements.offset));
    Ok(match kernel.space.read_u32(count) {
        Ok(expected) => walked.expecting(expected.into()),
        Err(_) => walked,
    })
}

struct Walk<'k> {
    kernel: &'k Kernel,
    bound: usize,
    found: Vec<VirtAddr>,
    seen: FxHashSet<VirtAddr>,
    end: End,
}

impl Walk<'_> {
    /// One table; gives the one that takes its place.
    fn table(
        &mut self,
        layout: &BucketTableLayout,
        at: VirtAddr,
    ) -> Result<VirtAddr, crate::space::MemFault> {
        let head = self.kernel.space.read_bytes(at, layout.len)?;
        let size = layout.size.get(&head);
        let buckets = at.plus(u64::from(layout.buckets.offset));
        let nest = layout.nest.map_or(0, |nest| nest.get(&head));
        if size > MAX_BUCKETS || !size.is_power_of_two() || nest > 31 {
            self.end = End::BrokenLink;
        } else if nest == 0 {
            self.buckets(buckets, size);
        } else {
            match self.kernel.space.read_ptr(buckets) {
                Ok(top) => self.nested(top, size, nest),
                Err(_) => self.end = End::Fault,
            }
        }
        Ok(VirtAddr(layout.future.get(&head)))
    }

    /// Pages of pointers to pages of pointers, the last of which are buckets
    /// (`nested_table_free`).
    fn nested(&mut self, top: VirtAddr, size: u64, nest: u64) {
        let room = self.kernel.dump().page_size() as u64 / 8;
        let shift = room.trailing_zeros();
        let mut todo = vec![(top, 1u64 << nest, size >> nest)];
        while let Some((at, count, below)) = todo.pop() {
            if below <= 1 {
                self.buckets(at, count);
                continue;
            }
            for index in (0..count.min(room)).rev() {
                match self.kernel.space.read_ptr(at.plus(index * 8)) {
                    Ok(next) if next.is_null() => {}
                    Ok(next) => todo.push((next, room, below >> shift)),
                    Err(_) => self.end = End::Fault,
                }
            }
        }
    }

    fn buckets(&mut self, at: VirtAddr, count: u64) {
        const PIECE: u64 = 512;
        let mut done = 0;
        while done < count && self.end != End::Limit {
            let some = PIECE.min(count - done);
            match self
                .kernel
                .space
                .read_bytes(at.plus(done * 8), some as usize * 8)
            {
                Ok(bytes) => {
                    for index in 0..some {
                        let head = u64_at(&bytes, index as usize * 8).unwrap_or(0);
                        self.chain(at.plus((done + index) * 8), head);
                    }
                }
                Err(_) => {
                    self.end = End::Fault;
                    return;
                }
            }
            done += some;
        }
    }

    /// The low bit of a bucket is its lock (5.2 and later), or tells that it is empty and holds its
    /// own address, or the number of its hash. A chain ends with an odd number or null.
    fn chain(&mut self, bucket: VirtAddr, head: u64) {
        let mut node = VirtAddr(head & !1);
        let is_kernel = |node: VirtAddr| node.0 >> 63 == 1;
        if node == bucket || !is_kernel(node) {
            return;
        }
        while is_kernel(node) && node.0 & 1 == 0 {
            if self.found.len() >= self.bound {
                self.end = End::Limit;
                return;
            }
            let Ok(next) = self.kernel.space.read_ptr(node) else {
                self.end = End::Fault;
                return;
            };
            if !self.seen.insert(node) {
                self.end = End::Cycle;
                return;
            }
            self.found.push(node);
            node = next;
        }
    }
}
