//! The blocks of large kmalloc in the text of `leaks`.

use std::io::{self, Write};

use super::{finding, size, thousands};
use crate::analysis::leaks::blocks::BlocksJudgement;

/// The sizes of those that nothing points to.
pub(super) fn write(out: &mut dyn Write, blocks: &BlocksJudgement) -> io::Result<()> {
    let sizes = blocks.sizes.iter().filter(|of| of.unreachable > 0);
    let told = sizes.map(|of| {
        format!(
            "{} of {} blocks of {}",
            thousands(of.unreachable),
            thousands(of.blocks),
            size(of.size),
        )
    });
    finding::list(out, "sizes", told)?;
    let (listed, all) = (blocks.blocks.len() as u64, blocks.unreachable.unwrap_or(0));
    match listed < all {
        true => finding::line(
            out,
            "listed",
            &format!("the first {} addresses are in JSON", thousands(listed)),
        ),
        false => Ok(()),
    }
}
