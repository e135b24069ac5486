//! Dumps with a connection table, and its truth as JSON.

use std::path::Path;

use vmleak_synth::conntrack::tuple::{L4, Tuple};
use vmleak_synth::debuginfo::{Compression, VmlinuxOptions, btf, module, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, kdump};
use vmleak_synth::{ConntrackTruth, Era, Machine, Options, PagingLevels, Scenario};

/// One of everything: conntrack built in and as a module.
pub(crate) fn write_standard(directory: &Path, era: Era) -> std::io::Result<()> {
    for (variant, conntrack_module) in [("ct", false), ("ctmod", true)] {
        let options = Options {
            conntrack_module,
            ..Options::new(era, PagingLevels::Four)
        };
        let machine = Machine::with(options, &Scenario::conntrack());
        let directory = directory.join(format!("{}-{variant}", era.name()));
        std::fs::create_dir_all(&directory)?;
        let json = json(machine.conntrack_truth());
        std::fs::write(directory.join("conntrack.json"), json)?;
        super::write_machine(&directory, &machine, false)?;
        if conntrack_module {
            let (below, all) = (&machine.kernel.vmlinux_types, &machine.kernel.types);
            let split = btf::split(below, all);
            std::fs::write(directory.join("btf-nf_conntrack"), split.data)?;
            for (version, compression, name) in [
                (5, Compression::None, "dwarf5-plain"),
                (4, Compression::None, "dwarf4-plain"),
                (5, Compression::Zlib, "dwarf5-zlib"),
                (4, Compression::Zstd, "dwarf4-zstd"),
            ] {
                let file = module(&machine, "nf_conntrack", version, compression);
                std::fs::write(directory.join(format!("nf_conntrack-{name}.ko")), file)?;
            }
        }
    }
    Ok(())
}

/// A full table, as an ELF dump and two kdumps.
pub(crate) fn write_many(
    directory: &Path,
    era: Era,
    count: u64,
    buckets: u64,
) -> std::io::Result<()> {
    let scenario = Scenario::conntrack_many(count, buckets);
    let machine = Machine::build(era, PagingLevels::Four, &scenario);
    let directory = directory.join(format!("{}-many", era.name()));
    std::fs::create_dir_all(&directory)?;
    let save = |name: &str, bytes: Vec<u8>| std::fs::write(directory.join(name), bytes);
    save("conntrack.json", json(machine.conntrack_truth()).into())?;
    let debug = VmlinuxOptions {
        decoys: false,
        ..VmlinuxOptions::new(5)
    };
    save("vmlinux", vmlinux(&machine, debug))?;
    save("elf", elf::elf(&machine, elf::Options::default()))?;
    for codec in [Codec::Lzo, Codec::Zstd] {
        let dump = kdump::kdump(&machine, kdump::Options::new(codec));
        save(&format!("kdump-{}", codec.name()), dump)?;
    }
    Ok(())
}

fn json(truth: &ConntrackTruth) -> String {
    let netns: Vec<_> = truth
        .netns
        .iter()
        .map(|each| {
            format!(
                "{{\"address\": {}, \"inum\": {}, \"count\": {}, \"expect_count\": {}, \
                 \"proc\": {:?}, \"expect\": {:?}, \"stat\": {:?}}}",
                each.address,
                each.inum,
                each.count,
                each.expect_count,
                truth.proc_lines(each.inum),
                truth.expect_lines(each.inum),
                each.stat_lines,
            )
        })
        .collect();
    let entries: Vec<_> = truth
        .entries
        .iter()
        .map(|each| {
            let entry = &each.entry;
            format!(
                "{{\"address\": {}, \"list\": {:?}, \"netns\": {}, \"status\": {}, \"mark\": {}, \
                 \"zone\": [{}, {}], \"timeout\": {}, \"uses\": {}, \"state\": {:?}, \
                 \"master\": {}, \"tuples\": [{}, {}], \"packets\": {:?}, \"masquerade\": {}, \
                 \"helper\": {:?}}}",
                each.address,
                each.list.name(),
                each.netns,
                entry.status,
                entry.mark,
                entry.zone.id,
                entry.zone.dir,
                each.timeout_raw,
                entry.uses,
                each.state.unwrap_or(""),
                each.master,
                tuple(&entry.original),
                tuple(&entry.reply),
                entry.counters.map_or(Vec::new(), |both| {
                    both.iter()
                        .flat_map(|one| [one.packets, one.bytes])
                        .collect()
                }),
                entry
                    .masquerade
                    .map_or("null".into(), |index| index.to_string()),
                entry.helper.unwrap_or(""),
            )
        })
        .collect();
    let expectations: Vec<_> = truth
        .expectations
        .iter()
        .map(|each| {
            format!(
                "{{\"address\": {}, \"master\": {}, \"tuple\": {}, \"class\": {}, \
                 \"flags\": {}, \"line\": {:?}}}",
                each.address,
                each.master,
                tuple(&each.expectation.tuple),
                each.expectation.class,
                each.expectation.flags,
                each.proc_line,
            )
        })
        .collect();
    format!(
        "{{\"buckets\": {}, \"max\": {}, \"hz\": {}, \"objects\": {}, \"in_hash\": {}, \
         \"longest_chain\": {}, \"used_buckets\": {}, \"netns\": [\n{}],\n\"expectations\": [\n{}],\n\
         \"entries\": [\n{}]}}\n",
        truth.buckets,
        truth.max,
        truth.hz,
        truth.objects,
        truth.in_hash,
        truth.longest_chain,
        truth.used_buckets,
        netns.join(",\n"),
        expectations.join(",\n"),
        entries.join(",\n"),
    )
}

/// Addresses, protocol, and the two 16-bit words as they are sent.
fn tuple(tuple: &Tuple) -> String {
    let (first, second) = match tuple.l4 {
        L4::Ports { src, dst } | L4::Gre { src, dst } => (src, dst),
        L4::Icmp { kind, code, id } => (id, u16::from_be_bytes([kind, code])),
        L4::Nothing => (0, 0),
    };
    format!(
        "[\"{}\", \"{}\", {}, {first}, {second}]",
        tuple.src, tuple.dst, tuple.protonum
    )
}
