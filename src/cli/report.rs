//! `report`: what the other commands say, in one file for an incident review.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use vmleak::analysis::oom;
use vmleak::kernel::KernelError;
use vmleak::kernel::modules::Modules;
use vmleak::render::{self, Layout};
use vmleak::report::log::{LogReport, OomReports};
use vmleak::report::whole::{Section, Told, WholeReport};
use vmleak::report::{Document, InfoReport, SlabsReport};

use super::args::Common;
use super::conntrack;
use super::conntrack_args::{Netns, Wanted};
use super::leaks;
use super::machine;
use super::pageowner;
use super::session::{Reader, Session, exit, output};
use super::sysctl;

/// Of `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ReportFormat::Html, help_heading = "Output")]
    pub(crate) format: ReportFormat,
}

/// Formats of `report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One file that needs no other
    Html,
    /// One document with those of the commands in it
    Json,
}

/// The page sets the tables itself.
const LAYOUT: Layout = Layout::Page;

/// Records of the log that the page shows: the last ones.
const RECORDS: usize = 200;

/// Translations that the page shows: the first ones.
const TRANSLATIONS: usize = 200;

/// What has been said so far.
struct Sections<'s> {
    session: &'s Session,
    format: ReportFormat,
    complete: bool,
    said: Vec<Section>,
}

impl Sections<'_> {
    /// What one command says to a question of its own, and whether nothing was missing. One that
    /// can't say anything takes nothing from the others.
    fn add<T: Serialize>(
        &mut self,
        title: &'static str,
        command: &'static str,
        ask: impl FnOnce(&Session) -> Result<(T, bool)>,
        write: impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
    ) {
        let asked = self.session.question();
        let answer = ask(&asked);
        self.tell(title, command, &asked, answer, write);
    }

    /// What was answered to `asked`.
    fn tell<T: Serialize>(
        &mut self,
        title: &'static str,
        command: &'static str,
        asked: &Session,
        answer: Result<(T, bool)>,
        write: impl FnOnce(&mut Vec<u8>, &Document<T>) -> io::Result<()>,
    ) {
        let told = answer.and_then(|(body, complete)| {
            self.complete &= complete;
            if self.format == ReportFormat::Json {
                return Ok(Told::Data(serde_json::to_value(body)?));
            }
            let document = Document::new(&asked.kernel, asked.run(), complete, body);
            let mut text = Vec::new();
            write(&mut text, &document)?;
            Ok(Told::Text(String::from_utf8(text)?))
        });
        self.session.kernel.diag.absorb(&asked.kernel.diag);
        // What a kernel does not have is not missing.
        let why = told.as_ref().err().and_then(|error| error.downcast_ref());
        let lost = why.is_some_and(|why| !matches!(why, KernelError::Unsupported(_)));
        self.complete &= !lost;
        self.said.push(Section {
            title,
            command,
            told: told.map_err(|error| error.root_cause().to_string()),
        });
    }
}

/// Runs `vmleak report`.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode> {
    let mut session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    let typed = conntrack::add_own_types(&mut session, &modules, &args.common);
    let mut sections = Sections {
        session: &session,
        format: args.format,
        complete: true,
        said: Vec::new(),
    };
    let search = session.question();
    let found = leaks::judged(&search, args.common.max_memory, None);
    let (findings, memory) = found.as_ref().map_or((None, None), |(report, _)| {
        (Some(report.findings.clone()), Some(report.memory.clone()))
    });
    // A dump whose slabs can't be read is none without a leak.
    sections.complete = found.is_ok();
    let slabs = found.as_ref().ok().map(|(report, complete)| {
        let facts = report.caches.iter().map(|cache| cache.facts.clone());
        let mut slabs = SlabsReport::of(facts.collect(), report.totals.memory_bytes);
        slabs.sort_by_size();
        (slabs, *complete)
    });
    sections.tell("Leaks", "leaks", &search, found, |out, document| {
        render::leaks::write_text(out, document, LAYOUT, false)
    });
    if let Some(slabs) = slabs {
        sections.tell(
            "Slab caches",
            "slabs",
            &search,
            Ok(slabs),
            |out, document| render::slabs::write_text(out, document, LAYOUT, false),
        );
    }
    of_memory(&mut sections, &modules);
    let typed = || match &typed {
        Ok(()) => Ok(()),
        Err(why) => Err(anyhow::anyhow!("{why:#}")),
    };
    sections.add(
        "Connections",
        "conntrack --summary",
        |session| typed().and_then(|()| conntrack::summarised(session, &modules)),
        |out, document| render::conntrack::write_summary(out, document, LAYOUT),
    );
    let most = TRANSLATIONS;
    sections.add(
        "Translations",
        "nat",
        |session| {
            typed().and_then(|()| conntrack::translated(session, &modules, &Wanted::default(), &[]))
        },
        |out, document| render::nat::write_text(out, document, LAYOUT, most),
    );
    of_kernel(&mut sections, &modules);
    let Sections { complete, said, .. } = sections;
    let body = WholeReport {
        findings,
        memory,
        sections: said,
    };
    let document = session.document(&args.common, complete, body);
    output(&args.common, Reader::Program, |out, _| match args.format {
        ReportFormat::Html => render::html::write(out, &document),
        ReportFormat::Json => render::json(out, &document),
    })?;
    Ok(exit(document.complete))
}

