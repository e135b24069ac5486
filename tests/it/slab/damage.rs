//! Damage to a synthetic dump: no panic, bounded time, the right complaint and exit
//! code, and every cache that was not touched still right.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::damage;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{run, slabs_json};

pub(crate) const SUPPORTED: [Era; 4] = [Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

pub(crate) struct Written {
    _folder: tempfile::TempDir,
    pub(crate) dump: PathBuf,
    pub(crate) vmlinux: PathBuf,
}

pub(crate) fn machine(era: Era) -> Machine {
    Machine::build(era, PagingLevels::Four, &Scenario::standard())
}

pub(crate) fn write(machine: &Machine) -> Written {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file writes");
        path
    };
    Written {
        dump: save(
            "dump",
            &kdump::kdump(machine, kdump::Options::new(Codec::Zstd)),
        ),
        vmlinux: save("vmlinux", &vmlinux(machine, VmlinuxOptions::new(5))),
        _folder: folder,
    }
}

pub(crate) fn analyse(machine: &Machine) -> (i32, Value) {
    let files = write(machine);
    slabs_json(&[&files.dump, &files.vmlinux], &[])
}

pub(crate) fn codes(document: &Value) -> Vec<&str> {
    let warnings = document["warnings"].as_array().expect("warnings");
    warnings
        .iter()
        .filter_map(|warning| warning["code"].as_str())
        .collect()
}

pub(crate) fn cache<'a>(document: &'a Value, name: &str) -> &'a Value {
    let caches = document["caches"].as_array().expect("caches");
    let found = caches.iter().find(|cache| cache["name"] == name);
    found.unwrap_or_else(|| panic!("no cache {name}"))
}

/// All caches but those named have the numbers of the truth and are complete.
pub(crate) fn assert_others_right(document: &Value, machine: &Machine, hurt: &[&str], what: &str) {
    for want in &machine.truth().caches {
        if hurt.contains(&want.name.as_str()) {
            continue;
        }
        let exact = &cache(document, &want.name)["exact"];
        assert_eq!(exact["complete"], true, "{what}: {}", want.name);
        assert_eq!(exact["slabs"], want.slabs, "{what}: {}", want.name);
        assert_eq!(exact["objects"], want.objects, "{what}: {}", want.name);
        let allocated = want.allocated.len();
        assert_eq!(exact["allocated"], allocated, "{what}: {}", want.name);
    }
}

/// A broken chain costs its slab the certainty, not the count: the slab's counters still hold.
fn assert_freelist_damage(machine: &Machine, name: &str, what: &str) {
    let (code, document) = analyse(machine);
    assert_eq!(code, 4, "{what}");
    assert_eq!(document["complete"], false, "{what}");
    assert!(
        codes(&document).contains(&"freelist-broken"),
        "{what}: {:?}",
        codes(&document)
    );
    let hurt = cache(&document, name);
    assert_eq!(hurt["exact"]["complete"], false, "{what}");
    assert_eq!(hurt["damage"]["broken_freelists"], 1, "{what}");
    let truth = machine
        .truth()
        .caches
        .iter()
        .find(|c| c.name == name)
        .expect("in the truth");
    assert_eq!(hurt["exact"]["allocated"], truth.allocated.len(), "{what}");
    assert_eq!(hurt["verdict"]["level"], "inconclusive", "{what}");
    assert_others_right(&document, machine, &[name], what);
}

#[test]
fn freelists_that_circle_or_point_anywhere() {
    for era in SUPPORTED {
        let what = |damage: &str| format!("{} {damage}", era.name());
        let mut m = machine(era);
        damage::freelist_cycle(&mut m, "dentry");
        assert_freelist_damage(&m, "dentry", &what("cycle"));

        let mut m = machine(era);
        damage::wild_free_pointer(&mut m, "dentry", damage::NON_CANONICAL);
        assert_freelist_damage(&m, "dentry", &what("wild"));

        let mut m = machine(era);
        damage::overwritten_free_pointer(&mut m, "dentry");
        assert_freelist_damage(&m, "dentry", &what("overwritten"));
    }
}

