//! `retained` as text, and as folded stacks for flame graphs.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::{percent, printable, size, thousands};
use crate::graph::alive::{Container, ContainerKind, Group, RetainedFacts};
use crate::report::Document;
use crate::report::retained::RetainedReport;

/// Containers of modules shown, and of others.
const CONTAINERS: usize = 10;

/// For people: who keeps how much, and what.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<RetainedReport>,
    layout: Layout,
) -> io::Result<()> {
    let report = &document.body;
    let facts = &report.facts;
    head(out, document)?;
    writeln!(
        out,
        "{} objects, areas and blocks of pages of {}: {} have one owner, {} are shared or the page allocator's, {}\n",
        thousands(facts.objects),
        size(facts.bytes),
        percent(facts.owned_bytes, Some(facts.bytes)),
        percent(rest(facts), Some(facts.bytes)),
        match facts.unreachable_bytes {
            Some(bytes) => format!("{} unreachable", size(bytes)),
            None => "what is unreachable is not known".to_owned(),
        },
    )?;
    owners(out, report, layout)?;
    if report.more_owners > 0 {
        writeln!(out, "… and {} more (--top)", thousands(report.more_owners))?;
    }
    if !facts.shared.is_empty() {
        writeln!(out, "\nSHARED: would go only with all of those who hold it")?;
        shared(out, facts, layout)?;
    }
    if !facts.containers.is_empty() {
        writeln!(
            out,
            "\nPILED UP: lists, tables and arrays, those of modules first"
        )?;
        containers(out, &facts.containers, layout)?;
    }
    if facts.graph.out_of_memory {
        writeln!(
            out,
            "\nnot sure: there was no memory for all references (--max-memory)"
        )?;
    }
    if facts.graph.missing_pages > 0 {
        writeln!(
            out,
            "\nnot sure: {} pages that may hold references are missing",
            thousands(facts.graph.missing_pages)
        )?;
    }
    Ok(())
}

fn rest(facts: &RetainedFacts) -> u64 {
    let known = facts.unreachable_bytes.unwrap_or(0);
    let known = known.saturating_add(facts.owned_bytes);
    facts.bytes.saturating_sub(known)
}

fn owners(out: &mut dyn Write, report: &RetainedReport, layout: Layout) -> io::Result<()> {
    let header = [
        Column::number("RETAINS"),
        Column::number("OBJECTS"),
        Column::number("PAGE CACHE").rank(2),
        Column::number("WEAK").rank(3),
        Column::text("OWNER").shorten(28),
        Column::flow("MOST OF IT"),
    ];
    let mut rows = Table::new(header, layout);
    for owner in &report.facts.owners {
        let own = owner.retained_bytes;
        rows.add_row([
            size(own),
            thousands(owner.objects),
            match owner.page_cache_bytes {
                0 => "-".to_owned(),
                bytes => size(bytes),
            },
            match owner.weak_bytes {
                0 => "-".to_owned(),
                bytes => percent(bytes, Some(own)),
            },
            printable(&owner.name),
            owner
                .groups
                .iter()
                .take(2)
                .map(described)
                .collect::<Vec<_>>()
                .join("; "),
        ]);
    }
    rows.write(out)
}

fn shared(out: &mut dyn Write, facts: &RetainedFacts, layout: Layout) -> io::Result<()> {
    let header = [
        Column::number("RETAINS"),
        Column::number("OBJECTS"),
        Column::text("BY").shorten(32),
        Column::flow("MOST OF IT"),
    ];
    let mut rows = Table::new(header, layout);
    for one in &facts.shared {
        let mut by: Vec<String> = one.by.iter().map(|name| printable(name)).collect();
        if one.more > 0 {
            by.push(format!("{} more", thousands(one.more)));
        }
        rows.add_row([
            size(one.retained_bytes),
            thousands(one.objects),
            by.join(", "),
            one.groups
                .iter()
                .take(3)
                .map(described)
                .collect::<Vec<_>>()
                .join("; "),
        ]);
    }
    rows.write(out)
}

fn containers(out: &mut dyn Write, all: &[Container], layout: Layout) -> io::Result<()> {
    let header = [
        Column::number("OBJECTS"),
        Column::text("CACHE").shorten(24),
        Column::number("OF CACHE").rank(1),
        Column::text("KIND").rank(2),
        Column::number("OTHERS").rank(4),
        Column::number("LARGEST OTHER").rank(3),
        Column::flow("IN"),
    ];
    let mut rows = Table::new(header, layout);
    let of_modules = all
        .iter()
        .filter(|one| one.module.is_some())
        .take(CONTAINERS);
    let others = all
        .iter()
        .filter(|one| one.module.is_none())
        .take(CONTAINERS);
    for one in of_modules.chain(others) {
        rows.add_row([
            thousands(one.objects),
            printable(&one.cache),
            percent(one.objects, Some(one.of_cache)),
            match one.kind {
                ContainerKind::List => "list".to_owned(),
                ContainerKind::Table => "table".to_owned(),
                ContainerKind::Array => "array".to_owned(),
            },
            thousands(one.others),
            thousands(one.next),
            printable(&within(one)),
        ]);
    }
    rows.write(out)
}

/// What a container lies in; of pages and objects, who leads there.
fn within(one: &Container) -> String {
    match &one.root {
        Some(root) if !one.in_variable => format!("{root} → {}", place(&one.holder, &one.place)),
        _ => place(&one.holder, &one.place),
    }
}

/// A member with its structure says all; an offset does not.
fn place(holder: &str, place: &str) -> String {
    match place.contains('.') {
        true => place.to_owned(),
        false => format!("{holder}{place}"),
    }
}

/// `4,000 skbuff_head_cache (4.9 MiB) on the list hoard_queue [hoard]`.
fn described(group: &Group) -> String {
    let mut text = format!(
        "{} {} ({})",
        thousands(group.objects),
        printable(&group.name),
        size(group.retained_bytes)
    );
    if !group.held_by.is_empty() {
        let how = if group.listed { "on the list" } else { "in" };
        let place = printable(&place(&group.held_by, &group.place));
        text.push_str(&format!(" {how} {place}"));
    }
    text
}

/// A line for each group: its owners from the top, and bytes, for flamegraph.pl and its kin.
///
/// # Errors
/// If writing fails.
pub fn write_folded(out: &mut dyn Write, report: &RetainedReport) -> io::Result<()> {
    let frame = |text: &str| printable(text).replace(';', ",");
    for owner in &report.facts.owners {
        let mut left = owner.retained_bytes;
        for group in &owner.groups {
            let holder = format!("{}{}", group.held_by, group.place);
            let bytes = group.retained_bytes;
            left = left.saturating_sub(bytes);
            let owner = frame(&owner.name);
            writeln!(
                out,
                "{owner};{};{} {bytes}",
                frame(&holder),
                frame(&group.name)
            )?;
        }
        if left > 0 {
            writeln!(out, "{} {left}", frame(&owner.name))?;
        }
    }
    for one in &report.facts.shared {
        let by = frame(&one.by.join(" and "));
        writeln!(out, "shared;{by} {}", one.retained_bytes)?;
    }
    Ok(())
}
