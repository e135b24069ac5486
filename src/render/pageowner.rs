//! `pageowner` as text, CSV, and the kernel's own page_owner_stacks.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::rows::Csv;
use super::{printable, size, thousands};
use crate::report::Document;
use crate::report::pageowner::PageOwnerReport;
use crate::subsys::mm::page_owner::PageSite;

/// Stacks shown, unless all are wanted.
const SHOWN: usize = 20;

/// For people: the stacks that hold most pages.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<PageOwnerReport>,
    all: bool,
) -> io::Result<()> {
    let report = &document.body;
    let facts = &report.facts;
    head(out, document)?;
    writeln!(
        out,
        "\n{} of pages in use, allocated by {} stacks",
        size(facts.pages.saturating_mul(report.page_size)),
        thousands(facts.sites.len() as u64)
    )?;
    let shown = if all { usize::MAX } else { SHOWN };
    for site in facts.sites.iter().take(shown) {
        write_site(out, site, report.page_size)?;
    }
    let hidden = facts.sites.len().saturating_sub(shown);
    if hidden > 0 {
        writeln!(out, "\n{hidden} stacks of fewer pages not shown (--all)")?;
    }
    Ok(())
}

fn write_site(out: &mut dyn Write, site: &PageSite, page_size: u64) -> io::Result<()> {
    let bold = Style::new().bold();
    write!(
        out,
        "\n{bold}{}{bold:#} in {} allocations",
        size(site.pages.saturating_mul(page_size)),
        thousands(site.allocations)
    )?;
    if let Some((first, last)) = site.seconds {
        match first.total_cmp(&last).is_eq() {
            true => write!(out, ", {first:.3} s after boot")?,
            false => write!(out, ", {first:.3} to {last:.3} s after boot")?,
        }
    }
    if let Some(module) = &site.module {
        write!(out, ", module {bold}{}{bold:#}", printable(module))?;
    }
    writeln!(out)?;
    let words: Vec<&str> = site.gfp.iter().map(|(words, _)| words.as_str()).collect();
    let tasks: Vec<String> = site.tasks.iter().map(|task| printable(task)).collect();
    for (name, list) in [("flags", words.join(", ")), ("by", tasks.join(", "))] {
        if !list.is_empty() {
            writeln!(out, "  {name:<6} {}", printable(&list))?;
        }
    }
    for frame in &site.stack {
        writeln!(out, "    {}", printable(frame))?;
    }
    Ok(())
}

/// /sys/kernel/debug/page_owner_stacks/show_stacks to the letter (mm/page_owner.c, `stack_print`).
/// Before 6.9 there is none: the table's stacks in the same form.
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &PageOwnerReport) -> io::Result<()> {
    let mut write = |stack: &[String], pages: u64| {
        for frame in stack {
            writeln!(out, " {}", printable(frame))?;
        }
        writeln!(out, "nr_base_pages: {pages}\n")
    };
    match &report.facts.listed {
        Some(listed) => listed
            .iter()
            .try_for_each(|listed| write(&listed.stack, listed.pages)),
        None => (report.facts.sites)
            .iter()
            .try_for_each(|site| write(&site.stack, site.pages)),
    }
}

/// One row a stack.
///
/// # Errors
/// If writing fails.
pub fn write_csv(out: &mut dyn Write, document: &Document<PageOwnerReport>) -> io::Result<()> {
    let report = &document.body;
    let mut csv = Csv::new(out, &document.dump);
    csv.write_record(["pages", "allocations", "counted", "module", "gfp", "stack"])?;
    for site in &report.facts.sites {
        let words: Vec<&str> = site.gfp.iter().map(|(words, _)| words.as_str()).collect();
        csv.write_record([
            site.pages.to_string(),
            site.allocations.to_string(),
            site.counted
                .map_or(String::new(), |pages| pages.to_string()),
            site.module.clone().unwrap_or_default(),
            words.join(" "),
            site.stack.join(" "),
        ])?;
    }
    csv.flush()
}
