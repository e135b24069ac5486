//! `sysctl`: which of the arguments are patterns, which namespaces are wanted, what is shown.

mod pattern;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use vmleak::analysis::sysctl_check::{self, Values};
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::sysctl::{SysctlCheckReport, SysctlReport};
use vmleak::subsys::sysctl::usage::Usage;
use vmleak::subsys::sysctl::{self, Network, SysctlFacts, Wanted};

use super::args::Common;
use super::conntrack_args::Netns;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};
use super::wrong::nothing_so;
use pattern::Pattern;

/// Of `sysctl`.
#[derive(Debug, Args)]
#[command(after_help = PATTERNS)]
pub(crate) struct SysctlArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = SysctlFormat::Proc, help_heading = "Output")]
    pub(crate) format: SysctlFormat,
    /// Network namespace: initial, all, or its number (initial by default, all in JSON and CSV)
    #[arg(long, value_name = "NETNS")]
    pub(crate) netns: Option<Netns>,
    /// Those that bound memory and connections, with what they mean for this dump
    #[arg(long)]
    pub(crate) check: bool,
}

const PATTERNS: &str = "\
A PATTERN is a name (net.ipv4.tcp_mem), the start of one up to a dot (net.ipv4: all below it), \
or has * and ? in it (*conntrack*); a slash may stand for a dot. An argument that is a file or \
a folder here is the dump or its vmlinux.";

/// Formats of `sysctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SysctlFormat {
    /// As `sysctl -a` prints them; with --check a table
    Proc,
    /// One document
    Json,
    /// One a line
    Jsonl,
    /// One a row
    Csv,
}

impl SysctlFormat {
    /// For programs, which get all namespaces.
    fn is_rows(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl | Self::Csv)
    }
}

/// The arguments that name no file are patterns.
fn sort_out(common: &Common) -> Result<(Vec<Pattern>, Common)> {
    let asked = common.asked.is_some();
    let (files, patterns): (Vec<PathBuf>, Vec<PathBuf>) = common
        .files
        .iter()
        .cloned()
        .partition(|path| !asked && path.exists());
    let patterns: Vec<Pattern> = patterns
        .iter()
        .map(|path| Pattern::new(&path.to_string_lossy()))
        .collect();
    if files.is_empty() && !common.live && !asked {
        bail!(
            "no dump: there is no file {}",
            common
                .files
                .iter()
                .map(|path| format!("{path:?}"))
                .collect::<Vec<_>>()
                .join(" or ")
        );
    }
    let common = Common {
        files,
        ..common.clone()
    };
    Ok((patterns, common))
}

/// Runs `vmleak sysctl`.
pub(crate) fn sysctl(args: &SysctlArgs) -> Result<ExitCode> {
    let (patterns, common) = sort_out(&args.common)?;
    let session = Session::open(&common)?;
    let modules = Modules::read(&session.kernel)?;
    let default = match args.format.is_rows() && !args.check {
        true => Netns::All,
        false => Netns::Initial,
    };
    let netns = args.netns.unwrap_or(default);
    if args.check {
        return check(args, &common, &session, &modules);
    }
    let wanted =
        |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name));
    let facts = collect(&session, &modules, &wanted, netns)?;
    if let Some(pattern) = patterns.iter().find(|pattern| {
        !facts
            .entries
            .iter()
            .any(|entry| pattern.matches(&entry.name))
    }) {
        let message = format!("no sysctl is called {pattern}, and there is no such file");
        return Err(nothing_so(&session.kernel.diag, message));
    }
    let body = SysctlReport {
        sysctls: facts.entries,
    };
    let document = session.document(&common, facts.complete, body);
    output(&common, Reader::Program, |out, _| match args.format {
        SysctlFormat::Proc => render::sysctl::write_text(out, &document.body),
        SysctlFormat::Json => render::json(out, &document),
        SysctlFormat::Jsonl => json_lines(out, &document.dump, &document.body.sysctls),
        SysctlFormat::Csv => render::sysctl::write_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}

pub(super) fn collect(
    session: &Session,
    modules: &Modules,
    name: &dyn Fn(&str) -> bool,
    netns: Netns,
) -> Result<SysctlFacts> {
    let known = RefCell::new(Vec::new());
    let network = |network: &Network| {
        known.borrow_mut().push(network.inum);
        match netns {
            Netns::All => true,
            Netns::Initial => network.initial,
            Netns::Inum(inum) => network.inum == inum,
        }
    };
    let wanted = Wanted {
        network: &network,
        name,
    };
    let facts = session.explain(sysctl::collect(&session.kernel, modules, &wanted))?;
    let known = known.into_inner();
    if let Netns::Inum(inum) = netns
        && !known.contains(&inum)
    {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        let message = format!(
            "no network namespace has the number {inum}; there are {}",
            known.join(", ")
        );
        return Err(nothing_so(&session.kernel.diag, message));
    }
    Ok(facts)
}

fn check(
    args: &SysctlArgs,
    common: &Common,
    session: &Session,
    modules: &Modules,
) -> Result<ExitCode> {
    let netns = args.netns.unwrap_or(Netns::Initial);
    let (body, complete) = checked(session, modules, netns)?;
    let document = session.document(common, complete, body);
    let reader = match args.format {
        SysctlFormat::Proc => Reader::Person,
        _ => Reader::Program,
    };
    output(common, reader, |out, width| match args.format {
        SysctlFormat::Proc => render::sysctl::write_check(out, &document, width),
        SysctlFormat::Json => render::json(out, &document),
        SysctlFormat::Jsonl => json_lines(out, &document.dump, &document.body.checks),
        SysctlFormat::Csv => render::sysctl::write_check_csv(out, &document),
    })?;
    Ok(exit(document.complete))
}

/// Those that bound memory and connections, and whether none is missing.
pub(super) fn checked(
    session: &Session,
    modules: &Modules,
    netns: Netns,
) -> Result<(SysctlCheckReport, bool)> {
    let facts = collect(session, modules, &sysctl_check::is_wanted, netns)?;
    let usage = Usage::read(&session.kernel, session.run().system.memory_bytes);
    let mut values = Values::default();
    for entry in facts.entries.into_iter().filter(|entry| !entry.raw) {
        if let Some(value) = entry.value {
            values.insert(entry.netns, entry.name, value);
        }
    }
    let body = SysctlCheckReport {
        checks: sysctl_check::check(&values, &usage),
        usage,
    };
    Ok((body, facts.complete))
}
