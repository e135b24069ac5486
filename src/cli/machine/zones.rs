//! `zones`: nodes and zones of memory, and whether they could have given more.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::render;
use vmleak::report::zones::ZonesReport;
use vmleak::subsys::mm::zones::{self, PagetypeFacts, VmstatFacts, ZoneinfoText, ZonesFacts};

use crate::cli::args::Common;
use crate::cli::output::{Reader, json_lines, output};
use crate::cli::session::{Session, exit};

/// Of `zones`.
#[derive(Debug, Args)]
pub(crate) struct ZonesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ZonesFormat::Table, help_heading = "Output")]
    pub(crate) format: ZonesFormat,
}

/// Formats of `zones`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ZonesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One zone a line
    Jsonl,
    /// One zone a row
    Csv,
    /// /proc/buddyinfo to the letter
    Buddyinfo,
    /// /proc/zoneinfo to the letter
    Zoneinfo,
    /// /proc/pagetypeinfo to the letter: free blocks, and blocks of pages, by who may have them
    Pagetypeinfo,
    /// /proc/vmstat to the letter
    Vmstat,
}

/// Runs `vmleak zones`.
pub(crate) fn zones(args: &ZonesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let facts = session.explain(zones::collect(&session.kernel))?;
    let more = More::read(&session, args.format, &facts)?;
    let complete = facts.complete && more.is_complete();
    let document = session.document(&args.common, complete, ZonesReport::new(facts));
    let reader = match args.format {
        ZonesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    let page = session.kernel.dump().page_size() as u64;
    output(&args.common, reader, |out, width| {
        let body = &document.body;
        match (args.format, &more) {
            (_, More::Zoneinfo(text)) => render::zones::write_zoneinfo(out, &body.nodes, text),
            (_, More::Pagetypes(facts)) => render::pagetypes::write(out, facts),
            (_, More::Vmstat(facts)) => render::pagetypes::write_vmstat(out, facts),
            (ZonesFormat::Json, _) => render::json(out, &document),
            (ZonesFormat::Jsonl, _) => json_lines(out, &document.dump, &body.rows()),
            (ZonesFormat::Csv, _) => render::flat::csv(out, &document.dump, "", &body.rows()),
            (ZonesFormat::Buddyinfo, _) => render::zones::write_buddyinfo(out, body),
            _ => render::zones::write_text(out, &document, width, page),
        }
    })?;
    Ok(exit(document.complete))
}

/// What one form takes besides: looked for in all of the kernel's constants, or on all free lists.
enum More {
    Nothing,
    Zoneinfo(ZoneinfoText),
    Pagetypes(PagetypeFacts),
    Vmstat(VmstatFacts),
}

impl More {
    fn read(session: &Session, format: ZonesFormat, facts: &ZonesFacts) -> Result<Self> {
        let kernel = &session.kernel;
        Ok(match format {
            ZonesFormat::Zoneinfo => Self::Zoneinfo(zoneinfo_text(session)?),
            ZonesFormat::Pagetypeinfo => {
                Self::Pagetypes(session.explain(zones::pagetypes(kernel))?)
            }
            ZonesFormat::Vmstat => Self::Vmstat(session.explain(zones::vmstat(kernel, facts))?),
            _ => Self::Nothing,
        })
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Pagetypes(facts) => facts.complete,
            Self::Vmstat(facts) => facts.complete,
            Self::Nothing | Self::Zoneinfo(_) => true,
        }
    }
}

fn zoneinfo_text(session: &Session) -> Result<ZoneinfoText> {
    ZoneinfoText::read(&session.kernel).context(
        "how this kernel prints /proc/zoneinfo can't be read from its constants: take the dump with kernel pages included, or use --format json",
    )
}
