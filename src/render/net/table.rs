//! `net` as tables.

use std::io::{self, Write};

use anstyle::Style;

use crate::render::head::head;
use crate::render::layout::Layout;
use crate::render::table::{Column, Table};
use crate::render::{printable, size, thousands};
use crate::report::Document;
use crate::report::net::{NetReport, NetnsReport};

/// Of addresses and names in one cell, so many.
const SHOWN: usize = 3;
/// Neighbours, of those that wait first.
const NEIGHBOURS: usize = 20;

/// For people: namespaces, devices with their counters and queues, neighbours.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<NetReport>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    let report = &document.body;
    namespaces(out, report, layout)?;
    for net in &report.namespaces {
        devices(out, net, layout)?;
    }
    queues(out, report, layout)?;
    super::pools::napi(out, report, layout)?;
    super::pools::page_pools(out, report, layout)?;
    neighbours(out, report, layout)
}

/// The first of them, and how many more there are.
fn some<'t>(all: impl ExactSizeIterator<Item = &'t str>) -> String {
    let count = all.len();
    let mut first: Vec<String> = all.take(SHOWN).map(printable).collect();
    if let Some(rest) = count.checked_sub(SHOWN).filter(|rest| *rest > 0) {
        first.push(format!("+{rest}"));
    }
    first.join(" ")
}

fn namespaces(out: &mut dyn Write, report: &NetReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Network namespaces{bold:#}")?;
    let header = [
        Column::number("NETNS"),
        Column::number("REFS").rank(2),
        Column::number("PROCESSES"),
        Column::number("SOCKETS"),
        Column::number("DEVICES"),
        Column::number("ROUTES").rank(1),
        Column::number("IPV6 ROUTES").rank(3),
        Column::text("KEPT BY").shorten(16),
    ];
    let mut rows = Table::new(header, layout);
    for net in &report.namespaces {
        let facts = &net.facts;
        let number = |value: Option<u64>| value.map_or(String::new(), thousands);
        let kept = match (facts.initial, facts.inhabitants.is_empty()) {
            (true, _) => "the kernel".to_owned(),
            (false, false) => some(facts.inhabitants.iter().map(|one| one.comm.as_str())),
            (false, true) if !net.held_by.is_empty() => {
                format!(
                    "sockets of {}",
                    some(net.held_by.iter().map(String::as_str))
                )
            }
            (false, true) if facts.references == Some(0) => "nothing: it is dying".to_owned(),
            (false, true) => "a name or an open file".to_owned(),
        };
        rows.add_row([
            facts.inum.to_string(),
            number(facts.references),
            thousands(facts.processes),
            thousands(net.sockets),
            thousands(facts.devices.len() as u64),
            thousands(facts.routes.len() as u64),
            number(facts.ipv6_routes),
            kept,
        ]);
    }
    rows.write(out)
}

fn devices(out: &mut dyn Write, net: &NetnsReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    let inum = net.facts.inum;
    writeln!(out, "\n{bold}Interfaces of {inum}{bold:#}")?;
    let header = [
        Column::text("NAME"),
        Column::text("KIND").rank(3),
        Column::text("STATE").rank(2),
        Column::number("MTU").rank(4),
        Column::number("RECEIVED"),
        Column::number("PACKETS").rank(2),
        Column::number("DROPPED").rank(1),
        Column::number("SENT"),
        Column::number("PACKETS").rank(2),
        Column::number("DROPPED").rank(1),
        Column::text("ADDRESSES").shorten(18),
    ];
    let mut rows = Table::new(header, layout);
    for device in &net.facts.devices {
        let stats = device.statistics.as_ref();
        let bytes = |value: Option<u64>| value.map_or("unknown".to_owned(), size);
        let count = |value: Option<u64>| value.map_or(String::new(), thousands);
        rows.add_row([
            printable(&device.name),
            device.kind.as_deref().map_or(String::new(), printable),
            device.state.to_owned(),
            device.mtu.to_string(),
            bytes(stats.map(|one| one.rx_bytes)),
            count(stats.map(|one| one.rx_packets)),
            count(stats.map(|one| one.rx_dropped)),
            bytes(stats.map(|one| one.tx_bytes)),
            count(stats.map(|one| one.tx_packets)),
            count(stats.map(|one| one.tx_dropped)),
            some(device.addresses.iter().map(|one| one.address.as_str())),
        ]);
    }
    rows.write(out)
}

fn queues(out: &mut dyn Write, report: &NetReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}Queues of interfaces with packets, or that dropped some{bold:#}"
    )?;
    let header = [
        Column::number("NETNS").rank(2),
        Column::text("DEVICE"),
        Column::text("KIND"),
        Column::text("HANDLE"),
        Column::text("PARENT").rank(3),
        Column::number("PACKETS"),
        Column::number("BACKLOG"),
        Column::number("DROPPED"),
        Column::number("LIMIT").rank(1),
    ];
    let mut rows = Table::new(header, layout);
    for net in &report.namespaces {
        for device in &net.facts.devices {
            let busy = device.qdiscs.iter();
            for qdisc in busy.filter(|one| one.packets > 0 || one.drops > 0) {
                rows.add_row([
                    net.facts.inum.to_string(),
                    printable(&device.name),
                    printable(&qdisc.kind),
                    qdisc.handle.clone(),
                    qdisc.parent.clone(),
                    thousands(qdisc.packets),
                    size(qdisc.backlog_bytes),
                    thousands(qdisc.drops),
                    thousands(qdisc.limit),
                ]);
            }
        }
    }
    rows.write(out)
}

fn neighbours(out: &mut dyn Write, report: &NetReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Neighbours{bold:#}")?;
    for table in &report.neighbours {
        let counted = table.gc_entries.unwrap_or(table.entries);
        let full = match counted >= table.gc_thresh3 {
            true => ": full",
            false => "",
        };
        writeln!(
            out,
            "{} {} of all namespaces, {} of at most {} (gc_thresh3){full}",
            table.family,
            thousands(table.entries),
            thousands(counted),
            thousands(table.gc_thresh3)
        )?;
    }
    let header = [
        Column::number("NETNS").rank(1),
        Column::text("DEVICE"),
        Column::text("ADDRESS"),
        Column::text("HARDWARE").rank(2),
        Column::text("STATE"),
        Column::number("WAITING"),
    ];
    let mut rows = Table::new(header, layout);
    let mut all: Vec<_> = report
        .neighbours
        .iter()
        .flat_map(|table| &table.neighbours)
        .filter(|one| one.is_shown())
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.waiting_bytes));
    for one in all.iter().take(NEIGHBOURS) {
        rows.add_row([
            one.netns.map_or(String::new(), |inum| inum.to_string()),
            printable(&one.device),
            one.address.clone(),
            one.mac.clone(),
            one.state.to_owned(),
            size(one.waiting_bytes),
        ]);
    }
    rows.write(out)?;
    crate::render::more(out, all.len(), NEIGHBOURS)
}
