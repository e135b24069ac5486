//! `log`: the kernel's log as dmesg prints it, or what the out-of-memory killer said.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::analysis::oom;
use vmleak::render;
use vmleak::report::log::{LogReport, OomReports};
use vmleak::subsys::log as subsys;

use super::super::output::{Reader, json_lines, output};
use super::super::session::{Session, exit};
use super::args::{LogArgs, LogFormat};

/// Runs `vmleak log`.
pub(crate) fn log(args: &LogArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let (mut records, complete) = records(&session)?;
    if args.oom {
        return oom_reports(args, &session, complete, &records);
    }
    if let Some(level) = args.level {
        records.retain(|record| record.level <= level as u8);
    }
    let document = session.document(&args.common, complete, LogReport { records });
    // Written as it is: all that a terminal would act on is escaped.
    output(&args.common, Reader::Program, |out, _| match args.format {
        LogFormat::Table => render::log::write_text(out, &document.body, args.callers),
        LogFormat::Json => render::json(out, &document),
        LogFormat::Jsonl => json_lines(out, &document.dump, &document.body.records),
        LogFormat::Csv => render::flat::csv(
            out,
            &document.dump,
            render::flat::LOG,
            &document.body.records,
        ),
    })?;
    Ok(exit(document.complete))
}

/// The records, oldest first, and whether none is missing.
pub(crate) fn records(session: &Session) -> Result<(Vec<subsys::LogRecord>, bool)> {
    session.explain(subsys::records(&session.kernel))
}

fn oom_reports(
    args: &LogArgs,
    session: &Session,
    complete: bool,
    records: &[subsys::LogRecord],
) -> Result<ExitCode> {
    let oom = oom::reports(records);
    let document = session.document(&args.common, complete, OomReports { oom });
    output(
        &args.common,
        args.format.reader(),
        |out, width| match args.format {
            LogFormat::Table => render::oom::write_text(out, &document, width),
            LogFormat::Json => render::json(out, &document),
            LogFormat::Jsonl => json_lines(out, &document.dump, &document.body.oom),
            LogFormat::Csv => {
                render::flat::csv(out, &document.dump, render::flat::OOM, &document.body.oom)
            }
        },
    )?;
    Ok(exit(document.complete))
}
