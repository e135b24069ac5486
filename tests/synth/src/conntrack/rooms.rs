//! The slab caches that conntrack's objects lie in, as large as they need to be.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::scenario::{Conntrack, Entries};
use super::{ext, object};
use crate::ctypes::TypeTable;
use crate::era::Era;
use crate::machine::Kernel;
use crate::slub::flags::SlabFlag::{HwcacheAlign, Kmalloc, TypesafeByRcu};
use crate::slub::geometry::Geometry;
use crate::slub::lay::LaidSlub;
use crate::slub::scenario::{Cache, Place, Scenario, Slab};

/// The `kmalloc` caches that extensions come from.
const KMALLOC: [(u64, &str); 2] = [(128, "kmalloc-128"), (256, "kmalloc-256")];

/// The cache for a block of extensions.
pub(super) fn ext_cache(size: usize) -> &'static str {
    let found = KMALLOC.iter().find(|each| size as u64 <= each.0);
    found.expect("extensions are small").1
}

/// The scenario with caches for its conntrack objects instead of its own ones of
/// the same names.
pub(crate) fn with_caches(scenario: &Scenario, era: Era, types: &TypeTable) -> Scenario {
    let mut scenario = scenario.clone();
    let Some(conntrack) = &scenario.conntrack else {
        return scenario;
    };
    let made = caches(conntrack, era, types);
    scenario
        .caches
        .retain(|cache| made.iter().all(|new| new.name != cache.name));
    scenario.caches.splice(0..0, made);
    scenario
}

fn caches(conntrack: &Conntrack, era: Era, types: &TypeTable) -> Vec<Cache> {
    let many = matches!(conntrack.entries, Entries::Many(_));
    let mut blocks: BTreeMap<&str, u64> = BTreeMap::new();
    let mut fields = Fields::new(types);
    // Made-up entries all have the same extensions.
    let looked_at = if many { 1 } else { conntrack.entries.count() };
    for number in 0..looked_at {
        let entry = object::as_of(era, conntrack.entries.get(number));
        if let Some(block) = ext::bytes(&mut fields, &entry, ext::Links::default()) {
            *blocks.entry(ext_cache(block.len())).or_default() += 1;
        }
    }
    if many {
        blocks
            .values_mut()
            .for_each(|count| *count = conntrack.entries.count());
    }
    let order = u32::from(many);
    let mut made = vec![
        cache(
            "nf_conntrack_expect",
            types.sizeof("nf_conntrack_expect"),
            0,
        ),
        cache("nf_conntrack", types.sizeof("nf_conn"), order),
    ];
    made[1].flags = vec![TypesafeByRcu, HwcacheAlign];
    fill(
        &mut made[0],
        conntrack.expectations.len() as u64,
        types,
        many,
    );
    fill(&mut made[1], conntrack.entries.count(), types, many);
    for (size, name) in KMALLOC {
        let mut cache = cache(name, size, order);
        cache.flags = vec![Kmalloc];
        cache.align = size as u32;
        fill(
            &mut cache,
            blocks.get(name).copied().unwrap_or(0),
            types,
            many,
        );
        made.push(cache);
    }
    made
}

fn cache(name: &str, object_size: u64, order: u32) -> Cache {
    Cache {
        name: name.into(),
        aliases: Vec::new(),
        object_size: object_size as u32,
        align: 0,
        flags: Vec::new(),
        ctor: None,
        usercopy: false,
        order,
        slabs: Vec::new(),
        memcg_of: None,
    }
}

/// Gives a cache slabs with exactly `count` allocated objects: some on a CPU and
/// on lists if there are enough, the rest full.
fn fill(cache: &mut Cache, count: u64, types: &TypeTable, many: bool) {
    let geometry = Geometry::of(cache, types, 4096);
    let capacity = u64::from(geometry.objects(cache.order));
    let mut left = count;
    let current = Place::Current {
        cpu: 0,
        cpu_free: 3,
        remote_free: 2,
    };
    let varied = [
        (0, 5, current),
        (1, 4, Place::NodePartial { free: 4 }),
        (0, 2, Place::CpuPartial { cpu: 1, free: 2 }),
    ];
    for (node, free, place) in varied {
        if many || left < capacity {
            break;
        }
        cache.slabs.push(Slab::new(node, place));
        left -= capacity - free;
    }
    for _ in 0..left / capacity {
        cache.slabs.push(Slab::new(1, Place::Full));
    }
    if !left.is_multiple_of(capacity) {
        let free = (capacity - left % capacity) as u32;
        cache.slabs.push(Slab::new(1, Place::NodePartial { free }));
    }
}

/// Pages of extra memory that the caches need on node 1.
pub(crate) fn pages(scenario: &Scenario) -> u64 {
    let caches = scenario.caches.iter();
    let slabs = caches.flat_map(|cache| cache.slabs.iter().map(|_| 1 << cache.order));
    slabs.sum()
}

/// Objects to be handed out.
pub(super) struct Room {
    allocated: Vec<u64>,
    free: Vec<u64>,
}

impl Room {
    /// The allocated objects of a cache, shuffled unless there are many.
    pub(super) fn of(kernel: &mut Kernel, slub: &LaidSlub, name: &str, shuffled: bool) -> Self {
        let mut caches = slub.caches.iter();
        let laid = caches.find(|laid| laid.cache.name == name).expect("cache");
        let (mut allocated, mut free) = (Vec::new(), Vec::new());
        for slab in &laid.slabs {
            for object in &slab.objects {
                let is_free = slab.free.contains(object) || slab.cpu_free.contains(object);
                if is_free { &mut free } else { &mut allocated }.push(*object);
            }
        }
        if shuffled {
            let order = kernel.random.shuffled(allocated.len() as u32);
            allocated = order
                .iter()
                .map(|index| allocated[*index as usize])
                .collect();
        } else {
            allocated.reverse();
        }
        Self { allocated, free }
    }

    /// An allocated object.
    pub(super) fn take(&mut self) -> u64 {
        self.allocated.pop().expect("the cache was made to fit")
    }

    /// A free object, which keeps what was in it if the cache is TYPESAFE_BY_RCU.
    pub(super) fn take_free(&mut self) -> Option<u64> {
        self.free.pop()
    }

    /// Whether everything was handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.allocated.is_empty()
    }
}
