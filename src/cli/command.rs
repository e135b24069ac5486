//! The commands, in the order in which help lists them.

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::args::{Common, InfoArgs, ObjectsArgs, SlabsArgs};
use super::bundle::BundleArgs;
use super::conntrack_args::{ConntrackArgs, NatArgs};
use super::diff::DiffArgs;
use super::export::{ExportArgs, SchemaArgs};
use super::leaks_args::{LeaksArgs, WhatisArgs};
use super::machine::args::{LogArgs, MeminfoArgs, ModulesArgs, VmallocArgs};
use super::machine::bpf::BpfArgs;
use super::machine::dentries::DentriesArgs;
use super::machine::files::FilesArgs;
use super::machine::own_args::{AllocinfoArgs, KmemleakArgs, MemcgArgs};
use super::machine::pages::PagesArgs;
use super::machine::ps::PsArgs;
use super::machine::zones::ZonesArgs;
use super::manual::{CompletionsArgs, ManArgs};
use super::net::NetArgs;
use super::pageowner::PageOwnerArgs;
use super::report::ReportArgs;
use super::retained::RetainedArgs;
use super::rules::RulesArgs;
use super::sockets::SocketsArgs;
use super::sysctl::SysctlArgs;

/// vmleak reads a Linux crash dump (kdump vmcore) and says what filled the memory.
#[derive(Debug, Parser)]
#[command(name = "vmleak", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// From the arguments of this process. A number below zero is a value that an option may
    /// refuse, and no option of its own: clap's tip would be to put `--` before it.
    pub(crate) fn from_arguments() -> Self {
        let negative = |argument: Arg| match argument.get_action().takes_values() {
            true if !argument.is_positional() => argument.allow_negative_numbers(true),
            _ => argument,
        };
        let command = Self::command().mut_subcommands(|one| one.mut_args(negative));
        let matches = command.get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
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
    /// Who keeps how much alive: what would go with each module, process and variable
    Retained(RetainedArgs),
    /// Which caches grew from one dump to another, or since a saved /proc/slabinfo
    #[command(override_usage = "vmleak diff [OPTIONS] <OLDER> <NEWER> [VMLINUX]...")]
    Diff(DiffArgs),
    /// The connection table as it was, or its summary
    Conntrack(Box<ConntrackArgs>),
    /// The address translations, and the ports in use per external address
    Nat(Box<NatArgs>),
    /// Every socket with its queues, limits, memory and owners
    Sockets(Box<SocketsArgs>),
    /// Interfaces, neighbours and routes of each network namespace, and what keeps it
    Net(Box<NetArgs>),
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
    /// What the kernel's own kmemleak had found, and how long ago (CONFIG_DEBUG_KMEMLEAK)
    Kmemleak(KmemleakArgs),
    /// What each place in the code allocated and did not free (CONFIG_MEM_ALLOC_PROFILING)
    Allocinfo(AllocinfoArgs),
    /// The memory cgroups: who is charged for how much, and which are dying
    Memcg(MemcgArgs),
    /// Page cache, tmpfs and shared memory by mount and by file, and who has the files open
    Files(FilesArgs),
    /// Names and inodes in memory: which mounts and directories hold them, and which are unused
    ///
    /// Counts every dentry that there is, also those that no look-up finds any more; the kernel's
    /// own counters and its hash table stand beside. Example: vmleak dentries vmcore --top 5
    Dentries(DentriesArgs),
    /// All of RAM by owner: kinds of pages, who holds the kernel's own, which nobody does
    Pages(PagesArgs),
    /// BPF maps and programs: what each holds, and who has it open
    Bpf(BpfArgs),
    /// The packet filters of each network namespace: nf_tables, iptables, ebtables, ipset
    Rules(RulesArgs),
    /// Zones of memory: watermarks, free blocks, and whether a request could have been served
    Zones(ZonesArgs),
    /// Processes and kernel threads with their memory, and the one that panicked
    Ps(PsArgs),
    /// Who allocated the pages, where the kernel recorded it (page_owner=on)
    Pageowner(PageOwnerArgs),
    /// The modules that were loaded
    Modules(ModulesArgs),
    /// All of it as one HTML file for an incident review (-o FILE)
    Report(ReportArgs),
    /// A small dump with only what vmleak reads, and no data of users (-o FILE)
    Bundle(BundleArgs),
    /// Everything as rows for a fleet: a file of Parquet, JSON Lines or CSV a table (-o DIR)
    Export(ExportArgs),
    /// The schema of these tables: JSON Schema, or Arrow's
    Schema(SchemaArgs),
    /// The man page, or that of a command
    Man(ManArgs),
    /// Completions for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// What all commands take that open a dump.
    pub(crate) fn common_mut(&mut self) -> Option<&mut Common> {
        Some(match self {
            Self::Slabs(args) => &mut args.common,
            Self::Objects(args) => &mut args.common,
            Self::Leaks(args) => &mut args.common,
            Self::Whatis(args) => &mut args.common,
            Self::Retained(args) => &mut args.common,
            Self::Diff(args) => &mut args.common,
            Self::Conntrack(args) => &mut args.common,
            Self::Nat(args) => &mut args.common,
            Self::Sockets(args) => &mut args.common,
            Self::Net(args) => &mut args.common,
            Self::Sysctl(args) => &mut args.common,
            Self::Info(args) => &mut args.common,
            Self::Meminfo(args) => &mut args.common,
            Self::Log(args) => &mut args.common,
            Self::Vmalloc(args) => &mut args.common,
            Self::Kmemleak(args) => &mut args.common,
            Self::Allocinfo(args) => &mut args.common,
            Self::Memcg(args) => &mut args.common,
            Self::Files(args) => &mut args.common,
            Self::Pages(args) => &mut args.common,
            Self::Bpf(args) => &mut args.common,
            Self::Rules(args) => &mut args.common,
            Self::Zones(args) => &mut args.common,
            Self::Ps(args) => &mut args.common,
            Self::Pageowner(args) => &mut args.common,
            Self::Modules(args) => &mut args.common,
            Self::Report(args) => &mut args.common,
            Self::Dentries(args) => &mut args.common,
            Self::Bundle(args) => &mut args.common,
            Self::Export(args) => &mut args.common,
            Self::Schema(_) | Self::Man(_) | Self::Completions(_) => return None,
        })
    }
}
