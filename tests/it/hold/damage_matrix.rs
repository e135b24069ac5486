//! Every kind of damage × every command: an end in time and within bounded memory, no panic, an
//! exit code that the contract knows, a document that is JSON and says when something is missing.
//! Which damage must cost what is held by damage.rs, sheaves.rs and conntrack_synthetic.rs.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::damage::{self, NON_CANONICAL, conntrack, sheaves};
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{real_dumps, run_bounded, small_dump};

/// Of everything that takes a dump. The address is in the direct map of every synthetic kernel.
pub(crate) const COMMANDS: &[&[&str]] = &[
    &["info", "--layouts"],
    &["slabs"],
    &["objects", "dentry"],
    &["objects", "kmalloc-64"],
    &["leaks"],
    &["whatis", "0xffff888000001000", "--path"],
    &["retained"],
    &["conntrack"],
    &["conntrack", "--summary"],
    &["conntrack", "--expect"],
    &["conntrack", "--stats"],
    &["nat"],
    &["meminfo"],
    &["log"],
    &["vmalloc"],
    &["modules"],
    &["sysctl"],
    &["memcg"],
    &["kmemleak"],
    &["allocinfo"],
    &["pageowner"],
    &["objects", "kmalloc-64", "--traces"],
    &["ps"],
    &["zones"],
    &["files"],
    &["dentries"],
    &["pages"],
    &["bpf"],
    &["sockets"],
    &["sockets", "--skbs"],
    &["net"],
    &["rules"],
    &["report"],
];

/// What may be said of a whole result.
const NOTES: [&str; 5] = [
    "conntrack-unlinked",
    "doubly-free",
    "meminfo-no-types",
    "no-kernel-names",
    "no-module-symbols",
];

type Harm = fn(&mut Machine);

/// What any kernel can suffer.
const HARMS: [(&str, Harm); 14] = [
    ("nothing", |_| ()),
    ("freelist_cycle", |m| {
        damage::freelist_cycle(m, "dentry");
    }),
    ("wild_free_pointer", |m| {
        damage::wild_free_pointer(m, "dentry", NON_CANONICAL);
    }),
    ("overwritten_free_pointer", |m| {
        damage::overwritten_free_pointer(m, "dentry");
    }),
    ("slab_caches_cycle", |m| {
        damage::slab_caches_cycle(m, "kmalloc-64", "dentry");
    }),
    ("slab_caches_dangling", |m| {
        damage::slab_caches_dangling(m, "dentry", NON_CANONICAL);
    }),
    ("partial_list_cycle", |m| {
        damage::partial_list_cycle(m, "kmalloc-64", 0);
    }),
    ("partial_list_dangling", |m| {
        damage::partial_list_dangling(m, "kmalloc-64", 0, NON_CANONICAL);
    }),
    ("exclude_slab", |m| {
        damage::exclude_slab(m, "kmalloc-64", 0);
    }),
    ("exclude_memmap", |m| {
        let descriptor = m.cache("kmalloc-64").slabs[0].descriptor;
        damage::exclude_address(m, descriptor);
    }),
    ("zero_page", |m| {
        let pfn = m.cache("kmalloc-64").slabs[0].pfn;
        damage::zero_page(m, pfn);
    }),
    ("flip_bits", |m| {
        let cache = m.cache("kmalloc-64");
        let (address, slab) = (cache.address, cache.slabs[0].descriptor);
        damage::flip_bits(m, address, 200, 9, 1);
        damage::flip_bits(m, slab, 4096, 40, 2);
    }),
    ("unmap", |m| {
        // Of CPU 2, whose area is not in the direct map.
        let offsets = m.kernel.symbol("__per_cpu_offset");
        let area = m.kernel.read_u64(offsets + 16);
        let at = area.wrapping_add(m.cache("kmalloc-64").cpu_slab);
        damage::unmap(m, at);
    }),
    ("exclude_as_old_makedumpfile", |m| {
        damage::exclude_as_old_makedumpfile(m);
    }),
];

/// What a connection table can suffer.
const CONNTRACK: [(&str, Harm); 8] = [
    ("chain_cycle", |m| {
        let bucket = conntrack::bucket_with(m, 2, 0);
        conntrack::chain_cycle(m, bucket);
    }),
    ("wild_node", |m| {
        let bucket = conntrack::bucket_with(m, 2, 0);
        conntrack::wild_node(m, bucket, NON_CANONICAL);
    }),
    ("wild_head", |m| {
        let bucket = conntrack::bucket_with(m, 1, 0);
        conntrack::wild_head(m, bucket);
    }),
    ("foreign_marker", |m| {
        let (bucket, other) = (
            conntrack::bucket_with(m, 1, 0),
            conntrack::bucket_with(m, 1, 1),
        );
        conntrack::foreign_marker(m, bucket, other);
    }),
    ("moved_chain", |m| {
        let (bucket, other) = (
            conntrack::bucket_with(m, 1, 0),
            conntrack::bucket_with(m, 1, 1),
        );
        conntrack::moved_chain(m, bucket, other);
    }),
    ("exclude_buckets", |m| {
        conntrack::exclude_buckets(m, 0);
    }),
    ("wild_ext", |m| {
        conntrack::wild_ext(m, 0);
    }),
    ("wild_ext_offset", |m| {
        conntrack::wild_ext_offset(m, 0);
    }),
];

