//! Stack traces from the kernel's depot, in every shape that it has had: by synthetic kernels
//! whose objects name records of known frames (`objects --traces`).

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::machine::depot::{self, Depot, LaidDepot};
use vmleak_synth::write::elf;
use vmleak_synth::{Era, Machine, Options, PagingLevels, Scenario};

use crate::support::run;

const CACHE: &str = "dbg_record";

/// Objects in use by the addresses of their stack, innermost first.
type Stacks = BTreeMap<Vec<u64>, u64>;

/// A kernel with such a depot, and the shape of slabs that was there at the time.
fn machine(shape: Depot) -> Machine {
    let era = match shape {
        Depot::V4_9 | Depot::V6_1 | Depot::V6_3 => Era::V6_1,
        _ => Era::V6_12,
    };
    let mut options = Options::new(era, PagingLevels::Four);
    options.depot = Some(shape);
    Machine::with(options, &Scenario::standard())
}

fn laid(machine: &Machine) -> LaidDepot {
    machine.depot.clone().expect("a depot")
}

fn allocated(machine: &Machine) -> u64 {
    let mut caches = machine.truth().caches.iter();
    let found = caches.find(|cache| cache.name == CACHE);
    found.expect("in the truth").allocated.len() as u64
}

/// How many objects name each of `handles`, taken in turns.
fn wanted(machine: &Machine, handles: &[Option<Vec<u64>>]) -> Stacks {
    let mut stacks = Stacks::new();
    for turn in 0..allocated(machine) as usize {
        let frames = handles[turn % handles.len()].clone().unwrap_or_default();
        *stacks.entry(frames).or_default() += 1;
    }
    stacks
}

/// Without kallsyms, which these kernels lack, addresses are not named.
fn address(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("an address");
    u64::from_str_radix(digits, 16).expect("an address")
}

/// What vmleak says: the exit code, the stacks, and how many it has lost.
fn read(machine: &Machine) -> (i32, Stacks, u64) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let paths = [
        ("vmcore", elf::elf(machine, elf::Options::default())),
        ("vmlinux", vmlinux(machine, VmlinuxOptions::new(5))),
    ]
    .map(|(name, bytes)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file writes");
        path.to_str().expect("UTF-8").to_owned()
    });
    let args = [
        "objects", CACHE, &paths[0], &paths[1], "--traces", "--format", "json",
    ];
    let (code, stdout, stderr) = run(&args);
    let document: Value = serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{:?}: {error}: {stderr}", machine.options));
    let mut stacks = Stacks::new();
    for site in document["sites"].as_array().expect("sites") {
        let frames = site["stack"].as_array().expect("a stack").iter();
        let frames = frames.map(|frame| address(frame.as_str().expect("text")));
        let objects = site["objects"].as_u64().expect("a number");
        *stacks.entry(frames.collect()).or_default() += objects;
    }
    (
        code,
        stacks,
        document["lost_stacks"].as_u64().expect("a number"),
    )
}

#[test]
fn every_shape_gives_the_frames() {
    for shape in Depot::ALL {
        let mut machine = machine(shape);
        let depot = laid(&machine);
        let handles: Vec<u32> = depot.records.iter().map(|record| record.handle).collect();
        depot::point_tracks(&mut machine, CACHE, &handles);
        let frames = depot.records.iter().map(|r| Some(r.frames.clone()));
        let wanted = wanted(&machine, &frames.collect::<Vec<_>>());
        assert_eq!(wanted.len(), 5, "{shape:?}");
        assert_eq!(read(&machine), (0, wanted, 0), "{shape:?}");
    }
}

/// The bits of a handle that are its user's do not tell records apart.
#[test]
fn bits_of_the_user_do_not_matter() {
    for shape in Depot::ALL {
        let mut machine = machine(shape);
        let depot = laid(&machine);
        let handles: Vec<u32> = depot
            .records
            .iter()
            .map(|record| depot.with_extra(&machine.kernel, record.handle))
            .collect();
        let differ = handles[0] != depot.records[0].handle;
        assert_eq!(differ, shape != Depot::V4_9, "{shape:?}");
        depot::point_tracks(&mut machine, CACHE, &handles);
        let frames = depot.records.iter().map(|r| Some(r.frames.clone()));
        let wanted = wanted(&machine, &frames.collect::<Vec<_>>());
        assert_eq!(read(&machine), (0, wanted, 0), "{shape:?}");
    }
}

/// Hurts what `handles[0]` leads to; the rest stays right.
fn assert_lost(shape: Depot, what: &str, hurt: impl FnOnce(&mut Machine, &LaidDepot) -> u32) {
    let mut machine = machine(shape);
    let depot = laid(&machine);
    let first = hurt(&mut machine, &depot);
    let good = &depot.records[1];
    depot::point_tracks(&mut machine, CACHE, &[first, good.handle]);
    let wanted = wanted(&machine, &[None, Some(good.frames.clone())]);
    let (code, stacks, lost) = read(&machine);
    assert_eq!((stacks, lost), (wanted, 1), "{shape:?}: {what}");
    assert_eq!(code, 4, "{shape:?}: {what}");
}

/// A handle with one of its parts changed.
fn with_part(machine: &mut Machine, handle: u32, part: &str, value: u64) -> u32 {
    let at = machine.kernel.alloc(4, 8);
    machine.kernel.write(at, &handle.to_le_bytes());
    machine.kernel.set(at, "handle_parts", part, value);
    machine.kernel.get(at, "handle_parts", "handle") as u32
}

#[test]
fn handles_that_lead_nowhere_are_lost() {
    for shape in Depot::ALL {
        assert_lost(shape, "a pool that is not there", |machine, depot| {
            let index = ["slabindex", "pool_index", "pool_index_plus_1"];
            let mut names = index.iter();
            let has = |name: &&&str| machine.kernel.types.has("handle_parts", name);
            let name = names.find(has).expect("an index");
            with_part(machine, depot.records[0].handle, name, 9)
        });
        assert_lost(shape, "between records", |machine, depot| {
            with_part(machine, depot.records[3].handle, "offset", 0x200)
        });
        assert_lost(shape, "a pool without memory", |machine, depot| {
            machine.kernel.write_u64(depot.pools + 8, 0);
            depot.records[3].handle
        });
    }
    for shape in [Depot::V4_9, Depot::V6_1, Depot::V6_3] {
        assert_lost(shape, "not valid", |machine, depot| {
            with_part(machine, depot.records[0].handle, "valid", 0)
        });
    }
}

#[test]
fn records_that_make_no_sense_are_lost() {
    for shape in Depot::ALL {
        for (what, record, size) in [
            ("more frames than any has", 0, 257),
            ("frames behind the pool's end", 4, 6),
        ] {
            assert_lost(shape, what, |machine, depot| {
                let at = depot.records[record].address;
                machine.kernel.set(at, "stack_record", "size", size);
                depot.records[record].handle
            });
        }
        assert_lost(shape, "another's", |machine, depot| {
            let other = depot.records[2].handle;
            let at = depot.records[0].address;
            machine
                .kernel
                .set(at, "stack_record", "handle", u64::from(other));
            depot.records[0].handle
        });
    }
    for shape in [Depot::V6_8, Depot::V6_8_3, Depot::V6_9, Depot::V7_2] {
        assert_lost(shape, "given up", |machine, depot| {
            let at = depot.records[0].address;
            machine
                .kernel
                .set(at, "stack_record", "count.refs.counter", 0);
            depot.records[0].handle
        });
    }
}
