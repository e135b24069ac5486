//! Makes a profile of a kernel without a dump: of its vmlinux (DWARF, else BTF), the debug
//! files of its modules, and a System.map where vmlinux has no symbols.
//! `scripts/make-profiles` runs it over distributions' packages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use vmleak::kernel::asked;
use vmleak::types::{
    Btf, DebugFile, Dwarf, ProfileIdentity, SymbolTable, TypeDb, TypeSource, is_system_map,
    module_name_of,
};

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let result = match files.as_slice() {
        [out, vmlinux, others @ ..] => make(out, vmlinux, others),
        _ => Err("usage: profile OUT VMLINUX [System.map] [MODULE.ko…]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("profile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(out: &Path, vmlinux: &Path, others: &[PathBuf]) -> Result<(), Error> {
    let file = Arc::new(DebugFile::open(vmlinux)?);
    let btf = match file.has_debug_info() {
        true => None,
        false => Some(Arc::new(Btf::from_file(Arc::clone(&file))?)),
    };
    let source: Box<dyn TypeSource> = match &btf {
        Some(btf) => Box::new(Arc::clone(btf)),
        None => Box::new(Dwarf::new(Arc::clone(&file))?),
    };
    let mut types = TypeDb::new(vec![source]);
    let mut symbols = SymbolTable::from_elf(&file).ok();
    let mut modules = BTreeMap::new();
    for path in others {
        if is_system_map(path) {
            symbols = Some(SymbolTable::from_system_map(path)?);
            continue;
        }
        let name = module_name_of(path).ok_or("a file is neither a System.map nor a module")?;
        let module = Arc::new(DebugFile::open(path)?);
        let build_id = module.build_id().map(str::to_owned);
        types.add_source(match &btf {
            None => Box::new(Dwarf::new(module)?),
            Some(base) => {
                let Some(bytes) = module.section(".BTF") else {
                    continue; // before 5.11
                };
                let split = Btf::split(&name, bytes.to_vec(), Arc::clone(base))?;
                Box::new(split)
            }
        });
        modules.insert(name, build_id);
    }
    let identity = ProfileIdentity {
        release: release(&file),
        build_id: file.build_id().map(str::to_owned),
        arch: "x86_64".to_owned(),
        types_from: types.origin().to_owned(),
        symbols_from: None,
        modules,
    };
    // These are as they were linked.
    let linked: &dyn Fn(u64) -> u64 = &|address: u64| address;
    let table = symbols.as_ref().map(|table| (table, linked));
    std::fs::write(out, asked::profile(&types, table, identity)?)?;
    Ok(())
}

/// From `linux_banner`, which every image has: `Linux version REL (builder) …`.
fn release(file: &DebugFile) -> Option<String> {
    let start = b"Linux version ";
    let sections = [".rodata", ".init.data"].into_iter();
    for bytes in sections.filter_map(|name| file.section(name)) {
        for at in memchr::memmem::find_iter(bytes, start) {
            let rest = bytes.get(at + start.len()..)?;
            let end = rest.iter().position(|byte| *byte == b' ')?;
            let release = std::str::from_utf8(rest.get(..end)?).ok();
            // A format string has the same words.
            if let Some(release) =
                release.filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
            {
                return Some(release.to_owned());
            }
        }
    }
    None
}
