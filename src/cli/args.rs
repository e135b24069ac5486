//! The command line as types. What is called how is a contract.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::conntrack_args::{ConntrackArgs, NatArgs};
use super::leaks_args::{LeaksArgs, WhatisArgs};
use super::machine::args::{LogArgs, MeminfoArgs, ModulesArgs, VmallocArgs};
use super::session::Reader;
use super::sysctl::SysctlArgs;

/// vmleak reads a Linux crash dump (kdump vmcore) and says what filled the memory.
#[derive(Debug, Parser)]
#[command(name = "vmleak", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_ABOUT: &str = "\
vmleak reads a Linux crash dump (kdump vmcore) and says what filled the memory.

VMCORE is a kdump-compressed, flattened or ELF dump, the parts of a split set, or a \
directory such as /var/crash, of which the newest complete dump is taken. VMLINUX is \
looked for under the debug directories if it is not given; the order of the two does \
not matter. Without one, types and symbols are those that a kernel since 6.0 carries in \
its own memory.";

const EXIT_CODES: &str = "\
Exit status: 0 analysed, 1 found what --fail-on names, 2 usage, 3 the dump or its \
types can't be opened, 4 something was missing: the result says what.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Slab caches as they were: the kernel's view, the exact one, a verdict per cache
    Slabs(SlabsArgs),
    /// Every object of one cache: address and state
    Objects(ObjectsArgs),
    /// Is it a leak, who leaked it, and how do we know
    Leaks(LeaksArgs),
    /// Which object lies at an address, and who points to it
    Whatis(WhatisArgs),
    /// The connection table as it was, or its summary
    Conntrack(Box<ConntrackArgs>),
    /// The address translations, and the ports in use per external address
    Nat(Box<NatArgs>),
    /// The sysctls as `sysctl -a` shows them, or those named by PATTERN
    #[command(override_usage = "vmleak sysctl [OPTIONS] [PATTERN]... <VMCORE> [VMLINUX]")]
    Sysctl(Box<SysctlArgs>),
    /// Which kernel, when and why it died, what the dump holds and lacks
    Info(InfoArgs),
    /// What /proc/meminfo said, what free says, and where the memory went by the counters
    Meminfo(MeminfoArgs),
    /// The kernel's log as dmesg prints it, or what the out-of-memory killer said
    Log(LogArgs),
    /// The areas of vmalloc by who asked for them
    Vmalloc(VmallocArgs),
    /// The modules that were loaded
    Modules(ModulesArgs),
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The dump and, in any order, its vmlinux
    #[arg(value_name = "VMCORE [VMLINUX]", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Another debug file (vmlinux, .ko.debug), or a System.map, besides those found
    #[arg(
        short = 's',
        long = "symbols",
        value_name = "FILE",
        help_heading = "Debug files"
    )]
    pub(crate) symbols: Vec<PathBuf>,
    /// Look for debug files under DIR too
    #[arg(long, value_name = "DIR", help_heading = "Debug files")]
    pub(crate) debug_directory: Vec<PathBuf>,
    /// Look nowhere by itself
    #[arg(long, help_heading = "Debug files")]
    pub(crate) no_default_debug_directories: bool,
    /// Where types come from
    ///
    /// `auto`: DWARF where a vmlinux is given or found, else BTF; `dwarf`: of vmlinux; `btf`: of
    /// vmlinux, else of the dump itself; `profile:FILE`: written by `info --save-profile`, with
    /// the symbols that it holds
    #[arg(
        long,
        value_name = "auto|dwarf|btf|profile:FILE",
        default_value = "auto",
        value_parser = parse_types,
        help_heading = "Debug files"
    )]
    pub(crate) types: TypesFrom,
    /// Go on although the vmlinux is not the dump's
    #[arg(long, help_heading = "Debug files")]
    pub(crate) force: bool,
    /// Write the result to FILE
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Colour in the result
    #[arg(long, value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub(crate) color: Color,
    /// Show no progress bar
    #[arg(long, help_heading = "Output")]
    pub(crate) no_progress: bool,
    /// Say on stderr what takes how long
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
    /// No warnings on stderr (they stay in the JSON)
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Use N threads; all processors by default
    #[arg(long, value_name = "N", help_heading = "Resources")]
    pub(crate) threads: Option<usize>,
    /// Keep at most SIZE of decoded pages (for example 256M; 512M by default), and with leaks as
    /// much again of references (all by default)
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub(crate) max_memory: Option<u64>,
}

