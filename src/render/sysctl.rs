//! `sysctl` as text: lines as `sysctl -a` prints them, and the table of `--check`.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::head::head;
use super::layout::Layout;
use super::printable;
use super::rows::Csv;
use super::table::{Column, Table};
use crate::analysis::sysctl_check::CheckLevel;
use crate::report::Document;
use crate::report::sysctl::{SysctlCheckReport, SysctlReport};
use crate::subsys::sysctl::Entry;

/// `name = value`, a line for each line of the value. What has no value, or is shown raw, says so
/// behind it; files that `sysctl -a` leaves out are left out.
///
/// # Errors
/// If writing fails.
pub fn write_text(out: &mut dyn Write, body: &SysctlReport) -> io::Result<()> {
    let first = body.sysctls.iter().find_map(|entry| entry.netns);
    let mut netns = None;
    for entry in body.sysctls.iter().filter(|entry| entry.listed) {
        if entry.netns.is_some() && entry.netns != first && entry.netns != netns {
            netns = entry.netns;
            writeln!(out, "# network namespace {}", entry.netns.unwrap_or(0))?;
        }
        write_entry(out, entry)?;
    }
    Ok(())
}

fn write_entry(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let name = printable(&entry.name);
    match (&entry.value, &entry.note) {
        (Some(value), Some(note)) => {
            let value = tabbed(value);
            writeln!(out, "{name} = {value} (raw: {})", printable(note))
        }
        (None, note) => {
            let note = note.as_deref().unwrap_or("not known");
            writeln!(out, "{name} = (no value: {})", printable(note))
        }
        (Some(value), None) => {
            let value = value.strip_suffix('\n').unwrap_or(value);
            value
                .split('\n')
                .try_for_each(|line| writeln!(out, "{name} = {}", tabbed(line)))
        }
    }
}

/// Safe for a terminal, with the tabs that stand between numbers.
fn tabbed(line: &str) -> String {
    let parts: Vec<String> = line.split('\t').map(printable).collect();
    parts.join("\t")
}

/// As [`tabbed`], with its line feeds: a field of CSV may have several lines.
fn field(value: &str) -> String {
    let lines: Vec<String> = value.split('\n').map(tabbed).collect();
    lines.join("\n")
}

/// One a row.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<SysctlReport>) -> io::Result<()> {
    let body = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["name", "value", "raw", "note", "handler", "table", "netns"])?;
    for entry in &body.sysctls {
        csv.write_record([
            printable(&entry.name),
            field(entry.value.as_deref().unwrap_or_default()),
            entry.raw.to_string(),
            printable(entry.note.as_deref().unwrap_or_default()),
            printable(entry.handler.as_deref().unwrap_or_default()),
            entry.table.to_string(),
            entry.netns.map(|inum| inum.to_string()).unwrap_or_default(),
        ])?;
    }
    csv.flush()
}

/// For people: what is worst first, each with a sentence.
///
/// # Errors
/// If writing fails.
pub fn write_check(
    out: &mut dyn Write,
    document: &Document<SysctlCheckReport>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    writeln!(out)?;
    // With one namespace all are of it.
    let first = document.body.checks.iter().find_map(|check| check.netns);
    let others = |netns: Option<u32>| netns.is_some() && netns != first;
    let several = document.body.checks.iter().any(|check| others(check.netns));
    let header = [
        Column::text(""),
        Column::text("SYSCTL"),
        Column::text(if several { "NETNS" } else { "" }),
        Column::text("VALUE"),
        Column::text("WHAT IT IS").rank(1),
        Column::flow("VERDICT"),
    ];
    let mut rows = Table::new(header, layout);
    for check in &document.body.checks {
        let of = check.netns.filter(|_| several);
        let style = match check.level {
            CheckLevel::Ok => Style::new(),
            CheckLevel::Notice => AnsiColor::Yellow.on_default(),
            CheckLevel::Reached => AnsiColor::Red.on_default().bold(),
        };
        rows.add_row([
            format!("{style}{}{style:#}", check.level.name()),
            check.name.to_owned(),
            of.map_or(String::new(), |inum| inum.to_string()),
            printable(&check.value.replace('\t', " ")),
            check.means.to_owned(),
            check.verdict.clone(),
        ]);
    }
    rows.write(out)
}

/// One a row.
///
/// # Errors
/// If writing fails.
pub fn write_check_csv(
    out: &mut dyn Write,
    document: &Document<SysctlCheckReport>,
) -> io::Result<()> {
    let body = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["name", "value", "level", "verdict", "means", "netns"])?;
    for check in &body.checks {
        csv.write_record([
            check.name,
            &field(&check.value),
            check.level.name(),
            &check.verdict,
            check.means,
            &check.netns.map(|inum| inum.to_string()).unwrap_or_default(),
        ])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;

    fn lines(value: Option<&str>, note: Option<&str>) -> String {
        let entry = Entry {
            name: "kernel.a".into(),
            value: value.map(str::to_owned),
            raw: false,
            note: note.map(str::to_owned),
            listed: true,
            handler: None,
            handler_address: VirtAddr(0),
            table: VirtAddr(0),
            mode: "0644".into(),
            netns: None,
        };
        let mut out = Vec::new();
        let body = SysctlReport {
            sysctls: vec![entry],
        };
        write_text(&mut out, &body).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_of_a_value_is_a_line_and_nothing_reaches_the_terminal_raw() {
        assert_eq!(lines(Some("a\nb\n"), None), "kernel.a = a\nkernel.a = b\n");
        assert_eq!(lines(Some(""), None), "kernel.a = \n");
        assert_eq!(lines(Some("1\t2"), None), "kernel.a = 1\t2\n");
        assert_eq!(lines(Some("\x1b[2J\r"), None), "kernel.a = \\u{1b}[2J\\r\n");
        assert_eq!(
            lines(None, Some("x\x07")),
            "kernel.a = (no value: x\\u{7})\n"
        );
    }
}
