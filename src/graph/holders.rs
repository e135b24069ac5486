//! Who holds the objects of each cache: counted for a sample of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::bitmap::Bitmap;
use super::targets::Targets;
use super::typed::{self, Structures, TypeGuess};
use crate::addr::PhysAddr;
use crate::kernel::symbolize::Symbolized;
use crate::kernel::variables::Variables;
use crate::subsys::mm::slab::cache::Cache;

/// At most so many objects of a cache are asked who holds them.
const SAMPLE: u32 = 2048;
/// Holders named for each cache.
const NAMED: usize = 8;
/// A structure that fewer than one of so many sampled objects seem to be is not named.
const TYPED: u64 = 10;

/// Where a reference lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// At this offset in objects of this cache.
    Object(u32, u32),
    /// In a page that always counts, where a variable may be.
    Root(PhysAddr),
    /// In one where none is.
    Memory,
    /// On a task's stack.
    Stack,
    /// In a page structure.
    PageStructure,
}

/// A cache, an object of it, and the cache and offset of what points there.
type Typed = (u32, u32, u32, u32);

/// A reference that was met: the object, its cache, and where it lies.
pub(crate) type Held = (u32, u32, Source);

/// Counts references to a sample of objects.
#[derive(Debug)]
pub(crate) struct Holders {
    /// For each cache, which bits of an object's number must be clear.
    masks: Vec<u32>,
    counts: Mutex<FxHashMap<(u32, Source), u64>>,
    /// Caches of kmalloc, by number, and those whose objects are of a known structure.
    anonymous: Vec<bool>,
    known: Vec<bool>,
    /// Sampled objects of the former with the places in the latter that point to them.
    typed: Mutex<FxHashSet<Typed>>,
    /// Words that are the address of a `struct kmem_cache`, and where they lie.
    cache_pointers: Mutex<Vec<(u64, PhysAddr)>>,
}

/// One kind of holder of a cache's objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `dentry+0x10`, `tcp_hashinfo+0x40`, `kernel memory`, `stacks`, `page structures`.
    pub holder: String,
    /// References found there to the sampled objects.
    pub references: u64,
    /// The module whose variable it is.
    #[serde(skip)]
    pub module: Option<String>,
}

impl Holders {
    pub(crate) fn of(targets: &Targets, caches: &[Cache]) -> Self {
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
            anonymous: caches.iter().map(|c| c.name.contains("kmalloc")).collect(),
            known: caches.iter().map(typed::is_known).collect(),
            typed: Mutex::default(),
            cache_pointers: Mutex::default(),
        }
    }

    /// Whether references to this object are counted.
    pub(crate) fn wants(&self, object: u32, cache: u32) -> bool {
        let mask = self.masks.get(cache as usize);
        mask.is_some_and(|mask| object & mask == 0)
    }

    /// Of each of `caches`, how many objects in use are in the sample.
    pub(crate) fn sampled(
        &self,
        caches: &[u32],
        targets: &Targets,
        allocated: &Bitmap,
    ) -> Vec<(u32, u64)> {
        let mut sampled: Vec<(u32, u64)> = caches.iter().map(|cache| (*cache, 0)).collect();
        for slab in &targets.slabs {
            let Some((cache, sum)) = sampled.iter_mut().find(|(of, _)| *of == slab.cache) else {
                continue;
            };
            let wanted = slab.numbers().filter(|object| self.wants(*object, *cache));
            *sum += wanted.filter(|object| allocated.get(*object)).count() as u64;
        }
        sampled
    }

    pub(crate) fn add(&self, held: &[Held]) {
        if held.is_empty() {
            return;
        }
        let is = |caches: &[bool], cache: u32| caches.get(cache as usize) == Some(&true);
        let typed = held
            .iter()
            .filter_map(|(object, cache, source)| match source {
                Source::Object(holder, offset)
                    if is(&self.anonymous, *cache) && is(&self.known, *holder) =>
                {
                    Some((*cache, *object, *holder, *offset))
                }
                _ => None,
            });
        let mut typed = typed.peekable();
        if typed.peek().is_some() {
            lock(&self.typed).extend(typed);
        }
        let mut counts = lock(&self.counts);
        for (_, cache, source) in held {
            *counts.entry((*cache, *source)).or_default() += 1;
        }
    }

    /// What the `of` sampled objects of one of kmalloc's caches seem to be. What few of them are,
    /// the cache is not.
    fn guess(&self, cache: u32, of: u64, structures: &Structures<'_>) -> Vec<TypeGuess> {
        let typed = lock(&self.typed);
        let of_cache = typed.iter().filter(|(of, ..)| *of == cache);
        let members = of_cache.map(|(_, object, holder, offset)| (*object, *holder, *offset));
        let mut guesses = structures.guess(members, of);
        guesses.retain(|guess| guess.count.saturating_mul(TYPED) >= of);
        guesses
    }

    /// Remembers a word that points to a cache's own structure.
    pub(crate) fn add_cache_pointers(&self, pointers: Vec<(u64, PhysAddr)>) {
        if !pointers.is_empty() {
            let mut all = lock(&self.cache_pointers);
            all.extend(pointers);
        }
    }

    /// For each cache, its holders by the number of references, most first; for the `anonymous`,
    /// with how many of their objects are sampled, what their objects seem to be.
    pub(crate) fn named(
        &self,
        symbols: &Variables<'_>,
        caches: &[Cache],
        structures: &Structures<'_>,
        anonymous: &[(u32, u64)],
    ) -> Vec<Named> {
        let same = first_of_name(caches);
        let mut by_cache: Vec<FxHashMap<Source, u64>> = vec![FxHashMap::default(); caches.len()];
        for ((cache, source), count) in std::mem::take(&mut *lock(&self.counts)) {
            let source = match source {
                Source::Object(of, offset) => {
                    Source::Object(same.get(of as usize).copied().unwrap_or(of), offset)
                }
                other => other,
            };
            if let Some(sources) = by_cache.get_mut(cache as usize) {
                *sources.entry(source).or_default() += count;
            }
        }
        let mut pointers = std::mem::take(&mut *lock(&self.cache_pointers));
        // Threads come in any order.
        pointers.sort_unstable();
        let mut variables: FxHashMap<u64, Vec<Symbolized>> = FxHashMap::default();
        for (cache, phys) in pointers {
            // Only a word that is a variable of its own, and no part of a table, names an owner.
            if let Some(place) = symbols.variable(phys).filter(|place| place.offset == 0) {
                let places = variables.entry(cache).or_default();
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        let by_name: Vec<_> = by_cache
            .into_par_iter()
            .map(|sources| by_name(sources, symbols, caches))
            .collect();
        let named = by_name.into_iter().zip(caches).enumerate();
        let named = named.map(|(number, (names, cache))| Named {
            types: match anonymous.iter().find(|(of, _)| *of == number as u32) {
                Some((number, sampled)) => self.guess(*number, *sampled, structures),
                None => Vec::new(),
            },
            in_modules: most(&names, Name::is_module_variable),
            holders: most(&names, |_| true),
            variables: variables.remove(&cache.address.0).unwrap_or_default(),
        });
        named.collect()
    }
}

/// Who holds a cache's objects, and the cache itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) holders: Vec<Holder>,
    /// Those of them that are variables of modules.
    pub(crate) in_modules: Vec<Holder>,
    /// What the objects of a kmalloc cache seem to be.
    pub(crate) types: Vec<TypeGuess>,
    /// Variables that point to the cache's structure.
    pub(crate) variables: Vec<Symbolized>,
}

