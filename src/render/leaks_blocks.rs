//! The blocks of large kmalloc in the text of `leaks`.

use std::io::{self, Write};

use super::leaks::{proof, unreached};
use super::{size, thousands};
use crate::analysis::leaks::blocks::BlocksJudgement;

/// Nothing, unless they are a suspect at least.
pub(super) fn write(
    out: &mut dyn Write,
    blocks: &BlocksJudgement,
    memory: Option<u64>,
) -> io::Result<()> {
    let verdict = &blocks.verdict;
    if !unreached(out, verdict.level, "large kmalloc", blocks.bytes, memory)? {
        return Ok(());
    }
    let mut name = "sizes";
    for of in blocks.sizes.iter().filter(|of| of.unreachable > 0) {
        writeln!(
            out,
            "  {name:<12} {} of {} blocks of {}",
            thousands(of.unreachable),
            thousands(of.blocks),
            size(of.size),
        )?;
        name = "";
    }
    proof(out, verdict, &blocks.owners, &blocks.check_with)
}
