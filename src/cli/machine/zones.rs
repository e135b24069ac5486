//! `zones`: nodes and zones of memory, and whether they could have given more.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::render;
use vmleak::report::zones::ZonesReport;
use vmleak::subsys::mm::zones::{self, ZoneinfoText};

use crate::cli::args::Common;
use crate::cli::session::{Reader, Session, exit, output};

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
    /// /proc/buddyinfo to the letter
    Buddyinfo,
    /// /proc/zoneinfo to the letter
    Zoneinfo,
}

/// Runs `vmleak zones`.
pub(crate) fn zones(args: &ZonesArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let facts = session.explain(zones::collect(&session.kernel))?;
    // Looked for in all of the kernel's constants, so only where it is wanted.
    let text = match args.format {
        ZonesFormat::Zoneinfo => Some(zoneinfo_text(&session)?),
        _ => None,
    };
    let complete = facts.complete;
    let document = session.document(&args.common, complete, ZonesReport::new(facts));
    let reader = match args.format {
        ZonesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    let page = session.kernel.dump().page_size() as u64;
    output(&args.common, reader, |out, width| {
        let body = &document.body;
        match (args.format, &text) {
            (ZonesFormat::Json, _) => render::json(out, &document),
            (ZonesFormat::Buddyinfo, _) => render::zones::write_buddyinfo(out, body),
            (ZonesFormat::Zoneinfo, Some(text)) => {
                render::zones::write_zoneinfo(out, &body.nodes, text)
            }
            _ => render::zones::write_text(out, &document, width, page),
        }
    })?;
    Ok(exit(document.complete))
}

fn zoneinfo_text(session: &Session) -> Result<ZoneinfoText> {
    ZoneinfoText::read(&session.kernel).context(
        "how this kernel prints /proc/zoneinfo can't be read from its constants: take the dump with kernel pages included, or use --format json",
    )
}
