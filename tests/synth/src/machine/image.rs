//! The kernel image: link-time addresses of variables and other symbols.
//!
//! | link time | what |
//! |---|---|
//! | `_text` .. + 256 KiB | text |
//! | + 512 KiB .. | BTF |
//! | + 2 MiB .. | `init_top_pgt`, then every variable of the type table |
//! | .. + 4 MiB | `_end` |

use std::collections::BTreeMap;

use super::space::{IMAGE_SIZE, link_base};
use crate::ctypes::TypeTable;
use crate::era::PagingLevels;

/// Bytes of text.
pub const TEXT_SIZE: u64 = 256 << 10;
/// Bytes of the per-CPU section.
pub const PER_CPU_SIZE: u64 = 0x8000;
/// Variables of the per-CPU section: name, type, where in it they lie.
const PER_CPU: &[(&str, &str, u64)] = &[
    ("defer_free_objects", "defer_free", 0x5d0),
    ("deferred_percpu_work", "deferred_percpu_work", 0x5d0),
    ("krc", "kfree_rcu_cpu", 0x840),
    ("rcu_data", "rcu_data", 0x1000),
    ("rcu_sched_data", "rcu_data", 0x1000),
    ("napi_alloc_cache", "napi_alloc_cache", 0x4000),
];
/// Of those without a C type here: name, bytes, where.
const PER_CPU_UNTYPED: &[(&str, u64, u64)] =
    &[("idle_threads", 8, 0x100), ("cached_stacks", 16, 0x110)];
/// From `_text` to the kernel's BTF.
const BTF: u64 = 512 << 10;
/// From `_text` to what is given back after boot, and how much that is.
const INIT: u64 = 1 << 20;
const INIT_SIZE: u64 = 128 << 10;
/// From `_text` to the data section.
const DATA: u64 = 2 << 20;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// A place without a type, such as `_stext`.
    Label,
    /// A function in the text.
    Function,
    /// A variable in the data.
    Object,
    /// A number that is no address in the image.
    Absolute,
}

/// One entry of the symbol table.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// Name.
    pub name: String,
    /// Link-time address.
    pub address: u64,
    /// Bytes; 0 for labels.
    pub size: u64,
    /// Kind.
    pub kind: SymbolKind,
}

/// Symbols of the image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Link-time address of `_text`.
    pub base: u64,
    /// All symbols, in order of creation.
    pub symbols: Vec<Symbol>,
    by_name: BTreeMap<String, usize>,
    next: u64,
}

/// Variables whose C type no table needs.
const UNTYPED: &[(&str, u64, u64)] = &[
    ("init_top_pgt", 8192, 4096),
    ("phys_base", 8, 8),
    ("clear_seq", 24, 8),
    ("vmap_area_list", 16, 8),
    ("sme_me_mask", 8, 8),
    ("__pgtable_l5_enabled", 4, 4),
    ("crashing_cpu", 4, 4),
    ("tick_nsec", 8, 8),
    ("bootstrap_sheaf", 64, 8),
    ("init_stack", 16384, 16384),
    ("session_table", 8192, 8),
];

/// Functions that stack traces and tracks point into.
const FUNCTIONS: &[&str] = &[
    "startup_64",
    "kmem_cache_alloc",
    "kmem_cache_free",
    "__alloc_skb",
    "nf_conntrack_alloc",
    "dbg_record_create",
    "sysrq_handle_crash",
    "panic",
    "rcu_free_sheaf",
    "alloc_thread_stack_node",
    "pcpu_create_chunk",
    "session_table_grow",
    // Its presence says that the memory map is virtually contiguous.
    "vmemmap_populate",
];

