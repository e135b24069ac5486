//! Words of structures in use that hold nothing: of kmemleak's objects, of skbs that wait for the
//! next packet, of stack traces; and words beside them that do.

use super::web::Web;
use crate::machine::cpus::POSSIBLE_CPUS;
use crate::machine::depot::{LaidDepot, POOL};

const WATCHED: &str = "kmemleak_object";
const SKB: &str = "skbuff_head_cache";
const NAPI: &str = "napi_alloc_cache";

/// Writes all of them; stack traces where there are some.
pub(super) fn lay(web: &mut Web<'_>, depot: Option<&LaidDepot>) {
    watched(web);
    given_up(web);
    linked(web);
    for cpu in 0..POSSIBLE_CPUS {
        match cpu {
            0 | 2 => waiting_skbs(web, cpu),
            1 => impossible_count(web, cpu),
            _ => no_skb(web, cpu),
        }
    }
    skb_in_use(web);
    if let Some(depot) = depot {
        traces(web, depot);
    }
}

fn watching(web: &mut Web<'_>, users: u64) -> u64 {
    let object = web.take(WATCHED);
    web.keep(object);
    web.kernel.set(object, WATCHED, "use_count.counter", users);
    object
}

/// Every member that holds no references, in an object of its own.
fn watched(web: &mut Web<'_>) {
    let types = &web.kernel.types;
    let mut places = vec![
        types.offset(WATCHED, "pointer"),
        types.offset(WATCHED, "excess_ref"),
        types.offset(WATCHED, "rcu.next"),
        types.offset(WATCHED, "rcu.func"),
        // The last word of the name, which may begin in the middle of one.
        types.offset(WATCHED, "comm").next_multiple_of(8),
    ];
    if types.has(WATCHED, "trace") {
        let trace = types.offset(WATCHED, "trace");
        places.extend([trace, trace + 15 * 8]);
    }
    for place in places {
        let object = watching(web, 1);
        let stale = web.stale_target();
        web.kernel.write_u64(object + place, stale);
    }
}

/// Among the callbacks that RCU has, each leads to the next.
fn given_up(web: &mut Web<'_>) {
    let object = watching(web, 0);
    let next = web.take("kmalloc-192");
    web.kernel.set(object, WATCHED, "rcu.next", next + 16);
}

/// Lists of kmemleak's own keep what is on them.
fn linked(web: &mut Web<'_>) {
    for member in ["object_list.next", "gray_list.prev", "area_list.first"] {
        let object = watching(web, 1);
        let next = web.take(WATCHED);
        web.kernel.set(object, WATCHED, member, next + 8);
    }
}

/// What a CPU has: where its count and its slots lie, and how many slots there are.
fn cached(web: &Web<'_>, cpu: u32) -> (u64, u64, u64) {
    let pointer = web.kernel.per_cpu_symbol(NAPI);
    let at = web.percpu.pointer(pointer, cpu);
    let slots = web.kernel.types.offset(NAPI, "skb_cache");
    let room = (web.kernel.types.sizeof(NAPI) - slots) / 8;
    (at, at + slots, room)
}

/// Kept, but empty; and what was taken out.
fn waiting_skbs(web: &mut Web<'_>, cpu: u32) {
    let (at, slots, room) = cached(web, cpu);
    web.kernel.set(at, NAPI, "skb_count", 2);
    for slot in 0..2 {
        let skb = web.take(SKB);
        web.point(slots, slot, skb);
        for word in [0, 11, 28] {
            let stale = web.stale_target();
            web.point(skb, word, stale);
        }
    }
    for slot in [2, room - 1] {
        let stale = web.stale_target();
        web.point(slots, slot, stale);
    }
}

/// Not believed: then all of it counts.
fn impossible_count(web: &mut Web<'_>, cpu: u32) {
    let (at, slots, room) = cached(web, cpu);
    web.kernel.set(at, NAPI, "skb_count", room + 1);
    let (skb, held) = (web.take(SKB), web.take("kmalloc-64"));
    web.point(slots, room - 1, skb);
    web.point(skb, 5, held);
}

/// Slots that hold something else are no reason to look away from that.
fn no_skb(web: &mut Web<'_>, cpu: u32) {
    let (at, slots, _) = cached(web, cpu);
    web.kernel.set(at, NAPI, "skb_count", 2);
    for (slot, cache, into) in [(0, "kmalloc-192", 0), (1, SKB, 8)] {
        let (object, held) = (web.take(cache), web.take("kmalloc-64"));
        web.point(slots, slot, object + into);
        web.point(object, 5, held);
    }
}

/// `sk_buff.cb` is text by its type, and holds pointers.
fn skb_in_use(web: &mut Web<'_>) {
    let (skb, held) = (web.take(SKB), web.take("kmalloc-192"));
    web.keep(skb);
    web.point(skb, 6, held);
}

/// Where an unwinder was wrong, and what a pool held before.
fn traces(web: &mut Web<'_>, depot: &LaidDepot) {
    let entries = web.kernel.types.offset("stack_record", "entries");
    let record = depot.records.iter().find(|each| each.frames.len() > 8);
    let record = record.expect("a long trace").address;
    let stale = web.stale_target();
    web.kernel.write_u64(record + entries + 5 * 8, stale);
    let second = web.kernel.read_u64(depot.pools + 8);
    let stale = web.stale_target();
    web.kernel.write_u64(second + POOL - 8, stale);
    // What comes behind the pools is the kernel's.
    let beside = web.kernel.alloc(8, 8);
    let kept = web.take("kmalloc-64");
    web.kernel.write_u64(beside, kept);
}