fn of_memory(sections: &mut Sections<'_>, modules: &Modules) {
    sections.add(
        "Memory",
        "meminfo",
        |session| machine::meminfo::collected(session, false, true),
        |out, document| render::meminfo::write_text(out, document, LAYOUT),
    );
    sections.add(
        "Areas of vmalloc",
        "vmalloc",
        |session| machine::vmalloc::collected(session, modules),
        |out, document| render::vmalloc::write_text(out, document, LAYOUT),
    );
    sections.add(
        "Memory cgroups",
        "memcg",
        machine::memcg::collected,
        |out, document| render::memcg::write_text(out, document, LAYOUT),
    );
    sections.add(
        "What kmemleak had found",
        "kmemleak",
        |session| machine::kmemleak::collected(session, modules),
        |out, document| render::kmemleak::write_text(out, document, false),
    );
    sections.add(
        "Allocations by place",
        "allocinfo",
        |session| {
            let (mut report, complete) = machine::allocinfo::collected(session)?;
            report.sort_by_size();
            Ok((report, complete))
        },
        |out, document| render::allocinfo::write_text(out, document, LAYOUT, false),
    );
    sections.add(
        "Owners of pages",
        "pageowner",
        |session| pageowner::collected(session, modules),
        |out, document| render::pageowner::write_text(out, document, false),
    );
}

fn of_kernel(sections: &mut Sections<'_>, modules: &Modules) {
    sections.add(
        "Limits",
        "sysctl --check",
        |session| sysctl::checked(session, modules, Netns::Initial),
        |out, document| render::sysctl::write_check(out, document, LAYOUT),
    );
    sections.add(
        "Modules",
        "modules",
        |session| machine::modules::collected(session, modules),
        |out, document| render::modules::write_text(out, document, LAYOUT),
    );
    let log = sections.session.question();
    let records = machine::log::records(&log);
    let killed = records.as_ref().ok().map(|(records, complete)| {
        let oom = oom::reports(records);
        (OomReports { oom }, *complete)
    });
    if let Some(killed) = killed.filter(|(reports, _)| !reports.oom.is_empty()) {
        sections.tell(
            "The out-of-memory killer",
            "log --oom",
            &log,
            Ok(killed),
            |out, document| render::oom::write_text(out, document, LAYOUT),
        );
    }
    let skip = |all: usize| match sections.format {
        ReportFormat::Html => all.saturating_sub(RECORDS),
        ReportFormat::Json => 0,
    };
    let last = records.map(|(mut records, complete)| {
        let records = records.split_off(skip(records.len()));
        (LogReport { records }, complete)
    });
    sections.tell("The end of the log", "log", &log, last, |out, document| {
        render::log::write_text(out, &document.body, false)
    });
    sections.add("The dump", "info", of_dump, |out, document| {
        render::info::write_text(out, document, LAYOUT)
    });
}

fn of_dump(session: &Session) -> Result<(InfoReport, bool)> {
    let modules = Modules::read(&session.kernel).ok();
    let body = InfoReport::new(&session.kernel, modules.as_ref());
    session.explain(body.map(|body| (body, true)))
}