/// What sheaves (7.0 and later) and lists of what is to be freed can suffer.
const SHEAVES: [(&str, Harm); 8] = [
    ("sheaf_of_another", |m| {
        sheaves::sheaf_of_another(m, "dentry", "kmalloc-64");
    }),
    ("sheaf_overfull", |m| {
        sheaves::sheaf_overfull(m, "dentry");
    }),
    ("wild_sheaf", |m| {
        sheaves::wild_sheaf(m, "dentry", NON_CANONICAL);
    }),
    ("wild_sheaf_slot", |m| {
        sheaves::wild_sheaf_slot(m, "dentry", NON_CANONICAL);
    }),
    ("sheaf_twice", |m| sheaves::sheaf_twice(m, "dentry")),
    ("free_twice", |m| {
        sheaves::free_twice(m, "dentry");
    }),
    ("deferred_dangling", |m| {
        let objects = sheaves::defer_free(m, "dentry", 3);
        sheaves::deferred_dangling(m, "dentry", &objects, NON_CANONICAL);
    }),
    ("barn_miscounted", |m| sheaves::barn_miscounted(m, "dentry")),
];

/// The exit code and the document, if there is one, of a run that has to be honest.
pub(crate) fn honest(command: &[&str], files: [&Path; 2], what: &str) -> (i32, Option<Value>) {
    let mut args: Vec<&str> = command.to_vec();
    args.extend(["--format", "json"]);
    args.extend(files.map(|path| path.to_str().expect("UTF-8")));
    let (code, stdout, stderr) = run_bounded(&args);
    let what = format!("{what}, {command:?}: exit {code}: {stderr}");
    assert!(matches!(code, 0 | 3 | 4), "{what}");
    assert!(!stderr.contains("panicked"), "{what}");
    assert!(code == 0 || !stderr.is_empty(), "{what}");
    if code == 3 {
        assert_eq!(stdout, "", "{what}");
        return (code, None);
    }
    let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(document["complete"], code == 0, "{what}");
    let mut warnings = document["warnings"].as_array().expect("warnings").iter();
    let notes = |warning: &Value| NOTES.iter().any(|note| warning["code"] == *note);
    assert!(code == 4 || warnings.all(notes), "{what}");
    (code, Some(document))
}

struct Written {
    _folder: tempfile::TempDir,
    dump: PathBuf,
    vmlinux: PathBuf,
}

fn write(machine: &Machine) -> Written {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (dump, types) = (folder.path().join("dump"), folder.path().join("vmlinux"));
    let bytes = kdump::kdump(machine, kdump::Options::new(Codec::Zstd));
    std::fs::write(&dump, bytes).expect("a file writes");
    let bytes = vmlinux(machine, VmlinuxOptions::new(5));
    std::fs::write(&types, bytes).expect("a file writes");
    Written {
        _folder: folder,
        dump,
        vmlinux: types,
    }
}

fn all_commands(era: Era, scenario: &Scenario, harms: &[(&str, Harm)]) {
    let whole = Machine::build(era, PagingLevels::Four, scenario);
    let mut understood = 0;
    for (name, harm) in harms {
        let mut machine = whole.clone();
        harm(&mut machine);
        let files = write(&machine);
        for command in COMMANDS {
            let what = format!("{} {name}", era.name());
            let (code, _) = honest(command, [&files.dump, &files.vmlinux], &what);
            understood += u32::from(code != 3);
        }
    }
    // A matrix in which nothing can be read would prove nothing; but not every synthetic kernel
    // has all that every command needs.
    let runs = harms.len() * COMMANDS.len();
    assert!(understood as usize * 4 > runs, "{understood} of {runs}");
}

#[test]
fn damage_to_slabs_on_every_command() {
    all_commands(Era::V6_12, &Scenario::conntrack(), &HARMS);
}

#[test]
fn damage_to_connections_on_every_command() {
    all_commands(Era::V6_1, &Scenario::conntrack(), &CONNTRACK);
}

#[test]
fn damage_to_sheaves_on_every_command() {
    all_commands(Era::V7_2, &Scenario::standard(), &SHEAVES);
}

/// How much of a file is kept: every `step` bytes.
fn cuts(vmcore: &Path, vmlinux: &Path, step: usize, commands: &[&[&str]]) {
    let whole = std::fs::read(vmcore).expect("the dump reads");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("cut");
    let (mut seen, mut before) = (0, u64::MAX);
    for len in (1..whole.len()).step_by(step) {
        std::fs::write(&path, &whole[..len]).expect("a file writes");
        for command in commands {
            let what = format!("{len} of {} bytes", whole.len());
            let (code, document) = honest(command, [&path, vmlinux], &what);
            assert_ne!(code, 0, "{what}: nothing was missed");
            let Some(document) = document else { continue };
            let mut warnings = document["warnings"].as_array().expect("warnings").iter();
            let lost = warnings.find(|warning| warning["code"] == "dump-truncated");
            let lost = lost.and_then(|warning| warning["count"].as_u64());
            let lost = lost.unwrap_or_else(|| panic!("{what}: the loss is not counted"));
            assert!(
                lost > 0 && lost <= before,
                "{what}: {lost} pages after {before}"
            );
            (seen, before) = (seen + 1, lost);
        }
    }
    assert!(seen > 0, "no cut could be analysed");
}

#[test]
fn the_small_dump_cut_anywhere() {
    let small = small_dump();
    let commands: [&[&str]; 2] = [&["slabs"], &["info"]];
    cuts(&small.vmcore, &small.vmlinux, 64 << 10, &commands);
}

#[test]
fn a_large_dump_cut_at_every_megabyte() {
    for dump in real_dumps(&["6.1"]) {
        let commands: [&[&str]; 2] = [&["slabs"], &["info"]];
        cuts(&dump.vmcore, &dump.vmlinux, 1 << 20, &commands);
    }
}
