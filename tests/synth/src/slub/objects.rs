//! What stands in and around the objects of a slab.

use super::flags::SlabFlag;
use super::geometry::Geometry;
use super::scenario::Cache;
use crate::machine::Kernel;
use crate::machine::identity::JIFFIES;

const POISON_FREE: u8 = 0x6b;
const POISON_END: u8 = 0xa5;
const RED_INACTIVE: u8 = 0xbb;
const RED_ACTIVE: u8 = 0xcc;
const POISON_INUSE: u8 = 0x5a;

/// Fills one object at `address`: a text with its name, or poison and red zones.
pub fn fill(kernel: &mut Kernel, cache: &Cache, geometry: &Geometry, address: u64, free: bool) {
    let size = cache.object_size as usize;
    let mut body = vec![0; size];
    let text = format!("{} {address:x} ", cache.name);
    for (byte, letter) in body.iter_mut().zip(text.bytes().cycle()) {
        *byte = letter;
    }
    let debugged = cache.flags.contains(&SlabFlag::RedZone);
    if debugged {
        let zone = if free { RED_INACTIVE } else { RED_ACTIVE };
        let pad = u64::from(geometry.red_left_pad);
        let whole = vec![POISON_INUSE; geometry.size as usize];
        kernel.write(address - pad, &whole);
        kernel.write(address - pad, &vec![zone; pad as usize]);
        let right = geometry.inuse as usize - size;
        kernel.write(address + size as u64, &vec![zone; right]);
    }
    if free && cache.flags.contains(&SlabFlag::Poison) {
        body.fill(POISON_FREE);
        body[size - 1] = POISON_END;
    }
    kernel.write(address, &body);
    if let Some(offset) = geometry.track {
        let track = address + u64::from(offset);
        let caller = kernel.symbol("dbg_record_create") + 0x42;
        lay_track(kernel, track, caller, 0x1000 + address % 7);
        let size = kernel.types.sizeof("track");
        let (caller, age) = if free {
            (kernel.symbol("kmem_cache_free") + 0x1c, 0x100)
        } else {
            (0, 0)
        };
        lay_track(kernel, track + size, caller, age);
    }
}

/// A `struct track`; one that was never set is all zero.
fn lay_track(kernel: &mut Kernel, at: u64, caller: u64, age: u64) {
    let size = kernel.types.sizeof("track") as usize;
    kernel.write(at, &vec![0; size]);
    if caller == 0 {
        return;
    }
    kernel.set(at, "track", "addr", caller);
    kernel.set(at, "track", "cpu", age % 3);
    kernel.set(at, "track", "pid", 400 + age % 5);
    kernel.set(at, "track", "when", JIFFIES - age);
    if kernel.types.has("track", "addrs") {
        let addrs = at + kernel.types.offset("track", "addrs");
        kernel.write_u64(addrs, caller);
    }
}
