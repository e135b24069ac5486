//! Types and symbols: BTF, debug files, kallsyms, profiles, System.map.

use std::path::Path;
use std::sync::Arc;

use vmleak::types::{
    Btf, DebugFile, Dwarf, Kallsyms, KallsymsTables, Profile, SymbolTable, TypeDb, TypeSource,
};

/// Enough names for every path of a look-up: structures, a typedef, one that is nowhere.
const NAMES: [&str; 8] = [
    "kmem_cache",
    "slab",
    "page",
    "list_head",
    "nf_conn",
    "atomic_t",
    "spinlock_t",
    "nowhere",
];
const HOME: &str = "mm/slub.c";

fn ask(source: Box<dyn TypeSource>) {
    for name in NAMES {
        for everywhere in [false, true] {
            if let Ok(Some(id)) = source.find_struct(name, HOME, everywhere) {
                let _ = source.get_struct(id);
            }
        }
    }
    for name in ["pageflags", "zone_stat_item", "nowhere"] {
        let _ = source.find_enum(name, HOME);
    }
    let types = TypeDb::new(vec![source]);
    for name in NAMES {
        if let Ok(Some(found)) = types.find_struct(name, HOME, true) {
            for path in ["next", "flags", "node.list", "a.b.c.d"] {
                let _ = found.member(path);
            }
            for offset in [0, 8, 64] {
                let _ = found.member_at(offset);
            }
        }
    }
}

/// BTF of a kernel; a second part of the input, if it says where, is a module's.
pub fn btf(data: &[u8]) {
    let split = data.len() / 2;
    if let Ok(btf) = Btf::new("input", data.to_vec()) {
        let whole = Arc::new(btf);
        ask(Box::new(Arc::clone(&whole)));
        if let Ok(part) = Btf::split("module", data[split..].to_vec(), Arc::clone(&whole)) {
            ask(Box::new(part));
        }
        if let Ok(part) = Btf::split("itself", data.to_vec(), whole) {
            ask(Box::new(part));
        }
    }
}

/// A vmlinux or a module's file, packed or not.
pub fn debug_file(data: &[u8]) {
    let Ok(file) = DebugFile::from_bytes(Path::new("input.ko"), data.to_vec()) else {
        return;
    };
    let _ = (file.build_id(), file.module_name(), file.has_debug_info());
    for name in [".modinfo", ".BTF", ".debug_info", ".debug_str"] {
        let _ = file.try_section(name);
    }
    if let Ok(symbols) = SymbolTable::from_elf(&file) {
        let _ = (symbols.address("_stext"), symbols.next_above(0));
    }
    let file = Arc::new(file);
    if let Ok(dwarf) = Dwarf::new(Arc::clone(&file)) {
        ask(Box::new(dwarf));
    }
    if let Ok(btf) = Btf::from_file(file) {
        ask(Box::new(btf));
    }
}

/// The tables of kallsyms: count (2 bytes), lengths of three tables (2 bytes each), then these;
/// what is left is offsets and addresses.
pub fn kallsyms(data: &[u8]) {
    let Some((head, mut rest)) = data.split_at_checked(8) else {
        return;
    };
    let word = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at(len.min(rest.len()));
        rest = left;
        taken.to_vec()
    };
    let (names, token_table, token_index) = (take(word(2)), take(word(4)), take(word(6)));
    let tables = KallsymsTables {
        names_at: 0,
        count: word(0),
        names,
        token_table,
        token_index,
        offsets: rest.to_vec(),
        offsets_at: 0xffff_ffff_8200_0000,
        addresses: rest.to_vec(),
        relative_base: (head[0] & 1 == 0).then_some(0xffff_ffff_8100_0000),
        stext: 0xffff_ffff_8100_0000,
    };
    let count = tables.count;
    let stext = tables.stext;
    let Ok(found) = Kallsyms::decode(tables) else {
        return;
    };
    if let Ok(symbols) = found.symbols() {
        assert!(symbols.len() <= count);
    }
    for address in [0, stext, stext + 8, u64::MAX] {
        let _ = found.find(address);
    }
}

/// A profile, packed or not.
pub fn profile(data: &[u8]) {
    let Ok(profile) = Profile::parse(Path::new("input"), data) else {
        return;
    };
    let _ = (profile.identity(), profile.symbols().map(|all| all.len()));
    ask(Box::new(Arc::new(profile)));
}

/// A System.map.
pub fn system_map(data: &[u8]) {
    if let Ok(symbols) = SymbolTable::parse_system_map(Path::new("input"), data) {
        assert!(!symbols.is_empty());
        let _ = symbols.all_called(&["_stext", "a"]);
    }
}
