//! `sockets` as tables and as csv.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::render::head::head;
use crate::render::layout::Layout;
use crate::render::rows::Csv;
use crate::render::table::{Column, Table};
use crate::render::{more, printable, size, thousands};
use crate::report::Document;
use crate::report::sockets::SocketsReport;
use crate::subsys::net::sockets::{Counters, Holder, SocketFacts};

/// Of processes and remotes, so many.
const SHOWN: usize = 10;

/// For people: what was reached, memory and counts against the limits, sums, and the `top` sockets
/// with the most memory.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<SocketsReport>,
    layout: Layout,
    top: usize,
    page: u64,
) -> io::Result<()> {
    head(out, document)?;
    let report = &document.body;
    let summary = &report.summary;
    writeln!(out)?;
    let red = AnsiColor::Red.on_default().bold();
    for reached in &summary.reached {
        writeln!(out, "{red}!{red:#} {}", printable(&reached.message))?;
    }
    if !summary.reached.is_empty() {
        writeln!(out)?;
    }
    let total = &summary.total;
    writeln!(
        out,
        "Sockets    {} in {} network namespaces, {} buffers on their queues, {}",
        thousands(total.sockets),
        thousands(report.namespaces.len() as u64),
        thousands(total.skbs),
        size(total.memory_bytes)
    )?;
    against_limits(out, &report.counters, page)?;
    writeln!(
        out,
        "Listeners  {} of TCP, {} of them full",
        thousands(summary.listeners),
        thousands(summary.full_listeners)
    )?;
    states(out, report, layout)?;
    processes(out, report, layout)?;
    largest(out, report, layout, top)
}

fn against_limits(out: &mut dyn Write, counters: &Counters, page: u64) -> io::Result<()> {
    for name in ["TCP", "UDP"] {
        let Some(protocol) = counters.protocol(name) else {
            continue;
        };
        let pages = |pages: u64| size(pages.saturating_mul(page));
        let now = protocol.memory_pages.unwrap_or(0).max(0).cast_unsigned();
        match protocol.limits_pages {
            Some([_, pressure, most]) => writeln!(
                out,
                "{name} memory {} of {}, pressure from {} on",
                pages(now),
                pages(most),
                pages(pressure)
            )?,
            None => writeln!(out, "{name} memory {}", pages(now))?,
        }
    }
    let limited = |now: Option<u64>, most: Option<u64>| match (now, most) {
        (Some(now), Some(most)) => format!("{} of {}", thousands(now), thousands(most)),
        (Some(now), None) => thousands(now),
        _ => "unknown".to_owned(),
    };
    let orphans = limited(counters.orphans, counters.max_orphans);
    writeln!(out, "Orphans    {orphans}")?;
    for net in &counters.namespaces {
        if net.time_wait.unwrap_or(0) > 0 {
            let now = limited(net.time_wait, net.max_time_wait);
            writeln!(out, "TIME_WAIT  {now} in namespace {}", net.inum)?;
        }
    }
    Ok(())
}

fn states(out: &mut dyn Write, report: &SocketsReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}By state{bold:#}")?;
    let header = [
        Column::text("KIND"),
        Column::text("STATE"),
        Column::number("SOCKETS"),
        Column::number("BUFFERS"),
        Column::number("MEMORY"),
    ];
    let mut rows = Table::new(header, layout);
    for of in &report.summary.states {
        rows.add_row([
            of.kind.name().to_owned(),
            of.state.to_owned(),
            thousands(of.sums.sockets),
            thousands(of.sums.skbs),
            size(of.sums.memory_bytes),
        ]);
    }
    rows.write(out)
}

fn processes(out: &mut dyn Write, report: &SocketsReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}By who has them{bold:#}")?;
    let header = [
        Column::number("PID"),
        Column::number("SOCKETS"),
        Column::number("BUFFERS"),
        Column::number("MEMORY"),
        Column::text("NAME"),
    ];
    let mut rows = Table::new(header, layout);
    let all = &report.summary.processes;
    for of in all.iter().take(SHOWN) {
        rows.add_row([
            of.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            thousands(of.sums.sockets),
            thousands(of.sums.skbs),
            size(of.sums.memory_bytes),
            printable(&of.name),
        ]);
    }
    rows.write(out)?;
    more(out, all.len(), SHOWN)
}

