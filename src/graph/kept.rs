//! What the objects of kmalloc's caches look like that something does point to: whose they are.
//!
//! A sample, taken from slabs that are evenly spread: a large machine has hundreds of millions.

use rayon::prelude::*;

use super::content::{self, Content};
use super::scan::Found;
use super::search::Search;
use crate::kernel::variables::Variables;
use crate::subsys::mm::slab::cache::Cache;

/// Slabs of a cache that are looked at, and objects of each.
const SLABS: usize = 512;
const OF_EACH: usize = 8;
/// Fewer objects in use are nobody's pile.
const LEAST: u64 = 1000;

fn is_kmalloc(cache: &Cache) -> bool {
    cache.name.contains("kmalloc-")
}

/// Of so many slabs each so many-th is looked at.
fn step(count: usize) -> usize {
    count.div_ceil(SLABS).max(1)
}

/// Of each cache; empty for those that are somebody's own, and for small ones.
pub(super) fn look(search: &Search<'_>, symbols: &Variables<'_>, found: &Found) -> Vec<Content> {
    let caches = search.heap.caches();
    let slabs = &search.targets.slabs;
    let mut counts = vec![0usize; caches.len()];
    for slab in slabs {
        if let Some(count) = counts.get_mut(slab.cache as usize) {
            *count += 1;
        }
    }
    // Each n-th slab of a cache: no list of all, of which a large machine has millions.
    let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); caches.len()];
    let mut seen = vec![0usize; caches.len()];
    for (number, slab) in (0u32..).zip(slabs) {
        let cache = slab.cache as usize;
        let row = (
            counts.get(cache),
            seen.get_mut(cache),
            chosen.get_mut(cache),
        );
        let (Some(count), Some(seen), Some(chosen)) = row else {
            continue;
        };
        if caches.get(cache).is_some_and(is_kmalloc) && *seen % step(*count) == 0 {
            chosen.push(number);
        }
        *seen += 1;
    }
    let kept = |object: &u32| found.allocated.get(*object) && found.marked.get(*object);
    let one = |((cache, chosen), count): ((&Cache, Vec<u32>), usize)| {
        let sampled = chosen
            .iter()
            .filter_map(|number| slabs.get(*number as usize));
        let mut sample = Vec::new();
        let mut in_use = 0;
        let mut looked_at = 0u64;
        for slab in sampled {
            looked_at += 1;
            let all: Vec<u32> = slab.numbers().filter(kept).collect();
            in_use += all.len() as u64;
            let some = all.iter().step_by(all.len().div_ceil(OF_EACH).max(1));
            sample.extend(some.map(|object| slab.address(*object)));
        }
        let about = in_use.saturating_mul(count as u64) / looked_at.max(1);
        if about < LEAST {
            return Content::default();
        }
        let count = sample.len() as u64;
        let objects = sample.into_iter();
        content::look(search.kernel, symbols, objects, count, cache.object_size)
    };
    let all: Vec<_> = caches.iter().zip(chosen).zip(counts).collect();
    all.into_par_iter().map(one).collect()
}
