//! `pages` as tables and as CSV.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::pages::PagesReport;

/// For people: RAM by owner, then the kernel's own pages; `top` rows of each list.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<PagesReport>,
    layout: Layout,
    top: usize,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    lines(out, report, layout)?;
    owned(out, report, layout, top)?;
    areas(out, report, layout, top)?;
    pointed_to(out, report, layout, top)?;
    lost(out, report)?;
    for text in &report.unknown_owners {
        writeln!(out, "\nnot known: {}", printable(text))?;
    }
    Ok(())
}

/// For people: a ledger for each zone or node.
///
/// # Errors
/// If writing fails.
pub fn write_zones(
    out: &mut dyn Write,
    document: &Document<PagesReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    for part in &report.zones {
        let node = part.node.map(|node| format!("Node {node}"));
        let node = node.unwrap_or_else(|| "No node".to_owned());
        let zone = part.zone.as_deref().map(printable);
        let zone = zone.map_or(String::new(), |zone| format!(", zone {zone}"));
        title(out, &format!("{node}{zone}: {}", bytes(report, part.pages)))?;
        let header = [
            Column::number("SIZE"),
            Column::number("OF IT"),
            Column::number("PAGES").rank(1),
            Column::flow("WHAT"),
        ];
        let mut rows = Table::new(header, layout);
        for line in &part.lines {
            rows.add_row([
                bytes(report, line.pages),
                format!("{:.1} %", percent(line.pages, part.pages)),
                thousands(line.pages),
                line.name.clone(),
            ]);
        }
        rows.write(out)?;
    }
    Ok(())
}

fn bytes(report: &PagesReport, pages: u64) -> String {
    size(pages.saturating_mul(report.page_bytes))
}

fn title(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{text}{bold:#}")
}

fn lines(out: &mut dyn Write, report: &PagesReport, layout: Layout) -> io::Result<()> {
    let ledger = &report.ledger;
    let unexplained = bytes(report, ledger.unexplained_pages);
    match ledger.ram_pages {
        Some(all) => writeln!(
            out,
            "{} of RAM by owner; {unexplained} of it are kernel pages without one ({:.2} %)\n",
            bytes(report, all),
            percent(ledger.unexplained_pages, all),
        )?,
        None => writeln!(
            out,
            "How much RAM there is can't be read. {} of it by owner; {unexplained} are kernel pages without one\n",
            bytes(report, ledger.pages),
        )?,
    }
    let header = [
        Column::number("SIZE"),
        Column::number("OF RAM"),
        Column::number("PAGES").rank(1),
        Column::flow("WHAT"),
    ];
    let mut rows = Table::new(header, layout);
    for line in &ledger.lines {
        rows.add_row([
            bytes(report, line.pages),
            match ledger.ram_pages {
                Some(all) => format!("{:.1} %", percent(line.pages, all)),
                None => "-".to_owned(),
            },
            thousands(line.pages),
            line.name.clone(),
        ]);
    }
    rows.write(out)
}

#[expect(clippy::cast_precision_loss, reason = "a share to be read by people")]
fn percent(part: u64, of: u64) -> f64 {
    part as f64 * 100.0 / of.max(1) as f64
}

fn owned(out: &mut dyn Write, report: &PagesReport, layout: Layout, top: usize) -> io::Result<()> {
    if report.owned.is_empty() {
        return Ok(());
    }
    title(out, "Kernel pages by owner")?;
    let header = [
        Column::number("SIZE"),
        Column::number("PAGES").rank(1),
        Column::number("BLOCKS").rank(2),
        Column::number("PID"),
        Column::text("PROCESS").shorten(8),
        Column::flow("OWNER"),
    ];
    let mut rows = Table::new(header, layout);
    for owned in report.owned.iter().take(top) {
        let owner = &owned.owner;
        let kind = owner.kind.replace('_', " ");
        rows.add_row([
            bytes(report, owned.pages),
            thousands(owned.pages),
            thousands(owned.blocks),
            owner.pid.map_or(String::new(), |pid| pid.to_string()),
            owner.comm.as_deref().map_or(String::new(), printable),
            match owner.name.is_empty() {
                true => kind,
                false => format!("{kind}: {}", printable(&owner.name)),
            },
        ]);
    }
    rows.write(out)?;
    more(out, report.owned.len(), top)
}

fn more(out: &mut dyn Write, rows: usize, top: usize) -> io::Result<()> {
    match rows.checked_sub(top) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "… {more} more (--all)"),
    }
}

