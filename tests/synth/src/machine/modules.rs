//! Loaded modules: `struct module`, its memory and its kallsyms.
//!
//! | offset in the module's area | what |
//! |---|---|
//! | 0 | text |
//! | 8 KiB | variables, then the `struct module` |
//! | 32 KiB | symbol table, names, type letters |
//! | 44 KiB | the build-id's note |

use super::identity;
use super::image::SymbolKind;
use super::kernel::Kernel;
use super::{module_btf, module_sysfs};

const TEXT: u64 = 8 << 10;
const DATA: u64 = 24 << 10;
/// Of the tables, and of the notes behind them.
const TABLES: u64 = 12 << 10;
const NOTES: u64 = 4 << 10;

/// A symbol of a module, at the address that it was loaded to.
#[derive(Debug, Clone)]
pub struct ModuleSymbol {
    /// Name.
    pub name: String,
    /// Address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Kind.
    pub kind: SymbolKind,
}

/// A module in memory.
#[derive(Debug, Clone)]
pub struct Module {
    /// Name.
    pub name: &'static str,
    /// Address of its text.
    pub base: u64,
    /// Address of its variables.
    pub data: u64,
    /// Address of the `struct module`.
    pub address: u64,
    /// Its build-id, which the debug file has too.
    pub build_id: [u8; 20],
    /// Symbols, sorted by nothing.
    pub symbols: Vec<ModuleSymbol>,
}

impl Module {
    /// Bytes of text.
    pub const TEXT_SIZE: u64 = TEXT;
    /// Bytes of variables.
    pub const DATA_SIZE: u64 = DATA;

    /// The address of a symbol.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        let found = self.symbols.iter().find(|symbol| symbol.name == name);
        found.map(|symbol| symbol.address)
    }
}

/// Lays the list of modules: conntrack where it is one, another one before it, and
/// one that is not yet formed. Without a list in the type table there is nothing to do.
pub(super) fn lay(kernel: &mut Kernel) {
    if !kernel.image.has("modules") {
        return;
    }
    let variables: Vec<(String, u64)> = kernel
        .types
        .variables
        .iter()
        .filter(|(name, _)| !kernel.image.has(name))
        .map(|(name, ctype)| (name.clone(), kernel.types.size_of(ctype).max(8)))
        .collect();
    let mut links = Vec::new();
    let other = [("debug".to_string(), 4), ("features".to_string(), 64)];
    links.push(lay_module(
        kernel,
        "virtio_net",
        &["virtnet_open", "virtnet_poll"],
        &other,
        true,
    ));
    if !variables.is_empty() {
        let functions = ["nf_conntrack_alloc", "nf_conntrack_in", "gc_worker"];
        links.push(lay_module(
            kernel,
            "nf_conntrack",
            &functions,
            &variables,
            true,
        ));
    }
    links.push(lay_module(kernel, "half_loaded", &[], &[], false));
    let conntrack = kernel
        .modules
        .iter()
        .find(|each| each.name == "nf_conntrack");
    let conntrack = conntrack.map(|module| (module.name, module.address));
    module_btf::lay(kernel, conntrack);
    let link = kernel.types.offset("module", "list");
    let links: Vec<_> = links.iter().map(|address| address + link).collect();
    let head = kernel.symbol("modules");
    kernel.link_list(head, &links);
}

