//! Objects in use that still have no role, and the truth about those that have one.

use std::collections::BTreeMap;

use super::LeaksTruth;
use crate::machine::Kernel;
use crate::machine::cpus::PerCpu;
use crate::slub::lay::{LaidCache, LaidSlub};
use crate::slub::scenario::Place;
use crate::slub::truth::Truth;

/// What words are written to.
pub(super) struct Web<'a> {
    pub(super) kernel: &'a mut Kernel,
    pub(super) percpu: &'a mut PerCpu,
    slub: &'a LaidSlub,
    /// By cache, in order of address.
    in_use: BTreeMap<String, Vec<u64>>,
    pub(super) truth: LeaksTruth,
    /// Next to be used of the table that the kernel image has.
    slot: u64,
    /// Lost objects that no word points to yet, but stale ones may.
    pub(super) alone: Vec<u64>,
}

impl<'a> Web<'a> {
    pub(super) fn new(
        kernel: &'a mut Kernel,
        percpu: &'a mut PerCpu,
        slub: &'a LaidSlub,
        slabs: &Truth,
    ) -> Self {
        let all = slabs.caches.iter();
        let in_use: BTreeMap<_, _> = all
            .map(|cache| (cache.name.clone(), cache.allocated.clone()))
            .collect();
        let mut truth = LeaksTruth::default();
        for cache in in_use.keys() {
            truth.caches.entry(cache.clone()).or_default();
        }
        Self {
            slot: kernel.symbol("session_table"),
            kernel,
            percpu,
            slub,
            in_use,
            truth,
            alone: Vec::new(),
        }
    }

    pub(super) fn cache(&self, name: &str) -> &LaidCache {
        let mut caches = self.slub.caches.iter();
        caches.find(|laid| laid.cache.name == name).expect("cache")
    }

    /// The descriptor of the cache's slab that an object lies in.
    pub(super) fn slab_of(&self, cache: &str, object: u64) -> Option<u64> {
        let mut slabs = self.cache(cache).slabs.iter();
        let slab = slabs.find(|slab| slab.objects.contains(&object))?;
        Some(slab.descriptor)
    }

    /// An object in use, from anywhere in the cache, zeroed. The caller sees to it that
    /// something keeps it.
    pub(super) fn take(&mut self, cache: &str) -> u64 {
        let left = self.in_use.get_mut(cache).expect("cache");
        assert!(!left.is_empty(), "{cache} has no more objects");
        let index = self.kernel.random.below(left.len() as u64);
        let object = left.remove(index as usize);
        let size = self.cache(cache).cache.object_size;
        self.kernel.write(object, &vec![0; size as usize]);
        object
    }

    /// An object that nothing will keep.
    pub(super) fn lose(&mut self, cache: &str) -> u64 {
        let object = self.take(cache);
        let lost = self.truth.caches.get_mut(cache).expect("cache");
        lost.objects.push(object);
        object
    }

    /// One that no other lost object leads to, or a ring of which it is one.
    pub(super) fn lose_source(&mut self, cache: &str) -> u64 {
        let lost = self.truth.caches.get_mut(cache).expect("cache");
        lost.sources += 1;
        self.lose(cache)
    }

    /// A free object of a slab that still counts.
    pub(super) fn free_object(&self, cache: &str, number: usize) -> u64 {
        let slabs = self.cache(cache).slabs.iter();
        let mut free = slabs
            .filter(|slab| slab.place != Place::PendingRcu)
            .flat_map(|slab| slab.free.iter().chain(&slab.cpu_free));
        *free.nth(number).expect("a free object")
    }

    /// Writes a pointer as the word of this number.
    pub(super) fn point(&mut self, from: u64, word: u64, to: u64) {
        self.kernel.write_u64(from + word * 8, to);
    }

    /// Keeps something for good: by a variable of the kernel.
    pub(super) fn keep(&mut self, object: u64) {
        self.kernel.write_u64(self.slot, object);
        self.slot += 16;
    }

    /// The next of the unreachable objects that only what is stale may point to; when all were used,
    /// from the first again.
    pub(super) fn stale_target(&mut self) -> u64 {
        self.alone.rotate_left(1);
        *self.alone.last().expect("unreachable objects")
    }

    /// All objects that have no role, with their cache's size.
    pub(super) fn rest(&mut self) -> Vec<(u64, u64)> {
        let all = std::mem::take(&mut self.in_use).into_iter();
        let sized = all.flat_map(|(name, objects)| {
            let size = u64::from(self.cache(&name).cache.object_size);
            objects.into_iter().map(move |object| (object, size))
        });
        sized.collect()
    }

    pub(super) fn finish(mut self) -> LeaksTruth {
        for lost in self.truth.caches.values_mut() {
            lost.objects.sort_unstable();
        }
        self.truth.lost_areas.sort_unstable();
        self.truth.lost_blocks.sort_unstable();
        self.truth
    }
}