#[test]
fn a_broken_list_of_caches_gives_those_before_the_break() {
    for era in SUPPORTED {
        let names: Vec<String> = machine(era)
            .truth()
            .caches
            .iter()
            .map(|c| c.name.clone())
            .collect();
        let (early, late) = (names[2].as_str(), names[names.len() - 2].as_str());
        let mut cycle = machine(era);
        damage::slab_caches_cycle(&mut cycle, late, early);
        let mut dangling = machine(era);
        damage::slab_caches_dangling(&mut dangling, late, damage::NON_CANONICAL);
        for (machine, what) in [(cycle, "cycle"), (dangling, "dangling")] {
            let what = format!("{} {what}", era.name());
            let (code, document) = analyse(&machine);
            assert_eq!(code, 4, "{what}");
            assert!(codes(&document).contains(&"slab-caches-list"), "{what}");
            let found = document["caches"].as_array().expect("caches").len();
            assert_eq!(found, names.len() - 1, "{what}");
            assert_others_right(&document, &machine, &[&names[names.len() - 1]], &what);
        }
    }
}

#[test]
fn a_broken_partial_list_leaves_the_exact_count_alone() {
    for era in SUPPORTED {
        let mut cycle = machine(era);
        damage::partial_list_cycle(&mut cycle, "kmalloc-64", 0);
        let mut dangling = machine(era);
        damage::partial_list_dangling(&mut dangling, "kmalloc-64", 0, damage::NON_CANONICAL);
        for (machine, what) in [(cycle, "cycle"), (dangling, "dangling")] {
            let what = format!("{} {what}", era.name());
            let (_, document) = analyse(&machine);
            assert!(codes(&document).contains(&"partial-list-broken"), "{what}");
            assert_eq!(
                cache(&document, "kmalloc-64")["damage"]["broken_partial_list"],
                true
            );
            assert_others_right(&document, &machine, &[], &what);
        }
    }
}

#[test]
fn an_excluded_slab_costs_its_own_cache_only() {
    for era in SUPPORTED {
        let what = era.name();
        // Whichever slab it is: the memmap stays, so slabs and objects are still right.
        for index in 0..machine(era).cache("dentry").slabs.len() {
            let mut m = machine(era);
            damage::exclude_slab(&mut m, "dentry", index);
            let (code, document) = analyse(&m);
            let exact = &cache(&document, "dentry")["exact"];
            assert!(code == 0 || code == 4, "{what}: exit {code}");
            assert_eq!(code == 0, exact["complete"] == true, "{what}");
            let truth = m
                .truth()
                .caches
                .iter()
                .find(|c| c.name == "dentry")
                .expect("in the truth");
            assert_eq!(exact["slabs"], truth.slabs, "{what}");
            assert_eq!(exact["objects"], truth.objects, "{what}");
            // Full slabs need not be read at all; others are counted by their counters, which
            // do not know what lies on a CPU's own chain.
            let allocated = exact["allocated"].as_u64().expect("a number");
            assert!(allocated >= truth.allocated.len() as u64, "{what}");
            if code == 0 {
                assert_eq!(allocated, truth.allocated.len() as u64, "{what}");
            }
            assert_others_right(&document, &m, &["dentry"], what);
        }
    }
}

#[test]
fn excluded_memmap_is_a_loss_and_is_counted() {
    for era in SUPPORTED {
        let mut m = machine(era);
        let descriptor = m.cache("leaky_session").slabs[0].descriptor;
        damage::exclude_address(&mut m, descriptor);
        let (code, document) = analyse(&m);
        assert_eq!(code, 4, "{}", era.name());
        assert!(
            codes(&document).contains(&"memmap-page-lost"),
            "{:?}",
            codes(&document)
        );
        // A cache all of whose slabs are seen, by its own counters, is still complete.
        let right = |c: &&Value| c["exact"]["complete"] == true;
        let complete = document["caches"]
            .as_array()
            .expect("caches")
            .iter()
            .filter(right)
            .count();
        assert!(complete > 0, "{}: {complete}", era.name());
        for c in document["caches"]
            .as_array()
            .expect("caches")
            .iter()
            .filter(right)
        {
            let truth = m
                .truth()
                .caches
                .iter()
                .find(|t| c["name"] == t.name.as_str());
            assert_eq!(
                c["exact"]["allocated"],
                truth.expect("in the truth").allocated.len()
            );
        }
    }
}

#[test]
fn random_memory_corruption_ends_honestly() {
    for era in SUPPORTED {
        for seed in 1..=20 {
            let mut m = machine(era);
            let cache = m.cache("kmalloc-64");
            let (address, slab) = (cache.address, cache.slabs[0].descriptor);
            damage::flip_bits(&mut m, address, 200, 3, seed);
            damage::flip_bits(&mut m, slab, 4096, 40, seed + 1000);
            let files = write(&m);
            assert_no_panic(&files.dump, &files.vmlinux);
        }
    }
}

