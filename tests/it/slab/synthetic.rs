//! One synthetic scenario × eras × paging × formats × DWARF versions: one identical
//! report, equal to the truth that the scenario was laid out from.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vmleak_synth::debuginfo::{Compression, VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, flattened, kdump};
use vmleak_synth::{Era, Freelist, Machine, Options, PagingLevels, Scenario, Truth};

use crate::support::{slabs_json, without_form};

const SUPPORTED: [Era; 12] = Era::ALLOCATORS;

/// One of everything that the kernel has.
fn scenario(era: Era) -> Scenario {
    let standard = Scenario::standard();
    if era.is_3_10() {
        standard.with_memcgs().with_freelist(Freelist::Plain)
    } else if era.has_memcg_children() {
        standard.with_memcgs().with_freelist(Freelist::Hardened)
    } else {
        standard
    }
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file writes");
    path
}

pub(crate) fn assert_truth(document: &Value, truth: &Truth, what: &str) {
    assert_truth_of(document, truth, 4096, what);
}

/// With pages of another size.
pub(crate) fn assert_truth_of(document: &Value, truth: &Truth, page_size: u64, what: &str) {
    let caches = document["caches"].as_array().expect("caches");
    assert_eq!(caches.len(), truth.caches.len(), "{what}");
    for want in &truth.caches {
        let got = caches.iter().find(|c| c["name"] == want.name.as_str());
        let got = got.unwrap_or_else(|| panic!("{what}: no cache {}", want.name));
        let number = |group: &str, key: &str| got[group][key].as_u64().expect("a number");
        let exact = ["slabs", "objects", "allocated", "free"].map(|key| number("exact", key));
        let allocated = want.allocated.len() as u64;
        let wanted = [
            want.slabs,
            want.objects,
            allocated,
            want.objects - allocated,
        ];
        assert_eq!(exact, wanted, "{what}: {}", want.name);
        let of_objects = allocated * u64::from(want.object_size);
        assert_eq!(number("exact", "allocated_bytes"), of_objects, "{what}");
        // Those that wait for RCU are apart.
        if want.pending_rcu_slabs == 0 {
            let bytes = want.pages * page_size;
            assert_eq!(number("exact", "bytes"), bytes, "{what}: {}", want.name);
        }
        let view = [
            "active_objs",
            "num_objs",
            "active_slabs",
            "num_slabs",
            "shared_avail",
            "limit",
            "batchcount",
            "sharedfactor",
        ]
        .map(|key| number("slabinfo", key));
        let row = &want.slabinfo;
        let wanted = [
            row.active_objs,
            row.num_objs,
            row.active_slabs,
            row.num_slabs,
            row.shared_avail,
            u64::from(row.tunables.limit),
            u64::from(row.tunables.batchcount),
            u64::from(row.tunables.sharedfactor),
        ];
        assert_eq!(view, wanted, "{what}: slabinfo of {}", want.name);
        assert_eq!(
            got["rcu_slabs"], want.pending_rcu_slabs,
            "{what}: {}",
            want.name
        );
        assert_eq!(got["address"], format!("{:#018x}", want.address), "{what}");
        assert_eq!(got["memcg_children"], want.memcg_children, "{what}");
        assert_eq!(got["objects_per_slab"], want.objects_per_slab, "{what}");
        let aliases: Vec<&str> = want.aliases.iter().map(String::as_str).collect();
        let mut listed: Vec<&str> = got["aliases"]
            .as_array()
            .expect("aliases")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, aliases, "{what}: {}", want.name);
        for flag in &want.flags {
            let flag = flag.trim_start_matches("SLAB_");
            let flags = got["flags"].as_array().expect("flags");
            assert!(
                flags.iter().any(|f| f == flag),
                "{what}: {}: {flag} of {flags:?}",
                want.name
            );
        }
    }
}

/// All files of one machine's dump, each form a set of files.
fn forms(machine: &Machine, folder: &Path) -> Vec<Vec<PathBuf>> {
    let mut sets = Vec::new();
    for codec in Codec::ALL {
        let dump = kdump::kdump(machine, kdump::Options::new(codec));
        sets.push(vec![save(
            folder,
            &format!("kdump-{}", codec.name()),
            &dump,
        )]);
    }
    let zlib = kdump::Options::new(Codec::Zlib);
    for version in [3, 5] {
        let old = kdump::kdump(machine, kdump::Options { version, ..zlib });
        sets.push(vec![save(folder, &format!("kdump-v{version}"), &old)]);
    }
    let flat = flattened::flatten(&kdump::kdump(machine, zlib));
    sets.push(vec![save(folder, "flattened", &flat)]);
    let parts = kdump::split(machine, zlib, 3);
    let parts = parts.iter().enumerate();
    sets.push(
        parts
            .map(|(n, part)| save(folder, &format!("split-{n}"), part))
            .collect(),
    );
    let plain = elf::Options::default();
    let options = [
        ("elf", plain),
        (
            "elf-text",
            elf::Options {
                text_segment: true,
                ..plain
            },
        ),
        (
            "elf-trim",
            elf::Options {
                trim: true,
                ..plain
            },
        ),
        (
            "elf-many",
            elf::Options {
                many_segments: true,
                ..plain
            },
        ),
        (
            "elf-qemu",
            elf::Options {
                qemu: true,
                ..plain
            },
        ),
    ];
    for (name, options) in options {
        sets.push(vec![save(folder, name, &elf::elf(machine, options))]);
    }
    sets
}

