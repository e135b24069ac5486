//! `vmalloc` as a table by caller, as rows of areas, and as /proc/vmallocinfo.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{percent, printable, size, thousands};
use crate::report::Document;
use crate::report::vmalloc::VmallocReport;
use crate::subsys::mm::vmalloc::{AreaKind, Pointers, VmallocArea};

/// For people: who holds how much.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<VmallocReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    let totals = &report.totals;
    head(out, document)?;
    writeln!(
        out,
        "{} areas hold {} ({} of RAM); {} freed areas are still mapped\n",
        thousands(totals.areas),
        size(totals.bytes),
        percent(totals.bytes, document.dump.memory_bytes),
        thousands(totals.unpurged),
    )?;
    let header = [
        Column::text("CALLER").shorten(24),
        Column::text("MODULE").shorten(12).rank(1),
        Column::number("AREAS"),
        Column::number("PAGES").rank(4),
        Column::number("SIZE"),
        Column::number("OF ALL"),
        Column::number("ADDRESSES").rank(3),
        Column::text("KIND").rank(2),
    ];
    let mut rows = Table::new(header, layout);
    for group in &report.callers {
        let bytes = group.pages.saturating_mul(report.page_size);
        rows.add_row([
            printable(&group.caller),
            group.module.as_deref().map_or(String::new(), printable),
            thousands(group.areas),
            thousands(group.pages),
            size(bytes),
            percent(bytes, Some(totals.bytes)),
            size(group.address_bytes),
            group.flags.join(" "),
        ]);
    }
    rows.write(out)
}

/// /proc/vmallocinfo to the letter. Addresses are hashed as that kernel hashed them, unless
/// `real`.
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &VmallocReport, real: bool) -> io::Result<()> {
    let pointers = if real {
        Pointers::Real
    } else {
        report.pointers.unwrap_or(Pointers::Real)
    };
    report
        .areas
        .iter()
        .filter(|area| !report.unprinted.contains(&area.kind))
        .try_for_each(|area| writeln!(out, "{}", proc_line(area, pointers)))
}

/// `vmalloc_info_show` (mm/vmalloc.c).
fn proc_line(area: &VmallocArea, pointers: Pointers) -> String {
    let mut line = format!(
        "0x{}-0x{} {:>7}",
        pointers.print(area.start),
        pointers.print(area.end),
        area.bytes()
    );
    match area.kind {
        AreaKind::VmMapRam => line.push_str(" vm_map_ram"),
        AreaKind::Unpurged => line.push_str(" unpurged vm_area"),
        AreaKind::Vm => {}
    }
    match (&area.caller, area.caller_address) {
        (Some(caller), _) => line.push_str(&printable(&format!(" {caller}"))),
        (None, Some(address)) => line.push_str(&format!(" {:#x}", address.0)),
        (None, None) => {}
    }
    if area.pages > 0 {
        line.push_str(&format!(" pages={}", area.pages));
    }
    if let Some(phys) = area.phys {
        line.push_str(&format!(" phys={phys}"));
    }
    for flag in &area.flags {
        line.push(' ');
        line.push_str(flag);
    }
    if area.vpages {
        line.push_str(" vpages");
    }
    for (node, pages) in area.nodes.iter().flatten() {
        line.push_str(&format!(" N{node}={pages}"));
    }
    line
}

/// One row an area.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<VmallocReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "start",
        "end",
        "bytes",
        "kind",
        "caller",
        "pages",
        "phys",
        "flags",
        "vm_struct",
        "vmap_area",
    ])?;
    for area in &report.areas {
        let kind = match area.kind {
            AreaKind::Vm => "vm",
            AreaKind::VmMapRam => "vm_map_ram",
            AreaKind::Unpurged => "unpurged",
        };
        let caller = area.caller.as_ref().map(|c| printable(&c.to_string()));
        csv.write_record([
            area.start.to_string(),
            area.end.to_string(),
            area.bytes().to_string(),
            kind.to_owned(),
            caller.unwrap_or_default(),
            area.pages.to_string(),
            area.phys.map_or(String::new(), |at| at.to_string()),
            area.flags.join(" "),
            area.vm_struct.map_or(String::new(), |at| at.to_string()),
            area.vmap_area.to_string(),
        ])?;
    }
    csv.flush()
}
