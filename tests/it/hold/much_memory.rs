//! Machines with more memory than one page of the table of memory sections describes: 32 GiB, or
//! 16 where sections keep more of their pages (`page_ext`).

use std::path::Path;

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

use crate::support::{run, slabs_json};

/// 20,000 connections, all of them from 32 GiB on.
fn machine(era: Era, paging: PagingLevels) -> Machine {
    Machine::build(era, paging, &Scenario::conntrack_many(20_000, 8192))
}

fn save(machine: &Machine, folder: &Path) -> [std::path::PathBuf; 2] {
    let [dump, types] = ["dump", "vmlinux"].map(|name| folder.join(name));
    let options = kdump::Options::new(Codec::Lzo);
    std::fs::write(&dump, kdump::kdump(machine, options)).expect("a file writes");
    std::fs::write(&types, vmlinux(machine, VmlinuxOptions::new(5))).expect("a file writes");
    [dump, types]
}

fn row<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut rows = document["caches"].as_array().expect("caches").iter();
    rows.find(|row| row["name"] == name).expect("a row")
}

#[test]
fn objects_beyond_32_gib_are_found() {
    let all = [PagingLevels::Four, PagingLevels::Five];
    for (era, paging) in Era::ALL.into_iter().zip(all.into_iter().cycle()) {
        let machine = machine(era, paging);
        let folder = tempfile::tempdir().expect("a temporary directory");
        let files = save(&machine, folder.path());
        let [dump, types] = files.each_ref().map(|path| path.to_str().expect("UTF-8"));
        let args = ["objects", "nf_conntrack", dump, types];
        let more = ["--format", "addrs", "--state", "allocated"];
        let (code, stdout, stderr) = run(&[&args[..], &more[..]].concat());
        assert_eq!((code, stderr.contains("warning")), (0, false), "{stderr}");
        let listed: Vec<u64> = stdout
            .lines()
            .map(|line| u64::from_str_radix(line, 16).expect("an address"))
            .collect();
        let mut caches = machine.truth().caches.iter();
        let truth = caches.find(|cache| cache.name == "nf_conntrack");
        let wanted = &truth.expect("the cache").allocated;
        assert!(wanted.len() >= 20_000, "{}", wanted.len());
        assert!(listed == *wanted, "{}: {}", era.name(), listed.len());
    }
}

/// By the page tables: their structures are one array, and mapped where sections are.
#[test]
fn sections_in_a_lost_page_of_their_table_are_those_that_are_mapped() {
    let machine = machine(Era::V6_1, PagingLevels::Four);
    let mut hurt = machine.clone();
    let table = hurt.kernel.read_u64(hurt.kernel.symbol("mem_section"));
    let second = hurt.kernel.read_u64(table + 8);
    damage::exclude_address(&mut hurt, second);
    let [whole, hurt] = [&machine, &hurt].map(|machine| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let files = save(machine, folder.path());
        slabs_json(&[&files[0], &files[1]], &["--all"])
    });
    assert_eq!((whole.0, &whole.1["complete"]), (0, &Value::Bool(true)));
    assert_eq!((hurt.0, &hurt.1["complete"]), (4, &Value::Bool(false)));
    let warnings = hurt.1["warnings"].as_array().expect("warnings");
    let mut codes = warnings.iter().map(|warning| &warning["code"]);
    assert!(
        codes.any(|code| code == "memmap-section-lost"),
        "{warnings:?}"
    );
    let there = |object: &u64| machine.kernel.space.phys(*object) >= 32 << 30;
    let truth = machine.truth();
    let mut beyond = truth
        .caches
        .iter()
        .filter(|cache| cache.allocated.iter().any(there));
    assert!(beyond.any(|cache| cache.name == "nf_conntrack"));
    for name in truth.caches.iter().map(|cache| &*cache.name) {
        assert_eq!(row(&hurt.1, name), row(&whole.1, name), "{name}");
    }
}
