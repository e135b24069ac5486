//! `leaks`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use vmleak::render;
use vmleak::subsys::reach;

use super::leaks_args::LeaksArgs;
use super::session::{Reader, Session, exit, output};

pub(crate) fn leaks(args: &LeaksArgs) -> Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let options = reach::Options {
        deadline: args.budget.map(|budget| Instant::now() + budget),
        progress: &session.progress,
    };
    let (slabs, reach) = session.explain(reach::collect(&session.kernel, &options))?;
    let document = session.document(&args.common, slabs.complete, (slabs, reach));
    output(&args.common, Reader::Program, |out, _| {
        render::json(out, &document.body)
    })?;
    Ok(exit(document.complete))
}
