//! The first page of a report in sentences: what happened, what held the memory, what to do next,
//! how sure that is. Text that comes from the dump is made printable here.

use super::head::{duration, host, panic_task};
use super::{percent, printable, size, thousands};
use crate::analysis::accounting::Level;
use crate::analysis::brief::Brief;
use crate::analysis::finding::Finding;
use crate::analysis::pages::Group;
use crate::report::whole::WholeReport;
use crate::report::{Document, DumpIdentity};

/// Groups of memory and findings that are named.
const NAMED: usize = 3;
/// A process with a larger share of RAM is worth a look.
const LARGE: f64 = 0.25;
/// A finding with a smaller share of RAM has not filled the machine.
const SMALL: f64 = 0.05;

/// Some sentences under a title.
pub(super) struct Part {
    pub(super) title: &'static str,
    pub(super) sentences: Vec<String>,
}

/// The four parts.
pub(super) fn parts(document: &Document<WholeReport>) -> [Part; 4] {
    let part = |title, sentences| Part { title, sentences };
    let (dump, body) = (&document.dump, &document.body);
    [
        part("What happened", happened(dump, &body.brief)),
        part("What held the memory", held(dump, body)),
        part("What to do next", next(document)),
        part("How sure this is", sure(document)),
    ]
}

fn happened(dump: &DumpIdentity, brief: &Brief) -> Vec<String> {
    let name = host(dump).map_or_else(|| "The machine".to_owned(), printable);
    let after = dump.uptime_seconds.map_or(String::new(), |seconds| {
        format!(" after {} of running", duration(seconds))
    });
    let mut said = Vec::new();
    if dump.is_live() {
        said.push(format!("{name} runs; this is a look at its memory{after}."));
    } else {
        said.push(format!("{name} stopped{after}."));
    }
    if let Some(panic) = &dump.panic {
        let who = dump.panic_task.as_ref();
        let who = who.map_or(String::new(), |task| format!(", in {}", panic_task(task)));
        said.push(format!("Its last words: “{}”{who}.", printable(panic)));
        if panic.contains("sysrq triggered crash") {
            said.push(
                "That crash was asked for (sysrq): the kernel had not failed by itself.".to_owned(),
            );
        }
    }
    if let Some(killed) = brief.killed_processes.filter(|killed| *killed > 0) {
        let killed = counted(killed, "process", "processes");
        said.push(format!(
            "Before, the kernel had ended {killed} for want of memory (out-of-memory killer)."
        ));
    }
    for sign in &brief.signs {
        if let Some(what) = sign_in_words(sign.code) {
            let lines = counted(sign.lines, "time", "times");
            let last = duration(sign.last_seconds);
            said.push(format!(
                "The log says {lines} that {what}, last {last} after boot."
            ));
        }
    }
    if let Some(table) = brief
        .connections
        .as_ref()
        .filter(|_| brief.connections_full)
    {
        said.push(format!("The connection table: {}.", printable(table)));
    }
    let limits = brief.limits_reached.iter().take(NAMED);
    said.extend(limits.map(|text| sentence(text)));
    if !brief.short_zones.is_empty() {
        said.push(format!(
            "Free memory was below the least that the kernel keeps in {}.",
            brief.short_zones.join(", ")
        ));
    }
    said
}

fn sign_in_words(code: &str) -> Option<&'static str> {
    Some(match code {
        "allocation-failure" => "a request for memory failed",
        "slab-failure" => "a slab cache got no memory",
        "conntrack-full" => "the connection table was full",
        "kmemleak" => "the kernel's own search had found leaks",
        "neighbour-full" => "the table of neighbours was full",
        "vmalloc-failure" => "vmalloc failed",
        // The out-of-memory killer has a sentence of its own.
        _ => return None,
    })
}

fn held(dump: &DumpIdentity, body: &WholeReport) -> Vec<String> {
    let (brief, ram) = (&body.brief, dump.memory_bytes);
    let mut said = Vec::new();
    if let Some(held) = &brief.held {
        let all: u64 = held.iter().map(|one| one.bytes).sum();
        let of = held.iter().take(NAMED).map(|one| {
            let part = percent(one.bytes, Some(all));
            format!("{} {} ({part})", one.group.describe(), size(one.bytes))
        });
        let of: Vec<String> = of.collect();
        let (all, of) = (size(all), of.join(", "));
        said.push(format!(
            "Of {all} RAM, what is set apart at boot included: {of}."
        ));
    }
    for finding in accused(body).take(NAMED) {
        let (subject, message) = (printable(&finding.subject), printable(&finding.message));
        let much = match finding.bytes {
            0 => String::new(),
            bytes => format!("{} ({} of RAM) in ", size(bytes), percent(bytes, ram)),
        };
        let whose = finding.owner.as_deref().filter(|owner| *owner != "vmlinux");
        let whose = whose.map_or(String::new(), |owner| {
            format!(", which seem to be of the module {}", printable(owner))
        });
        let word = finding.level.word();
        said.push(format!(
            "{}: {much}{subject}: {message}{whose}.",
            capital(word)
        ));
    }
    if let Some(largest) = &brief.largest_process {
        let (name, bytes) = (printable(&largest.comm), largest.bytes);
        said.push(format!(
            "The process with the most memory is {name} (pid {}) with {}, {} of RAM.",
            largest.pid,
            size(bytes),
            percent(bytes, ram)
        ));
    }
    if said.is_empty() {
        said.push("Nothing was asked that would tell.".to_owned());
    }
    said
}

