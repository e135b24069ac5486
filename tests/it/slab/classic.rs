//! Classic SLAB: a real dump of a kernel built with it, and synthetic damage to what SLUB
//! has not.

use vmleak_synth::slub::flags::SlabFlag;
use vmleak_synth::slub::scenario::{Place, Slab};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::leaks::real::{assert_others_clear, leaks, lost};
use crate::slab::damage::{analyse, assert_others_right, cache, codes, write};
use crate::slab::real::{assert_equals_oracle, rows};
use crate::support::{RealDump, run, slabs_json, small_variant};

const CACHE: &str = "kmalloc-64";

fn real() -> Option<RealDump> {
    small_variant("small-6.1-slab")
}

#[test]
fn every_cache_equals_the_oracle() {
    if let Some(dump) = real() {
        assert_equals_oracle(&dump);
    }
}

/// The guest told its log the caches last of all (scripts/guest/init.sh: last_words). What the
/// nodes count as active must be what is allocated and what lies in arrays.
#[test]
fn slabinfo_is_what_the_guest_printed_last() {
    let Some(dump) = real() else { return };
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, printed, _) = run(&["slabs", "--format", "slabinfo", files[0], files[1]]);
    assert_eq!(code, 0);
    assert_eq!(printed, dump.captured("slabinfo.last"));

    let (_, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
    for (name, _, [used, _]) in rows(&printed) {
        let exact = &cache(&document, &name)["exact"];
        let number = |key: &str| exact[key].as_u64().expect("a number");
        let allocated = number("allocated") + number("pending_free");
        let in_arrays = cache(&document, &name)["occupancy"]["sheaves"].as_u64();
        assert_eq!(Some(used - allocated), in_arrays, "{name}");
    }
}

/// What the module leaky says in the kernel's log: how many buffers it lost, and how many of its
/// sessions it lost and kept.
fn said(dump: &RealDump) -> [u64; 3] {
    let log = dump.captured("dmesg");
    let mut lines = log.lines().filter(|line| line.contains("named leaked"));
    let said = lines.find_map(|line| line.split_once("leaky: "));
    let numbers: Vec<u64> = said
        .expect("leaky was loaded")
        .1
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    // "leaky: N kmalloc-256, N named leaked, N kept"
    match numbers.as_slice() {
        &[buffers, 256, leaked, kept] => [buffers, leaked, kept],
        _ => panic!("another message: {numbers:?}"),
    }
}

/// Arrays of free objects and arrays of indices must neither keep what is lost nor be it.
#[test]
fn the_lost_are_found_and_the_kept_are_not() {
    let Some(dump) = real() else { return };
    let [buffers, leaked, _] = said(&dump);
    let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
    assert_eq!(code, 0);
    assert_eq!(lost(cache(&document, "kmalloc-256")), buffers);
    assert_eq!(lost(cache(&document, "leaky_session")), leaked);
    assert_others_clear(&document, &["kmalloc-256", "leaky_session"], "classic");
    let coverage = |key: &str| document["coverage"][key].as_u64().expect("a number");
    let (free, held) = (
        coverage("free_objects"),
        coverage("free_objects_pointed_to"),
    );
    assert!(free > 1000 && held * 3 < free, "{held} of {free}");
}

#[test]
fn lost_objects_are_allocated() {
    let Some(dump) = real() else { return };
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let args = ["objects", "leaky_session", files[0], files[1]];
    let (code, listed, stderr) =
        run(&[&args[..], &["--format", "addrs", "--state", "allocated"]].concat());
    assert_eq!(code, 0, "{stderr}");
    let [_, leaked, kept] = said(&dump);
    assert_eq!(listed.lines().count() as u64, leaked + kept);
}

fn machine() -> Machine {
    Machine::build(Era::V6_1Slab, PagingLevels::Four, &Scenario::standard())
}

/// mm/slab_common.c: cache_show, with the statistics of mm/slab.c behind.
#[test]
fn slabinfo_has_tunables_and_statistics() {
    let machine = machine();
    let files = write(&machine);
    let paths = [&files.dump, &files.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, printed, stderr) = run(&["slabs", "--format", "slabinfo", paths[0], paths[1]]);
    assert_eq!(code, 0, "{stderr}");
    let truth = &machine.truth().caches;
    for (line, want) in printed.lines().skip(2).zip(truth) {
        let row = &want.slabinfo;
        let statistics = row.statistics.expect("CONFIG_DEBUG_SLAB");
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = |from: usize, count: usize| -> Vec<u64> {
            let words = words[from..from + count].iter();
            words.map(|word| word.parse().expect("a number")).collect()
        };
        assert_eq!(words[0], want.name);
        assert_eq!((words[7], words[12]), ("tunables", "slabdata"));
        let tunables = &row.tunables;
        assert_eq!(
            numbers(8, 3),
            [tunables.limit, tunables.batchcount, tunables.sharedfactor].map(u64::from)
        );
        assert_eq!(
            numbers(13, 3),
            [row.active_slabs, row.num_slabs, row.shared_avail]
        );
        assert_eq!((words[17], words[28]), ("globalstat", "cpustat"));
        assert_eq!(numbers(18, 9), statistics.globalstat);
        assert_eq!(numbers(29, 4), statistics.cpustat);
    }
    let shared: u64 = truth.iter().map(|cache| cache.slabinfo.shared_avail).sum();
    let active: u64 = truth.iter().map(|cache| cache.slabinfo.active_slabs).sum();
    let slabs: u64 = truth.iter().map(|cache| cache.slabinfo.num_slabs).sum();
    assert!(shared > 0 && active < slabs, "the scenario shows nothing");
}

