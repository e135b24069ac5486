//! `bpf` as tables and as CSV.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::bpf::BpfReport;
use crate::subsys::bpf::Holder;

/// For people: maps by memory, then programs.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<BpfReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    head(out, document)?;
    let sum = |of: fn(&crate::subsys::bpf::MapFacts) -> u64| report.maps.iter().map(of).sum();
    writeln!(
        out,
        "{} {}: {} in areas of vmalloc and rings, {} for each CPU's values, {} in elements made one by one; {} {}\n",
        thousands(report.maps.len() as u64),
        if report.maps.len() == 1 {
            "map"
        } else {
            "maps"
        },
        size(sum(|map| map.area_bytes)),
        size(sum(|map| map.percpu_bytes)),
        size(sum(|map| map.element_bytes.unwrap_or(0))),
        thousands(report.programs.len() as u64),
        if report.programs.len() == 1 {
            "program"
        } else {
            "programs"
        },
    )?;
    maps(out, report, layout)?;
    programs(out, report, layout)
}

fn holder(holder: Option<&Holder>) -> String {
    holder.map_or("no process".to_owned(), |holder| {
        format!("{} (pid {})", printable(&holder.comm), holder.pid)
    })
}

fn numbers(numbers: &[u32]) -> String {
    let all: Vec<String> = numbers.iter().map(u32::to_string).collect();
    all.join(" ")
}

fn maps(out: &mut dyn Write, report: &BpfReport, layout: Layout) -> io::Result<()> {
    if report.maps.is_empty() {
        return Ok(());
    }
    let header = [
        Column::number("ID"),
        Column::text("NAME").shorten(8),
        Column::text("TYPE"),
        Column::number("ENTRIES"),
        Column::number("MADE").rank(1),
        Column::number("KEY").rank(3),
        Column::number("VALUE").rank(2),
        Column::number("AREAS"),
        Column::number("PER CPU").rank(1),
        Column::text("OPEN BY").shorten(10),
        Column::text("PROGRAMS").rank(4),
    ];
    let mut rows = Table::new(header, layout);
    for map in &report.maps {
        rows.add_row([
            map.id.to_string(),
            printable(&map.name),
            map.kind.clone(),
            thousands(map.max_entries.into()),
            map.elements.map(thousands).unwrap_or_default(),
            map.key_size.to_string(),
            map.value_size.to_string(),
            size(map.area_bytes),
            size(map.percpu_bytes),
            holder(map.open_by.as_ref()),
            numbers(&map.programs),
        ]);
    }
    rows.write(out)
}

fn programs(out: &mut dyn Write, report: &BpfReport, layout: Layout) -> io::Result<()> {
    if report.programs.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Programs{bold:#}")?;
    let header = [
        Column::number("ID"),
        Column::text("NAME").shorten(8),
        Column::text("TYPE"),
        Column::number("SIZE"),
        Column::number("MACHINE CODE").rank(2),
        Column::text("MAPS").rank(1),
        Column::text("OPEN BY").shorten(10),
    ];
    let mut rows = Table::new(header, layout);
    for program in &report.programs {
        rows.add_row([
            program.id.to_string(),
            printable(&program.name),
            program.kind.clone(),
            size(program.bytes),
            size(program.machine_code_bytes.into()),
            numbers(&program.maps),
            holder(program.open_by.as_ref()),
        ]);
    }
    rows.write(out)
}

/// One row a map or a program.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<BpfReport>) -> io::Result<()> {
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "what",
        "id",
        "name",
        "kind",
        "bytes",
        "percpu_bytes",
        "max_entries",
        "pid",
        "comm",
        "elements",
        "element_bytes",
    ])?;
    let who = |holder: Option<&Holder>| {
        holder.map_or((String::new(), String::new()), |holder| {
            (holder.pid.to_string(), printable(&holder.comm))
        })
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    for map in &document.body.maps {
        let (pid, comm) = who(map.open_by.as_ref());
        csv.write_record([
            "map".to_owned(),
            map.id.to_string(),
            printable(&map.name),
            map.kind.clone(),
            map.area_bytes.to_string(),
            map.percpu_bytes.to_string(),
            map.max_entries.to_string(),
            pid,
            comm,
            number(map.elements),
            number(map.element_bytes),
        ])?;
    }
    for program in &document.body.programs {
        let (pid, comm) = who(program.open_by.as_ref());
        csv.write_record([
            "program".to_owned(),
            program.id.to_string(),
            printable(&program.name),
            program.kind.clone(),
            program.bytes.to_string(),
            String::new(),
            String::new(),
            pid,
            comm,
            String::new(),
            String::new(),
        ])?;
    }
    csv.flush()
}