fn areas(out: &mut dyn Write, report: &PagesReport, layout: Layout, top: usize) -> io::Result<()> {
    if report.areas.is_empty() {
        return Ok(());
    }
    title(out, "Areas of vmalloc by who asked for them")?;
    let header = [
        Column::number("SIZE"),
        Column::number("PAGES").rank(1),
        Column::number("AREAS"),
        Column::flow("CALLER"),
    ];
    let mut rows = Table::new(header, layout);
    for areas in report.areas.iter().take(top) {
        rows.add_row([
            bytes(report, areas.pages),
            thousands(areas.pages),
            thousands(areas.areas),
            printable(&areas.caller),
        ]);
    }
    rows.write(out)?;
    more(out, report.areas.len(), top)
}

fn pointed_to(
    out: &mut dyn Write,
    report: &PagesReport,
    layout: Layout,
    top: usize,
) -> io::Result<()> {
    if report.pointed_to.is_empty() {
        return Ok(());
    }
    title(out, "Other kernel pages by what points to them")?;
    let header = [
        Column::number("SIZE"),
        Column::number("PAGES").rank(1),
        Column::number("BLOCKS"),
        Column::number("LARGEST").rank(2),
        Column::flow("POINTED TO BY"),
    ];
    let mut rows = Table::new(header, layout);
    for one in report.pointed_to.iter().take(top) {
        rows.add_row([
            bytes(report, one.pages),
            thousands(one.pages),
            thousands(one.blocks),
            bytes(report, one.largest),
            printable(&one.holder),
        ]);
    }
    rows.write(out)?;
    more(out, report.pointed_to.len(), top)
}

/// Blocks that are told in the text.
const TOLD: usize = 8;

fn lost(out: &mut dyn Write, report: &PagesReport) -> io::Result<()> {
    let lost = &report.lost;
    if lost.pages == 0 {
        return Ok(());
    }
    title(out, "Kernel pages that nothing points to")?;
    let red = AnsiColor::Red.on_default();
    let doubt = match report.trust.reliable {
        true => "",
        false => ", as far as the dump shows; what it lacks may point to them",
    };
    writeln!(
        out,
        "{red}{}{red:#} in {} blocks{doubt}",
        bytes(report, lost.pages),
        thousands(lost.blocks),
    )?;
    for pool in report.page_pools.iter().flatten() {
        let lost = pool.lost.filter(|lost| *lost > 0);
        if let Some(lost) = lost {
            let name = printable(&pool.name);
            writeln!(out, "  {} blocks of the page pool {name}", thousands(lost))?;
        }
    }
    for block in lost.first.iter().take(TOLD) {
        writeln!(
            out,
            "  pfn {:#x}, {}",
            block.pfn,
            bytes(report, block.pages)
        )?;
    }
    more(out, lost.first.len(), TOLD)
}

/// One row a line of a zone's or node's ledger.
///
/// # Errors
/// If writing fails.
pub fn write_zones_csv(out: &mut dyn Write, document: &Document<PagesReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["node", "zone", "code", "pages", "bytes"])?;
    for part in &report.zones {
        for line in &part.lines {
            csv.write_record([
                part.node.map_or(String::new(), |node| node.to_string()),
                part.zone.as_deref().map_or(String::new(), printable),
                line.code.clone(),
                line.pages.to_string(),
                line.pages.saturating_mul(report.page_bytes).to_string(),
            ])?;
        }
    }
    csv.flush()
}

/// One row a line of the ledger, an owner, a caller, a holder.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<PagesReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["part", "name", "pid", "comm", "pages", "bytes", "blocks"])?;
    let none = || (String::new(), String::new());
    let mut row = |part: &str, name: String, who: (String, String), pages: u64, blocks: String| {
        csv.write_record([
            part.to_owned(),
            name,
            who.0,
            who.1,
            pages.to_string(),
            pages.saturating_mul(report.page_bytes).to_string(),
            blocks,
        ])
    };
    for line in &report.ledger.lines {
        row(
            "ledger",
            line.code.clone(),
            none(),
            line.pages,
            String::new(),
        )?;
    }
    for owned in &report.owned {
        let owner = &owned.owner;
        let name = format!("{}: {}", owner.kind, printable(&owner.name));
        let pid = owner.pid.map_or(String::new(), |pid| pid.to_string());
        let comm = owner.comm.as_deref().map_or(String::new(), printable);
        row(
            "owned",
            name,
            (pid, comm),
            owned.pages,
            owned.blocks.to_string(),
        )?;
    }
    for areas in &report.areas {
        let name = printable(&areas.caller);
        row(
            "vmalloc",
            name,
            none(),
            areas.pages,
            areas.areas.to_string(),
        )?;
    }
    for one in &report.pointed_to {
        let name = printable(&one.holder);
        row(
            "pointed_to",
            name,
            none(),
            one.pages,
            one.blocks.to_string(),
        )?;
    }
    for block in &report.lost.first {
        let name = format!("{:#x}", block.pfn);
        row("lost", name, none(), block.pages, "1".to_owned())?;
    }
    csv.flush()
}
