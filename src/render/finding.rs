//! A finding as text: the same lines whatever it is about.

use std::io::{self, Write};

use anstyle::Style;

use super::slabs::level_style;
use super::traces::describe;
use super::{percent, printable, size, thousands};
use crate::analysis::accounting::{Level, Reason};
use crate::analysis::finding::Finding;
use crate::analysis::leaks::Owner;
use crate::subsys::mm::slab::tracks::Site;

/// What it is, how bad, how much.
pub(super) fn headline(
    out: &mut dyn Write,
    finding: &Finding,
    memory: Option<u64>,
) -> io::Result<()> {
    let (style, bold) = (level_style(finding.level), Style::new().bold());
    write!(
        out,
        "\n{style}{}{style:#}  {bold}{}{bold:#}",
        finding.level.word().to_uppercase(),
        printable(&finding.subject),
    )?;
    let bytes = finding.bytes;
    if bytes > 0 {
        write!(out, "  {} ({} of RAM)", size(bytes), percent(bytes, memory))?;
    }
    match finding.objects.filter(|objects| *objects > 0) {
        Some(objects) => writeln!(out, ", {} {}", thousands(objects), objects_of(finding.code)),
        None => writeln!(out),
    }
}

/// What the objects of a finding are called.
fn objects_of(code: &str) -> &'static str {
    match code {
        "vmalloc" => "areas",
        "large-kmalloc" => "blocks",
        "dying-memcgs" => "cgroups",
        _ => "objects",
    }
}

/// One line behind a label.
pub(super) fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<12} {text}")
}

/// Lines of which the first one has the label.
pub(super) fn list(
    out: &mut dyn Write,
    label: &str,
    lines: impl IntoIterator<Item = String>,
) -> io::Result<()> {
    let mut label = label;
    for text in lines {
        line(out, label, &text)?;
        label = "";
    }
    Ok(())
}

/// Whose they are, what speaks for it and against, and how to check it.
pub(super) fn proof(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let bold = Style::new().bold();
    for owner in finding
        .owners
        .iter()
        .filter(|owner| owner.module != "vmlinux")
    {
        let module = printable(&owner.module);
        let text = format!("module {bold}{module}{bold:#}: {}", printable(&owner.how));
        line(out, "owner", &text)?;
    }
    sites(out, &finding.owners)?;
    if let Some(most) = finding.per_hour_at_most {
        let most = thousands(most);
        line(
            out,
            "made",
            &format!("unknown when: at most {most} an hour since boot"),
        )?;
    }
    let evidence = &finding.evidence;
    // Owners have lines of their own.
    let told = |reasons: &[Reason]| {
        let others = reasons.iter().filter(|reason| reason.code != "owner");
        let texts: Vec<String> = others.map(|reason| printable(&reason.message)).collect();
        texts
    };
    list(out, "for", told(&evidence.r#for))?;
    list(out, "against", told(&evidence.against))?;
    list(out, "not checked", told(&evidence.not_checked))?;
    let commands = finding.check_with.iter();
    list(
        out,
        "check with",
        commands.map(|command| printable(command)),
    )
}

/// Places named of each finding.
const SITES: usize = 3;

/// Where the objects were allocated, if the kernel kept it.
fn sites(out: &mut dyn Write, owners: &[Owner]) -> io::Result<()> {
    let mut sites: Vec<&Site> = owners.iter().flat_map(|owner| &owner.sites).collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.objects));
    let told = sites.into_iter().take(SITES).map(|site| {
        format!(
            "{} at {}, {}",
            thousands(site.objects),
            printable(site.place().unwrap_or_default()),
            describe(site)
        )
    });
    list(out, "allocated", told)
}

/// What to say if no finding is a suspect at least; `reliable`: the search can be believed.
pub(super) fn none(out: &mut dyn Write, findings: &[Finding], reliable: bool) -> io::Result<()> {
    if findings.iter().any(|one| one.level >= Level::Suspect) {
        return Ok(());
    }
    let bold = Style::new().bold();
    let text = match reliable {
        true => "No cache looks like a leak.",
        false => "No cache can be called a leak.",
    };
    writeln!(out, "\n{bold}{text}{bold:#}")
}
