//! Writes the first seeds of the fuzz targets, small inputs that are whole, into a folder:
//! `cargo run -p vmleak-synth --example seeds -- corpora/seeds`. The seeds of `profile` are cut
//! from one in corpora/profiles.

use std::path::{Path, PathBuf};

use vmleak_synth::debuginfo::{VmlinuxOptions, btf, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::flattened::{flatten, rearrange};
use vmleak_synth::write::images::{Image, avml, lime, sadump, savevm, vmware, xen};
use vmleak_synth::write::notes::note;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

const PAGE: usize = 4096;

fn main() {
    let folder = std::env::args_os().nth(1).expect("give a folder");
    let folder = PathBuf::from(folder);
    let save = |target: &str, name: &str, bytes: &[u8]| save(&folder, target, name, bytes);
    let pages: Vec<Vec<u8>> = (0..3).map(page).collect();
    for codec in Codec::ALL {
        let dump = kdump(&pages, codec);
        save("kdump", codec.name(), &dump);
        // The bitmap of those dumped, then the descriptors and the data.
        let mut rest = dump[3 * PAGE..3 * PAGE + 8].to_vec();
        rest.extend(&dump[4 * PAGE..]);
        save("kdump_pages", codec.name(), &rest);
        let choice = match codec {
            Codec::None => 0,
            Codec::Zlib => 1,
            Codec::Snappy => 2,
            Codec::Zstd => 3,
            Codec::Lzo => 4,
        };
        let mut stream = vec![choice];
        stream.extend(codec.store(&pages[1]).0);
        save("codecs", codec.name(), &stream);
        let mut plain = vec![choice | 0x80];
        plain.extend(&pages[1][..512]);
        save("codecs", &format!("{}-round", codec.name()), &plain);
    }
    let flat = flatten(&kdump(&pages, Codec::Zlib));
    save("flattened", "in-order", &flat);
    save("flattened", "rearranged", &rearrange(&flat));
    save("elf", "two-segments", &elf(&pages));
    let image = Image::new([1, 2, 0x10_0000], |pfn| page(pfn as u32));
    save("lime", "two-ranges", &lime::lime(&image));
    save("avml", "two-blocks", &avml::avml(&image));
    save("vmware", "two-regions", &vmware::vmss(&image));
    save("elf", "xen", &xen::core(&image, false));
    let few = Image::new([1, 2, 64], |pfn| page(pfn as u32));
    save(
        "sadump",
        "partition",
        &sadump::partition(&few).split_off(PAGE),
    );
    for again in [false, true] {
        let mut stream = savevm::savevm(&image, again).split_off(8);
        stream.insert(0, u8::from(again));
        save("savevm", if again { "twice" } else { "once" }, &stream);
    }
    for era in [Era::V5_10, Era::V7_2] {
        let machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        if era == Era::V7_2 {
            save("locate", "text", &small_memory(&machine));
        }
        save("vmcoreinfo", era.name(), machine.vmcoreinfo.as_bytes());
    }
    save("btf", "7.2", &btf::encode(&Era::V7_2.types()));
    let machine = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
    let file = |dwarf: bool, btf: bool| {
        let options = VmlinuxOptions {
            decoys: false,
            dwarf,
            btf,
            ..VmlinuxOptions::new(5)
        };
        vmlinux(&machine, options)
    };
    save("debug_file", "dwarf", &file(true, false));
    save("debug_file", "btf", &file(false, true));
    save("kallsyms", "two", &kallsyms());
    save("system_map", "three", SYSTEM_MAP);
    for era in 0..4u8 {
        for command in 0..8u8 {
            let mut input = vec![era << 6 | command];
            for change in 0..8u32 {
                let at = change
                    .wrapping_mul(0x9e37_79b9)
                    .wrapping_add(command.into());
                input.push((change as u8).wrapping_add(command));
                input.extend(at.to_le_bytes());
                input.extend((u64::from(at) << 17 | 0xffff_8880_0000_0000).to_le_bytes());
            }
            save("commands", &format!("{era}-{command}"), &input);
            if era == 0 {
                save("commands_small", &command.to_string(), &input);
            }
        }
    }
}

/// A text, and a kernel's tables down to its image, in few pages.
fn small_memory(machine: &Machine) -> Vec<u8> {
    let mut memory = vec![0; 8 * PAGE];
    memory[PAGE..PAGE + machine.vmcoreinfo.len()].copy_from_slice(machine.vmcoreinfo.as_bytes());
    // Root, pud, pmd: the image is the last four pages of the memory, of which the first is the root.
    for (at, entry) in [
        (4 * PAGE + 511 * 8, (3 * PAGE) | 0x63),
        (3 * PAGE + 510 * 8, (5 * PAGE) | 0x63),
        (5 * PAGE + 8 * 8, (6 * PAGE) | 0x63),
        (6 * PAGE, (4 * PAGE) | 0x63),
    ] {
        memory[at..at + 8].copy_from_slice(&(entry as u64).to_le_bytes());
    }
    memory
}

const SYSTEM_MAP: &[u8] =
    b"ffffffff81000000 T _stext\nffffffff81000010 t a\n0000000000000000 A b\n";

fn save(folder: &Path, target: &str, name: &str, bytes: &[u8]) {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(name), bytes).expect("a file writes");
}

