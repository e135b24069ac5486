//! The scenario that has one of everything.

use super::flags::SlabFlag::{
    Account, HwcacheAlign, Kmalloc, Panic, Poison, ReclaimAccount, RedZone, StoreUser,
    TypesafeByRcu,
};
use super::scenario::{Cache, CompoundPage, Freelist, KfenceObject, Place, Scenario, Slab};

fn cache(name: &str, object_size: u32, order: u32) -> Cache {
    Cache {
        name: name.into(),
        aliases: Vec::new(),
        object_size,
        align: 0,
        flags: Vec::new(),
        ctor: None,
        usercopy: false,
        order,
        slabs: Vec::new(),
        memcg_of: None,
    }
}

fn current(cpu: u32, node: u32, cpu_free: u32, remote_free: u32) -> Slab {
    let place = Place::Current {
        cpu,
        cpu_free,
        remote_free,
    };
    Slab::new(node, place)
}

fn cpu_partial(cpu: u32, node: u32, free: u32) -> Slab {
    Slab::new(node, Place::CpuPartial { cpu, free })
}

fn node_partial(node: u32, free: u32) -> Slab {
    Slab::new(node, Place::NodePartial { free })
}

fn full(node: u32) -> Slab {
    Slab::new(node, Place::Full)
}

impl Scenario {
    /// Twelve caches with slabs in every state on two nodes and three CPUs.
    pub fn standard() -> Self {
        Self {
            freelist: Freelist::HardenedSwab,
            caches: vec![
                leaking(),
                debugged(),
                conntrack(),
                merged(),
                vm_areas(),
                dentries(),
                inodes(),
                tasks(),
                without_slabs(),
                kmalloc_4k(),
                kmalloc_64(),
                kmalloc_8(),
            ],
            kfence: kfence(),
            compound: compound(),
            conntrack: None,
            leaks: false,
        }
    }

    /// The same with caches of memory cgroups, as kernels up to 5.8 have them.
    pub fn with_memcgs(mut self) -> Self {
        self.caches.splice(0..0, of_memcgs());
        self
    }

    /// The same with another freelist encoding.
    pub fn with_freelist(mut self, freelist: Freelist) -> Self {
        self.freelist = freelist;
        self
    }
}

/// The caches that memory cgroups have of their own: two of dentries, one of inodes, and an
/// empty one. The newest caches, they stand before those they are copies of.
fn of_memcgs() -> Vec<Cache> {
    let copy = |root: Cache, serial: u32, slabs: Vec<Slab>| Cache {
        name: format!("{}({serial}:pod.slice)", root.name),
        memcg_of: Some(root.name.clone()),
        slabs,
        ..root
    };
    vec![
        copy(
            dentries(),
            77,
            vec![current(0, 0, 3, 1), node_partial(1, 5)],
        ),
        copy(dentries(), 91, vec![full(0), full(1), cpu_partial(2, 0, 4)]),
        copy(inodes(), 77, vec![current(1, 0, 2, 0)]),
        copy(inodes(), 91, Vec::new()),
    ]
}

/// Nothing but full slabs, on no list: only the memory map knows them.
fn leaking() -> Cache {
    let mut slabs: Vec<_> = (0..40).map(|number| full(number % 2)).collect();
    slabs.push(current(1, 0, 9, 0));
    Cache {
        slabs,
        ..cache("leaky_session", 320, 1)
    }
}

/// Red zones, poison and owners: one slab at a time, all on lists.
fn debugged() -> Cache {
    Cache {
        flags: vec![RedZone, Poison, StoreUser],
        slabs: vec![
            node_partial(0, 3),
            node_partial(1, 1),
            Slab::new(1, Place::Empty),
            full(0),
            full(0),
            full(1),
        ],
        ..cache("dbg_record", 40, 1)
    }
}

/// Two slabs wait for RCU, one of them with the order that was left.
fn conntrack() -> Cache {
    let mut small = Slab::new(1, Place::PendingRcu);
    small.order = Some(0);
    Cache {
        flags: vec![TypesafeByRcu, HwcacheAlign],
        slabs: vec![
            current(0, 0, 5, 2),
            node_partial(0, 7),
            full(0),
            full(1),
            Slab::new(0, Place::PendingRcu),
            small,
        ],
        ..cache("nf_conntrack", 248, 1)
    }
}

