//! The areas of vmalloc in the text of `leaks`.

use std::io::{self, Write};

use super::{finding, printable, size, thousands};
use crate::analysis::leaks::areas::AreasJudgement;

/// Who asked for those that nothing points to.
pub(super) fn write(out: &mut dyn Write, areas: &AreasJudgement) -> io::Result<()> {
    let callers = areas.callers.iter().filter(|c| c.benign.is_none());
    let told = callers.map(|caller| {
        let function = caller.caller.as_deref().unwrap_or("?");
        format!(
            "{}: {} areas, {}{}",
            printable(function),
            thousands(caller.areas),
            size(caller.bytes),
            match caller.hardly_held {
                0 => String::new(),
                more => format!(", and {} hardly held", thousands(more)),
            },
        )
    });
    finding::list(out, "asked for by", told)?;
    let (listed, all) = (areas.areas.len() as u64, areas.listed_of);
    match listed < all {
        true => finding::line(
            out,
            "listed",
            &format!("the first {} addresses are in JSON", thousands(listed)),
        ),
        false => Ok(()),
    }
}