/// Sources of types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypesFrom {
    /// DWARF where a vmlinux is given or found, else BTF.
    Auto,
    /// DWARF of vmlinux.
    Dwarf,
    /// BTF of vmlinux, else of the dump itself.
    Btf,
    /// A profile.
    Profile(PathBuf),
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Of `slabs`.
#[derive(Debug, Args)]
pub(crate) struct SlabsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = SlabsFormat::Table, help_heading = "Output")]
    pub(crate) format: SlabsFormat,
    /// Only this cache, in depth; an alias serves too
    #[arg(long, value_name = "NAME")]
    pub(crate) cache: Option<String>,
    /// Order of the caches; `list` is that of /proc/slabinfo
    #[arg(long, value_enum, default_value_t = Sort::Size)]
    pub(crate) sort: Sort,
    /// Show caches without a slab too
    #[arg(long)]
    pub(crate) all: bool,
    /// Exit with 1 if a cache has this verdict or a worse one
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) fail_on: Option<FailOn>,
}

/// Verdicts to fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A leak
    Leak,
    /// A suspect or a leak
    Suspect,
}

/// Orders of caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Largest first
    Size,
    /// By name
    Name,
    /// As the kernel lists them
    List,
}

/// Formats of `slabs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlabsFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One cache a line
    Jsonl,
    /// One cache a row
    Csv,
    /// /proc/slabinfo 2.1 to the letter
    Slabinfo,
}

impl SlabsFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            SlabsFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Of `objects`.
#[derive(Debug, Args)]
pub(crate) struct ObjectsArgs {
    /// Name of the cache; an alias serves too
    pub(crate) cache: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ObjectsFormat::Table, help_heading = "Output")]
    pub(crate) format: ObjectsFormat,
    /// Only objects in this state
    #[arg(long, value_enum, default_value_t = StateFilter::All)]
    pub(crate) state: StateFilter,
    /// At most N objects
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// With the bytes of each object
    #[arg(long)]
    pub(crate) hexdump: bool,
    /// Only objects that nothing points to (searches the whole dump)
    #[arg(long)]
    pub(crate) unreachable: bool,
    /// Only those of them that look like cluster N of `leaks`, the largest being 1
    #[arg(long, value_name = "N")]
    pub(crate) cluster: Option<usize>,
}

/// Formats of `objects`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectsFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One object a line
    Jsonl,
    /// One object a row
    Csv,
    /// One bare address a line, for crash and drgn
    Addrs,
    /// A command file for crash
    Crash,
}

impl ObjectsFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            ObjectsFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// States to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    /// All of them
    All,
    /// Handed out and not freed
    Allocated,
    /// On a free chain
    Free,
}

/// Of `info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = InfoFormat::Table, help_heading = "Output")]
    pub(crate) format: InfoFormat,
    /// With the structures that were probed, and where their members lie
    #[arg(long)]
    pub(crate) layouts: bool,
    /// Write the types and symbols that vmleak uses to FILE, for --types profile:FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) save_profile: Option<PathBuf>,
}

/// Formats of `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InfoFormat {
    /// For people
    Table,
    /// One document
    Json,
}

impl InfoFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            InfoFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

fn parse_types(text: &str) -> Result<TypesFrom, String> {
    match (text, text.split_once(':')) {
        ("auto", _) => Ok(TypesFrom::Auto),
        ("dwarf", _) => Ok(TypesFrom::Dwarf),
        ("btf", _) => Ok(TypesFrom::Btf),
        (_, Some(("profile", file))) if !file.is_empty() => Ok(TypesFrom::Profile(file.into())),
        _ => Err("it is auto, dwarf, btf or profile:FILE".to_owned()),
    }
}

/// A number of bytes with an optional binary unit: `512K`, `64M`, `2GiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB") {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("unknown unit {unit:?}; use K, M, G or T")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number".to_owned())?;
    number
        .checked_shl(shift)
        .filter(|bytes| bytes >> shift == number)
        .ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sources_of_types_parse() {
        assert_eq!(parse_types("btf"), Ok(TypesFrom::Btf));
        let file = TypesFrom::Profile("a:b".into());
        assert_eq!(parse_types("profile:a:b"), Ok(file));
        assert!(parse_types("profile:").is_err());
        assert!(parse_types("profile").is_err());
    }

    #[test]
    fn sizes_parse() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert!(parse_size("12x").is_err());
        assert!(parse_size("99999999999T").is_err());
    }
}
