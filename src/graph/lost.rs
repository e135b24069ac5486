//! The objects that nothing points to, and which of them the others hang on.
//!
//! A machine that died of a leak has hundreds of millions of them, so none has a place in
//! memory of its own but its bits, unless others of the lost point to it.

use std::collections::BTreeMap;

use super::closure::Edges;
use super::rings::sources;
use super::scan::{Edge, Found};
use super::targets::Targets;
use crate::addr::VirtAddr;

/// The unreachable objects of one cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) objects: u64,
    /// The slabs that have some, by number.
    slabs: Vec<u32>,
    /// Those that no other lost object leads to, or that lead to each other: one for each ring.
    pub(crate) sources: u64,
    /// How many are pointed to by unreachable objects of each other cache, by its number.
    pub(crate) led_by: BTreeMap<u32, u64>,
}

impl Lost {
    /// Their numbers, in order.
    pub(crate) fn numbers<'a>(
        &'a self,
        found: &'a Found,
        targets: &'a Targets,
    ) -> impl Iterator<Item = u32> + 'a {
        let slabs = self.slabs.iter();
        let slabs = slabs.filter_map(|slab| targets.slabs.get(*slab as usize));
        slabs.flat_map(|slab| found.allocated.without(&found.marked, slab.numbers()))
    }

    /// Their addresses, in order.
    pub(crate) fn addresses<'a>(
        &'a self,
        found: &'a Found,
        targets: &'a Targets,
    ) -> impl Iterator<Item = VirtAddr> + 'a {
        let slabs = self.slabs.iter();
        let slabs = slabs.filter_map(|slab| targets.slabs.get(*slab as usize));
        slabs.flat_map(|slab| {
            let lost = found.allocated.without(&found.marked, slab.numbers());
            lost.map(|object| slab.address(object))
        })
    }
}

/// Sorts unreachable objects by cache, and finds the sources. Blocks of large kmalloc are one cache
/// more; areas of vmalloc, which are numbered behind all, lead to objects as another.
pub(crate) fn by_cache(
    found: &Found,
    edges: &Edges,
    targets: &Targets,
    caches: usize,
) -> Vec<Lost> {
    // One more for the blocks.
    let mut lost = vec![Lost::default(); caches + 1];
    for (number, slab) in (0u32..).zip(&targets.slabs) {
        let count = found.allocated.count_without(&found.marked, slab.numbers());
        if count > 0
            && let Some(of) = lost.get_mut(slab.cache as usize)
        {
            of.objects += u64::from(count);
            of.slabs.push(number);
        }
    }
    let is_lost = |object: u32| found.allocated.get(object) && !found.marked.get(object);
    let mut inner: Vec<Edge> = edges
        .iter()
        .filter(|(from, to)| is_lost(*from) && is_lost(*to))
        .collect();
    inner.sort_unstable();
    inner.dedup();
    let cache_of = |object: u32| match targets.place(object) {
        _ if object >= targets.objects => Some(caches + 1),
        Some((slab, _)) => Some(targets.slabs.get(slab as usize)?.cache as usize),
        None => None,
    };
    for (cache, leaders) in led(&inner, cache_of) {
        if let Some(of) = lost.get_mut(cache) {
            of.led_by = leaders;
        }
    }
    // Whatever no other points to is its own source.
    for of in &mut lost {
        of.sources = of.objects;
    }
    let (nodes, sources) = sources(&inner);
    let mut change = |object: u32, by: i64| {
        if let Some(of) = cache_of(object).and_then(|cache| lost.get_mut(cache)) {
            of.sources = of.sources.saturating_add_signed(by);
        }
    };
    nodes.into_iter().for_each(|object| change(object, -1));
    sources.into_iter().for_each(|object| change(object, 1));
    lost
}

/// For each cache how many of its unreachable objects those of each other lead to.
fn led(
    inner: &[Edge],
    cache_of: impl Fn(u32) -> Option<usize>,
) -> BTreeMap<usize, BTreeMap<u32, u64>> {
    let mut led: Vec<(u32, u32, usize)> = inner
        .iter()
        .filter_map(|(from, to)| Some((*to, cache_of(*from)? as u32, cache_of(*to)?)))
        .filter(|(_, from, cache)| *from as usize != *cache)
        .collect();
    led.sort_unstable();
    led.dedup();
    let mut by_cache: BTreeMap<usize, BTreeMap<u32, u64>> = BTreeMap::new();
    for (_, from, cache) in led {
        *by_cache.entry(cache).or_default().entry(from).or_default() += 1;
    }
    by_cache
}
