//! The machine against itself: page tables against arithmetic, freelists and
//! lists in memory against the truth, damage against the undamaged.

use std::collections::BTreeSet;

use vmleak_synth::slub::page::slab_tag;
use vmleak_synth::slub::scenario::Place;
use vmleak_synth::{Era, Freelist, Machine, Options, PagingLevels, Scenario, damage};

fn machines() -> Vec<Machine> {
    let mut found = Vec::new();
    for era in Era::ALL {
        for paging in [PagingLevels::Four, PagingLevels::Five] {
            for encrypted in [false, true] {
                let options = Options {
                    encrypted,
                    ..Options::new(era, paging)
                };
                found.push(Machine::with(options, &Scenario::standard()));
            }
        }
    }
    found
}

#[test]
fn page_tables_agree_with_arithmetic() {
    for machine in machines() {
        let (kernel, space) = (&machine.kernel, &machine.kernel.space);
        let mut addresses = vec![kernel.symbol("_stext"), kernel.symbol("prb") + 3];
        for pfn in [0x1, 0x3001, 0xb123, 0x10_0400, 0x14_0801] {
            addresses.push(space.direct(pfn << 12) + 8);
            addresses.push(space.page(pfn));
        }
        for page in 0..space.vmalloc_pages.len() as u64 {
            addresses.push(space.vmalloc + (page << 12) + 16);
        }
        for virt in addresses {
            let walked = kernel.tables.walk(&kernel.memory, virt);
            assert_eq!(walked, Some(space.phys(virt)), "{virt:#x}");
        }
        let guard = space.direct(kernel.kfence_pool << 12);
        let guarded = kernel.tables.walk(&kernel.memory, guard).is_none();
        assert_eq!(guarded, machine.options.era.has_kfence());
        assert_ne!(space.phys_base, 0);
    }
}

/// Follows a freelist with a decoder of the test's own.
fn follow(machine: &Machine, freelist: Freelist, cache: &str, head: u64) -> Vec<u64> {
    let laid = machine.cache(cache);
    let kernel = &machine.kernel;
    let offset = kernel.get(laid.address, "kmem_cache", "offset");
    let mut found = Vec::new();
    let mut at = head;
    while at != 0 && found.len() < 100_000 {
        found.push(at);
        let word = kernel.read_u64(at + offset);
        let mut random = 0;
        if freelist != Freelist::Plain {
            random = kernel.get(laid.address, "kmem_cache", "random");
        }
        at = match freelist {
            Freelist::Plain => word,
            Freelist::Hardened => word ^ random ^ (at + offset),
            Freelist::HardenedSwab => word ^ random ^ (at + offset).swap_bytes(),
        };
    }
    found
}

#[test]
fn freelists_hold_the_free_objects() {
    for era in Era::ALL {
        for freelist in [Freelist::Plain, Freelist::Hardened, Freelist::HardenedSwab] {
            let scenario = Scenario::standard().with_freelist(freelist);
            let machine = Machine::build(era, PagingLevels::Four, &scenario);
            let tag = slab_tag(era);
            for laid in &machine.slub.caches {
                for slab in &laid.slabs {
                    let head = machine.kernel.get(slab.descriptor, tag, "freelist");
                    let found = follow(&machine, freelist, &laid.cache.name, head);
                    assert_eq!(found, slab.free);
                    let objects = machine.kernel.get(slab.descriptor, tag, "objects");
                    let inuse = machine.kernel.get(slab.descriptor, tag, "inuse");
                    assert_eq!(objects - inuse, slab.free.len() as u64);
                }
            }
        }
    }
}

#[test]
fn frozen_and_workingset_follow_the_era() {
    for (era, expected) in [(Era::V6_1, (1, false)), (Era::V6_12, (0, true))] {
        let machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let kernel = &machine.kernel;
        let slabs = &machine.cache("vm_area_struct").slabs;
        let find = |wanted: fn(&Place) -> bool| slabs.iter().find(|slab| wanted(&slab.place));
        let on_cpu = find(|place| matches!(place, Place::CpuPartial { .. })).unwrap();
        let on_node = find(|place| matches!(place, Place::NodePartial { .. })).unwrap();
        let frozen = kernel.get(on_cpu.descriptor, "slab", "frozen");
        let flags = kernel.get(on_node.descriptor, "page", "flags");
        let marked = flags >> kernel.types.constant("PG_workingset") & 1 == 1;
        assert_eq!((frozen, marked), expected);
    }
}

