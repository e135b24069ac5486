//! KFENCE: a pool of guarded pages whose object pages look like slabs.
//!
//! Page 0 and every odd page are guards, which the page tables hide. The page of
//! a freed object is hidden as well. `kfence_metadata` is an array in the image up
//! to 6.5 and a pointer after that.

use super::lay::LaidCache;
use super::page::{mark_slab, slab_tag};
use super::scenario::KfenceObject;
use crate::machine::Kernel;

/// `CONFIG_KFENCE_NUM_OBJECTS`.
pub const NUM_OBJECTS: u64 = 255;
/// Pages of the pool.
pub const POOL_PAGES: u64 = (NUM_OBJECTS + 1) * 2;

/// An object of the pool.
#[derive(Debug, Clone)]
pub struct LaidObject {
    /// Its address.
    pub address: u64,
    /// Name of the cache it was taken for.
    pub cache: String,
    /// Bytes asked for.
    pub size: u32,
    /// Still allocated.
    pub allocated: bool,
}

/// Lays the pool and its metadata, if the era has KFENCE.
pub fn lay(kernel: &mut Kernel, caches: &[LaidCache], objects: &[KfenceObject]) -> Vec<LaidObject> {
    if !kernel.era.has_kfence() {
        return Vec::new();
    }
    let first = kernel.kfence_pool;
    kernel.memory.touch(first, POOL_PAGES);
    let pool = kernel.space.direct(first << kernel.page_shift());
    kernel.set_variable("__kfence_pool", pool);
    let metadata = lay_metadata(kernel);
    let shift = kernel.page_shift();
    for page in 0..POOL_PAGES {
        if page == 0 || page % 2 == 1 {
            kernel
                .tables
                .hide(&mut kernel.memory, pool + (page << shift));
        } else {
            mark_slab(kernel, first + page);
        }
    }
    let mut laid = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        let page = (index as u64 + 1) * 2;
        let at = metadata + index as u64 * kernel.types.sizeof("kfence_metadata");
        let cache = caches.iter().find(|each| each.cache.name == object.cache);
        let cache = cache.expect("KFENCE object of a known cache");
        laid.push(lay_object(kernel, cache, object, at, first + page));
    }
    laid
}

/// Unused slots know their page and nothing else.
fn lay_metadata(kernel: &mut Kernel) -> u64 {
    let size = kernel.types.sizeof("kfence_metadata");
    let variable = kernel.symbol("kfence_metadata");
    let metadata = if kernel
        .types
        .size_of(kernel.types.variable("kfence_metadata").expect("known"))
        == 8
    {
        let array = kernel.alloc(NUM_OBJECTS * size, kernel.page_size());
        kernel.write_u64(variable, array);
        array
    } else {
        variable
    };
    for index in 0..NUM_OBJECTS {
        let pfn = kernel.kfence_pool + (index + 1) * 2;
        let address = kernel.space.direct(pfn << kernel.page_shift());
        kernel.set(metadata + index * size, "kfence_metadata", "addr", address);
    }
    metadata
}

fn lay_object(
    kernel: &mut Kernel,
    cache: &LaidCache,
    object: &KfenceObject,
    at: u64,
    pfn: u64,
) -> LaidObject {
    let page = kernel.space.direct(pfn << kernel.page_shift());
    let size = cache.cache.object_size;
    // Every other object stands at the end of its page, to catch overruns.
    let address = if pfn.is_multiple_of(4) {
        page + kernel.page_size() - u64::from(size.next_multiple_of(cache.geometry.align))
    } else {
        page
    };
    let tag = slab_tag(kernel.era);
    let descriptor = kernel.space.page(pfn);
    kernel.set(descriptor, tag, "slab_cache", cache.address);
    if kernel.era.is_classic() {
        kernel.set(descriptor, tag, "s_mem", address);
    } else {
        kernel.set(descriptor, tag, "objects", 1);
    }
    let text = vec![if object.allocated { 0x41 } else { 0x46 }; size as usize];
    kernel.write(address, &text);
    let state = if object.allocated {
        "KFENCE_OBJECT_ALLOCATED"
    } else {
        "KFENCE_OBJECT_FREED"
    };
    let state = kernel.types.constant(state);
    let caller = kernel.symbol("kmem_cache_alloc") + 0x80;
    for (path, value) in [
        ("state", state),
        ("addr", address),
        ("size", u64::from(size)),
        ("cache", cache.address),
        ("unprotected_page", 0),
        ("alloc_track.pid", 321),
        ("alloc_track.cpu", 1),
        ("alloc_track.ts_nsec", 77_000_000_000),
        ("alloc_track.num_stack_entries", 1),
    ] {
        kernel.set(at, "kfence_metadata", path, value);
    }
    let entries = kernel
        .types
        .offset("kfence_metadata", "alloc_track.stack_entries");
    kernel.write_u64(at + entries, caller);
    if !object.allocated {
        kernel.set(at, "kfence_metadata", "free_track.pid", 322);
        kernel.tables.hide(&mut kernel.memory, page);
    }
    LaidObject {
        address,
        cache: object.cache.clone(),
        size,
        allocated: object.allocated,
    }
}
