//! `net`: interfaces, neighbours, routes and namespaces.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::net::NetReport;
use vmleak::subsys::net::{interfaces, page_pools, sockets};

use super::args::Common;
use super::conntrack_args::Netns;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};
use super::wrong::{known_netns, nothing_so};

/// Of `net`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct NetArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = NetFormat::Table, help_heading = "Output")]
    pub(crate) format: NetFormat,
    /// Network namespace: initial, all, or its number (all by default; initial for files of /proc)
    #[arg(long, value_name = "NETNS")]
    pub(crate) netns: Option<Netns>,
}

const EXAMPLE: &str = "\
Examples:
  vmleak net vmcore vmlinux
  vmleak net --format dev --netns 4026532210 vmcore";

/// Formats of `net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One network namespace a line
    Jsonl,
    /// One device a row
    Csv,
    /// /proc/net/dev to the letter
    Dev,
    /// /proc/net/arp to the letter
    Arp,
    /// /proc/net/route to the letter
    Route,
}

impl NetFormat {
    fn is_file(self) -> bool {
        matches!(self, Self::Dev | Self::Arp | Self::Route)
    }
}

/// Runs `vmleak net`.
pub(crate) fn net(args: &NetArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let mut facts =
        session.settled(|session| session.explain(interfaces::collect(&session.kernel)))?;
    let mut complete = facts.complete;
    let mut report = if args.format.is_file() {
        NetReport::new(facts, &[])
    } else {
        let sockets =
            session.settled(|session| session.explain(sockets::collect(&session.kernel)))?;
        complete &= sockets.complete;
        let modules = Modules::read(&session.kernel)?;
        let names = Symbolizer::new(&session.kernel, &modules);
        facts.name_polls(&|at| names.print(at));
        let pools =
            session.settled(|session| session.explain(page_pools::collect(&session.kernel)))?;
        complete &= pools.complete;
        NetReport::new(facts, &sockets.sockets).with_page_pools(pools.pools)
    };
    if let Some(Netns::Inum(inum)) = args.netns {
        let all = report.namespaces.iter().map(|net| net.facts.inum);
        known_netns(&session.kernel.diag, inum, all)?;
    }
    match args.netns {
        Some(Netns::All) => {}
        None if !args.format.is_file() => {}
        None | Some(Netns::Initial) => report.namespaces.retain(|net| net.facts.initial),
        Some(Netns::Inum(inum)) => report.namespaces.retain(|net| net.facts.inum == inum),
    }
    if report.namespaces.is_empty() {
        let message = "the dump has no network namespace";
        return Err(nothing_so(&session.kernel.diag, message));
    }
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        NetFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    let first = document.body.namespaces.first().context("a namespace")?;
    output(&args.common, reader, |out, width| match args.format {
        NetFormat::Table => render::net::write_text(out, &document, width),
        NetFormat::Json => render::json(out, &document),
        NetFormat::Jsonl => json_lines(out, &document.dump, &document.body.namespaces),
        NetFormat::Csv => render::flat::csv(out, &document.dump, "", &document.body.devices()),
        NetFormat::Dev => render::net::proc::write_dev(out, first),
        NetFormat::Arp => render::net::proc::write_arp(out, &document.body, first),
        NetFormat::Route => render::net::proc::write_route(out, first),
    })?;
    Ok(exit(document.complete))
}