#[test]
fn the_standard_truth_is_what_was_meant() {
    let machine = Machine::build(Era::V6_1, PagingLevels::Four, &Scenario::standard());
    let truth = machine.truth();
    let find = |name: &str| {
        truth
            .caches
            .iter()
            .find(|cache| cache.name == name)
            .unwrap()
    };
    let leaky = find("leaky_session");
    assert_eq!((leaky.slabs, leaky.objects), (41, 41 * 25));
    assert_eq!(leaky.free(), 9);
    assert_eq!(leaky.slabinfo.active_objs, 41 * 25);
    let conntrack = find("nf_conntrack");
    assert_eq!((conntrack.slabs, conntrack.pending_rcu_slabs), (4, 2));
    assert_eq!(conntrack.free(), 5 + 2 + 7);
    assert_eq!(conntrack.slabinfo.active_objs, 4 * 32 - 7);
    let debugged = find("dbg_record");
    assert_eq!((debugged.size, debugged.objects_per_slab), (136, 60));
    let small = find("kmalloc-4k");
    assert_eq!((small.slabs, small.objects), (5, 8 + 1 + 2 + 8 + 8));
    assert_eq!(find("ext4_groupinfo_4k").objects, 0);
    assert_eq!(find("skbuff_head_cache").aliases.len(), 2);
    assert_eq!(truth.kfence.iter().filter(|each| each.allocated).count(), 3);
}

#[test]
fn builds_are_the_same_every_time() {
    let build = || Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    assert!(build().memory().pages().eq(build().memory().pages()));
}

#[test]
fn a_freelist_cycle_never_ends() {
    let mut machine = Machine::build(Era::V6_1, PagingLevels::Four, &Scenario::standard());
    let broken = damage::freelist_cycle(&mut machine, "dentry");
    let head = machine.kernel.get(broken.descriptor, "slab", "freelist");
    let found = follow(&machine, Freelist::HardenedSwab, "dentry", head);
    assert_eq!(found.len(), 100_000);
    let different: BTreeSet<_> = found.into_iter().collect();
    assert_eq!(different.len(), broken.reachable);
}

#[test]
fn list_cycles_and_dangling_links() {
    let mut machine = Machine::build(Era::V5_10, PagingLevels::Four, &Scenario::standard());
    let next = |machine: &Machine, at| machine.kernel.get(at, "list_head", "next");
    let on_list = damage::partial_list_cycle(&mut machine, "dentry", 0);
    let node = machine.cache("dentry").nodes[0];
    let head = node + machine.kernel.types.offset("kmem_cache_node", "partial");
    let first = next(&machine, head);
    let again = (0..on_list).fold(first, |at, _| next(&machine, at));
    assert_eq!(again, first);

    damage::slab_caches_cycle(&mut machine, "task_struct", "dentry");
    let head = machine.kernel.symbol("slab_caches");
    let mut at = head;
    let returns = (0..1000).any(|_| {
        at = next(&machine, at);
        at == head
    });
    assert!(!returns);
}

#[test]
fn what_is_excluded_is_gone() {
    let mut machine = Machine::build(Era::V6_1, PagingLevels::Four, &Scenario::standard());
    let before = machine.memory().len();
    let frames = damage::exclude_slab(&mut machine, "inode_cache", 1);
    assert_eq!(frames.end - frames.start, 4);
    assert_eq!(machine.memory().len(), before - 4);
    assert!(machine.memory().page(frames.start).is_none());
}

#[test]
fn slabs_have_the_page_type_that_vmcoreinfo_names() {
    for era in [Era::V6_12, Era::V7_2] {
        let machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let named = format!(
            "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)={}\n",
            0xf500_0000u32 as i32
        );
        assert!(machine.vmcoreinfo.contains(&named));
        for slab in machine.slub.caches.iter().flat_map(|laid| &laid.slabs) {
            let kind = machine.kernel.get(slab.descriptor, "page", "page_type");
            assert_eq!(kind, 0xf500_0000);
        }
    }
}

#[test]
fn sheaves_hold_what_the_slabs_count_as_in_use() {
    let machine = Machine::build(Era::V7_2, PagingLevels::Five, &Scenario::standard());
    let kernel = &machine.kernel;
    let read = |sheaf: u64| -> Vec<u64> {
        let size = kernel.get(sheaf, "slab_sheaf", "size");
        (0..size)
            .map(|slot| kernel.read_u64(sheaf + 32 + slot * 8))
            .collect()
    };
    let offsets = kernel.symbol("__per_cpu_offset");
    let array = kernel.types.offset("kmem_cache", "per_node");
    let link = kernel.types.offset("slab_sheaf", "barn_list");
    for laid in &machine.slub.caches {
        let mut found = BTreeSet::new();
        for cpu in 0..4 {
            let offset = kernel.read_u64(offsets + cpu * 8);
            let sheaves = kernel.get(laid.address, "kmem_cache", "cpu_sheaves");
            let at = offset.wrapping_add(sheaves);
            found.extend(read(kernel.get(at, "slub_percpu_sheaves", "main")));
            let spare = kernel.get(at, "slub_percpu_sheaves", "spare");
            found.extend(if spare == 0 { Vec::new() } else { read(spare) });
        }
        for node in 0..2 {
            let barn = kernel.read_u64(laid.address + array + node * 16);
            if barn == 0 {
                continue;
            }
            let head = barn + kernel.types.offset("node_barn", "sheaves_full");
            let mut at = kernel.read_u64(head);
            while at != head {
                found.extend(read(at - link));
                at = kernel.read_u64(at);
            }
        }
        let slabs = laid.slabs.iter();
        let expected: BTreeSet<u64> = slabs.flat_map(|slab| slab.cpu_free.clone()).collect();
        assert_eq!(found, expected, "{}", laid.cache.name);
    }
}
