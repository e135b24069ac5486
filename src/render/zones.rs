//! `zones` as tables, as /proc/zoneinfo and as /proc/buddyinfo.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::analysis::zones::Outcome;
use crate::report::Document;
use crate::report::zones::ZonesReport;
use crate::subsys::mm::zones::{Counter, NodeFacts, ZoneFacts, ZoneinfoText};

/// For people: free memory against the watermarks, and what a request of each order would have met.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<ZonesReport>,
    layout: Layout,
    page_size: u64,
) -> io::Result<()> {
    head(out, document)?;
    writeln!(out)?;
    let header = [
        Column::number("NODE").rank(2),
        Column::text("ZONE"),
        Column::number("MANAGED"),
        Column::number("FREE"),
        Column::number("MIN"),
        Column::number("LOW"),
        Column::number("HIGH").rank(1),
        Column::number("KEPT BY CPUS").rank(3),
        Column::number("LARGEST BLOCK"),
    ];
    let bytes = |pages: u64| size(pages.saturating_mul(page_size));
    let mut rows = Table::new(header, layout);
    for zone in populated(&document.body.nodes) {
        let mark = |index: usize| {
            zone.watermarks
                .get(index)
                .map_or(String::new(), |pages| bytes(*pages))
        };
        let largest = zone.free_blocks.iter().rposition(|blocks| *blocks > 0);
        rows.add_row([
            zone.node.to_string(),
            printable(&zone.name),
            bytes(zone.managed),
            bytes(zone.free),
            mark(0),
            mark(1),
            mark(2),
            bytes(zone.pagesets.iter().map(|one| one.count).sum()),
            largest.map_or("none".to_owned(), |order| {
                format!("{} (order {order})", bytes(1 << order))
            }),
        ]);
    }
    rows.write(out)?;
    blocks(out, &document.body, layout)?;
    allocations(out, &document.body, layout)
}

fn populated(nodes: &[NodeFacts]) -> impl Iterator<Item = &ZoneFacts> {
    let zones = nodes.iter().flat_map(|node| &node.zones);
    zones.filter(|zone| zone.present > 0)
}

fn blocks(out: &mut dyn Write, report: &ZonesReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Free blocks by order{bold:#}")?;
    let orders = populated(&report.nodes)
        .map(|zone| zone.free_blocks.len())
        .max();
    let orders = orders.unwrap_or(0);
    let names: Vec<String> = (0..orders).map(|order| order.to_string()).collect();
    let header = [Column::text("ZONE")].into_iter();
    let header = header.chain(names.iter().map(|name| Column::number(name)));
    let mut rows = Table::new(header, layout);
    for zone in populated(&report.nodes) {
        let counts = zone.free_blocks.iter().map(|count| thousands(*count));
        rows.add_row([printable(&zone.name)].into_iter().chain(counts));
    }
    rows.write(out)
}

fn allocations(out: &mut dyn Write, report: &ZonesReport, layout: Layout) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(
        out,
        "\n{bold}What a request of the kernel's would have met{bold:#}"
    )?;
    let header = [
        Column::text("ZONE"),
        Column::text("ORDERS"),
        Column::text("OUTCOME"),
    ];
    let mut rows = Table::new(header, layout);
    for zone in &report.allocations {
        let orders: Vec<(usize, Outcome)> = zone.orders.iter().copied().enumerate().collect();
        for same in orders.chunk_by(|a, b| a.1 == b.1) {
            let (Some((first, outcome)), Some((last, _))) = (same.first(), same.last()) else {
                continue;
            };
            let style = match outcome {
                Outcome::Served => Style::new(),
                Outcome::WakesKswapd => AnsiColor::Yellow.on_default(),
                _ => AnsiColor::Red.on_default(),
            };
            rows.add_row([
                printable(&zone.zone),
                match first == last {
                    true => first.to_string(),
                    false => format!("{first} to {last}"),
                },
                format!("{style}{}{style:#}", outcome.describe()),
            ]);
        }
    }
    rows.write(out)
}

