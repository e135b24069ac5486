//! `nat` as text: the ports in use first, then every translation.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::{percent, thousands};
use crate::analysis::nat::Endpoint;
use crate::report::Document;
use crate::report::conntrack::NatReport;

/// How many groups of ports are listed.
const GROUPS: usize = 20;

fn end(endpoint: Endpoint) -> String {
    match (endpoint.port, endpoint.address.is_ipv6()) {
        (Some(port), true) => format!("[{}]:{port}", endpoint.address),
        (Some(port), false) => format!("{}:{port}", endpoint.address),
        (None, _) => endpoint.address.to_string(),
    }
}

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(out: &mut dyn Write, document: &Document<NatReport>) -> io::Result<()> {
    head(out, document)?;
    ports(out, &document.body)?;
    translations(out, &document.body)
}

/// The groups of ports that are used most.
fn ports(out: &mut dyn Write, body: &NatReport) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}Ports in use per external address and remote end{bold:#}"
    )?;
    writeln!(
        out,
        "{:<16} {:<8} {:<24} {:>8} {:>10} {:>6}",
        "EXTERNAL", "PROTO", "REMOTE", "USED", "AVAILABLE", ""
    )?;
    for group in body.ports.iter().take(GROUPS) {
        let warn = if group.near_exhaustion {
            AnsiColor::Red.on_default().bold()
        } else {
            Style::new()
        };
        let remote = end(Endpoint {
            address: group.remote,
            port: Some(group.remote_port),
        });
        writeln!(
            out,
            "{:<16} {:<8} {:<24} {:>8} {:>10} {warn}{:>6}{}{warn:#}",
            group.external.to_string(),
            group.l4proto,
            remote,
            thousands(group.used),
            thousands(group.available),
            percent(group.used, Some(group.available)),
            if group.near_exhaustion {
                " near exhaustion"
            } else {
                ""
            }
        )?;
    }
    if body.ports.len() > GROUPS {
        writeln!(
            out,
            "… and {} more (--format json has all)",
            body.ports.len() - GROUPS
        )?;
    }
    writeln!(
        out,
        "The kernel chooses from 1024-65535 unless a rule names ports (600-1023 for original ports\nfrom 512, 1-511 below), and gives up after a bounded number of tries."
    )?;
    if let Some((low, high)) = body.local_port_range {
        writeln!(
            out,
            "The gateway's own connections use {low}-{high} (ip_local_port_range)."
        )?;
    }
    Ok(())
}

fn translations(out: &mut dyn Write, body: &NatReport) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}{} translations{bold:#}",
        thousands(body.translations.len() as u64)
    )?;
    writeln!(
        out,
        "{:<16} {:<8} {:<22} {:<22} {:<22} {:<22}",
        "KIND", "PROTO", "SOURCE", "AS", "DESTINATION", "AS"
    )?;
    for translation in &body.translations {
        let (nat, orig) = (&translation.nat, &translation.original);
        let plain = |address: std::net::IpAddr| address.to_string();
        let source = nat.snat.map_or_else(
            || (plain(orig.src), "-".into()),
            |t| (end(t.from), end(t.to)),
        );
        let target = nat.dnat.map_or_else(
            || (plain(orig.dst), "-".into()),
            |t| (end(t.from), end(t.to)),
        );
        let interface = nat
            .masquerade_ifindex
            .map_or(String::new(), |i| format!(" if{i}"));
        writeln!(
            out,
            "{:<16} {:<8} {:<22} {:<22} {:<22} {:<22}",
            format!("{}{interface}", translation.kind),
            translation.l4proto,
            source.0,
            source.1,
            target.0,
            target.1
        )?;
    }
    Ok(())
}
