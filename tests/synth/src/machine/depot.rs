//! The kernel's store of stack traces, in the shapes that it has had.
//!
//! Input: which shape. Output: pools with records of known frames, the handles of those records,
//! and a track of every debugged object that names one of them.

use super::Kernel;
use crate::ctypes::TypeTable;

/// Bytes of a pool: four pages.
pub const POOL: u64 = 16 << 10;
/// Records start at multiples of 16 bytes, and so do handles count.
const ALIGN: u64 = 16;
/// Counts of records that are never given up (include/linux/refcount.h, `REFCOUNT_SATURATED`).
const SATURATED: u64 = 0xc000_0000;
/// What a track's handle has in the bits of its user, where there are some.
const EXTRA: u64 = 0b1_0101;

/// A shape of lib/stackdepot.c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depot {
    /// 4.9 to 6.0: `slabindex` of 21 bits, a valid bit.
    V4_9,
    /// 6.1 and 6.2: five bits of the handle are the user's.
    V6_1,
    /// 6.3 to 6.7: slabs are called pools.
    V6_3,
    /// 6.8 to 6.8.2: no valid bit, a count in each record, pools counted.
    V6_8,
    /// 6.8.3 and 6.8.4: as before, but the index in a handle is one more than the pool's.
    V6_8_3,
    /// 6.9 and later: the index is called what it is.
    V6_9,
    /// 7.2: an array of pools that is allocated.
    V7_2,
}

impl Depot {
    /// All of them, oldest first.
    pub const ALL: [Depot; 7] = [
        Depot::V4_9,
        Depot::V6_1,
        Depot::V6_3,
        Depot::V6_8,
        Depot::V6_8_3,
        Depot::V6_9,
        Depot::V7_2,
    ];

    /// Adds its types and variables to those of a kernel.
    pub(super) fn add_types(self, types: &mut TypeTable) {
        const V6_9: &str = include_str!("../../layouts/depot-6.9.types");
        types.parse(match self {
            Depot::V4_9 => include_str!("../../layouts/depot-4.9.types"),
            Depot::V6_1 => include_str!("../../layouts/depot-6.1.types"),
            Depot::V6_3 => include_str!("../../layouts/depot-6.3.types"),
            Depot::V6_8 | Depot::V6_8_3 => include_str!("../../layouts/depot-6.8.types"),
            Depot::V6_9 | Depot::V7_2 => V6_9,
        });
        if self == Depot::V7_2 {
            types.variables.retain(|each| each.0 != "stack_pools");
            types.parse(include_str!("../../layouts/depot-7.2.types"));
        }
    }

    fn index(self) -> &'static str {
        match self {
            Depot::V4_9 | Depot::V6_1 => "slabindex",
            Depot::V6_3 | Depot::V6_8 | Depot::V6_8_3 => "pool_index",
            Depot::V6_9 | Depot::V7_2 => "pool_index_plus_1",
        }
    }

    fn counts_from_one(self) -> bool {
        matches!(self, Depot::V6_8_3 | Depot::V6_9 | Depot::V7_2)
    }
}

/// A record of the depot.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its own handle.
    pub handle: u32,
    /// Where it lies.
    pub address: u64,
    /// Return addresses, innermost first.
    pub frames: Vec<u64>,
}

/// A depot that was laid.
#[derive(Debug, Clone)]
pub struct LaidDepot {
    /// Its shape.
    pub shape: Depot,
    /// Its records: in the first pool, across its end, in the last.
    pub records: Vec<Record>,
    /// Where the pointers to pools lie.
    pub pools: u64,
}

/// Records of 1, 3, 16 and 64 frames at the start of the first pool and at the very end of the
/// last of three.
pub(super) fn lay(kernel: &mut Kernel, shape: Depot) -> LaidDepot {
    let pools: Vec<u64> = (0..3)
        .map(|_| kernel.alloc(POOL, kernel.page_size()))
        .collect();
    let array = array(kernel, shape);
    for (number, pool) in pools.iter().enumerate() {
        kernel.write_u64(array + number as u64 * 8, *pool);
    }
    count_pools(kernel, shape, pools.len() as u64);
    let mut records = Vec::new();
    // The first record of 6.8 to 6.8.2 has the handle 0, which nobody can ask for.
    let mut offset = ALIGN;
    for frames in [1, 3, 16] {
        records.push(record(kernel, shape, &pools, 0, offset, frames));
        offset += size(kernel, frames).next_multiple_of(ALIGN);
    }
    records.push(record(kernel, shape, &pools, 1, 0, 64));
    let last = (POOL - size(kernel, 4)) / ALIGN * ALIGN;
    records.push(record(kernel, shape, &pools, 2, last, 4));
    LaidDepot {
        shape,
        records,
        pools: array,
    }
}

