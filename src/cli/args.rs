//! What the commands take. What is called how is a contract.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vmleak::dump::Access;
use vmleak::open::{Options, TypesFrom};

use super::ask::Asked;
use super::output::Reader;
use super::part::Part;

/// Its memory, as the kernel that runs shows it to root.
const RUNNING_KERNEL: &str = "/proc/kcore";

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The dump and, in any order, its vmlinux
    #[arg(value_name = "VMCORE [VMLINUX]", required_unless_present = "live", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Read the running kernel (/proc/kcore) in place of a dump
    #[arg(long)]
    pub(crate) live: bool,
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
    /// Ask the servers of DEBUGINFOD_URLS for a vmlinux that is not found here (with the program
    /// debuginfod-find, which keeps it in its cache)
    #[arg(long, help_heading = "Debug files")]
    pub(crate) debuginfod: bool,
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
    /// Read the files instead of mapping them: slower, but a file that is cut short meanwhile, or
    /// a network that fails, costs pages and not the run
    ///
    /// Debug files are then held in memory whole.
    #[arg(long, help_heading = "Resources")]
    pub(crate) no_mmap: bool,
    /// Keep at most SIZE of decoded pages (for example 256M; 512M by default), and with leaks as
    /// much again of references (all by default)
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Resources")]
    pub(crate) max_memory: Option<u64>,
    /// By a program that has the dump open, in place of all that
    #[arg(skip)]
    pub(crate) asked: Option<Asked>,
    /// What a bundle must hold for the command
    #[arg(skip)]
    pub(crate) part: Part,
}

impl Common {
    /// What the library opens.
    pub(crate) fn options(&self) -> Options {
        let live = self.live.then(|| PathBuf::from(RUNNING_KERNEL));
        let mut options = Options::new(self.files.iter().cloned().chain(live));
        options.symbols.clone_from(&self.symbols);
        options.debug_directories.clone_from(&self.debug_directory);
        options.no_default_debug_directories = self.no_default_debug_directories;
        options.types.clone_from(&self.types);
        options.force = self.force;
        options.no_mmap = self.no_mmap;
        options.max_memory = self.max_memory;
        options.debuginfod = self.debuginfod;
        options
    }

    /// How files are read.
    pub(crate) fn access(&self) -> Access {
        match self.no_mmap {
            true => Access::Read,
            false => Access::Map,
        }
    }
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
    /// Only this cache, in depth; an alias serves too, and * and ? stand for any text
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
    /// Name of the cache; an alias serves too, and * and ? where one cache has such a name
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
    /// Who allocated (or freed) the objects in use, as slub_debug=U records it, in place of them
    #[arg(
        long,
        value_enum,
        value_name = "alloc|free",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "alloc",
        conflicts_with_all = ["state", "hexdump", "unreachable", "cluster"]
    )]
    pub(crate) traces: Option<Traces>,
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
    /// With --traces: the kernel's own alloc_traces or free_traces to the letter
    Proc,
}

/// What is asked of tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Traces {
    /// Who allocated
    Alloc,
    /// Who freed what was there before
    Free,
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
    /// One dump a line
    Jsonl,
    /// One dump a row
    Csv,
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
    text.parse()
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
        crate::cli::command::Cli::command().debug_assert();
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