#[test]
fn every_form_of_every_era_is_one_report() {
    for era in SUPPORTED {
        for paging in [PagingLevels::Four, PagingLevels::Five] {
            if paging == PagingLevels::Five && !era.has_five_levels() {
                continue;
            }
            let folder = tempfile::tempdir().expect("a temporary directory");
            let machine = Machine::build(era, paging, &scenario(era));
            let types = save(
                folder.path(),
                "vmlinux",
                &vmlinux(&machine, VmlinuxOptions::new(5)),
            );
            let mut reports: Vec<Value> = Vec::new();
            for set in forms(&machine, folder.path()) {
                let what = format!("{} {paging:?} {:?}", era.name(), set[0].file_name());
                let mut files: Vec<&Path> = set.iter().map(PathBuf::as_path).collect();
                files.push(&types);
                let (code, document) = slabs_json(&files, &[]);
                assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
                assert_truth(&document, machine.truth(), &what);
                reports.push(without_form(document));
                assert!(reports.last() == reports.first(), "{what}: another report");
            }
            assert!(reports.len() >= 12);
        }
    }
}

#[test]
fn every_shape_of_debug_information_is_one_report() {
    for era in SUPPORTED {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let machine = Machine::build(era, PagingLevels::Four, &scenario(era));
        let dump = save(
            folder.path(),
            "dump",
            &elf::elf(&machine, elf::Options::default()),
        );
        let mut reports: Vec<Value> = Vec::new();
        for version in [4, 5] {
            for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
                for decoys in [true, false] {
                    let options = VmlinuxOptions {
                        compression,
                        decoys,
                        ..VmlinuxOptions::new(version)
                    };
                    let what = format!("{} {options:?}", era.name());
                    let types = save(folder.path(), "vmlinux", &vmlinux(&machine, options));
                    let (code, document) = slabs_json(&[&dump, &types], &[]);
                    assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
                    assert_truth(&document, machine.truth(), &what);
                    let mut report = without_form(document);
                    // The build-id is a hash of the options in some of these.
                    report["dump"]["build_id"] = Value::Null;
                    reports.push(report);
                    assert!(reports.last() == reports.first(), "{what}: another report");
                }
            }
        }
    }
}

#[test]
fn freelists_and_encrypted_memory() {
    for era in SUPPORTED {
        for (freelist, encrypted) in [
            (Freelist::Plain, false),
            (Freelist::Hardened, false),
            (Freelist::HardenedSwab, true),
        ] {
            // Hardening came with 4.14.
            if era.is_3_10() && freelist != Freelist::Plain {
                continue;
            }
            let what = format!("{} {freelist:?} encrypted {encrypted}", era.name());
            let folder = tempfile::tempdir().expect("a temporary directory");
            let mut options = Options::new(era, PagingLevels::Four);
            options.encrypted = encrypted;
            let machine = Machine::with(options, &scenario(era).with_freelist(freelist));
            let dump = save(
                folder.path(),
                "dump",
                &elf::elf(&machine, elf::Options::default()),
            );
            let types = save(
                folder.path(),
                "vmlinux",
                &vmlinux(&machine, VmlinuxOptions::new(5)),
            );
            let (code, document) = slabs_json(&[&dump, &types], &[]);
            assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
            assert_truth(&document, machine.truth(), &what);
        }
    }
}

/// 64 bytes is only the usual size: without memory cgroups it is 56, with debugging more.
#[test]
fn page_structures_of_other_sizes() {
    for era in [
        Era::V3_10El7,
        Era::V4_18,
        Era::V5_10,
        Era::V6_12,
        Era::V6_18,
    ] {
        for struct_page in [56, 72, 80, 96] {
            let what = format!("{} with {struct_page} bytes", era.name());
            let folder = tempfile::tempdir().expect("a temporary directory");
            let mut options = Options::new(era, PagingLevels::Four);
            options.struct_page = struct_page;
            let machine = Machine::with(options, &scenario(era));
            let dump = elf::elf(&machine, elf::Options::default());
            let dump = save(folder.path(), "dump", &dump);
            let types = vmlinux(&machine, VmlinuxOptions::new(5));
            let types = save(folder.path(), "vmlinux", &types);
            let (code, document) = slabs_json(&[&dump, &types], &[]);
            assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
            assert_truth(&document, machine.truth(), &what);
        }
    }
}

/// Every object that the scenario allocated, at its address, and no other.
#[test]
fn objects_are_listed_one_by_one() {
    for era in SUPPORTED {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let machine = Machine::build(era, PagingLevels::Four, &scenario(era));
        let dump = save(
            folder.path(),
            "dump",
            &elf::elf(&machine, elf::Options::default()),
        );
        let types = save(
            folder.path(),
            "vmlinux",
            &vmlinux(&machine, VmlinuxOptions::new(5)),
        );
        let files = [&dump, &types].map(|path| path.to_str().expect("UTF-8"));
        for cache in &machine.truth().caches {
            let args = ["objects", &cache.name, files[0], files[1]];
            let more = ["--format", "addrs", "--state", "allocated"];
            let (code, stdout, stderr) = crate::support::run(&[&args[..], &more[..]].concat());
            assert_eq!(code, 0, "{stderr}");
            let listed: Vec<u64> = stdout
                .lines()
                .map(|line| u64::from_str_radix(line, 16).expect("an address"))
                .collect();
            assert_eq!(listed, cache.allocated, "{} {}", era.name(), cache.name);
        }
    }
}
