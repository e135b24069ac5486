//! The areas of vmalloc in the text of `leaks`.

use std::io::{self, Write};

use super::leaks::{proof, unreached};
use super::{printable, size, thousands};
use crate::analysis::leaks::areas::AreasJudgement;

/// Nothing, unless they are a suspect at least.
pub(super) fn write(
    out: &mut dyn Write,
    areas: &AreasJudgement,
    memory: Option<u64>,
) -> io::Result<()> {
    let verdict = &areas.verdict;
    if !unreached(out, verdict.level, "areas of vmalloc", areas.bytes, memory)? {
        return Ok(());
    }
    let mut name = "asked for by";
    for caller in areas.callers.iter().filter(|c| c.benign.is_none()) {
        let function = caller.caller.as_deref().unwrap_or("?");
        writeln!(
            out,
            "  {name:<12} {}: {} areas, {}{}",
            printable(function),
            thousands(caller.areas),
            size(caller.bytes),
            match caller.hardly_held {
                0 => String::new(),
                more => format!(", and {} hardly held", thousands(more)),
            },
        )?;
        name = "";
    }
    proof(out, verdict, &areas.owners, &areas.check_with)
}