#[test]
fn files_cut_or_corrupted_anywhere_end_honestly() {
    let m = machine(Era::V6_1);
    let files = write(&m);
    let whole = std::fs::read(&files.dump).expect("the dump reads");
    let as_elf = elf::elf(&m, elf::Options::default());
    let target = files.dump.with_file_name("damaged");
    for step in 1..40 {
        for form in [&whole, &as_elf] {
            let cut = damage::cut(form.clone(), form.len() * step / 40);
            std::fs::write(&target, cut).expect("a file writes");
            assert_no_panic(&target, &files.vmlinux);
            let mut corrupt = form.clone();
            let first = corrupt.len().min(1 << 16);
            damage::corrupt(&mut corrupt[..first], 4, step as u64);
            std::fs::write(&target, corrupt).expect("a file writes");
            assert_no_panic(&target, &files.vmlinux);
        }
    }
    let types = std::fs::read(&files.vmlinux).expect("vmlinux reads");
    for seed in 0..60 {
        let mut corrupt = types.clone();
        damage::corrupt(&mut corrupt, 8, seed);
        std::fs::write(&target, corrupt).expect("a file writes");
        assert_no_panic(&files.dump, &target);
    }
}

fn assert_no_panic(dump: &Path, vmlinux: &Path) {
    let files = [dump, vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, _, stderr) = run(&["slabs", "--format", "json", files[0], files[1]]);
    assert!(matches!(code, 0 | 3 | 4), "exit {code}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(
        code == 0 || !stderr.is_empty(),
        "exit {code} without a word"
    );
}

/// Their pages are marked as slab, in many parts of the memmap, but nothing says how they are
/// divided.
#[test]
fn slabs_of_caches_behind_the_break_are_counted() {
    const PAGES_OF_A_CHUNK: u64 = 1024;
    for era in SUPPORTED {
        let mut machine = machine(era);
        let kept = machine.slub.caches[2].cache.name.clone();
        damage::slab_caches_dangling(&mut machine, &kept, damage::NON_CANONICAL);
        let lost = machine.slub.caches[3..].iter();
        let slabs: Vec<u64> = lost
            .flat_map(|cache| &cache.slabs)
            .map(|slab| slab.pfn)
            .collect();
        let chunks: BTreeSet<u64> = slabs.iter().map(|pfn| pfn / PAGES_OF_A_CHUNK).collect();
        assert!(chunks.len() > 1, "all in one part: {}", era.name());
        let (code, document) = analyse(&machine);
        let warnings = document["warnings"].as_array().expect("warnings");
        let strays = warnings.iter().find(|one| one["code"] == "stray-slabs");
        let count = strays.map(|one| one["count"].as_u64().expect("a number"));
        assert_eq!(
            (code, count),
            (4, Some(slabs.len() as u64)),
            "{}",
            era.name()
        );
    }
}

#[test]
fn aliases_that_can_not_be_read_are_a_loss() {
    for era in SUPPORTED {
        let mut m = machine(era);
        let kset = m.kernel.read_u64(m.kernel.symbol("slab_kset"));
        let directory = m.kernel.get(kset, "kset", "kobj.sd");
        let root = "dir.children.rb_node";
        m.kernel
            .set(directory, "kernfs_node", root, damage::NON_CANONICAL);
        let (code, document) = analyse(&m);
        assert_eq!(
            (code, codes(&document)),
            (4, vec!["aliases-lost"]),
            "{}",
            era.name()
        );
        for cache in document["caches"].as_array().expect("caches") {
            assert_eq!(cache["exact"]["complete"], true, "{}", era.name());
            assert_eq!(cache["aliases"], Value::Array(Vec::new()), "{}", era.name());
        }
    }
}

/// An object of KFENCE has a page for itself, which counts as no slab of its cache.
#[test]
fn pages_of_kfence_are_counted_for_their_caches() {
    // KFENCE came with 5.12.
    for era in [Era::V6_1, Era::V6_12, Era::V7_2] {
        let m = machine(era);
        let (_, document) = analyse(&m);
        let mut all = 0;
        for laid in &m.slub.caches {
            let pages = m.slub.kfence.iter();
            let pages = pages
                .filter(|object| object.cache == laid.cache.name)
                .count();
            let told = &cache(&document, &laid.cache.name)["kfence_pages"];
            assert_eq!(told, pages, "{} {}", era.name(), laid.cache.name);
            all += pages;
        }
        assert!(all > 1, "{}", era.name());
    }
}
