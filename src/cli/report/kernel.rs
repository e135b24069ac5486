//! The kernel: limits, modules, the log, and the dump itself.

use anyhow::Result;
use vmleak::analysis::brief::Brief;
use vmleak::analysis::oom;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::InfoReport;
use vmleak::report::log::{LogReport, OomReports};

use super::super::conntrack_args::Netns;
use super::super::machine;
use super::super::session::Session;
use super::super::sysctl;
use super::sections::{Sections, Shown};
use super::{ReportFormat, topics};

/// Records of the log that a page shows: the last ones.
const RECORDS: usize = 200;

/// All of it.
pub(super) fn add(sections: &mut Sections<'_>, modules: &Modules) {
    let layout = sections.args.format.layout();
    sections.add(
        topics::LIMITS,
        |session| sysctl::checked(session, modules, Netns::Initial),
        |out, document| render::sysctl::write_check(out, document, layout),
    );
    sections.add(
        topics::MODULES,
        |session| machine::modules::collected(session, modules),
        |out, document| render::modules::write_text(out, document, layout),
    );
    log(sections);
    sections.add(topics::DUMP, of_dump, |out, document| {
        render::info::write_text(out, document, layout)
    });
}

/// Its end, and what the out-of-memory killer said in it, read once.
fn log(sections: &mut Sections<'_>) {
    let layout = sections.args.format.layout();
    let asked = sections.session.question();
    let records = machine::log::records(&asked);
    let killed = records.as_ref().ok().map(|(records, complete)| {
        let oom = oom::reports(records);
        (OomReports { oom }, *complete)
    });
    let none = |_: &_, _: &mut Brief| Vec::new();
    if let Some((reports, complete)) = killed {
        sections.brief.of_killed(&reports.oom);
        if !reports.oom.is_empty() && sections.wants(topics::OOM) {
            let text =
                |out: &mut Vec<u8>, document: &_| render::oom::write_text(out, document, layout);
            let answer = Ok((reports, complete));
            let figures = none;
            sections.tell(topics::OOM, &asked, answer, Shown { text, figures });
        }
    }
    if !sections.wants(topics::LOG) {
        return;
    }
    let skip = |all: usize| match sections.args.format {
        ReportFormat::Html | ReportFormat::Md => all.saturating_sub(RECORDS),
        ReportFormat::Json => 0,
    };
    let last = records.map(|(mut records, complete)| {
        let records = records.split_off(skip(records.len()));
        (LogReport { records }, complete)
    });
    let text = |out: &mut Vec<u8>, document: &vmleak::report::Document<LogReport>| {
        render::log::write_text(out, &document.body, false)
    };
    let figures = |_: &_, _: &mut Brief| Vec::new();
    sections.tell(topics::LOG, &asked, last, Shown { text, figures });
}

fn of_dump(session: &Session) -> Result<(InfoReport, bool)> {
    let modules = Modules::read(&session.kernel).ok();
    let body = InfoReport::new(&session.kernel, modules.as_ref());
    session.explain(body.map(|body| (body, true)))
}