/// Who has it, in words.
fn owner(socket: &SocketFacts) -> String {
    let Some(first) = socket.owners.first() else {
        return match socket.held_by {
            Holder::Process | Holder::Unknown => "unknown",
            Holder::Orphan => "orphan",
            Holder::NotAccepted => "not accepted",
            Holder::Protocol => "",
            Holder::Kernel => "kernel",
            Holder::NoProcess => "no process",
        }
        .to_owned();
    };
    let others = socket.owners.len() - 1;
    let more = match others {
        0 => String::new(),
        others => format!(" +{others}"),
    };
    format!("{}[{}]{more}", printable(&first.comm), first.pid)
}

fn largest(
    out: &mut dyn Write,
    report: &SocketsReport,
    layout: Layout,
    top: usize,
) -> io::Result<()> {
    if top == 0 {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Sockets with the most memory{bold:#}")?;
    let header = [
        Column::text("KIND"),
        Column::text("STATE"),
        Column::number("RECV-Q"),
        Column::number("SEND-Q"),
        Column::number("BUFFERS").rank(2),
        Column::number("MEMORY"),
        Column::number("DROPS").rank(3),
        Column::text("LOCAL").shorten(21),
        Column::text("REMOTE").shorten(21).rank(1),
        Column::text("OWNER").shorten(16),
    ];
    let mut rows = Table::new(header, layout);
    let mut all: Vec<&SocketFacts> = report.sockets.iter().collect();
    all.sort_by_key(|socket| std::cmp::Reverse(socket.memory_bytes()));
    for socket in all.iter().take(top) {
        rows.add_row([
            socket.kind.name().to_owned(),
            socket.state.to_owned(),
            thousands(socket.recv_q),
            thousands(socket.send_q),
            thousands(socket.skbs),
            size(socket.memory_bytes()),
            socket
                .limits
                .as_ref()
                .map_or(String::new(), |memory| thousands(memory.drops)),
            printable(&socket.local),
            printable(&socket.remote),
            owner(socket),
        ]);
    }
    rows.write(out)?;
    match all.len().checked_sub(top) {
        Some(rest) if rest > 0 => writeln!(out, "… and {rest} more (--top N shows more)"),
        _ => Ok(()),
    }
}

/// One row a socket.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<SocketsReport>) -> io::Result<()> {
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "address",
        "netns",
        "kind",
        "family",
        "type",
        "state",
        "local",
        "remote",
        "recv_q",
        "send_q",
        "skbs",
        "truesize",
        "memory_bytes",
        "rcvbuf_bytes",
        "sndbuf_bytes",
        "drops",
        "inode",
        "uid",
        "mark",
        "cgroup",
        "held_by",
        "pid",
        "comm",
        "fd",
    ])?;
    for socket in &document.body.sockets {
        let limits = socket.limits.as_ref();
        let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        let first = socket.owners.first();
        csv.write_record([
            socket.address.to_string(),
            number(socket.netns.map(u64::from)),
            socket.kind.name().to_owned(),
            socket.family.to_owned(),
            socket.type_name.to_owned(),
            socket.state.to_owned(),
            printable(&socket.local),
            printable(&socket.remote),
            socket.recv_q.to_string(),
            socket.send_q.to_string(),
            socket.skbs.to_string(),
            socket.truesize.to_string(),
            socket.memory_bytes().to_string(),
            number(limits.map(|memory| memory.rcvbuf_bytes)),
            number(limits.map(|memory| memory.sndbuf_bytes)),
            number(limits.map(|memory| memory.drops)),
            socket.inode.to_string(),
            socket.uid.to_string(),
            socket.mark.to_string(),
            socket.cgroup.as_deref().map_or(String::new(), printable),
            socket.held_by.name().to_owned(),
            number(first.map(|owner| owner.pid.into())),
            first.map_or(String::new(), |owner| printable(&owner.comm)),
            number(first.map(|owner| owner.fd)),
        ])?;
    }
    csv.flush()
}