/// Findings that are to be acted on.
fn accused(body: &WholeReport) -> impl Iterator<Item = &Finding> {
    let findings = body.findings.iter().flatten();
    findings.filter(|finding| finding.level >= Level::Suspect)
}

fn next(document: &Document<WholeReport>) -> Vec<String> {
    let (dump, body) = (&document.dump, &document.body);
    let mut said = Vec::new();
    let modules: std::collections::BTreeSet<&str> = accused(body)
        .filter(|finding| finding.level == Level::Leak)
        .filter_map(|finding| finding.owner.as_deref())
        .filter(|owner| *owner != "vmlinux")
        .collect();
    for module in &modules {
        said.push(format!(
            "Give the findings below to who maintains the module {}: what it lost comes back only with a reboot, and is lost again until it is mended.",
            printable(module)
        ));
    }
    if modules.is_empty() && accused(body).next().is_some() {
        said.push(
            "Let a kernel engineer follow the findings below: each names the commands that check it."
                .to_owned(),
        );
    }
    let most = accused(body).map(|finding| finding.bytes).max();
    let is_small = |bytes: u64| {
        dump.memory_bytes
            .is_some_and(|ram| share(bytes, ram) < SMALL)
    };
    if most.is_some_and(is_small) {
        said.push(
            "What was found is too little to have filled this machine: see whether it grows, by a later dump (vmleak diff)."
                .to_owned(),
        );
    }
    if let Some(largest) = &body.brief.largest_process
        && dump
            .memory_bytes
            .is_some_and(|ram| share(largest.bytes, ram) > LARGE)
    {
        let name = printable(&largest.comm);
        said.push(format!(
            "Ask who runs {name} whether it should have so much."
        ));
    }
    if body.brief.connections_full {
        said.push(
            "See under Network who fills the connection table, before its limit is raised."
                .to_owned(),
        );
    }
    if !document.complete {
        said.push(
            "The dump lacks something: if it can be taken again, see the warnings for how."
                .to_owned(),
        );
    }
    if said.is_empty() {
        said.push(match body.findings {
            Some(_) => "Nothing here asks for a step: if memory was short, the picture below shows who had it.".to_owned(),
            None => "Let vmleak search the dump: vmleak leaks.".to_owned(),
        });
    }
    said
}

#[expect(clippy::cast_precision_loss, reason = "a share to be compared")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn sure(document: &Document<WholeReport>) -> Vec<String> {
    let body = &document.body;
    let brief = &body.brief;
    let mut said = vec![
        match (brief.worst, body.searched) {
            (Some(Level::Leak), _) => {
                "A leak is told by more than one kind of evidence: it can be acted on."
            }
            (Some(Level::Suspect), _) => "One strong kind of evidence: likely, and to be checked.",
            (Some(Level::Inconclusive), _) => "What was found decides neither way.",
            (Some(Level::Clean), _) => {
                "Nothing speaks for a leak of a size that matters; a small one is not excluded."
            }
            (None, true) => "Lost objects could not be looked for.",
            (None, false) => "Lost objects were not looked for.",
        }
        .to_owned(),
    ];
    match brief.reliable {
        Some(true) => said.push("All memory that verdicts rest on was in the dump.".to_owned()),
        Some(false) => {
            said.push("Verdicts rest on a search that could not see all:".to_owned());
            said.extend(brief.doubts.iter().take(NAMED).map(|text| sentence(text)));
        }
        None => {}
    }
    if let Some(hidden) = brief.hidden_share {
        said.push(format!(
            "About {:.1} % of a leak may be hidden by stale pointers.",
            hidden * 100.0
        ));
    }
    if let (Some(bytes), Some(held)) = (brief.unexplained_bytes, &brief.held) {
        let all = held.iter().map(|one| one.bytes).sum();
        let unknown = held.iter().find(|one| one.group == Group::Unknown);
        let unknown = unknown.map_or(String::new(), |one| {
            format!("; of {} nothing is known", size(one.bytes))
        });
        said.push(format!(
            "Each page has a line in the picture below; {} ({}) are kernel pages without a known owner{unknown}.",
            size(bytes),
            percent(bytes, Some(all))
        ));
    }
    let touched = body.sections.iter().filter(|section| !section.complete);
    let touched: Vec<&str> = touched.map(|section| section.topic.title).collect();
    if !touched.is_empty() {
        said.push(format!(
            "Not whole, for something was missing: {}.",
            touched.join(", ")
        ));
    }
    said
}

fn counted(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", thousands(number))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// As a sentence of its own.
fn sentence(text: &str) -> String {
    let text = capital(&printable(text));
    let end = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    text + end
}
