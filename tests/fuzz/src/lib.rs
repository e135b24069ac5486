//! What is fuzzed: each function takes any bytes and must come back, soon and without a panic.
//!
//! The fuzz targets call these, and so does the test that replays the seeds (tests/it/hold/seeds.rs),
//! which takes this file in by its path. Only the library's public interface is used.

mod base;
pub mod commands;
pub mod dump;
pub mod types;

/// A target: any bytes in, nothing out.
pub type Target = fn(&[u8]);

/// All targets by the names of their folders in corpora/seeds.
pub const ALL: [(&str, Target); 19] = [
    ("kdump", dump::kdump),
    ("kdump_pages", dump::kdump_pages),
    ("flattened", dump::flattened),
    ("elf", dump::elf),
    ("lime", dump::lime),
    ("avml", dump::avml),
    ("savevm", dump::savevm),
    ("vmware", dump::vmware),
    ("sadump", dump::sadump),
    ("locate", dump::locate),
    ("codecs", dump::codecs),
    ("vmcoreinfo", dump::vmcoreinfo),
    ("btf", types::btf),
    ("debug_file", types::debug_file),
    ("kallsyms", types::kallsyms),
    ("profile", types::profile),
    ("system_map", types::system_map),
    ("commands", commands::commands),
    ("commands_small", commands::commands_small),
];
