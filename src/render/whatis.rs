//! `whatis` as text.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::printable;
use crate::kernel::symbolize::Symbolized;
use crate::report::Document;
use crate::subsys::memcg::Group;
use crate::subsys::reach::WhatIs;

/// A group's path, and whether it is dying.
pub(super) fn named(group: &Group) -> String {
    let dying = if group.dying { " (dying)" } else { "" };
    format!("{}{dying}", printable(&group.path))
}

/// Referrers shown one by one.
const SHOWN: usize = 20;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(out: &mut dyn Write, document: &Document<WhatIs>) -> io::Result<()> {
    let found = &document.body;
    let bold = Style::new().bold();
    head(out, document)?;
    writeln!(out)?;
    match &found.object {
        Some(object) => {
            let reachable = match object.reachable {
                true => "reachable",
                false => "nothing reachable points to it",
            };
            writeln!(
                out,
                "{} is {bold}{}{bold:#}+{:#x}: the object at {} of {} B, {}, {reachable}",
                found.address,
                printable(&object.cache),
                object.offset,
                object.address,
                object.object_size,
                object.state.describe(),
            )?;
            if let Some(group) = &object.charged_to {
                writeln!(out, "charged to memory cgroup {}", named(group))?;
            }
        }
        None => {
            let page = found.page.map_or("not mapped".to_owned(), |kind| {
                format!("in a page of kind {kind:?}").to_lowercase()
            });
            writeln!(out, "{} is no slab object: {page}", found.address)?;
        }
    }
    for guess in &found.types {
        writeln!(
            out,
            "likely struct {}: {} of {} references to its start are {}",
            printable(&guess.name),
            guess.count,
            guess.of,
            printable(&guess.members.join(", ")),
        )?;
    }
    if let Some(area) = &found.area {
        let caller = area.caller.as_ref().map(Symbolized::symbol);
        let reachable = match area.reachable {
            Some(false) => ", nothing reachable points to it",
            _ => "",
        };
        writeln!(
            out,
            "area of vmalloc {}-{} of {} pages, asked for by {}{reachable}",
            area.start,
            area.end,
            area.pages,
            printable(caller.as_deref().unwrap_or("nobody known")),
        )?;
    }
    if let Some(block) = &found.block {
        let reachable = match block.reachable {
            true => "",
            false => ", nothing reachable points to it",
        };
        writeln!(
            out,
            "block of large kmalloc at {} of {} B{reachable}",
            block.start, block.size,
        )?;
    }
    if let Some(symbol) = &found.symbol {
        writeln!(out, "symbol {}", printable(symbol))?;
    }
    if !found.words.is_empty() {
        writeln!(out, "\nWORDS")?;
        for word in &found.words {
            let meaning = printable(&word.meaning);
            let line = format!("  +{:<#6x} {}  {meaning}", word.offset, word.value);
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    writeln!(out, "\nPOINTED TO BY {}", found.referrers.len())?;
    for referrer in found.referrers.iter().take(SHOWN) {
        let lost = if referrer.reachable {
            ""
        } else {
            "  (not reachable itself)"
        };
        writeln!(
            out,
            "  {}  to +{:<#6x} {}{lost}",
            referrer.at,
            referrer.into,
            printable(&match &referrer.member {
                Some(member) => format!("{}  {member}", referrer.holder),
                None => referrer.holder.clone(),
            })
        )?;
    }
    if found.referrers.len() > SHOWN {
        writeln!(out, "  summed up:")?;
        for holder in found.holders.iter().take(SHOWN) {
            writeln!(
                out,
                "  {:>8}  {}",
                holder.references,
                printable(&holder.holder)
            )?;
        }
    }
    Ok(())
}
