//! `modules` as a table, CSV and /proc/modules.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::rows::Csv;
use super::table::{Column, Table};
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::modules::ModulesReport;
use crate::subsys::modules::ModuleFacts;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<ModulesReport>,
    layout: Layout,
) -> io::Result<()> {
    let modules = &document.body.modules;
    head(out, document)?;
    let sum = modules
        .iter()
        .fold(0u64, |sum, m| sum.saturating_add(m.size));
    writeln!(
        out,
        "{} modules, {}\n",
        thousands(modules.len() as u64),
        size(sum)
    )?;
    let header = [
        Column::text("MODULE"),
        Column::number("SIZE"),
        Column::number("REFS"),
        Column::text("STATE").rank(1),
        Column::text("TAINTS"),
        Column::text("CODE").rank(2),
        Column::flow("USED BY"),
    ];
    let mut rows = Table::new(header, layout);
    for module in modules {
        let mut used_by: Vec<String> = module.used_by.iter().map(|n| printable(n)).collect();
        if module.permanent {
            used_by.push("[permanent]".to_owned());
        }
        rows.add_row([
            printable(&module.name),
            size(module.size),
            module.references.map_or("-".to_owned(), |n| n.to_string()),
            module.state.to_owned(),
            module.taints.clone(),
            module.text.to_string(),
            used_by.join(" "),
        ]);
    }
    rows.write(out)
}

/// /proc/modules to the letter (kernel/module/procfs.c, `m_show`).
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &ModulesReport) -> io::Result<()> {
    report
        .modules
        .iter()
        .try_for_each(|module| writeln!(out, "{}", proc_line(module)))
}

fn proc_line(module: &ModuleFacts) -> String {
    let users = match module.references {
        Some(references) => {
            let mut users = String::new();
            for name in &module.used_by {
                users.push_str(&printable(name));
                users.push(',');
            }
            if module.permanent {
                users.push_str("[permanent],");
            }
            if users.is_empty() {
                users.push('-');
            }
            format!("{references} {users}")
        }
        None => "- -".to_owned(),
    };
    // A module that comes or goes shows it among its taints too.
    let mark = match module.state {
        "Unloading" => "-",
        "Loading" => "+",
        _ => "",
    };
    let taints = match (module.taints.as_str(), mark) {
        ("", _) => String::new(),
        (taints, mark) => format!(" ({taints}{mark})"),
    };
    format!(
        "{} {} {users} {} {}{taints}",
        printable(&module.name),
        module.size,
        module.state,
        module.text
    )
}

/// One row a module.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<ModulesReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record([
        "name",
        "size",
        "references",
        "used_by",
        "state",
        "taints",
        "text",
        "address",
        "build_id",
    ])?;
    for module in &report.modules {
        csv.write_record([
            printable(&module.name),
            module.size.to_string(),
            module.references.map_or(String::new(), |n| n.to_string()),
            printable(&module.used_by.join(" ")),
            module.state.to_owned(),
            module.taints.clone(),
            module.text.to_string(),
            module.address.to_string(),
            module.build_id.clone().unwrap_or_default(),
        ])?;
    }
    csv.flush()
}