/// What a holder is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) text: String,
    module: Option<String>,
}

impl Name {
    /// Each module's own structure is in many of the kernel's lists, and tells nothing.
    fn is_module_variable(&self) -> bool {
        self.module.is_some() && !self.text.starts_with("__this_module ")
    }
}

/// For each cache the first that is called the same: a module that was loaded again has two.
fn first_of_name(caches: &[Cache]) -> Vec<u32> {
    let mut first: FxHashMap<&str, u32> = FxHashMap::default();
    let numbered = (0..).zip(caches);
    let firsts = numbered.map(|(number, cache)| *first.entry(&cache.name).or_insert(number));
    firsts.collect()
}

/// The references of each name. Places in objects are many, and each has a name of its own: of
/// these only those that may be among the first.
fn by_name(
    mut sources: FxHashMap<Source, u64>,
    symbols: &Variables<'_>,
    caches: &[Cache],
) -> FxHashMap<Name, u64> {
    let is_object = |source: &Source| matches!(source, Source::Object(..));
    let mut counts: Vec<u64> = sources
        .iter()
        .filter(|(source, _)| is_object(source))
        .map(|(_, count)| *count)
        .collect();
    if counts.len() > NAMED {
        let (_, least, _) = counts.select_nth_unstable_by(NAMED - 1, |a, b| b.cmp(a));
        let least = *least;
        sources.retain(|source, count| !is_object(source) || *count >= least);
    }
    let mut names: FxHashMap<Name, u64> = FxHashMap::default();
    for (source, count) in sources {
        *names.entry(describe(source, symbols, caches)).or_default() += count;
    }
    names
}

/// Those of the holders that are `chosen`, by the number of references, most first.
fn most(names: &FxHashMap<Name, u64>, chosen: impl Fn(&Name) -> bool) -> Vec<Holder> {
    let mut holders: Vec<(&Name, u64)> = names
        .iter()
        .map(|(name, references)| (name, *references))
        .filter(|(name, _)| chosen(name))
        .collect();
    holders.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    let named = holders.into_iter().take(NAMED);
    named
        .map(|(name, references)| Holder {
            holder: name.text.clone(),
            references,
            module: name.module.clone(),
        })
        .collect()
}

pub(crate) fn describe(source: Source, symbols: &Variables<'_>, caches: &[Cache]) -> Name {
    let plain = |text: String| Name { text, module: None };
    match source {
        Source::Object(cache, offset) => {
            let name = caches.get(cache as usize).map_or("?", |cache| &cache.name);
            plain(format!("{name}+{offset:#x}"))
        }
        // Without the offset: a hash table is one holder.
        Source::Root(phys) => match symbols.variable(phys) {
            Some(place) => Name {
                text: place.symbol(),
                module: place.module,
            },
            None => describe(Source::Memory, symbols, caches),
        },
        Source::Memory => plain("kernel memory".to_owned()),
        Source::Stack => plain("stacks".to_owned()),
        Source::PageStructure => plain("page structures".to_owned()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
