//! `whatis`.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::addr::VirtAddr;
use vmleak::graph;
use vmleak::render;

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
    let found = session.explain(found)?;
    let document = session.document(&args.common, true, found);
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
