//! `sockets`: every socket with its queues and owners.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::kernel::literals::{self, Literal};
use vmleak::kernel::pointers::Pointers;
use vmleak::render;
use vmleak::render::sockets::proc;
use vmleak::report::sockets::SocketsReport;
use vmleak::subsys::net::sockets::{self, Kind, SocketFacts};

use super::args::Common;
use super::conntrack_args::Netns;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};
use super::wrong::{known_netns, wrong};

/// Of `sockets`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct SocketsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = SocketsFormat::Table, help_heading = "Output")]
    pub(crate) format: SocketsFormat,
    /// Which file of /proc/net, with --format proc: tcp if none is named
    #[arg(long, value_enum, value_name = "FILE", help_heading = "Output")]
    pub(crate) table: Option<ProcFile>,
    /// Sums and limits alone, no single socket
    #[arg(long, help_heading = "Output")]
    pub(crate) summary: bool,
    /// Where the socket buffers are: on which queues, or on none
    #[arg(long, conflicts_with_all = ["summary", "kind", "netns"], help_heading = "Output")]
    pub(crate) skbs: bool,
    /// Show the N sockets with the most memory
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Output")]
    pub(crate) top: usize,
    /// Only sockets of KIND; may be given several times
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Which sockets")]
    pub(crate) kind: Vec<SocketKind>,
    /// Network namespace: initial, all, or its number (all by default; initial for --format proc)
    #[arg(long, value_name = "NETNS", help_heading = "Which sockets")]
    pub(crate) netns: Option<Netns>,
}

const EXAMPLE: &str = "\
Examples:
  vmleak sockets vmcore vmlinux
  vmleak sockets --kind udp --top 50 vmcore
  vmleak sockets --format proc --table tcp6 vmcore";

/// Formats of `sockets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SocketsFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One socket a line
    Jsonl,
    /// One socket a row
    Csv,
    /// A file of /proc/net to the letter (--table)
    Proc,
    /// As `ss -anpmioe -O` prints them, a socket a line, with one blank between columns
    Ss,
}

/// Files of /proc/net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as they are
pub(crate) enum ProcFile {
    Tcp,
    Tcp6,
    Udp,
    Udp6,
    Udplite,
    Udplite6,
    Raw,
    Raw6,
    Unix,
    Packet,
    Netlink,
    Sockstat,
    Sockstat6,
    Protocols,
}

impl ProcFile {
    fn file(self) -> proc::File {
        match self {
            Self::Tcp => proc::File::Tcp,
            Self::Tcp6 => proc::File::Tcp6,
            Self::Udp => proc::File::Udp,
            Self::Udp6 => proc::File::Udp6,
            Self::Udplite => proc::File::UdpLite,
            Self::Udplite6 => proc::File::UdpLite6,
            Self::Raw => proc::File::Raw,
            Self::Raw6 => proc::File::Raw6,
            Self::Unix => proc::File::Unix,
            Self::Packet => proc::File::Packet,
            Self::Netlink => proc::File::Netlink,
            Self::Sockstat => proc::File::Sockstat,
            Self::Sockstat6 => proc::File::Sockstat6,
            Self::Protocols => proc::File::Protocols,
        }
    }
}

/// Kinds of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as the protocols
pub(crate) enum SocketKind {
    Tcp,
    Mptcp,
    Udp,
    Udplite,
    Raw,
    Ping,
    Sctp,
    Unix,
    Packet,
    Netlink,
    Vsock,
    Xdp,
    Other,
}

impl SocketKind {
    fn is(self, kind: Kind) -> bool {
        let own = match self {
            Self::Tcp => Kind::Tcp,
            Self::Mptcp => Kind::Mptcp,
            Self::Udp => Kind::Udp,
            Self::Udplite => Kind::UdpLite,
            Self::Raw => Kind::Raw,
            Self::Ping => Kind::Ping,
            Self::Sctp => Kind::Sctp,
            Self::Unix => Kind::Unix,
            Self::Packet => Kind::Packet,
            Self::Netlink => Kind::Netlink,
            Self::Vsock => Kind::Vsock,
            Self::Xdp => Kind::Xdp,
            Self::Other => Kind::Other,
        };
        own == kind
    }
}

