//! Who holds the objects of each cache: counted for a sample of them.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::targets::Targets;
use crate::addr::PhysAddr;
use crate::kernel::Kernel;
use crate::space::x86_64::START_KERNEL_MAP;
use crate::subsys::slab::cache::Cache;

/// At most so many objects of a cache are asked who holds them.
const SAMPLE: u32 = 2048;
/// Holders named for each cache.
const NAMED: usize = 8;

/// Where a reference lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// At this offset in objects of this cache.
    Object(u32, u32),
    /// In a page that always counts.
    Root(PhysAddr),
    /// On a task's stack.
    Stack,
    /// In a page structure.
    PageStructure,
}

/// Counts references to a sample of objects.
#[derive(Debug)]
pub(crate) struct Holders {
    /// For each cache, which bits of an object's number must be clear.
    masks: Vec<u32>,
    counts: Mutex<FxHashMap<(u32, Source), u64>>,
}

/// One kind of holder of a cache's objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `dentry+0x10`, `tcp_hashinfo+0x40`, `kernel memory`, `stacks`, `page structures`.
    pub holder: String,
    /// References found there to the sampled objects.
    pub references: u64,
}

impl Holders {
    pub(crate) fn of(targets: &Targets) -> Self {
        let mut objects: Vec<u32> = Vec::new();
        for slab in &targets.slabs {
            let cache = slab.cache as usize;
            if objects.len() <= cache {
                objects.resize(cache + 1, 0);
            }
            if let Some(count) = objects.get_mut(cache) {
                *count = count.saturating_add(slab.objects);
            }
        }
        let mask = |count: &u32| {
            (count / SAMPLE)
                .checked_next_power_of_two()
                .unwrap_or(1 << 31)
                - 1
        };
        Self {
            masks: objects
                .iter()
                .map(|count| if *count <= SAMPLE { 0 } else { mask(count) })
                .collect(),
            counts: Mutex::default(),
        }
    }

    /// Whether references to this object are counted.
    pub(crate) fn wants(&self, object: u32, cache: u32) -> bool {
        let mask = self.masks.get(cache as usize);
        mask.is_some_and(|mask| object & mask == 0)
    }

    pub(crate) fn add(&self, held: Vec<(u32, Source)>) {
        if held.is_empty() {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in held {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// For each cache, its holders by the number of references, most first.
    pub(crate) fn named(self, kernel: &Kernel, caches: &[Cache]) -> Vec<Vec<Holder>> {
        let counts = self
            .counts
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut by_name: Vec<FxHashMap<String, u64>> = vec![FxHashMap::default(); caches.len()];
        let symbols = ImageSymbols::of(kernel);
        for ((cache, source), count) in counts {
            if let Some(names) = by_name.get_mut(cache as usize) {
                *names.entry(symbols.describe(source, caches)).or_default() += count;
            }
        }
        let sorted = |names: FxHashMap<String, u64>| {
            let mut holders: Vec<Holder> = names
                .into_iter()
                .map(|(holder, references)| Holder { holder, references })
                .collect();
            holders.sort_by(|a, b| (b.references, &a.holder).cmp(&(a.references, &b.holder)));
            holders.truncate(NAMED);
            holders
        };
        by_name.into_iter().map(sorted).collect()
    }
}

/// Names words of the kernel image.
struct ImageSymbols<'k> {
    kernel: &'k Kernel,
    phys_base: u64,
}

impl<'k> ImageSymbols<'k> {
    fn of(kernel: &'k Kernel) -> Self {
        let base = kernel.vmcoreinfo().number("phys_base").unwrap_or(0);
        Self {
            kernel,
            phys_base: base.cast_unsigned(),
        }
    }

    fn describe(&self, source: Source, caches: &[Cache]) -> String {
        match source {
            Source::Object(cache, offset) => {
                let name = caches.get(cache as usize).map_or("?", |cache| &cache.name);
                format!("{name}+{offset:#x}")
            }
            Source::Root(phys) => self
                .symbol(phys)
                .unwrap_or_else(|| "kernel memory".to_owned()),
            Source::Stack => "stacks".to_owned(),
            Source::PageStructure => "page structures".to_owned(),
        }
    }

    fn symbol(&self, phys: PhysAddr) -> Option<String> {
        let address = phys
            .0
            .wrapping_sub(self.phys_base)
            .checked_add(START_KERNEL_MAP)?;
        let (name, ..) = self.kernel.symbolize(crate::addr::VirtAddr(address))?;
        Some(name.to_owned())
    }
}
