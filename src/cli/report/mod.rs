//! `report`: what the other commands say, in one file for an incident review.
//!
//! All that needs the memory map or a search is answered by one search ([`memory`]); only `retained`
//! reads memory once more.

mod kernel;
mod memory;
mod network;
mod sections;
mod topics;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::kernel::modules::Modules;
use vmleak::render::{self, Layout};
use vmleak::report::whole::WholeReport;

use super::args::Common;
use super::conntrack;
use super::output::{Reader, output};
use super::rules::add_rule_types;
use super::session::{Session, exit};
use sections::Sections;

/// Of `report`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ReportFormat::Html, help_heading = "Output")]
    pub(crate) format: ReportFormat,
    /// Only these sections, by the names of their commands (pages, leaks, conntrack_summary); all by
    /// default
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = topics::parse, help_heading = "Output")]
    pub(crate) sections: Vec<String>,
    /// Without names (host, processes, cgroups, files, interfaces) and network addresses
    ///
    /// Stand-ins take the place of names of processes, interfaces, cgroups, files and directories,
    /// devices of file systems, unix sockets, BPF maps and programs, and of tables and chains of
    /// packet filters that not every machine has: the same for the same name. Those of network
    /// addresses are addresses of 240.0.0.0/4 and 100::/64, those of network cards begin with
    /// 02:00:00. The host's name, the dump's path, the log, packet filters and the kernel's command
    /// line are left out. Of text out of memory (what lost objects begin with, and the format that
    /// made it) it is said how long it is.
    ///
    /// What stays: the kernel's release, the panic message, times and sizes, numbers of processes,
    /// users, ports and inodes, names of caches, modules, symbols, limits, kinds of file systems and
    /// disks, values of limits, addresses of the kernel's memory, directories that most machines
    /// have (/run, /dev/shm), `lo`, loopback addresses.
    #[arg(long, help_heading = "Output")]
    pub(crate) redact: bool,
    /// With what would go with whom, on a machine of any size; by itself up to 2 GiB of RAM, since it
    /// takes several times as long as the search
    #[arg(long)]
    pub(crate) retained: bool,
}

const EXAMPLE: &str = "\
The page says in words and pictures what happened, what held the memory, what to do next and how \
sure that is; then comes the evidence, each part with the command that shows it. It needs no other \
file and runs no script, on a screen of any width and on paper.

Examples:
  vmleak report -o report.html vmcore vmlinux
  vmleak report --redact --sections leaks,pages,ps -o report.html vmcore vmlinux
  vmleak report --format md vmcore vmlinux";

/// Formats of `report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One file that needs no other
    Html,
    /// One document with those of the commands in it
    Json,
    /// Markdown, for a ticket
    Md,
}

impl ReportFormat {
    /// The page sets the tables itself.
    fn layout(self) -> Layout {
        match self {
            Self::Html | Self::Json => Layout::Page,
            Self::Md => Layout::Unbounded,
        }
    }
}

/// Runs `vmleak report`.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode> {
    let mut session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    let typed = conntrack::add_own_types(&mut session, &modules, &args.common);
    let mut sections = Sections::new(&session, args);
    let search = memory::of_search(&mut sections);
    memory::of_counters(&mut sections, &modules, search.kmalloc);
    memory::of_processes(&mut sections, &modules);
    network::add(&mut sections, &modules, &typed, search.connections);
    kernel::add(&mut sections, &modules);
    sections.end();
    let Sections {
        brief,
        complete,
        said,
        mut redactor,
        ..
    } = sections;
    let body = WholeReport {
        brief,
        findings: search.findings,
        searched: search.asked,
        redacted: false,
        sections: said,
    };
    let mut document = session.document(&args.common, complete, body);
    if args.redact {
        redactor.frame(&mut document);
    }
    output(&args.common, Reader::Program, |out, _| match args.format {
        ReportFormat::Html => render::html::write(out, &document),
        ReportFormat::Json => render::json(out, &document),
        ReportFormat::Md => render::markdown::write(out, &document),
    })?;
    Ok(exit(document.complete))
}