/// /proc/buddyinfo to the letter (frag_show_print(), mm/vmstat.c).
///
/// # Errors
/// If writing fails.
pub fn write_buddyinfo(out: &mut dyn Write, report: &ZonesReport) -> io::Result<()> {
    for zone in populated(&report.nodes) {
        write!(
            out,
            "Node {}, zone {:>8} ",
            zone.node,
            printable(&zone.name)
        )?;
        for count in &zone.free_blocks {
            write!(out, "{count:>6} ")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// /proc/zoneinfo to the letter (zoneinfo_show_print(), mm/vmstat.c).
///
/// # Errors
/// If writing fails.
pub fn write_zoneinfo(
    out: &mut dyn Write,
    nodes: &[NodeFacts],
    text: &ZoneinfoText,
) -> io::Result<()> {
    for node in nodes {
        let first = node.zones.iter().position(|zone| zone.present > 0);
        for (index, zone) in node.zones.iter().enumerate() {
            if text.by_zone && zone.present == 0 {
                continue;
            }
            write!(out, "Node {}, zone {:>8}", zone.node, printable(&zone.name))?;
            if first == Some(index) && !text.by_zone {
                write!(out, "\n  per-node stats")?;
                counters(out, &node.counters, AFTER)?;
            }
            write_zone(out, node, zone, text)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn write_zone(
    out: &mut dyn Write,
    node: &NodeFacts,
    zone: &ZoneFacts,
    text: &ZoneinfoText,
) -> io::Result<()> {
    let mark = |index: usize| zone.watermarks.get(index).copied();
    let value = |label: &str| match label {
        "pages free" => Some(zone.free),
        "boost" => Some(zone.boost),
        "min" => mark(0),
        "low" => mark(1),
        "high" => mark(2),
        "promo" => mark(3),
        "spanned" => Some(zone.spanned),
        "present" => Some(zone.present),
        "managed" => Some(zone.managed),
        // A kernel without CONFIG_CMA prints it too.
        "cma" => Some(zone.cma.unwrap_or(0)),
        "node_unreclaimable" => Some(node.unreclaimable.into()),
        "start_pfn" => Some(zone.start_pfn),
        "reserved_highatomic" => zone.reserved_highatomic,
        "free_highatomic" => zone.free_highatomic,
        "scanned" => zone.reclaim.map(|facts| facts.scanned),
        "all_unreclaimable" => zone.reclaim.map(|facts| facts.all_unreclaimable.into()),
        "inactive_ratio" => zone.reclaim.map(|facts| facts.inactive_ratio),
        _ => None,
    };
    write!(out, "{}", filled(&text.head, value))?;
    if text.by_zone {
        counters(out, &zone.counters, BEFORE)?;
    }
    let kept: Vec<String> = zone.protection.iter().map(i64::to_string).collect();
    write!(out, "\n        protection: ({})", kept.join(", "))?;
    if zone.present == 0 {
        return Ok(());
    }
    if !text.by_zone {
        counters(out, &zone.counters, AFTER)?;
        counters(out, &zone.numa_events, AFTER)?;
    }
    write!(out, "\n  pagesets")?;
    for pageset in &zone.pagesets {
        let value = |label: &str| match label {
            "cpu" => Some(pageset.cpu.into()),
            "count" => Some(pageset.count),
            "high" => Some(pageset.high),
            "batch" => Some(pageset.batch),
            "high_min" => pageset.high_min,
            "high_max" => pageset.high_max,
            _ => None,
        };
        write!(out, "{}", filled(&text.pageset, value))?;
        write!(out, "\n  vm stats threshold: {}", pageset.threshold)?;
    }
    write!(out, "{}", filled(&text.tail, value))
}

/// How far counters are indented: up to 4.7, and later.
const BEFORE: usize = 4;
const AFTER: usize = 6;

fn counters(out: &mut dyn Write, counters: &[Counter], indent: usize) -> io::Result<()> {
    let mut all = counters.iter();
    all.try_for_each(|one| {
        let name = printable(&one.name);
        write!(out, "\n{:indent$}{name:<12} {}", "", one.value)
    })
}

/// A format with each `%…` replaced by the value of its label, which `value` knows.
fn filled(format: &str, value: impl Fn(&str) -> Option<u64>) -> String {
    let mut out = String::new();
    for line in format.split_inclusive('\n') {
        let Some((before, rest)) = line.split_once('%') else {
            out.push_str(line);
            continue;
        };
        let label = before.trim().trim_end_matches(':');
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
        out.push_str(before);
        match value(label) {
            Some(value) => out.push_str(&value.to_string()),
            None => out.push('?'),
        }
        out.push_str(rest.get(end.unwrap_or(rest.len())..).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subsys::mm::zones::{PagesetFacts, ReclaimFacts};

    /// The format of 6.1.
    #[test]
    fn labels_tell_what_stands_where() {
        let format = "\n    cpu: %i\n              count: %i\n              high:  %i\n              batch: %i";
        let value = |label: &str| {
            ["cpu", "count", "high"]
                .iter()
                .position(|one| *one == label)
        };
        let text = filled(format, |label| value(label).map(|at| at as u64 + 7));
        assert_eq!(
            text,
            "\n    cpu: 7\n              count: 8\n              high:  9\n              batch: ?"
        );
    }

    /// The format of 3.10 (RHEL 7.9, mm/vmstat.c), and what it prints with it.
    #[test]
    fn up_to_4_7_counters_are_of_zones() {
        let counter = |name: &str, value| Counter {
            name: name.to_owned(),
            value,
        };
        let zone = |name: &str, present| ZoneFacts {
            name: name.to_owned(),
            node: 0,
            start_pfn: 4096,
            spanned: 1_044_480,
            present,
            managed: 300_000,
            cma: None,
            free: 1234,
            watermarks: vec![1, 2, 3],
            boost: 0,
            protection: vec![0, 0, 961],
            free_blocks: Vec::new(),
            reserved_highatomic: None,
            free_highatomic: None,
            counters: vec![counter("nr_free_pages", 1234), counter("numa_hit", 5)],
            numa_events: Vec::new(),
            reclaim: Some(ReclaimFacts {
                scanned: 17,
                all_unreclaimable: true,
                inactive_ratio: 3,
            }),
            pagesets: vec![PagesetFacts {
                cpu: 1,
                count: 2,
                high: 186,
                batch: 31,
                high_min: None,
                high_max: None,
                threshold: 24,
            }],
        };
        let nodes = [NodeFacts {
            node: 0,
            counters: Vec::new(),
            unreclaimable: false,
            zones: vec![zone("DMA32", 311_252), zone("Normal", 0)],
        }];
        let text = ZoneinfoText {
            head: "\n  pages free     %lu\n        min      %lu\n        low      %lu\n        high     %lu\n        scanned  %lu\n        spanned  %lu\n        present  %lu\n        managed  %lu".to_owned(),
            pageset: "\n    cpu: %i\n              count: %i\n              high:  %i\n              batch: %i".to_owned(),
            tail: "\n  all_unreclaimable: %u\n  start_pfn:         %lu\n  inactive_ratio:    %u".to_owned(),
            by_zone: true,
        };
        let mut out = Vec::new();
        write_zoneinfo(&mut out, &nodes, &text).expect("memory");
        let wanted = "\
Node 0, zone    DMA32
  pages free     1234
        min      1
        low      2
        high     3
        scanned  17
        spanned  1044480
        present  311252
        managed  300000
    nr_free_pages 1234
    numa_hit     5
        protection: (0, 0, 961)
  pagesets
    cpu: 1
              count: 2
              high:  186
              batch: 31
  vm stats threshold: 24
  all_unreclaimable: 1
  start_pfn:         4096
  inactive_ratio:    3
";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }
}
