//! Words that keep objects, each in another kind of place.

use super::areas::Areas;
use super::web::Web;
use crate::machine::cpus::POSSIBLE_CPUS;
use crate::machine::modules::Module;
use crate::slub::page::reference_count;

/// `FOLIO_MAPPING_ANON`.
const ANON: u64 = 1;

/// One or more objects for every kind of place. Those of stacks are in [`super::stale`].
pub(super) fn lay(web: &mut Web<'_>, areas: &Areas) {
    by_other_objects(web);
    by_cpus(web);
    by_module(web, areas);
    by_areas(web, areas);
    by_page_structures(web);
    by_own_slab(web);
}

/// Chains and a ring through all caches, in no order of addresses, whose first one is kept:
/// also by pointers into the middle, and from the last word.
fn by_other_objects(web: &mut Web<'_>) {
    let chain = [
        "kmalloc-64",
        "leaky_session",
        "inode_cache",
        "dbg_record",
        "proto_sock",
        "kmalloc-192",
        "kmalloc-64",
        "leaky_session",
        "kmalloc-192",
    ];
    for turn in 0..3 {
        let objects: Vec<u64> = chain.iter().map(|cache| web.take(cache)).collect();
        for (index, pair) in objects.windows(2).enumerate() {
            let size = u64::from(web.cache(chain[index]).cache.object_size);
            let word = if turn == 1 { size / 8 - 1 } else { 1 + turn };
            web.point(pair[0], word, pair[1] + turn * 13);
        }
        let (first, last) = (objects[0], objects[objects.len() - 1]);
        web.keep(first + turn);
        web.point(last, 2, first);
    }
}

/// By what each CPU has of its own: in the direct map and in areas.
fn by_cpus(web: &mut Web<'_>) {
    let pointer = web.percpu.alloc(16);
    for cpu in 0..POSSIBLE_CPUS {
        let object = web.take("kmalloc-192");
        let at = web.percpu.pointer(pointer, cpu);
        web.kernel.write_u64(at + 8, object);
    }
}

/// By variables of a module: an object and an area.
fn by_module(web: &mut Web<'_>, areas: &Areas) {
    let module = web.kernel.modules[0].clone();
    let end = module.data + Module::DATA_SIZE;
    let own = module.address + web.kernel.types.sizeof("module");
    assert!(own + 64 <= end, "no room for variables");
    let (first, second) = (web.take("leaky_session"), web.take("kmalloc-64"));
    web.kernel.write_u64(end - 16, first);
    web.point(first, 20, second);
    web.kernel.write_u64(end - 8, areas.kept[0]);
}

/// By areas that are kept themselves: by a module, by an object, by another area.
fn by_areas(web: &mut Web<'_>, areas: &Areas) {
    let [by_module, by_object, by_area] = areas.kept;
    let held = web.take("kmalloc-64");
    web.keep(held);
    web.point(held, 3, by_object + web.kernel.page_size() + 0x40);
    web.point(by_object + 2 * web.kernel.page_size(), 7, by_area);
    for area in [by_module, by_object, by_area] {
        let (first, second) = (web.take("inode_cache"), web.take("kmalloc-192"));
        web.point(area, 9, first);
        web.point(first, 30, second);
    }
}

/// By the structures of pages: of the kernel, of the page cache, of a process.
fn by_page_structures(web: &mut Web<'_>) {
    for (member, tag, cache) in [
        ("private", 0, "kmalloc-64"),
        ("mapping", 0, "inode_cache"),
        ("mapping", ANON, "kmalloc-192"),
    ] {
        let object = web.take(cache);
        let frame = web.kernel.boot.take(0);
        web.kernel.memory.touch(frame, 1);
        let page = web.kernel.space.page(frame);
        let count = reference_count(web.kernel);
        web.kernel.set(page, "page", count, 1);
        web.kernel.set(page, "page", member, object | tag);
        if member == "mapping" {
            // What users and files have is not looked at.
            let stale = web.stale_target();
            let at = web.kernel.space.direct(frame << web.kernel.page_shift());
            web.kernel.write_u64(at + 0x80, stale);
        }
    }
}

/// The owners of a slab's objects are an object of kmalloc, here one of that slab itself.
fn by_own_slab(web: &mut Web<'_>) {
    for (tag, member) in [
        ("slab", "obj_exts"),
        ("slab", "memcg_data"),
        ("page", "obj_cgroups"),
    ] {
        if web.kernel.types.has(tag, member) {
            let object = web.take("kmalloc-192");
            let slab = web.slab_of("kmalloc-192", object).expect("its slab");
            web.kernel.set(slab, tag, member, object | 1);
            return;
        }
    }
}

/// Everything that has no role, by a table of pointers to anywhere in it.
pub(super) fn keep_the_rest(web: &mut Web<'_>) {
    let rest = web.rest();
    let table = web.kernel.alloc(rest.len() as u64 * 8, 8);
    for (index, (object, size)) in (0u64..).zip(rest) {
        web.point(table, index, object + index * 7 % size);
    }
}
