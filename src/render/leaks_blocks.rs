//! The blocks of large kmalloc in the text of `leaks`.

use std::io::{self, Write};

use anstyle::Style;

use super::leaks::proof;
use super::slabs::level_style;
use super::{percent, size, thousands};
use crate::analysis::accounting::Level;
use crate::analysis::leaks::blocks::BlocksJudgement;

/// Nothing, unless they are a suspect at least.
pub(super) fn write(
    out: &mut dyn Write,
    blocks: &BlocksJudgement,
    memory: Option<u64>,
) -> io::Result<()> {
    let verdict = &blocks.verdict;
    if verdict.level < Level::Suspect {
        return Ok(());
    }
    let style = level_style(verdict.level);
    let bold = Style::new().bold();
    let bytes = blocks.bytes.unwrap_or(0);
    writeln!(
        out,
        "\n{style}{}{style:#}  {bold}large kmalloc{bold:#}  {} ({} of RAM) can't be reached",
        verdict.level.word().to_uppercase(),
        size(bytes),
        percent(bytes, memory),
    )?;
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