/// A cache that two others were merged into.
fn merged() -> Cache {
    Cache {
        aliases: vec!["biovec-16".into(), "sgpool-8".into()],
        flags: vec![HwcacheAlign, Panic],
        slabs: vec![
            current(0, 0, 0, 4),
            current(2, 1, 6, 0),
            cpu_partial(2, 1, 3),
            node_partial(0, 15),
            full(0),
        ],
        ..cache("skbuff_head_cache", 256, 0)
    }
}

/// Long CPU partial lists.
fn vm_areas() -> Cache {
    Cache {
        flags: vec![Panic, Account],
        slabs: vec![
            current(0, 0, 12, 0),
            cpu_partial(0, 0, 1),
            cpu_partial(0, 1, 19),
            cpu_partial(0, 0, 20),
            current(1, 0, 3, 3),
            cpu_partial(1, 0, 8),
            node_partial(1, 2),
        ],
        ..cache("vm_area_struct", 200, 0)
    }
}

/// Reclaimable, with long partial lists.
fn dentries() -> Cache {
    let mut slabs = vec![current(0, 0, 1, 0), current(2, 1, 0, 1)];
    slabs.extend((0..12).map(|number| node_partial(number % 2, 1 + number)));
    slabs.extend((0..6).map(|number| full(number % 2)));
    Cache {
        flags: vec![ReclaimAccount, Panic, Account],
        usercopy: true,
        slabs,
        ..cache("dentry", 192, 0)
    }
}

/// A constructor puts the free pointer behind the object.
fn inodes() -> Cache {
    Cache {
        flags: vec![ReclaimAccount, Account],
        ctor: Some(1),
        slabs: vec![current(1, 0, 7, 1), node_partial(0, 25), full(1)],
        ..cache("inode_cache", 616, 2)
    }
}

/// Objects larger than a page.
fn tasks() -> Cache {
    Cache {
        align: 64,
        flags: vec![Panic, Account],
        usercopy: true,
        slabs: vec![current(0, 0, 2, 0), node_partial(0, 4), full(0), full(1)],
        ..cache("task_struct", 4160, 3)
    }
}

/// Created and never used.
fn without_slabs() -> Cache {
    cache("ext4_groupinfo_4k", 144, 0)
}

/// One slab is smaller than the others.
fn kmalloc_4k() -> Cache {
    let mut small = full(1);
    small.order = Some(0);
    let mut partial = node_partial(0, 1);
    partial.order = Some(1);
    Cache {
        flags: vec![Kmalloc],
        align: 4096,
        slabs: vec![
            current(2, 1, 3, 0),
            small,
            partial,
            node_partial(1, 2),
            full(0),
        ],
        ..cache("kmalloc-4k", 4096, 3)
    }
}

/// Empty slabs kept for later.
fn kmalloc_64() -> Cache {
    Cache {
        flags: vec![Kmalloc],
        align: 64,
        slabs: vec![
            current(0, 0, 10, 5),
            current(1, 0, 64, 0),
            cpu_partial(1, 0, 40),
            node_partial(1, 63),
            Slab::new(0, Place::Empty),
            Slab::new(1, Place::Empty),
            full(0),
        ],
        ..cache("kmalloc-64", 64, 0)
    }
}

/// As many objects as fit on a page.
fn kmalloc_8() -> Cache {
    Cache {
        flags: vec![Kmalloc],
        align: 8,
        slabs: vec![current(2, 1, 100, 200), node_partial(0, 511), full(0)],
        ..cache("kmalloc-8", 8, 0)
    }
}

fn kfence() -> Vec<KfenceObject> {
    [
        ("kmalloc-64", true),
        ("leaky_session", true),
        ("dentry", false),
        ("leaky_session", true),
        ("vm_area_struct", false),
    ]
    .into_iter()
    .map(|(cache, allocated)| KfenceObject {
        cache: cache.into(),
        allocated,
    })
    .collect()
}

fn compound() -> Vec<CompoundPage> {
    let page = |node, order, kmalloc| CompoundPage {
        node,
        order,
        kmalloc,
    };
    vec![
        page(0, 2, true),
        page(0, 4, true),
        page(1, 3, true),
        page(0, 2, false),
        page(1, 9, false),
    ]
}