/// Bytes of a record with so many frames.
fn size(kernel: &Kernel, frames: u64) -> u64 {
    kernel.types.offset("stack_record", "entries") + frames * 8
}

fn array(kernel: &mut Kernel, shape: Depot) -> u64 {
    match shape {
        Depot::V4_9 | Depot::V6_1 => kernel.symbol("stack_slabs"),
        Depot::V6_3 | Depot::V6_8 | Depot::V6_8_3 | Depot::V6_9 => kernel.symbol("stack_pools"),
        Depot::V7_2 => {
            let array = kernel.alloc(8191 * 8, kernel.page_size());
            kernel.set_variable("stack_pools", array);
            kernel.set_variable("stack_max_pools", 8191);
            array
        }
    }
}

/// The number of pools, or of the one in use.
fn count_pools(kernel: &mut Kernel, shape: Depot, count: u64) {
    match shape {
        Depot::V4_9 | Depot::V6_1 => kernel.set_variable("depot_index", count - 1),
        Depot::V6_3 => kernel.set_variable("pool_index", count - 1),
        _ => kernel.set_variable("pools_num", count),
    }
}

fn record(
    kernel: &mut Kernel,
    shape: Depot,
    pools: &[u64],
    pool: u64,
    offset: u64,
    count: u64,
) -> Record {
    let address = pools[pool as usize] + offset;
    let frames = frames(kernel, pool, count);
    let entries = address + kernel.types.offset("stack_record", "entries");
    for (number, frame) in frames.iter().enumerate() {
        kernel.write_u64(entries + number as u64 * 8, *frame);
    }
    kernel.set(address, "stack_record", "hash", 0x1234_5678);
    kernel.set(address, "stack_record", "size", count);
    if kernel.types.has("stack_record", "count") {
        kernel.set(address, "stack_record", "count.refs.counter", SATURATED);
    }
    let at = address + kernel.types.offset("stack_record", "handle");
    let index = pool + u64::from(shape.counts_from_one());
    kernel.set(at, "handle_parts", shape.index(), index);
    kernel.set(at, "handle_parts", "offset", offset / ALIGN);
    if kernel.types.has("handle_parts", "valid") {
        kernel.set(at, "handle_parts", "valid", 1);
    }
    let handle = kernel.get(at, "handle_parts", "handle") as u32;
    Record {
        handle,
        address,
        frames,
    }
}

/// Frames that no other record has: inside of functions, in an order of their own.
fn frames(kernel: &Kernel, pool: u64, count: u64) -> Vec<u64> {
    let names = ["kmem_cache_alloc", "__alloc_skb", "dbg_record_create"];
    (0..count)
        .map(|number| {
            let function = kernel.symbol(names[(number % 3) as usize]);
            function + 0x10 + 5 * number + 0x180 * (pool % 2) + count
        })
        .collect()
}

impl LaidDepot {
    /// A handle as its user keeps it, with bits of the user's own where there are some.
    pub fn with_extra(&self, kernel: &Kernel, handle: u32) -> u32 {
        if !kernel.types.has("handle_parts", "extra") {
            return handle;
        }
        let shift = kernel.types.field("handle_parts", "extra").bit_offset;
        handle | (EXTRA << shift) as u32
    }
}

/// Has the objects in use of a debugged cache allocated by the stacks of `handles`, in turns.
pub fn point_tracks(machine: &mut super::Machine, cache: &str, handles: &[u32]) {
    let track = machine.cache(cache).geometry.track;
    let track = u64::from(track.expect("a cache with owners"));
    let found = machine
        .truth()
        .caches
        .iter()
        .find(|each| each.name == cache);
    let objects = found.expect("in the truth").allocated.clone();
    for (object, handle) in objects.iter().zip(handles.iter().cycle()) {
        let kernel = &mut machine.kernel;
        kernel.set(object + track, "track", "handle", u64::from(*handle));
    }
}