fn lay_module(
    kernel: &mut Kernel,
    name: &'static str,
    functions: &[&str],
    variables: &[(String, u64)],
    live: bool,
) -> u64 {
    // What has rights of its own begins with a page.
    let page = kernel.page_size();
    let (text, data_size) = (TEXT.next_multiple_of(page), DATA.next_multiple_of(page));
    let base = kernel.module_alloc(text + data_size + TABLES + NOTES);
    let data = base + text;
    let tables = data + data_size;
    let notes = tables + TABLES;
    let mut symbols = Vec::new();
    for (index, name) in functions.iter().enumerate() {
        symbols.push(ModuleSymbol {
            name: (*name).into(),
            address: base + 0x10 + index as u64 * 0x300,
            size: 0x300,
            kind: SymbolKind::Function,
        });
    }
    let mut next = data + 0x20;
    for (name, size) in variables {
        next = next.next_multiple_of(32);
        symbols.push(ModuleSymbol {
            name: name.clone(),
            address: next,
            size: *size,
            kind: SymbolKind::Object,
        });
        next += size;
    }
    let address = next.next_multiple_of(64);
    assert!(
        address + kernel.types.sizeof("module") <= data + DATA,
        "{name} overflows"
    );
    symbols.push(ModuleSymbol {
        name: "__this_module".into(),
        address,
        size: kernel.types.sizeof("module"),
        kind: SymbolKind::Object,
    });
    let state = if live { "LIVE" } else { "UNFORMED" };
    let state = kernel.types.constant(&format!("MODULE_STATE_{state}"));
    kernel.set(address, "module", "state", state);
    let at = address + kernel.types.offset("module", "name");
    kernel.write(at, name.as_bytes());
    lay_areas(kernel, address, [base, data, tables, notes + NOTES]);
    if live {
        lay_kallsyms(kernel, address, tables, &symbols);
        let mut build_id = identity::build_id(kernel);
        build_id[0] ^= name.len() as u8;
        build_id[19] ^= 0x80;
        module_sysfs::lay_notes(kernel, address, notes, &build_id);
        let sections = [
            (".note.gnu.build-id", notes),
            (".text", base),
            (".data", data),
        ];
        module_sysfs::lay_sections(kernel, address, &sections);
        kernel.modules.push(Module {
            name,
            build_id,
            base,
            data,
            address,
            symbols,
        });
    } else {
        // Nobody has looked at its tables yet.
        let tables = match kernel.types.has("module", "kallsyms") {
            true => "kallsyms",
            false => "symtab",
        };
        kernel.set(address, "module", tables, 0xdead_beef);
    }
    address
}

/// The memory that a module says it has.
fn lay_areas(kernel: &mut Kernel, module: u64, [base, data, tables, end]: [u64; 4]) {
    if kernel.types.has("module", "core_layout") {
        kernel.set(module, "module", "core_layout.base", base);
        kernel.set(module, "module", "core_layout.size", end - base);
        kernel.set(module, "module", "core_layout.text_size", data - base);
        return;
    }
    if kernel.types.has("module", "module_core") {
        kernel.set(module, "module", "module_core", base);
        kernel.set(module, "module", "core_size", end - base);
        kernel.set(module, "module", "core_text_size", data - base);
        return;
    }
    let array = module + kernel.types.offset("module", "mem");
    let size = kernel.types.sizeof("module_memory");
    for (kind, start, length) in [
        ("MOD_TEXT", base, data - base),
        ("MOD_DATA", data, tables - data),
        ("MOD_RODATA", tables, end - tables),
    ] {
        let at = array + kernel.types.constant(kind) * size;
        kernel.set(at, "module_memory", "base", start);
        kernel.set(at, "module_memory", "size", length);
    }
}

/// `mod_kallsyms` with its tables.
fn lay_kallsyms(kernel: &mut Kernel, module: u64, tables: u64, symbols: &[ModuleSymbol]) {
    let entry = kernel.types.sizeof("elf64_sym");
    let mut names = vec![0];
    let mut letters = vec![0];
    for (index, symbol) in symbols.iter().enumerate() {
        let at = tables + (index as u64 + 1) * entry;
        let (info, letter) = match symbol.kind {
            SymbolKind::Function => (2, b't'),
            _ => (0x11, b'D'),
        };
        kernel.set(at, "elf64_sym", "st_name", names.len() as u64);
        kernel.set(at, "elf64_sym", "st_info", info);
        kernel.set(at, "elf64_sym", "st_shndx", 1);
        kernel.set(at, "elf64_sym", "st_value", symbol.address);
        kernel.set(at, "elf64_sym", "st_size", symbol.size);
        names.extend_from_slice(symbol.name.as_bytes());
        names.push(0);
        letters.push(letter);
    }
    let count = symbols.len() as u64 + 1;
    let strings = tables + count * entry;
    kernel.write(strings, &names);
    let types = strings + names.len() as u64;
    kernel.write(types, &letters);
    if kernel.types.has("module", "symtab") {
        for (member, value) in [
            ("symtab", tables),
            ("num_symtab", count),
            ("strtab", strings),
        ] {
            kernel.set(module, "module", member, value);
        }
        return;
    }
    let own = module + kernel.types.offset("module", "core_kallsyms");
    for (member, value) in [
        ("symtab", tables),
        ("num_symtab", count),
        ("strtab", strings),
        ("typetab", types),
    ] {
        kernel.set(own, "mod_kallsyms", member, value);
    }
    kernel.set(module, "module", "kallsyms", own);
}
