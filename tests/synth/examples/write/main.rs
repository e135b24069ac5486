//! Writes synthetic kernels to a directory: for each era the dumps in several
//! formats, vmlinux with either DWARF version, and the truth as JSON.
//!
//! ```text
//! cargo run -p vmleak-synth --example write -- DIR [ERA]
//! cargo run -p vmleak-synth --example write -- DIR ERA many ENTRIES BUCKETS
//! ```
//!
//! The second form writes a full connection table, for benchmarks.

mod conntrack;

use std::path::Path;

use vmleak_synth::debuginfo::{Compression, VmlinuxOptions, btf, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, flattened, kdump};
use vmleak_synth::{Era, Freelist, Machine, Options, PagingLevels, Scenario};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory to write to");
    let only = arguments.next();
    let many = arguments.next().is_some_and(|word| word == "many");
    let mut number = || arguments.next().and_then(|text| text.parse().ok());
    let size = many.then(|| (number().expect("entries"), number().expect("buckets")));
    for era in Era::ALL {
        if only.as_deref().is_some_and(|only| only != era.name()) {
            continue;
        }
        let directory = Path::new(&directory);
        if let Some((count, buckets)) = size {
            conntrack::write_many(directory, era, count, buckets)?;
            continue;
        }
        conntrack::write_standard(directory, era)?;
        for (variant, paging, freelist, encrypted) in [
            ("l4", PagingLevels::Four, Freelist::HardenedSwab, false),
            ("l5", PagingLevels::Five, Freelist::HardenedSwab, false),
            ("plain", PagingLevels::Four, Freelist::Plain, false),
            ("noswab", PagingLevels::Four, Freelist::Hardened, false),
            ("sme", PagingLevels::Four, Freelist::HardenedSwab, true),
        ] {
            let mut options = Options::new(era, paging);
            options.encrypted = encrypted;
            let scenario = Scenario::standard().with_freelist(freelist);
            let machine = Machine::with(options, &scenario);
            let name = format!("{}-{variant}", era.name());
            let every_format = variant.starts_with('l');
            write_machine(&directory.join(name), &machine, every_format)?;
        }
    }
    Ok(())
}

fn write_machine(directory: &Path, machine: &Machine, every_format: bool) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let save = |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes);
    for version in [4, 5] {
        let mut options = VmlinuxOptions::new(version);
        save(
            &format!("vmlinux-dwarf{version}"),
            &vmlinux(machine, options),
        )?;
        options.decoys = false;
        save(
            &format!("vmlinux-dwarf{version}-plain"),
            &vmlinux(machine, options),
        )?;
        options.btf = false;
        options.compression = Compression::Zlib;
        save(
            &format!("vmlinux-dwarf{version}-zlib"),
            &vmlinux(machine, options),
        )?;
        options.compression = Compression::Zstd;
        save(
            &format!("vmlinux-dwarf{version}-zstd"),
            &vmlinux(machine, options),
        )?;
    }
    save("btf", &btf::encode(&machine.kernel.types))?;
    save("truth.json", truth(machine).as_bytes())?;
    let plain = elf::Options::default();
    if !every_format {
        return save("elf", &elf::elf(machine, plain));
    }
    for codec in Codec::ALL {
        let dump = kdump::kdump(machine, kdump::Options::new(codec));
        save(&format!("kdump-{}", codec.name()), &dump)?;
    }
    let zlib = kdump::Options::new(Codec::Zlib);
    for version in [3, 5] {
        let old = kdump::Options { version, ..zlib };
        save(&format!("kdump-v{version}"), &kdump::kdump(machine, old))?;
    }
    let flat = flattened::flatten(&kdump::kdump(machine, zlib));
    save("flattened", &flat)?;
    for (index, part) in kdump::split(machine, zlib, 3).iter().enumerate() {
        save(&format!("split-{index}"), part)?;
    }
    for (name, options) in [
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
    ] {
        save(name, &elf::elf(machine, options))?;
    }
    Ok(())
}

/// The truth, as far as check_with_drgn.py compares it.
fn truth(machine: &Machine) -> String {
    let quoted = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        names.join(", ")
    };
    let truth = machine.truth();
    let caches: Vec<_> = truth
        .caches
        .iter()
        .map(|cache| {
            format!(
                "{{\"name\": {:?}, \"aliases\": [{}], \"address\": {}, \"object_size\": {}, \
                 \"size\": {}, \"order\": {}, \"objects_per_slab\": {}, \"slabs\": {}, \
                 \"objects\": {}, \"active_objs\": {}, \"allocated\": {:?}}}",
                cache.name,
                quoted(&cache.aliases),
                cache.address,
                cache.object_size,
                cache.size,
                cache.order,
                cache.objects_per_slab,
                cache.slabs,
                cache.objects,
                cache.slabinfo.active_objs,
                cache.allocated,
            )
        })
        .collect();
    let kfence: Vec<_> = truth.kfence.iter().map(|each| each.address).collect();
    format!(
        "{{\"release\": {:?}, \"kfence\": {kfence:?}, \"reclaimable_pages\": {}, \
         \"unreclaimable_pages\": {}, \"messages\": [{}], \"caches\": [\n{}]}}\n",
        truth.release,
        truth.reclaimable_pages,
        truth.unreclaimable_pages,
        quoted(&truth.messages),
        caches.join(",\n")
    )
}
