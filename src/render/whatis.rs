//! `whatis` as text.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::{printable, thousands};
use crate::graph::alive::PathFacts;
use crate::graph::{PageAt, WhatIs};
use crate::kernel::symbolize::Symbolized;
use crate::report::Document;
use crate::report::whatis::WhatIsReport;
use crate::subsys::mm::memcg::Group;

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
pub fn write_text(out: &mut dyn Write, document: &Document<WhatIsReport>) -> io::Result<()> {
    let found = &document.body.found;
    head(out, document)?;
    writeln!(out)?;
    object(out, found)?;
    if let Some(symbol) = &found.symbol {
        writeln!(out, "symbol {}", printable(symbol))?;
    }
    types(out, found)?;
    if let Some(page) = &found.page_at {
        page_at(out, found, page)?;
    }
    area_and_block(out, found)?;
    if let Some(path) = &document.body.path {
        path_to_it(out, path)?;
    }
    words(out, found)?;
    referrers(out, found)?;
    for doubt in &document.body.trust.reasons {
        writeln!(out, "\nnot sure: {}", printable(&doubt.message))?;
    }
    Ok(())
}

/// The object.
fn object(out: &mut dyn Write, found: &WhatIs) -> io::Result<()> {
    let bold = Style::new().bold();
    match &found.object {
        Some(object) => {
            let reachable = match object.reachable {
                Some(true) => "reachable",
                Some(false) => "nothing reachable points to it",
                None => "nothing reachable that was seen points to it",
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
    Ok(())
}

/// What the members that point to it make of it: few of its references say little.
fn types(out: &mut dyn Write, found: &WhatIs) -> io::Result<()> {
    for guess in &found.types {
        let how = match guess.count.saturating_mul(2) < guess.of {
            true => "perhaps",
            false => "likely",
        };
        writeln!(
            out,
            "{how} struct {}: {} of {} references to its start are {}",
            printable(&guess.name),
            guess.count,
            guess.of,
            printable(&guess.members.join(", ")),
        )?;
    }
    Ok(())
}

/// The page and who has it.
fn page_at(out: &mut dyn Write, found: &WhatIs, page: &PageAt) -> io::Result<()> {
    let structure = page.structure.map(|at| format!(", structure at {at}"));
    let zone = page.node.zip(page.zone.as_deref());
    let zone = zone.map(|(node, zone)| format!(", zone {} of node {node}", printable(zone)));
    writeln!(
        out,
        "{}page {} at physical address {}{}{}",
        if found.page_structure {
            "the structure of "
        } else {
            ""
        },
        page.pfn,
        page.physical,
        structure
            .filter(|_| !found.page_structure)
            .unwrap_or_default(),
        zone.unwrap_or_default(),
    )?;
    if let Some((first, pages)) = page.block.filter(|(_, pages)| *pages > 1) {
        writeln!(out, "taken with others: {pages} pages from {first} on")?;
    }
    match &page.owner {
        Some(owner) => {
            let path = owner.path.as_deref().map(printable);
            let path = path.map(|path| format!(", {path}")).unwrap_or_default();
            let text = printable(&owner.owner.describe());
            let lost = match page.lost {
                true => ", and nothing that was seen points to it: it is lost",
                false => "",
            };
            writeln!(out, "its owner: {text}{path} (by {}){lost}", owner.how)
        }
        None if page.lost => writeln!(out, "nothing that was seen points to it: it is lost"),
        None => Ok(()),
    }
}

/// The way to it, a step a line, and who else holds it.
fn path_to_it(out: &mut dyn Write, path: &PathFacts) -> io::Result<()> {
    let why = match (path.steps.is_empty(), path.owned) {
        (true, _) => "nothing that was seen leads to it from a root",
        (false, true) => "the shortest chain of owners; * all ways lead through it",
        (false, false) => "no owner was found, but this leads to it",
    };
    writeln!(out, "\nWHY IT IS ALIVE: {why}")?;
    for step in &path.steps {
        let mark = if step.sole { '*' } else { ' ' };
        let mut line = match step.address {
            Some(address) => format!("{mark} {address}  {}", printable(&step.name)),
            None => format!("{mark} {:18}  {}", "", printable(&step.name)),
        };
        let place = printable(&step.place);
        match (step.listed, step.word) {
            (Some((place_on, length)), _) => line.push_str(&format!(
                " {place} list, {} of {} by +{:#x}",
                thousands(place_on),
                thousands(length),
                step.into
            )),
            (None, Some(_)) => {
                line.push_str(&format!(" {place}"));
                if step.into > 0 {
                    line.push_str(&format!(" to +{:#x}", step.into));
                }
            }
            (None, None) => {}
        }
        if step.times > 1 {
            line.push_str(&format!(" × {}", thousands(step.times)));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    let words = path.steps.iter().filter_map(|step| step.word);
    let words: Vec<String> = words.take(4).map(|at| format!("rd {at}")).collect();
    if !words.is_empty() {
        writeln!(out, "  check in crash: {}", words.join("; "))?;
    }
    for other in &path.others {
        writeln!(
            out,
            "  also held by {} ({}), of {}",
            printable(&other.name),
            thousands(other.references),
            printable(&other.owner)
        )?;
    }
    Ok(())
}

fn area_and_block(out: &mut dyn Write, found: &WhatIs) -> io::Result<()> {
    const LOST: &str = ", nothing reachable points to it";
    if let Some(area) = &found.area {
        let caller = area.caller.as_ref().map(Symbolized::symbol);
        writeln!(
            out,
            "area of vmalloc {}-{} of {} pages, asked for by {}{}",
            area.start,
            area.end,
            area.pages,
            printable(caller.as_deref().unwrap_or("nobody known")),
            if area.reachable == Some(false) {
                LOST
            } else {
                ""
            },
        )?;
    }
    if let Some(block) = &found.block {
        writeln!(
            out,
            "block of large kmalloc at {} of {} B{}",
            block.start,
            block.size,
            if block.reachable == Some(false) {
                LOST
            } else {
                ""
            },
        )?;
    }
    Ok(())
}

fn words(out: &mut dyn Write, found: &WhatIs) -> io::Result<()> {
    if found.words.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWORDS")?;
    for word in &found.words {
        let meaning = printable(&word.meaning);
        let line = format!("  +{:<#6x} {}  {meaning}", word.offset, word.value);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// One by one, and summed up where they are many.
fn referrers(out: &mut dyn Write, found: &WhatIs) -> io::Result<()> {
    writeln!(out, "\nPOINTED TO BY {}", thousands(found.references))?;
    for referrer in found.referrers.iter().take(SHOWN) {
        let lost = match referrer.reachable {
            Some(true) => "",
            Some(false) => "  (not reachable itself)",
            None => "  (perhaps not reachable itself)",
        };
        let holder = match &referrer.member {
            Some(member) => format!("{}  {member}", referrer.holder),
            None => referrer.holder.clone(),
        };
        writeln!(
            out,
            "  {}  to +{:<#6x} {}{lost}",
            referrer.at,
            referrer.into,
            printable(&holder)
        )?;
    }
    if found.referrers.len() > SHOWN {
        writeln!(out, "  summed up:")?;
        for holder in found.holders.iter().take(SHOWN) {
            let name = printable(&holder.holder);
            writeln!(out, "  {:>8}  {name}", holder.references)?;
        }
    }
    Ok(())
}
