//! `report`: one HTML file that needs no other and runs nothing.
//!
//! Whatever comes from the dump is escaped by the template, and texts of other commands here; the
//! page's policy forbids scripts and other files besides.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, Value};
use serde::Serialize;

use super::head::{duration, host, load, panic_task};
use super::page::{coloured, page_of};
use super::{brief, chart, finding, percent, printable, size, thousands};
use crate::analysis::accounting::Level;
use crate::analysis::finding::Finding;
use crate::report::figures::{Drawing, Figure};
use crate::report::whole::{Room, Section, Told, WholeReport};
use crate::report::{Document, DumpIdentity};

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");

/// What the template shows.
#[derive(Serialize)]
struct Page {
    style: Value,
    title: String,
    panic: Option<String>,
    live: bool,
    redacted: bool,
    /// Names and values of the head.
    facts: Vec<(&'static str, String)>,
    complete: bool,
    parts: Vec<Part>,
    searched: bool,
    asked: bool,
    findings: Vec<Found>,
    /// Those that accuse nobody.
    open: Vec<Found>,
    figures: Vec<Drawn>,
    rooms: Vec<RoomShown>,
    untold: Vec<Untold>,
    warnings: Vec<String>,
    tool: String,
    path: String,
    format: String,
    build_id: Option<String>,
}

#[derive(Serialize)]
struct Part {
    title: &'static str,
    sentences: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    level: &'static str,
    subject: String,
    message: String,
    much: Option<String>,
    owner: Option<String>,
    /// Its headline and evidence, as in the text of `leaks`.
    text: Value,
}

#[derive(Serialize)]
struct Drawn {
    id: String,
    title: String,
    note: String,
    wide: bool,
    /// Where its numbers are told.
    section: String,
    command: &'static str,
    complete: bool,
    picture: Value,
    /// Colours with what they mean, and how much where that is known.
    key: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    class: String,
    name: String,
    size: Option<String>,
    share: Option<String>,
}

#[derive(Serialize)]
struct RoomShown {
    title: &'static str,
    sections: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    title: &'static str,
    command: &'static str,
    complete: bool,
    losses: Vec<String>,
    notes: Vec<String>,
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
    let text = |text: &Option<String>| text.as_deref().map(printable);
    let warning = |warning: &crate::diag::Warning| match warning.count {
        1 => printable(&warning.message),
        times => format!("{} ({times} times)", printable(&warning.message)),
    };
    let findings = body.findings.iter().flatten();
    let (accusing, open): (Vec<&Finding>, Vec<&Finding>) =
        findings.partition(|one| one.level >= Level::Suspect);
    let told = |all: Vec<&Finding>| -> Vec<Found> {
        let all = all.into_iter();
        all.map(|one| found(one, dump.memory_bytes)).collect()
    };
    let name = host(dump).filter(|_| !body.redacted);
    let name = name.or(dump.release.as_deref());
    let mut figures: Vec<Drawn> = body.sections.iter().flat_map(drawn).collect();
    // So that none leaves a hole beside it.
    figures.sort_by_key(|figure| !figure.wide);
    Page {
        style: Value::from_safe_string(STYLE.to_owned()),
        title: printable(name.unwrap_or("unknown kernel")),
        panic: text(&dump.panic),
        live: dump.is_live(),
        redacted: body.redacted,
        facts: facts(dump),
        complete: document.complete,
        parts: parts(document),
        searched: body.findings.is_some(),
        asked: body.searched,
        findings: told(accusing),
        open: told(open),
        figures,
        rooms: rooms(&body.sections),
        untold: body.sections.iter().filter_map(untold).collect(),
        warnings: document.warnings.iter().map(warning).collect(),
        tool: format!("{} {}", document.tool.name, document.tool.version),
        path: printable(&dump.path),
        format: dump.format.clone(),
        build_id: text(&dump.build_id),
    }
}

/// Which machine, when, and what it was doing.
fn facts(dump: &DumpIdentity) -> Vec<(&'static str, String)> {
    let load = dump.load.map(load);
    let task = dump.panic_task.as_ref().map(panic_task);
    let when = if dump.is_live() {
        "Looked at"
    } else {
        "Crashed"
    };
    let all = [
        ("Host", host(dump).map(printable)),
        ("Kernel", dump.release.as_deref().map(printable)),
        (when, dump.crash_time.as_deref().map(printable)),
        ("Ran for", dump.uptime_seconds.map(duration)),
        ("RAM", dump.memory_bytes.map(size)),
        ("Processors", dump.nr_cpus.map(|cpus| cpus.to_string())),
        ("Died in", task),
        ("Load", load),
        ("Tasks", dump.tasks.map(thousands)),
        ("Machine", Some(dump.arch.to_owned())),
        ("Dump", Some(dump.id.clone())),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn parts(document: &Document<WholeReport>) -> Vec<Part> {
    let parts = brief::parts(document).into_iter();
    let parts = parts.filter(|part| !part.sentences.is_empty());
    let shown = parts.map(|part| Part {
        title: part.title,
        sentences: part.sentences,
    });
    shown.collect()
}

/// As every other text says it.
fn found(finding: &Finding, memory: Option<u64>) -> Found {
    let mut text = Vec::new();
    // A Vec takes whatever is written.
    let _ = finding::proof(&mut text, finding);
    let text = page_of(&String::from_utf8_lossy(&text));
    let much = (finding.bytes > 0).then(|| {
        let part = percent(finding.bytes, memory);
        format!("{} ({part} of RAM)", size(finding.bytes))
    });
    let owner = finding.owner.as_deref().filter(|owner| *owner != "vmlinux");
    Found {
        level: finding.level.word(),
        subject: printable(&finding.subject),
        message: printable(&finding.message),
        much,
        owner: owner.map(printable),
        text: Value::from_safe_string(text),
    }
}

fn drawn(section: &Section) -> impl Iterator<Item = Drawn> {
    section.figures.iter().map(|figure| Drawn {
        id: figure.id.clone(),
        title: printable(&figure.title),
        note: figure.note.clone(),
        wide: chart::is_wide(figure),
        section: section.topic.id(),
        command: section.topic.command,
        complete: section.complete,
        picture: Value::from_safe_string(chart::draw(figure)),
        key: key(figure),
    })
}

fn key(figure: &Figure) -> Vec<Key> {
    let name = |(number, name): (usize, &&'static str)| Key {
        class: format!("piece{number}"),
        name: (*name).to_owned(),
        size: None,
        share: None,
    };
    match &figure.drawing {
        Drawing::Treemap(areas) => {
            let all = areas.iter().map(|area| area.bytes).sum();
            let of = areas.iter().map(|area| Key {
                class: chart::colour(area.group).to_owned(),
                name: printable(&area.name),
                size: Some(size(area.bytes)),
                share: Some(percent(area.bytes, Some(all))),
            });
            of.collect()
        }
        Drawing::Bars(bars) if bars.pieces.len() > 1 => {
            bars.pieces.iter().enumerate().map(name).collect()
        }
        _ => Vec::new(),
    }
}

fn rooms(sections: &[Section]) -> Vec<RoomShown> {
    let rooms = [Room::Memory, Room::Processes, Room::Network, Room::Kernel];
    let shown = rooms.into_iter().map(|room| {
        let of_room = sections.iter().filter(|one| one.topic.room == room);
        RoomShown {
            title: room.title(),
            sections: of_room.filter_map(shown).collect(),
        }
    });
    shown.filter(|room| !room.sections.is_empty()).collect()
}

fn shown(section: &Section) -> Option<Shown> {
    let text = match section.told.as_ref().ok()? {
        // The log is no table.
        Told::Text(text) if section.topic.command == "log" => {
            format!("<pre>{}</pre>", coloured(text))
        }
        Told::Text(text) => page_of(text),
        Told::Data(data) => HtmlEscape(&data.to_string()).to_string(),
    };
    Some(Shown {
        id: section.topic.id(),
        title: section.topic.title,
        command: section.topic.command,
        complete: section.complete,
        losses: section.losses.iter().map(|loss| printable(loss)).collect(),
        notes: section.notes.iter().map(|note| printable(note)).collect(),
        text: Value::from_safe_string(text),
    })
}

fn untold(section: &Section) -> Option<Untold> {
    let why = section.told.as_ref().err()?;
    Some(Untold {
        title: section.topic.title,
        why: printable(why),
    })
}