/// The first slab of the cache with free objects of its own.
fn partial(machine: &Machine) -> (u64, u64) {
    let slabs = &machine.cache(CACHE).slabs;
    let found = slabs.iter().find(|slab| {
        let free = slab.free.len();
        free > 1 && free < slab.objects.len()
    });
    let descriptor = found.expect("a partial slab").descriptor;
    (descriptor, machine.kernel.get(descriptor, "slab", "active"))
}

fn assert_hurt(machine: &Machine, code: &str, key: &str, value: serde_json::Value) {
    let (exit, document) = analyse(machine);
    assert_eq!(exit, 4, "{code}");
    assert!(codes(&document).contains(&code), "{:?}", codes(&document));
    let hurt = cache(&document, CACHE);
    assert_eq!(hurt["damage"][key], value, "{code}");
    assert_eq!(hurt["exact"]["complete"], false, "{code}");
    assert_others_right(&document, machine, &[CACHE], code);
}

#[test]
fn indices_that_make_no_sense_are_not_believed() {
    // One that no object has, and one twice.
    for wild in [true, false] {
        let mut m = machine();
        let (slab, active) = partial(&m);
        let indices = m.kernel.get(slab, "slab", "freelist") + active;
        let first = m.kernel.read_u64(indices) as u8;
        let value = if wild { 0xff } else { first };
        m.kernel.write(indices + 1, &[value]);
        assert_hurt(&m, "freelist-broken", "broken_freelists", 1.into());
    }
    let mut m = machine();
    let (slab, _) = partial(&m);
    m.kernel.set(slab, "slab", "freelist", 0);
    assert_hurt(&m, "freelist-broken", "broken_freelists", 1.into());
}

#[test]
fn a_descriptor_that_points_out_of_its_slab_is_said() {
    for (member, value) in [("s_mem", 0), ("s_mem", u64::MAX), ("active", 0x6b6b_6b6b)] {
        let mut m = machine();
        let (slab, _) = partial(&m);
        m.kernel.set(slab, "slab", member, value);
        assert_hurt(&m, "freelist-broken", "broken_freelists", 1.into());
    }
}

#[test]
fn arrays_that_make_no_sense_are_left_out() {
    let mut m = machine();
    let shared = m
        .kernel
        .get(m.cache(CACHE).nodes[0], "kmem_cache_node", "shared");
    m.kernel.set(shared, "array_cache", "avail", 0x6b6b_6b6b);
    assert_hurt(&m, "sheaf-broken", "broken_sheaves", 1.into());

    let mut m = machine();
    let node = m.cache(CACHE).nodes[1];
    m.kernel.set(node, "kmem_cache_node", "alien", 1);
    assert_hurt(&m, "sheaf-broken", "broken_sheaves", 1.into());
}

#[test]
fn lists_and_counters_are_checked_against_the_slabs() {
    let mut m = machine();
    let node = m.cache(CACHE).nodes[0];
    let free = m.kernel.get(node, "kmem_cache_node", "free_objects");
    m.kernel
        .set(node, "kmem_cache_node", "free_objects", free + 1);
    let (_, whole) = {
        let files = write(&machine());
        slabs_json(&[&files.dump, &files.vmlinux], &[])
    };
    assert_eq!(
        cache(&whole, CACHE)["damage"]["free_against_counter"],
        serde_json::Value::Null
    );
    let scanned: u64 = {
        let slabs = m.cache(CACHE).slabs.iter();
        slabs.map(|slab| slab.free.len() as u64).sum()
    };
    let pair = serde_json::json!([scanned, scanned + 1]);
    assert_hurt(&m, "free-count", "free_against_counter", pair);

    let mut m = machine();
    let node = m.cache(CACHE).nodes[0];
    m.kernel.set(node, "kmem_cache_node", "slabs_full.next", 0);
    let (_, document) = analyse(&m);
    assert!(codes(&document).contains(&"partial-list-broken"));
    assert_eq!(
        cache(&document, CACHE)["damage"]["broken_partial_list"],
        true
    );
    assert_others_right(&document, &m, &[], "list");
}

/// The lists of mm/slab.c's nodes that a slab can be on.
const LISTS: [&str; 3] = ["slabs_full", "slabs_partial", "slabs_free"];

