//! Objects that wait in kfree_rcu's batches are no longer allocated, and not free yet.

use serde_json::Value;
use vmleak_synth::damage::{NON_CANONICAL, sheaves};
use vmleak_synth::slub::kfree_rcu::{Batch, FreedBy, add_heads, add_pages, call_rcu};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::slab::damage::{analyse, assert_others_right, cache, codes};
use crate::support::{real_dumps, slabs_json};

const CACHE: &str = "dentry";
const ERAS: [Era; 4] = [Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

fn machine(era: Era) -> Machine {
    Machine::build(era, PagingLevels::Four, &Scenario::standard())
}

fn allocated(machine: &Machine) -> Vec<u64> {
    let mut caches = machine.truth().caches.iter();
    let found = caches.find(|cache| cache.name == CACHE);
    found.expect("in the truth").allocated.clone()
}

fn assert_pending(document: &Value, machine: &Machine, pending: usize, what: &str) {
    let exact = &cache(document, CACHE)["exact"];
    assert_eq!(exact["complete"], true, "{what}");
    assert_eq!(exact["pending_free"], pending, "{what}");
    let left = allocated(machine).len() - pending;
    assert_eq!(exact["allocated"], left, "{what}");
    assert_others_right(document, machine, &[CACHE], what);
}

#[test]
fn objects_in_batches_are_pending() {
    for era in ERAS {
        let by = match era {
            Era::V5_10 | Era::V6_1 => FreedBy::Offset,
            _ => FreedBy::Address,
        };
        let mut m = machine(era);
        let objects = allocated(&m);
        let (used, given) = objects.split_at(20);
        add_pages(&mut m, (0, Batch::Fresh, 0), &given[..7], 3, used);
        add_pages(&mut m, (3, Batch::Waiting(1), 0), &given[7..9], 100, used);
        add_heads(&mut m, (1, Batch::Fresh), &given[9..12], 0x40, by);
        add_heads(&mut m, (2, Batch::Waiting(0)), &given[12..14], 0, by);
        // Memory of vmalloc and large allocations have no slab; nor has the other channel.
        let vmalloc = m.kernel.space.vmalloc;
        add_pages(&mut m, (2, Batch::Waiting(0), 0), &[vmalloc, 0], 2, &[]);
        add_pages(&mut m, (1, Batch::Waiting(1), 1), used, 100, &[]);
        let (exit, document) = analyse(&m);
        assert_eq!(exit, 0, "{}: {:?}", era.name(), document["warnings"]);
        assert_pending(&document, &m, 14, era.name());
    }
}

#[test]
fn batches_that_are_broken_are_named() {
    for era in ERAS {
        let objects = allocated(&machine(era));
        let of_page = |m: &Machine| m.kernel.types.offset("kvfree_rcu_bulk_data", "nr_records");
        let lost = |m: &Machine, found: usize, what: &str| {
            let what = format!("{} {what}", era.name());
            let (exit, document) = analyse(m);
            assert_eq!(exit, 4, "{what}");
            let warnings = document["warnings"].as_array().expect("warnings");
            let ours = warnings.iter().find(|one| one["code"] == "kfree-rcu-lost");
            assert_eq!(ours.map(|one| &one["count"]), Some(&1.into()), "{what}");
            assert_pending(&document, m, found, &what);
        };

        let mut m = machine(era);
        let pages = add_pages(&mut m, (0, Batch::Fresh, 0), &objects[..6], 3, &[]);
        let count = pages[1] + of_page(&m);
        m.kernel.write_u64(count, 1 << 20);
        lost(&m, 3, "too many records");

        let mut m = machine(era);
        add_heads(
            &mut m,
            (0, Batch::Fresh),
            &objects[..6],
            8,
            FreedBy::Address,
        );
        m.kernel.write_u64(objects[5] + 8, objects[2] + 8);
        lost(&m, 6, "a circle");

        let mut m = machine(era);
        add_heads(
            &mut m,
            (0, Batch::Fresh),
            &objects[..6],
            8,
            FreedBy::Address,
        );
        m.kernel.write_u64(objects[3] + 8, NON_CANONICAL);
        lost(&m, 4, "a wild link");

        let mut m = machine(era);
        add_pages(
            &mut m,
            (1, Batch::Fresh, 0),
            &[objects[0] + 1, objects[1]],
            9,
            &[],
        );
        let (exit, document) = analyse(&m);
        assert_eq!(exit, 4);
        assert!(codes(&document).contains(&"kfree-rcu-stray"));
        assert_pending(&document, &m, 1, "a pointer into an object");
    }
}

#[test]
fn a_sheaf_that_rcu_has_got_is_pending() {
    let mut m = machine(Era::V7_2);
    let waiting = sheaves::give_to_rcu(&mut m, CACHE);
    let (exit, document) = analyse(&m);
    assert_eq!(exit, 0, "{:?}", document["warnings"]);
    let exact = &cache(&document, CACHE)["exact"];
    assert_eq!(exact["pending_free"], waiting);
    assert_eq!(exact["allocated"], allocated(&m).len());
    assert_others_right(&document, &m, &[], "given to RCU");
}

/// Up to 5.3 kfree_rcu() asked for a callback whose function is the way to the object.
#[test]
fn callbacks_of_kfree_rcu_are_pending() {
    let mut m = machine(Era::V4_18);
    let objects = allocated(&m);
    let function = m.kernel.symbol("panic");
    let callbacks = [
        (objects[0] + 0x40, 0x40),
        (objects[1] + 8, function),
        (objects[2], 0),
    ];
    call_rcu(&mut m, 3, &callbacks);
    let (exit, document) = analyse(&m);
    assert_eq!(exit, 0, "{:?}", document["warnings"]);
    assert_pending(&document, &m, 2, "4.18");

    m.kernel.write_u64(objects[2], objects[1] + 8);
    let (exit, document) = analyse(&m);
    assert_eq!(exit, 4);
    assert!(codes(&document).contains(&"rcu-callbacks-lost"));
    assert_pending(&document, &m, 2, "a circle");
}

/// What drgn finds in `krc` of these dumps, over both CPUs (`nr_records` of all blocks of channel
/// 0, of which none is a large allocation). 5.10 had just emptied its batches; in 7.2 sheaves take
/// their place.
#[test]
fn real_batches_are_as_drgn_reads_them() {
    let expected = [("5.10", 0), ("6.1", 103 + 124), ("6.12", 124 + 49)];
    for (release, records) in expected {
        for dump in real_dumps(&[release]) {
            let (code, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
            assert_eq!(code, 0, "{release}");
            let caches = document["caches"].as_array().expect("caches");
            let pending = caches.iter().map(|cache| &cache["exact"]["pending_free"]);
            let sum: u64 = pending.map(|n| n.as_u64().expect("a number")).sum();
            assert_eq!(sum, records, "{release}");
        }
    }
}