/// Compressible, and different from the others.
fn page(number: u32) -> Vec<u8> {
    (0..PAGE as u32)
        .map(|at| (at / (7 + number) % 251) as u8)
        .collect()
}

/// Pages 1, 2, … of 64.
fn kdump(pages: &[Vec<u8>], codec: Codec) -> Vec<u8> {
    let mut file = vec![0; 4 * PAGE];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDUMP   ");
    put(8, &6u32.to_le_bytes());
    put(424, &codec.flag().to_le_bytes());
    put(428, &(PAGE as u32).to_le_bytes());
    put(432, &1u32.to_le_bytes());
    put(436, &2u32.to_le_bytes());
    put(440, &64u32.to_le_bytes());
    put(2 * PAGE, &[0xff; 8]);
    put(3 * PAGE, &(((1u64 << pages.len()) - 1) << 1).to_le_bytes());
    let stored: Vec<(Vec<u8>, u32)> = pages.iter().map(|page| codec.store(page)).collect();
    let mut at = (file.len() + stored.len() * 24) as u64;
    for (data, flag) in &stored {
        file.extend(at.to_le_bytes());
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(flag.to_le_bytes());
        file.extend([0; 8]);
        at += data.len() as u64;
    }
    for (data, _) in &stored {
        file.extend(data);
    }
    file
}

/// Notes and two segments, the second cut in the middle of a page.
fn elf(pages: &[Vec<u8>]) -> Vec<u8> {
    let mut notes = Vec::new();
    note(&mut notes, "CORE", 1, &[7; 336]);
    note(
        &mut notes,
        "VMCOREINFO",
        0,
        b"OSRELEASE=6.12\nPAGESIZE=4096\n",
    );
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0; 8]);
    file.extend(64u64.to_le_bytes());
    file.extend([0; 12]);
    for half in [64u16, 56, 3, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let data = 64 + 3 * 56;
    let mut at = data as u64;
    let mut segment = |kind: u32, address: u64, len: usize, memory: usize| {
        file.extend(kind.to_le_bytes());
        file.extend(4u32.to_le_bytes());
        for word in [at, 0, address, len as u64, memory as u64, 0] {
            file.extend(word.to_le_bytes());
        }
        at += len as u64;
    };
    segment(4, 0, notes.len(), notes.len());
    segment(1, 0x1000, 2 * PAGE, 3 * PAGE);
    segment(1, 0x10_0000, PAGE, PAGE);
    file.extend(&notes);
    file.extend(&pages[0]);
    file.extend(&pages[1]);
    file.extend(&pages[2][..PAGE / 2]);
    file
}

/// Each token is one character; offsets count from the base.
fn kallsyms() -> Vec<u8> {
    let mut names = Vec::new();
    for name in ["T_stext", "tsecond"] {
        names.push(name.len() as u8);
        names.extend(name.as_bytes());
    }
    let table: Vec<u8> = (0..=255u8).flat_map(|token| [token.max(1), 0]).collect();
    let index: Vec<u8> = (0..256u16)
        .flat_map(|token| (2 * token).to_le_bytes())
        .collect();
    let mut out = Vec::new();
    for len in [2, names.len(), table.len(), index.len()] {
        out.extend((len as u16).to_le_bytes());
    }
    for part in [&names, &table, &index] {
        out.extend(part);
    }
    for offset in [0u32, 16] {
        out.extend(offset.to_le_bytes());
    }
    out
}
