//! Words that point to unreachable objects and must not count, each in another kind of place; and
//! words that point to what is free.

use super::areas::Areas;
use super::tasks::Tasks;
use super::web::Web;
use crate::machine::zones;
use crate::slub::kfree_rcu::{self, Batch};
use crate::slub::scenario::Place;

/// Writes all of them. `waiting` is a block that was given to kfree_rcu().
pub(super) fn lay(web: &mut Web<'_>, areas: &Areas, tasks: &Tasks, waiting: Option<u64>) {
    stacks(web, tasks);
    free_blocks(web);
    lists_of_cpus(web, areas);
    free_objects(web);
    waiting_slab(web);
    waiting_objects(web, waiting);
    owners_in_slabs(web);
    behind_objects(web);
}

/// Above the stack pointer each stack keeps an object, below it none.
fn stacks(web: &mut Web<'_>, tasks: &Tasks) {
    for (start, live) in &tasks.stacks {
        let kept = web.take("kmalloc-192");
        web.kernel.write_u64(live + 8, kept);
        if live > start {
            let stale = web.stale_target();
            web.kernel.write_u64(live - 8, stale);
            let stale = web.stale_target();
            web.kernel.write_u64(start + 0x1008, stale);
        }
    }
}

/// Blocks of the buddy allocator that are still in the dump; only the first page says what it is.
fn free_blocks(web: &mut Web<'_>) {
    for order in [0, 2] {
        let frame = web.kernel.boot.take(order);
        web.kernel.memory.touch(frame, 1 << order);
        zones::free_block(web.kernel, frame, order);
        let last = frame + (1 << order) - 1;
        let stale = web.stale_target();
        web.kernel.write_u64(
            web.kernel.space.direct(last << web.kernel.page_shift()) + 0xff8,
            stale,
        );
        // In the structure of a page that nobody has.
        let stale = web.stale_target();
        let page = web.kernel.space.page(frame);
        web.kernel.set(page, "page", "lru.prev", stale);
    }
}

/// Pages that CPUs keep for the next: nothing but the list tells that they are free.
fn lists_of_cpus(web: &mut Web<'_>, areas: &Areas) {
    for (cpu, pages) in [(0, 3), (2, 1), (3, 2)] {
        let heads = zones::heads(web.kernel, web.percpu, (0, 1), cpu);
        for (number, head) in heads.iter().enumerate() {
            // Three lists of each order up to 3, then those of huge pages.
            let order = match number / 3 {
                order @ 0..=3 => order as u32,
                _ => continue,
            };
            let all: Vec<u64> = (0..pages).map(|_| free_page(web, order, areas)).collect();
            web.kernel.link_list(*head, &all);
        }
    }
}

/// Where the structure of a new free page is linked.
fn free_page(web: &mut Web<'_>, order: u32, areas: &Areas) -> u64 {
    let frame = web.kernel.boot.take(order);
    web.kernel.memory.touch(frame, 1 << order);
    let last = web
        .kernel
        .space
        .direct((frame + (1 << order) - 1) << web.kernel.page_shift());
    let stale = web.stale_target();
    web.kernel
        .write_u64(last + web.kernel.page_size() / 2, stale);
    web.kernel.write_u64(last, areas.lost[0]);
    web.kernel.space.page(frame) + web.kernel.types.offset("page", "lru")
}

/// Free objects that are pointed to keep nothing.
fn free_objects(web: &mut Web<'_>) {
    for number in 0..4 {
        let free = web.free_object("leaky_session", number);
        let stale = web.stale_target();
        web.point(free, 39, stale);
        web.keep(free + 8);
    }
    web.truth.free_pointed_to += 4;
}

/// Objects of a slab that waits for RCU.
fn waiting_slab(web: &mut Web<'_>) {
    let slabs = &web.cache("proto_sock").slabs;
    let waiting = slabs.iter().find(|slab| slab.place == Place::PendingRcu);
    let objects = waiting.expect("a slab that waits").objects.clone();
    for object in objects {
        let stale = web.stale_target();
        web.point(object, 3, stale);
    }
}

/// Where the owners of a slab's objects lie in the slab itself, as in 7.1 and later, the slab
/// leads to a part of its first object: that the slab knows where it is keeps nobody.
fn owners_in_slabs(web: &mut Web<'_>) {
    if !web.kernel.types.has("slab", "obj_exts") {
        return;
    }
    let mut targets = web.alone.iter().copied();
    let of_own = |target: &u64| web.slab_of("leaky_session", *target).is_some();
    let target = targets.find(of_own).expect("a lost session");
    let slab = web.slab_of("leaky_session", target).expect("its slab");
    let owners = (target + 16) | 1;
    web.kernel.set(slab, "slab", "obj_exts", owners);
}

/// Objects that were given to kfree_rcu(): neither lost, nor do they keep what they point to.
fn waiting_objects(web: &mut Web<'_>, block: Option<u64>) {
    if !web.kernel.types.has("kfree_rcu_cpu", "krw_arr") {
        return;
    }
    let mut objects = [(); 3].map(|()| web.take("kmalloc-192")).to_vec();
    for object in &objects {
        let stale = web.stale_target();
        web.point(*object, 10, stale);
    }
    objects.extend(block);
    let stale = [web.stale_target()];
    kfree_rcu::lay_batch(web.kernel, (1, Batch::Fresh, 0), &objects, 2, &stale);
}

/// Where an object in use had its free pointer, if that is behind it.
fn behind_objects(web: &mut Web<'_>) {
    let laid = web.cache("inode_cache");
    let (offset, size) = (laid.geometry.offset, laid.cache.object_size);
    if offset < size {
        return;
    }
    for _ in 0..4 {
        let object = web.take("inode_cache");
        web.keep(object);
        let stale = web.stale_target();
        web.point(object, u64::from(offset) / 8, stale);
    }
}