/// A cache, the address of one of its nodes, and the head of that node's list, which is not empty.
fn listed(machine: &Machine, list: &str) -> (String, u64, u64) {
    let mut nodes = machine.slub.caches.iter().flat_map(|laid| {
        let name = &laid.cache.name;
        laid.nodes.iter().map(move |node| (name.clone(), *node))
    });
    let offset = machine.kernel.types.offset("kmem_cache_node", list);
    let found = nodes.find(|(_, node)| !links(machine, node + offset).is_empty());
    let (name, node) = found.unwrap_or_else(|| panic!("nothing is on {list}"));
    (name, node, node + offset)
}

/// The links of a list behind its head.
fn links(machine: &Machine, head: u64) -> Vec<u64> {
    let next = |at: &u64| Some(machine.kernel.read_u64(*at));
    let all = std::iter::successors(next(&head), next);
    all.take_while(|at| *at != head).collect()
}

/// It is said, and costs nothing: slabs are counted without the lists.
fn assert_broken(machine: &Machine, name: &str, what: &str) {
    let (_, document) = analyse(machine);
    assert!(codes(&document).contains(&"partial-list-broken"), "{what}");
    for each in document["caches"].as_array().expect("caches") {
        let broken = each["name"] == name;
        assert_eq!(each["damage"]["broken_partial_list"], broken, "{what}");
    }
    assert_others_right(&document, machine, &[], what);
}

#[test]
fn every_slab_is_on_the_list_that_its_free_objects_tell() {
    // An empty one waits for RCU only if it is on no list.
    let mut scenario = Scenario::standard();
    let mut caches = scenario.caches.iter_mut();
    let rcu = caches.find(|cache| cache.flags.contains(&SlabFlag::TypesafeByRcu));
    let slabs = &mut rcu.expect("a cache").slabs;
    slabs.push(Slab::new(0, Place::Empty));
    let machine = Machine::build(Era::V6_1Slab, PagingLevels::Four, &scenario);
    let (code, document) = analyse(&machine);
    assert_eq!((code, codes(&document)), (0, vec![]));
    assert_others_right(&document, &machine, &[], "lists");
    let mut all = 0;
    for laid in &machine.slub.caches {
        let partial = laid.slabs.iter().filter(|slab| {
            slab.place != Place::PendingRcu && (1..slab.objects.len()).contains(&slab.free.len())
        });
        let partial = partial.count();
        let occupancy = &cache(&document, &laid.cache.name)["occupancy"];
        assert_eq!(occupancy["node_partial"], partial, "{}", laid.cache.name);
        all += partial;
    }
    assert!(all > 0, "the scenario shows nothing");
}

#[test]
fn each_list_is_counted_and_walked_to_its_end() {
    for list in LISTS {
        // The chain ends in nothing.
        let mut m = machine();
        let (name, node, _) = listed(&m, list);
        m.kernel
            .set(node, "kmem_cache_node", &format!("{list}.next"), 0);
        assert_broken(&m, &name, &format!("{list} ends"));

        // A slab is on none.
        let mut m = machine();
        let (name, _, head) = listed(&m, list);
        let all = links(&m, head);
        m.kernel.link_list(head, &all[1..]);
        assert_broken(&m, &name, &format!("{list} lacks one"));

        // One is no slab, but counted.
        let mut m = machine();
        let (name, node, head) = listed(&m, list);
        let mut all = links(&m, head);
        all.push(m.kernel.space.page(0) + m.kernel.types.offset("slab", "slab_list"));
        m.kernel.link_list(head, &all);
        let total = m.kernel.get(node, "kmem_cache_node", "total_slabs");
        m.kernel
            .set(node, "kmem_cache_node", "total_slabs", total + 1);
        if list == "slabs_free" {
            let free = m.kernel.get(node, "kmem_cache_node", "free_slabs");
            m.kernel
                .set(node, "kmem_cache_node", "free_slabs", free + 1);
        }
        let (_, document) = analyse(&m);
        let hurt = cache(&document, &name);
        assert_eq!(hurt["damage"]["broken_partial_list"], true, "{list}");
    }
    let mut m = machine();
    let (name, node, _) = listed(&m, "slabs_free");
    let free = m.kernel.get(node, "kmem_cache_node", "free_slabs");
    m.kernel
        .set(node, "kmem_cache_node", "free_slabs", free + 1);
    assert_broken(&m, &name, "free_slabs");
}

/// mm/slab.c: CFLGS_OBJFREELIST_SLAB and CFLGS_OFF_SLAB.
#[test]
fn flags_that_only_classic_slab_has_are_named() {
    const NAMES: [(&str, u64); 2] = [("OBJFREELIST_SLAB", 1 << 30), ("OFF_SLAB", 1 << 31)];
    let machine = machine();
    let (_, document) = analyse(&machine);
    let mut seen = [0; 2];
    for laid in &machine.slub.caches {
        let flags = machine.kernel.get(laid.address, "kmem_cache", "flags");
        let told = &cache(&document, &laid.cache.name)["flags"];
        let told = told.as_array().expect("flags");
        for ((name, bit), seen) in NAMES.iter().zip(&mut seen) {
            let set = flags & bit != 0;
            *seen += u32::from(set);
            assert_eq!(
                told.iter().any(|flag| flag == name),
                set,
                "{}",
                laid.cache.name
            );
        }
    }
    assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
}
