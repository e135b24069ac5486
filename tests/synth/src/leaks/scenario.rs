//! The caches that objects are taken from.

use crate::era::Era;
use crate::slub::flags::SlabFlag::{
    Account, HwcacheAlign, Kmalloc, Panic, Poison, RedZone, StoreUser, TypesafeByRcu,
};
use crate::slub::scenario::{Cache, Freelist, Place, Scenario, Slab};

fn cache(name: &str, object_size: u64, order: u32, places: &[(u32, Place)]) -> Cache {
    Cache {
        name: name.into(),
        aliases: Vec::new(),
        object_size: object_size as u32,
        align: 0,
        flags: Vec::new(),
        ctor: None,
        usercopy: false,
        order,
        slabs: places
            .iter()
            .map(|(node, place)| Slab::new(*node, *place))
            .collect(),
        memcg_of: None,
    }
}

/// What a memory cgroup has of its own of one of `caches`.
fn copy(caches: &[Cache], name: &str) -> Cache {
    let mut caches = caches.iter();
    let root = caches.find(|cache| cache.name == name).expect("a cache");
    Cache {
        name: format!("{name}(77:pod.slice)"),
        memcg_of: Some(name.into()),
        ..root.clone()
    }
}

/// Slabs in every state.
const ALL: [(u32, Place); 6] = [
    (
        0,
        Place::Current {
            cpu: 0,
            cpu_free: 3,
            remote_free: 2,
        },
    ),
    (1, Place::CpuPartial { cpu: 2, free: 4 }),
    (1, Place::NodePartial { free: 5 }),
    (0, Place::Full),
    (1, Place::Full),
    (0, Place::Empty),
];

/// Slabs of a cache of which many are lost.
const MANY: [(u32, Place); 7] = [
    (0, Place::Full),
    (1, Place::Full),
    (0, Place::Full),
    (1, Place::Full),
    (0, Place::Full),
    (0, Place::Full),
    (1, Place::NodePartial { free: 9 }),
];

/// Slabs of a cache whose structures are large.
const FEW: [(u32, Place); 5] = [
    (0, Place::Full),
    (0, Place::Full),
    (1, Place::Full),
    (1, Place::Full),
    (0, Place::NodePartial { free: 1 }),
];

impl Scenario {
    /// Objects that are lost and kept in every way ([`crate::leaks`]).
    pub fn leaks(era: Era) -> Self {
        let types = era.types_for_leaks();
        let size = |tag: &str| types.sizeof(tag);
        let kmalloc = |size: u64, order| Cache {
            flags: vec![Kmalloc],
            align: if size.is_power_of_two() {
                size as u32
            } else {
                0
            },
            ..cache(&format!("kmalloc-{size}"), size, order, &ALL)
        };
        let lists = [(0, Place::NodePartial { free: 3 }), (1, Place::Full)];
        let mut caches = vec![
            cache("leaky_session", 320, 1, &ALL),
            Cache {
                flags: vec![RedZone, Poison, StoreUser],
                ..cache("dbg_record", 40, 1, &lists)
            },
            Cache {
                ctor: Some(1),
                flags: vec![Account],
                ..cache("inode_cache", 616, 2, &ALL)
            },
            Cache {
                flags: vec![TypesafeByRcu, HwcacheAlign],
                ..cache("proto_sock", 248, 1, &ALL)
            },
            Cache {
                flags: vec![Panic, Account],
                ..cache("task_struct", size("task_struct"), 3, &FEW)
            },
            cache("signal_cache", size("signal_struct"), 2, &FEW),
            cache("vmap_area", size("vmap_area"), 0, &ALL),
            kmalloc(192, 0),
            kmalloc(96, 0),
            kmalloc(64, 0),
            cache("aged_request", 128, 0, &MANY),
            cache("kmemleak_object", size("kmemleak_object"), 0, &ALL),
            cache("skbuff_head_cache", 232, 0, &ALL),
        ];
        // Freed as a whole, and not given back yet.
        let waiting = Slab::new(0, Place::PendingRcu);
        caches[3].slabs.push(waiting);
        if era.has_memcg_children() {
            let copies = ["leaky_session", "inode_cache", "kmalloc-192"];
            let copies: Vec<_> = copies.iter().map(|name| copy(&caches, name)).collect();
            // The newest caches stand before those they are copies of.
            caches.splice(0..0, copies);
        }
        Self {
            freelist: match era {
                Era::V3_10 | Era::V3_10El7 => Freelist::Plain,
                Era::V4_18 => Freelist::Hardened,
                _ => Freelist::HardenedSwab,
            },
            caches,
            kfence: Vec::new(),
            compound: Vec::new(),
            conntrack: None,
            leaks: true,
        }
    }
}