/// The heading of /proc/net/packet since 5.19.
const PACKET_HEADING: &str = "%*sRefCnt Type Proto  Iface R Rmem   User   Inode";
/// How that of /proc/net/udp begins in newer kernels; 4.18 has one blank less, as all others have.
const UDP_HEADING: &str = "   sl  local_address rem_address   st tx_queue";

/// Runs `vmleak sockets`.
pub(crate) fn sockets(args: &SocketsArgs) -> Result<ExitCode> {
    if args.skbs {
        return super::skbs::skbs(args);
    }
    let is_proc = args.format == SocketsFormat::Proc;
    if args.table.is_some() && !is_proc {
        return Err(wrong("--table goes with --format proc"));
    }
    if args.summary && !matches!(args.format, SocketsFormat::Table | SocketsFormat::Json) {
        return Err(wrong(
            "--summary has no row a socket: it goes with --format table and json",
        ));
    }
    let file = args.table.unwrap_or(ProcFile::Tcp);
    let session = Session::open(&args.common)?;
    let facts = session.settled(|session| session.explain(sockets::collect(&session.kernel)))?;
    let page = session.kernel.dump().page_size() as u64;
    let initial = facts.namespaces.iter().find(|net| net.initial);
    let initial = initial.map(|net| net.inum);
    let netns = match (args.netns, args.format) {
        (None | Some(Netns::All), SocketsFormat::Proc) | (Some(Netns::Initial), _) => initial,
        (None | Some(Netns::All), _) => None,
        (Some(Netns::Inum(inum)), _) => {
            let all = facts.namespaces.iter().map(|net| net.inum);
            known_netns(&session.kernel.diag, inum, all)?;
            Some(inum)
        }
    };
    let complete = facts.complete;
    let wanted = |socket: &SocketFacts| {
        let of_kind = args.kind.is_empty() || args.kind.iter().any(|kind| kind.is(socket.kind));
        of_kind && (netns.is_none() || socket.netns == netns)
    };
    let proc_view = match args.format {
        SocketsFormat::Proc => Some(proc_view(&session, file)?),
        _ => None,
    };
    let mut report = SocketsReport::new(facts, page, wanted);
    if args.summary {
        report.sockets.clear();
    }
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        SocketsFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    let top = if args.summary { 0 } else { args.top };
    output(&args.common, reader, |out, width| match args.format {
        SocketsFormat::Table => render::sockets::write_text(out, &document, width, top, page),
        SocketsFormat::Json => render::json(out, &document),
        SocketsFormat::Jsonl => json_lines(out, &document.dump, &document.body.sockets),
        SocketsFormat::Csv => render::sockets::write_csv(out, &document),
        SocketsFormat::Ss => render::sockets::ss::write(out, &document.body),
        SocketsFormat::Proc => {
            let (pointers, newer) = proc_view.unwrap_or((Pointers::Real, true));
            let view = proc::View {
                report: &document.body,
                inum: netns.unwrap_or(0),
                pointer: &|at| pointers.print(at),
                newer_heading: newer,
            };
            proc::write(out, &view, file.file())
        }
    })?;
    Ok(exit(document.complete))
}

/// How this kernel prints pointers, and whether the file's heading is that of newer kernels.
fn proc_view(session: &Session, file: ProcFile) -> Result<(Pointers, bool)> {
    let pointers = Pointers::restricted(&session.kernel).context(
        "how this kernel prints pointers can't be read: take the dump with kernel pages included, or use --format json",
    )?;
    let find = |heading| {
        let [found] = literals::find(&session.kernel, [heading]);
        found
    };
    let newer = match file {
        ProcFile::Packet => matches!(find(PACKET_HEADING), Literal::Found(_)),
        ProcFile::Udp | ProcFile::Udplite => find(UDP_HEADING) != Literal::Absent,
        _ => true,
    };
    Ok((pointers, newer))
}
