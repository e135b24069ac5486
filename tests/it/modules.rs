//! Modules of real dumps: against /proc/modules and /proc/kallsyms as the guest printed them,
//! their types against pahole's reading of the same files.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use vmleak::addr::VirtAddr;
use vmleak::dump::Dump;
use vmleak::kernel::Kernel;
use vmleak::kernel::modules::{ModuleState, Modules, resolve};
use vmleak::types::{DebugFile, Dwarf, SymbolTable, TypeDb};

use crate::support::{RealDump, real_dumps, skip};

const RELEASES: [&str; 5] = ["5.10", "6.1", "6.12", "7.2", "6.12-arm64"];
const CORE: &str = "net/netfilter/nf_conntrack_core.c";

pub(crate) fn open(dump: &RealDump) -> (Kernel, Modules) {
    let vmlinux = Arc::new(DebugFile::open(&dump.vmlinux).expect("the vmlinux opens"));
    let symbols = SymbolTable::from_elf(&vmlinux).expect("symbols");
    let types = TypeDb::new(vec![Box::new(Dwarf::new(vmlinux).expect("types"))]);
    let vmcore = Dump::open(std::slice::from_ref(&dump.vmcore), 64 << 20).expect("the dump opens");
    let kernel = Kernel::new(Arc::new(vmcore), types, symbols).expect("they belong together");
    let modules = Modules::read(&kernel).expect("modules");
    (kernel, modules)
}

/// Beside the vmlinux, which is in boot/ or lib/modules/REL/.
fn module_file(dump: &RealDump, name: &str) -> Option<PathBuf> {
    let release = dump.captured("osrelease");
    let inside = format!("lib/modules/{}/kernel/{name}", release.trim());
    let found = dump
        .vmlinux
        .ancestors()
        .map(|root| root.join(&inside))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(&format!(
            "{}: no {inside} (scripts/fetch-debug gets it)",
            dump.name
        ));
    }
    found
}

fn conntrack_file(dump: &RealDump) -> Option<PathBuf> {
    module_file(dump, "net/netfilter/nf_conntrack.ko")
}

fn kallsyms(dump: &RealDump) -> String {
    let path = dump.folder.join("cap/kallsyms.gz");
    let file = std::fs::File::open(&path).expect("kallsyms.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("kallsyms.gz unpacks");
    text
}

#[test]
fn modules_are_those_of_proc_modules() {
    for dump in real_dumps(&RELEASES) {
        let (kernel, modules) = open(&dump);
        assert!(modules.end().is_complete(), "{}", dump.name);
        let ours: Vec<String> = modules
            .iter()
            .map(|module| {
                assert_eq!(module.state, ModuleState::Live);
                let taints = module.taint_letters();
                let taints = match taints.as_str() {
                    "" => String::new(),
                    letters => format!(" ({letters})"),
                };
                let base = module.text.base.0;
                format!("{} {} Live {base:#x}{taints}", module.name, module.size())
            })
            .collect();
        let captured = dump.captured("modules");
        let theirs: Vec<String> = captured
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let shown = [&fields[..2], &fields[4..]].concat();
                shown.join(" ")
            })
            .collect();
        assert!(theirs.len() > 10, "{}", dump.name);
        assert_eq!(ours, theirs, "{}", dump.name);
        assert_eq!(kernel.diag.warnings(), [], "{}", dump.name);
    }
}

#[test]
fn symbols_are_those_of_kallsyms() {
    for dump in real_dumps(&RELEASES) {
        let (kernel, modules) = open(&dump);
        let text = kallsyms(&dump);
        let mut total = 0;
        for module in modules.iter() {
            let ours: BTreeSet<(&str, u64)> = module
                .symbols
                .iter()
                .map(|(name, address)| (name, address.0))
                .collect();
            let mark = format!("[{}]", module.name);
            let theirs: BTreeSet<(&str, u64)> = text
                .lines()
                .filter_map(|line| {
                    let (symbol, owner) = line.split_once('\t')?;
                    let mut fields = symbol.split(' ');
                    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
                    (owner == mark).then_some((fields.nth(1)?, address))
                })
                .collect();
            assert_eq!(ours, theirs, "{}: {}", dump.name, module.name);
            assert_eq!(module.symbols.lost(), 0);
            total += theirs.len();
        }
        assert!(total > 2000, "{}: only {total} symbols", dump.name);
        let module = modules
            .find("nf-conntrack")
            .expect("nf_conntrack is loaded");
        let hash = resolve(&kernel, &modules, "nf_conntrack_hash").expect("the table");
        assert!(module.contains(hash));
        assert_eq!(
            modules.symbol_in("nf_conntrack_hash").expect("it").0.name,
            module.name
        );
        assert_eq!(
            module.symbols.symbolize(hash.plus(3)),
            Some(("nf_conntrack_hash", 3))
        );
        assert_eq!(
            modules.symbolize(hash).expect("in a module").1,
            "nf_conntrack_hash"
        );
        assert_eq!(
            resolve(&kernel, &modules, "slab_caches"),
            kernel.symbol("slab_caches")
        );
        assert_eq!(modules.symbolize(VirtAddr(0)).map(|found| found.1), None);
    }
}