impl Image {
    /// Gives every variable of the table and every fixed symbol its address.
    /// `btf_size` is the length of the kernel's BTF.
    pub fn new(
        types: &TypeTable,
        btf_size: u64,
        relocates_percpu: bool,
        paging: PagingLevels,
    ) -> Self {
        let base = link_base(paging);
        // The root's table may fill a page, and x86-64 has two of them.
        let page = 1 << paging.page_shift();
        let mut image = Self {
            symbols: Vec::new(),
            by_name: BTreeMap::new(),
            next: base + DATA,
            base,
        };
        for name in ["_text", "_stext"] {
            image.add(name, base, 0, SymbolKind::Label);
        }
        for (index, name) in FUNCTIONS.iter().enumerate() {
            if *name == "rcu_free_sheaf" && !types.aggregates.contains_key("slab_sheaf") {
                continue;
            }
            let address = base + 0x1000 + index as u64 * 0x400;
            image.add(name, address, 0x400, SymbolKind::Function);
        }
        image.add("_etext", base + TEXT_SIZE, 0, SymbolKind::Label);
        image.add("__start_BTF", image.btf(), 0, SymbolKind::Label);
        image.add("__stop_BTF", image.btf() + btf_size, 0, SymbolKind::Label);
        image.add("__init_begin", base + INIT, 0, SymbolKind::Label);
        image.add("__init_end", base + INIT + INIT_SIZE, 0, SymbolKind::Label);
        image.add("_sdata", image.data(), 0, SymbolKind::Label);
        let old = types.variable("log_first_idx").is_some();
        for (name, size, align) in UNTYPED {
            // From 6.14 on a tick's length is in `tk_ntp_data`.
            let gone = match *name {
                "tick_nsec" => types.variable("tk_ntp_data").is_some(),
                // From 6.9 on each of several nodes has a list.
                "vmap_area_list" => types.variable("vmap_nodes").is_some(),
                "__pgtable_l5_enabled" => old,
                _ => false,
            };
            let (size, align) = match *name {
                "init_top_pgt" => (page.max(*size), page),
                // A stack shares no page with anything.
                "init_stack" => (page.max(*size), page.max(*align)),
                _ => (*size, *align),
            };
            if types.variable(name).is_none() && !gone {
                image.place(name, size, align);
            }
        }
        image.alias("swapper_pg_dir", "init_top_pgt");
        if old {
            image.alias("init_level4_pgt", "init_top_pgt");
        }
        for (name, ctype) in &types.variables {
            // Arrays without a bound are given room for a line of text.
            let size = types.size_of(ctype).max(8);
            let size = if name == "linux_banner" { 256 } else { size };
            image.place(name, size, 32);
        }
        image.alias("jiffies", "jiffies_64");
        image.add_per_cpu(types, relocates_percpu);
        image.add("_edata", image.next, 0, SymbolKind::Label);
        assert!(image.next < base + IMAGE_SIZE, "image overflows");
        image.add("_end", base + IMAGE_SIZE, 0, SymbolKind::Label);
        image
    }

    /// Link-time address of the kernel's BTF.
    pub fn btf(&self) -> u64 {
        self.base + BTF
    }

    /// Link-time address of the data section.
    pub fn data(&self) -> u64 {
        self.base + DATA
    }

    fn add_per_cpu(&mut self, types: &TypeTable, relocated: bool) {
        let (start, kind) = if relocated {
            self.place("__per_cpu_start", PER_CPU_SIZE, 4096);
            (self.address("__per_cpu_start"), SymbolKind::Object)
        } else {
            let kind = SymbolKind::Absolute;
            self.add("__per_cpu_start", 0, 0, kind);
            self.add("__per_cpu_end", PER_CPU_SIZE, 0, kind);
            (0, kind)
        };
        for (name, size, offset) in PER_CPU_UNTYPED {
            self.add(name, start + offset, *size, kind);
        }
        let flavours = types.has("rcu_data", "nxtlist");
        let gone = if flavours {
            "rcu_data"
        } else {
            "rcu_sched_data"
        };
        for (name, tag, offset) in PER_CPU.iter().filter(|(name, ..)| *name != gone) {
            if types.aggregates.contains_key(*tag) {
                self.add(name, start + offset, types.sizeof(tag), kind);
            }
        }
    }

    fn add(&mut self, name: &str, address: u64, size: u64, kind: SymbolKind) {
        self.by_name.insert(name.into(), self.symbols.len());
        self.symbols.push(Symbol {
            name: name.into(),
            address,
            size,
            kind,
        });
    }

    fn place(&mut self, name: &str, size: u64, align: u64) {
        let address = self.next.next_multiple_of(align);
        self.next = address + size;
        self.add(name, address, size, SymbolKind::Object);
    }

    fn alias(&mut self, name: &str, of: &str) {
        let address = self.address(of);
        self.add(name, address, 0, SymbolKind::Label);
    }

    /// Link-time address of a symbol.
    pub fn address(&self, name: &str) -> u64 {
        let index = self.by_name.get(name);
        self.symbols[*index.unwrap_or_else(|| panic!("no symbol {name}"))].address
    }

    /// Whether the image has the symbol.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}
