//! `report`: one HTML file that needs no other and runs nothing.
//!
//! Whatever comes from the dump is escaped by the template, and texts of other commands here; the
//! page's policy forbids scripts and other files besides.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, Value};
use serde::Serialize;

use super::head::{duration, head, moment};
use super::page::{coloured, page_of};
use super::{finding, percent, printable, size};
use crate::analysis::finding::Finding;
use crate::analysis::memory::Memory;
use crate::report::Document;
use crate::report::whole::{Section, Told, WholeReport};

const TEMPLATE: &str = include_str!("report.html");

/// What the template shows.
#[derive(Serialize)]
struct Page {
    kernel: String,
    crashed: Option<String>,
    uptime: Option<String>,
    memory: Option<String>,
    panic: Option<String>,
    /// Who ran, how busy it was, which dump it is.
    who: String,
    complete: bool,
    searched: bool,
    findings: Vec<Found>,
    parts: Vec<Bar>,
    sections: Vec<Shown>,
    untold: Vec<Untold>,
    warnings: Vec<String>,
    tool: String,
    path: String,
    format: String,
    build_id: Option<String>,
}

#[derive(Serialize)]
struct Found {
    level: &'static str,
    /// Its headline and evidence, as in the text of `leaks`.
    text: Value,
}

#[derive(Serialize)]
struct Bar {
    name: &'static str,
    size: String,
    share: String,
    width: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    title: &'static str,
    command: &'static str,
    text: Value,
}

#[derive(Serialize)]
struct Untold {
    title: &'static str,
    why: String,
}

/// Writes the page.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut dyn Write, document: &Document<WholeReport>) -> io::Result<()> {
    let mut environment = Environment::new();
    // The name's ending is what makes it escape.
    environment
        .add_template("report.html", TEMPLATE)
        .map_err(io::Error::other)?;
    let page = environment
        .get_template("report.html")
        .and_then(|template| template.render(Serde(page(document))))
        .map_err(io::Error::other)?;
    writeln!(out, "{page}")
}

fn page(document: &Document<WholeReport>) -> Page {
    let (dump, body) = (&document.dump, &document.body);
    let mut above = Vec::new();
    // Every text begins with what the page says once.
    let _ = head(&mut above, document);
    let above = String::from_utf8_lossy(&above).into_owned();
    let (mut sections, mut untold) = (Vec::new(), Vec::new());
    for section in &body.sections {
        match shown(section, &above) {
            Ok(section) => sections.push(section),
            Err(section) => untold.push(section),
        }
    }
    let findings = body.findings.iter().flatten();
    let text = |text: &Option<String>| text.as_deref().map(printable);
    let warning = |warning: &crate::diag::Warning| match warning.count {
        1 => printable(&warning.message),
        times => format!("{} ({times} times)", printable(&warning.message)),
    };
    Page {
        kernel: text(&dump.release).unwrap_or_else(|| "unknown kernel".to_owned()),
        crashed: text(&dump.crash_time),
        uptime: dump.uptime_seconds.map(duration),
        memory: dump.memory_bytes.map(size),
        panic: text(&dump.panic),
        who: moment(dump),
        complete: document.complete,
        searched: body.findings.is_some(),
        findings: findings.map(|one| found(one, dump.memory_bytes)).collect(),
        parts: bars(body.memory.as_ref(), dump.memory_bytes),
        sections,
        untold,
        warnings: document.warnings.iter().map(warning).collect(),
        tool: format!("{} {}", document.tool.name, document.tool.version),
        path: printable(&dump.path),
        format: dump.format.clone(),
        build_id: text(&dump.build_id),
    }
}

/// As every other text says it.
fn found(finding: &Finding, memory: Option<u64>) -> Found {
    let mut text = Vec::new();
    // A Vec takes whatever is written.
    let _ = finding::headline(&mut text, finding, memory);
    let _ = finding::proof(&mut text, finding);
    let text = page_of(&String::from_utf8_lossy(&text));
    Found {
        level: finding.level.word(),
        text: Value::from_safe_string(text),
    }
}

fn bars(memory: Option<&Memory>, all: Option<u64>) -> Vec<Bar> {
    let parts = memory.map_or(&[][..], |memory| &memory.parts);
    let bar = |part: &crate::analysis::memory::Part| Bar {
        name: part.name,
        size: size(part.bytes),
        share: percent(part.bytes, all),
        width: all.filter(|all| *all > 0).map_or_else(String::new, |all| {
            format!("{:.1}", part.bytes as f64 * 100.0 / all as f64)
        }),
    };
    parts.iter().map(bar).collect()
}

fn shown(section: &Section, above: &str) -> Result<Shown, Untold> {
    let text = match &section.told {
        // The log is no table.
        Ok(Told::Text(text)) if section.command == "log" => {
            format!("<pre>{}</pre>", coloured(text))
        }
        Ok(Told::Text(text)) => page_of(text.strip_prefix(above).unwrap_or(text)),
        Ok(Told::Data(data)) => HtmlEscape(&data.to_string()).to_string(),
        Err(why) => {
            return Err(Untold {
                title: section.title,
                why: printable(why),
            });
        }
    };
    Ok(Shown {
        id: section.id(),
        title: section.title,
        command: section.command,
        text: Value::from_safe_string(text),
    })
}
