//! Objects that nothing keeps: alone, in rings, in chains, behind areas that are lost.

use super::areas::Areas;
use super::web::Web;

/// Sessions that are lost one by one.
const ALONE: usize = 12;

/// Those that only stale words will point to, which have to be there first.
pub(super) fn lay_alone(web: &mut Web<'_>) {
    let module = &web.kernel.modules[0];
    let name = module.name;
    let function = module.symbol("virtnet_poll").expect("a function");
    for _ in 0..ALONE {
        let object = web.lose_source("leaky_session");
        web.kernel.write(object, b"session\0");
        web.point(object, 2, function);
        web.alone.push(object);
    }
    let lost = web.truth.caches.get_mut("leaky_session").expect("cache");
    lost.module = Some(name);
}

/// Those that lead to each other.
pub(super) fn lay(web: &mut Web<'_>, areas: &Areas) {
    ring(web);
    chains(web);
    itself(web);
    meeting(web);
    behind_areas(web, areas);
}

fn ring(web: &mut Web<'_>) {
    let first = web.lose_source("kmalloc-192");
    let (second, third) = (web.lose("kmalloc-192"), web.lose("kmalloc-192"));
    web.point(first, 1, second);
    web.point(second, 4, third + 8);
    web.point(third, 23, first);
}

/// Through several caches, and one that leads to a ring.
fn chains(web: &mut Web<'_>) {
    let mut from = web.lose_source("kmalloc-64");
    for (cache, word) in [
        ("leaky_session", 1),
        ("inode_cache", 8),
        ("dbg_record", 3),
        ("proto_sock", 4),
        ("kmalloc-192", 5),
    ] {
        let next = web.lose(cache);
        web.point(from, word, next);
        from = next;
    }
    let head = web.lose_source("kmalloc-64");
    let (one, other) = (web.lose("inode_cache"), web.lose("inode_cache"));
    web.point(head, 0, one);
    web.point(one, 6, other);
    web.point(other, 6, one);
}

/// An empty list points to itself.
fn itself(web: &mut Web<'_>) {
    let object = web.lose_source("proto_sock");
    web.point(object, 4, object + 32);
    web.point(object, 5, object + 32);
}

/// Two that lead to the same.
fn meeting(web: &mut Web<'_>) {
    let (one, other) = (web.lose_source("dbg_record"), web.lose_source("kmalloc-64"));
    let met = web.lose("kmalloc-192");
    web.point(one, 2, met);
    web.point(other, 7, met + 100);
}

fn behind_areas(web: &mut Web<'_>, areas: &Areas) {
    let [alone, of_object, of_area] = areas.lost;
    let held = web.lose("inode_cache");
    web.point(alone, 600, held);
    let holder = web.lose_source("kmalloc-64");
    web.point(holder, 2, of_object);
    web.point(of_object, 100, of_area + 0x123);
    let held = web.lose("kmalloc-192");
    web.point(of_area, 3 * 512, held);
}
