//! `nat` as text: the ports in use first, then every translation.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::conntrack;
use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::{more, percent, printable, thousands};
use crate::analysis::nat::Endpoint;
use crate::analysis::nat_rules::PortsLeft;
use crate::report::Document;
use crate::report::conntrack::{DirectionDoc, NatEntryDoc, NatReport};

/// How many groups of ports are listed.
const GROUPS: usize = 20;

fn end(endpoint: Endpoint) -> String {
    match (endpoint.port, endpoint.address.is_ipv6()) {
        (Some(port), true) => format!("[{}]:{port}", endpoint.address),
        (Some(port), false) => format!("{}:{port}", endpoint.address),
        (None, _) => endpoint.address.to_string(),
    }
}

/// For people; of the translations the first `most`.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<NatReport>,
    layout: Layout,
    most: usize,
) -> io::Result<()> {
    head(out, document)?;
    ports(out, &document.body, layout)?;
    rules(out, &document.body, layout)?;
    translations(out, &document.body, layout, most)
}

/// The groups of ports that are used most.
fn ports(out: &mut dyn Write, body: &NatReport, layout: Layout) -> io::Result<()> {
    if body.ports.is_empty() {
        return writeln!(out, "\nNo ports are in use for translations");
    }
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}Ports in use per external address and remote end{bold:#}"
    )?;
    let header = [
        Column::text("EXTERNAL"),
        Column::text("PROTO"),
        Column::text("REMOTE"),
        Column::number("USED"),
        Column::number("AVAILABLE"),
        Column::number("OF RANGE"),
        Column::text(""),
    ];
    let mut rows = Table::new(header, layout);
    let warn = AnsiColor::Red.on_default().bold();
    for group in body.ports.iter().take(GROUPS) {
        let remote = end(Endpoint {
            address: group.group.remote,
            port: Some(group.group.remote_port),
        });
        rows.add_row([
            group.group.external.to_string(),
            group.group.l4proto.to_owned(),
            remote,
            thousands(group.used),
            thousands(group.available),
            percent(group.used, Some(group.range)),
            match group.near_exhaustion {
                true => format!("{warn}near exhaustion{warn:#}"),
                false => String::new(),
            },
        ]);
    }
    rows.write(out)?;
    more(out, body.ports.len(), GROUPS)?;
    writeln!(
        out,
        "The kernel chooses from 1024-65535 unless a rule names ports (600-1023 for original ports from 512, 1-511 below), and gives up after a bounded number of tries."
    )?;
    if let Some((low, high)) = body.local_port_range {
        writeln!(
            out,
            "The gateway's own connections use {low}-{high} (ip_local_port_range)."
        )?;
    }
    Ok(())
}

/// Which rules made how many of them, and those that made none.
fn rules(out: &mut dyn Write, body: &NatReport, layout: Layout) -> io::Result<()> {
    if body.rules.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}Rules that translate, and what fits each{bold:#}"
    )?;
    let header = [
        Column::number("NETNS"),
        Column::text("RULE"),
        Column::number("TRANSLATIONS"),
        Column::number("PORTS LEFT"),
        Column::number("USED"),
        Column::flow("WHERE MOST ARE IN USE"),
    ];
    let mut rows = Table::new(header, layout);
    for one in body.rules.iter().take(GROUPS) {
        rows.add_row([
            one.netns.to_string(),
            printable(&one.rule.to_string()),
            match one.translations {
                0 => "none".to_owned(),
                some => thousands(some),
            },
            one.ports
                .as_ref()
                .map_or(String::new(), |ports| thousands(ports.left)),
            one.ports
                .as_ref()
                .map_or(String::new(), |ports| thousands(ports.used)),
            one.ports.as_ref().map_or(String::new(), fullest),
        ]);
    }
    rows.write(out)?;
    more(out, body.rules.len(), GROUPS)
}

/// The range, and the remote end where most of it is in use.
fn fullest(ports: &PortsLeft) -> String {
    let group = &ports.group;
    let remote = end(Endpoint {
        address: group.remote,
        port: Some(group.remote_port),
    });
    let named = if ports.named { " (named)" } else { "" };
    let (first, last, external) = (ports.first, ports.last, group.external);
    format!(
        "{external} {first}-{last}{named} > {remote} {}",
        group.l4proto
    )
}

fn translations(
    out: &mut dyn Write,
    body: &NatReport,
    layout: Layout,
    most: usize,
) -> io::Result<()> {
    if body.translations.is_empty() {
        return writeln!(out, "No translations");
    }
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}{} translation{}{bold:#}",
        thousands(body.translations.len() as u64),
        if body.translations.len() == 1 {
            ""
        } else {
            "s"
        }
    )?;
    let header = [
        Column::text("KIND"),
        Column::text("PROTO"),
        Column::text("BY").shorten(12).rank(1),
        Column::text("ORIGINAL"),
        Column::flow("BECOMES"),
    ];
    let mut rows = Table::new(header, layout);
    for translation in body.translations.iter().take(most) {
        let index = translation.nat.masquerade_ifindex;
        let number = index.map(|index| format!("if{index}"));
        let device = translation.masquerade_device.as_deref().map(printable);
        let device = device
            .or(number)
            .map_or(String::new(), |of| format!(" {of}"));
        rows.add_row([
            format!("{}{device}", translation.kind),
            translation.l4proto.to_owned(),
            by(translation),
            between(&translation.original, false),
            between(&translation.reply, true),
        ]);
    }
    rows.write(out)?;
    more(out, body.translations.len(), most)
}

/// The rules that can have made it.
fn by(translation: &NatEntryDoc) -> String {
    let rules = translation.dnat_rules.iter().chain(&translation.snat_rules);
    let rules: Vec<String> = rules.map(|rule| printable(&rule.to_string())).collect();
    rules.join(", ")
}

/// Both ends of a connection, from who opened it: of a reply the other way round.
fn between(direction: &DirectionDoc, reply: bool) -> String {
    let [from, to] = [!reply, reply].map(|source| conntrack::end(direction, source));
    format!("{from} > {to}")
}
