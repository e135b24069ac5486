//! `whatis`.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::addr::VirtAddr;
use vmleak::graph;
use vmleak::render;
use vmleak::report::whatis::WhatIsReport;

use super::leaks_args::{WhatisArgs, WhatisFormat};
use super::session::{Reader, Session, exit, output};

pub(crate) fn whatis(args: &WhatisArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let options = graph::Options {
        deadline: None,
        memory: args.common.max_memory,
        list: None,
        progress: &session.progress,
    };
    let found = graph::whatis(&session.kernel, VirtAddr(args.address), &options);
    let report = WhatIsReport::new(session.explain(found)?);
    let complete = report.is_complete();
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        WhatisFormat::Table => Reader::Person,
        WhatisFormat::Json => Reader::Program,
    };
    output(&args.common, reader, |out, _| match args.format {
        WhatisFormat::Table => render::whatis::write_text(out, &document),
        WhatisFormat::Json => render::json(out, &document),
    })?;
    Ok(exit(document.complete))
}