#[test]
fn build_ids_in_memory_are_those_of_the_files() {
    for dump in real_dumps(&RELEASES) {
        let Some(path) = conntrack_file(&dump) else {
            continue;
        };
        let (_, modules) = open(&dump);
        let file = DebugFile::open(&path).expect("it opens");
        let module = modules
            .find("nf_conntrack")
            .expect("nf_conntrack is loaded");
        assert!(file.has_debug_info());
        assert_eq!(file.module_name().as_deref(), Some("nf_conntrack"));
        assert_eq!(module.build_id.as_deref(), file.build_id(), "{}", dump.name);
        assert!(
            modules.iter().all(|m| m.build_id.is_some()),
            "{}",
            dump.name
        );
    }
}

/// By pahole of dwarves 1.24 in nf_conntrack.ko: size, then offsets of `lock`, `timeout`,
/// `tuplehash`, `status`, `ct_net`, `master`, `mark`, `ext`, `proto`.
fn nf_conn(release: &str) -> [u32; 10] {
    match release {
        "debian-5.10" => [256, 4, 8, 16, 128, 144, 168, 176, 184, 192],
        // 6.1 lost `cpu`.
        _ => [248, 4, 8, 16, 128, 136, 160, 168, 176, 184],
    }
}

fn module_types(path: &Path) -> Dwarf {
    let file = DebugFile::open(path).expect("it opens");
    Dwarf::new(Arc::new(file)).unwrap_or_else(|error| panic!("{error}"))
}

fn nf_conn_in(types: &TypeDb) -> [u32; 10] {
    let found = types.find_struct("nf_conn", CORE, false).expect("sound");
    let found = found.expect("nf_conn is complete in its unit");
    let members = [
        "lock",
        "timeout",
        "tuplehash",
        "status",
        "ct_net",
        "master",
        "mark",
        "ext",
        "proto",
    ];
    let mut all = [found.body.size; 10];
    for (place, name) in all[1..].iter_mut().zip(members) {
        *place = found.member(name).expect("sound").expect(name).offset;
    }
    all
}

#[test]
fn types_of_a_module_join_those_of_the_kernel() {
    for dump in real_dumps(&RELEASES) {
        let Some(path) = conntrack_file(&dump) else {
            continue;
        };
        let (mut kernel, _) = open(&dump);
        kernel.add_types(Box::new(module_types(&path)));
        let types = &kernel.types;
        assert_eq!(nf_conn_in(types), nf_conn(&dump.name), "{}", dump.name);

        // Members of members, an array, an enumeration and a union, all by relocated references.
        let found = types
            .find_struct("nf_conn", CORE, false)
            .expect("sound")
            .expect("it");
        let member = |path| found.member(path).expect("sound").expect(path);
        assert_eq!(member("tuplehash").ty.size, 112);
        assert_eq!(
            (
                member("ct_net.net").ty.size,
                member("ct_general.use").ty.size
            ),
            (8, 4)
        );
        let tuple = types
            .find_struct("nf_conntrack_tuple", CORE, false)
            .expect("sound");
        let tuple = tuple.expect("complete");
        let offset = |path| tuple.member(path).expect("sound").expect(path).offset;
        assert_eq!(tuple.body.size, 40);
        assert_eq!(
            [
                offset("src.l3num"),
                offset("dst.u3"),
                offset("dst.protonum")
            ],
            [18, 20, 38]
        );
        let ids = types
            .enumeration("nf_ct_ext_id", CORE)
            .expect("sound")
            .expect("it");
        assert!(ids.contains(&("NF_CT_EXT_HELPER".to_owned(), 0)), "{ids:?}");

        // The kernel's own stay those of vmlinux.
        let module = types
            .find_struct("kmem_cache", "mm/slub.c", false)
            .expect("sound");
        assert!(module.is_some());
    }
}

/// The same types out of every form that a module's file comes in.
#[test]
fn packed_files_have_the_same_types() {
    for dump in real_dumps(&RELEASES) {
        let Some(path) = conntrack_file(&dump) else {
            continue;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let plain = std::fs::read(&path).expect("it reads");
        let put = |name: &str, bytes: Vec<u8>| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("it is written");
            path
        };
        let mut gz = flate2::read::GzEncoder::new(plain.as_slice(), flate2::Compression::fast());
        let mut packed = Vec::new();
        gz.read_to_end(&mut packed).expect("it packs");
        let zst = zstd::encode_all(plain.as_slice(), 1).expect("it packs");
        let mut forms = vec![put("m.ko.gz", packed), put("m.ko.zst", zst)];
        // As scripts/Makefile.modinst does.
        let xz = Command::new("xz")
            .args(["--check=crc32", "--lzma2=preset=0,dict=1MiB", "-c"])
            .arg(&path)
            .output();
        match xz {
            Ok(done) if done.status.success() => forms.push(put("m.ko.xz", done.stdout)),
            _ => skip("no xz to pack a module with"),
        }
        for how in ["zlib", "zstd"] {
            let out = folder.path().join(format!("{how}.ko"));
            let done = Command::new("objcopy")
                .arg(format!("--compress-debug-sections={how}"))
                .args([&path, &out])
                .output();
            if done.is_ok_and(|done| done.status.success()) {
                forms.push(out);
            } else {
                skip(&format!("no objcopy that packs sections with {how}"));
            }
        }
        for form in forms {
            let types = TypeDb::new(vec![Box::new(module_types(&form))]);
            assert_eq!(
                nf_conn_in(&types),
                nf_conn(&dump.name),
                "{}",
                form.display()
            );
        }
    }
}
