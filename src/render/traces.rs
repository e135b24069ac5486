//! `objects --traces` as text, and as the kernel's own alloc_traces and free_traces.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::{printable, thousands};
use crate::report::Document;
use crate::report::traces::TracesReport;
use crate::subsys::mm::slab::tracks::{Ages, Site};

/// For people: the places with their stacks, that of most objects first.
///
/// # Errors
/// If writing fails.
pub fn write_text(out: &mut dyn Write, document: &Document<TracesReport>) -> io::Result<()> {
    let report = &document.body;
    let bold = Style::new().bold();
    head(out, document)?;
    let did = match report.of {
        "free" => "last freed",
        _ => "allocated",
    };
    writeln!(
        out,
        "\n{}: objects in use, by where they were {did} (places: {})",
        printable(&report.cache),
        thousands(report.traces.count)
    )?;
    for site in &report.traces.sites {
        let caller = site.caller.as_deref().unwrap_or("not known");
        writeln!(
            out,
            "\n{:>9}  {bold}{}{bold:#}  {}",
            thousands(site.objects),
            printable(caller),
            describe(site)
        )?;
        for frame in &site.stack {
            writeln!(out, "           {}", printable(frame))?;
        }
    }
    let hidden = (report.traces.count).saturating_sub(report.traces.sites.len() as u64);
    if hidden > 0 {
        writeln!(out, "\n{hidden} more places not shown")?;
    }
    Ok(())
}

/// When and by whom, in words.
pub(super) fn describe(site: &Site) -> String {
    if site.caller.is_none() {
        return String::new();
    }
    let (min, max) = (site.age.min_seconds, site.age.max_seconds);
    let age = match min.total_cmp(&max).is_eq() {
        true => format!("{min:.1} s"),
        false => format!("{min:.1} to {max:.1} s"),
    };
    let pids = match site.pids {
        (one, other) if one == other => format!("pid {one}"),
        (low, high) => format!("pids {low} to {high}"),
    };
    let waste = match site.waste {
        0 => String::new(),
        waste => format!(", {waste} B unused in each"),
    };
    format!("{age} before the crash, {pids}{waste}")
}

/// /sys/kernel/debug/slab/CACHE/alloc_traces or free_traces to the letter, but for the order of
/// places with equally many objects (mm/slub.c, `slab_debugfs_show`); up to 5.18 without stacks,
/// as alloc_calls of 5.13 and before.
///
/// # Errors
/// If writing fails.
pub fn write_proc(out: &mut dyn Write, report: &TracesReport) -> io::Result<()> {
    let traces = &report.traces;
    let sites = traces.printed.as_deref().unwrap_or(&traces.sites);
    for site in sites {
        let caller = site.caller.as_deref().unwrap_or("<not-available>");
        write!(out, "{:>7} {}", site.objects, printable(caller))?;
        if site.waste > 0 {
            let all = site.objects.wrapping_mul(u64::from(site.waste));
            write!(out, " waste={all}/{}", site.waste)?;
        }
        write!(out, " age={}", ages(&site.age))?;
        match site.pids {
            (one, other) if one == other => write!(out, " pid={one}")?,
            (low, high) => write!(out, " pid={low}-{high}")?,
        }
        if traces.name_cpus {
            write!(out, " cpus={}", ranges(&site.cpus))?;
        }
        if !site.nodes.is_empty() {
            write!(out, " nodes={}", ranges(&site.nodes))?;
        }
        writeln!(out)?;
        for frame in &site.stack {
            writeln!(out, "        {}", printable(frame))?;
        }
        if traces.printed.is_none() && !site.stack.is_empty() {
            writeln!(out)?;
        }
    }
    if sites.is_empty() {
        writeln!(out, "No data")?;
    }
    Ok(())
}

fn ages(age: &Ages) -> String {
    match age.single {
        true => age.min_jiffies.cast_signed().to_string(),
        false => format!(
            "{}/{}/{}",
            age.min_jiffies.cast_signed(),
            age.mean_jiffies,
            age.max_jiffies.cast_signed()
        ),
    }
}

/// Numbers as the kernel prints a mask (`%*pbl`): `0-2,5`.
fn ranges(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let runs = runs.filter_map(|run| match (run.first()?, run.last()?) {
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}-{last}")),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5]), "0-2,5");
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[]), "");
    }
}
