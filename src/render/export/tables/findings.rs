//! What is wrong, and what the objects look like that nothing points to.

use super::super::column::{Table, made, maybe, real, some, text, unsigned};
use crate::analysis::accounting::Reason;
use crate::analysis::finding::Finding;
use crate::graph::Cluster;
use crate::report::leaks::LeaksReport;

fn lines(reasons: &[Reason]) -> String {
    let messages: Vec<&str> = reasons.iter().map(|one| one.message.as_str()).collect();
    messages.join("\n")
}

/// Those of `leaks`.
pub static FINDINGS: Table<Finding> = Table {
    name: "findings",
    about: "A finding of vmleak leaks, the worst first",
    columns: &[
        text(
            "fingerprint",
            "The same for the same fault on another host and build",
            |row| some(&row.fingerprint),
        ),
        text("code", "What kind of thing", |row| some(row.code)),
        text("level", "leak, suspect or inconclusive", |row| {
            some(row.level.word())
        }),
        text("subject", "What it is about", |row| some(&row.subject)),
        text("cache", "The slab cache, if it is one", |row| {
            maybe(&row.cache)
        }),
        text("message", "In words", |row| some(&row.message)),
        unsigned("bytes", "That it is about", |row| Some(row.bytes)),
        unsigned("objects", "That it is about", |row| row.objects),
        unsigned(
            "per_hour_at_most",
            "Objects that came in an hour at most",
            |row| row.per_hour_at_most,
        ),
        text("owner", "A module, or vmlinux", |row| maybe(&row.owner)),
        text("evidence_for", "A line each", |row| {
            made(lines(&row.evidence.r#for))
        }),
        text("evidence_against", "A line each", |row| {
            made(lines(&row.evidence.against))
        }),
        text("not_checked", "A line each", |row| {
            made(lines(&row.evidence.not_checked))
        }),
        text("check_with", "Command lines, one a line", |row| {
            made(row.check_with.join("\n"))
        }),
    ],
};

/// A cluster, and of what.
#[derive(Clone, Debug)]
pub struct ClusterRow {
    subject: String,
    fingerprint: Option<String>,
    number: u64,
    share: Option<f64>,
    cluster: Cluster,
}

impl ClusterRow {
    /// All of a report.
    pub fn of(report: &LeaksReport) -> Vec<Self> {
        let caches = report.caches.iter().map(|cache| {
            let clusters = &cache.judgement.unreachable.clusters;
            (cache.facts.name.as_str(), clusters.as_slice())
        });
        let others = [
            ("areas of vmalloc", report.vmalloc.clusters.as_slice()),
            ("large kmalloc", report.large_kmalloc.clusters.as_slice()),
        ];
        let pages = report.kernel_pages.iter();
        let pages = pages.map(|pages| ("kernel pages", pages.clusters.as_slice()));
        caches
            .chain(others)
            .chain(pages)
            .flat_map(|(subject, clusters)| Self::all(report, subject, clusters))
            .collect()
    }

    fn all(report: &LeaksReport, subject: &str, clusters: &[Cluster]) -> Vec<Self> {
        let mut findings = report.findings.iter();
        let finding = findings.find(|one| one.subject == subject);
        let sum: u64 = clusters.iter().map(|one| one.objects).sum();
        let row = |(number, cluster): (u64, &Cluster)| Self {
            subject: subject.to_owned(),
            fingerprint: finding.map(|one| one.fingerprint.clone()),
            number,
            share: (sum > 0).then(|| cluster.objects as f64 / sum as f64),
            cluster: cluster.clone(),
        };
        (1..).zip(clusters).map(row).collect()
    }
}

/// Those of `leaks`.
pub static CLUSTERS: Table<ClusterRow> = Table {
    name: "clusters",
    about: "Objects that nothing points to and that look alike",
    columns: &[
        text("subject", "The cache, or what else they are of", |row| {
            some(&row.subject)
        }),
        text(
            "fingerprint",
            "Of the finding that they are the reason for, if it is one",
            |row| maybe(&row.fingerprint),
        ),
        unsigned("number", "From 1, as objects --cluster has it", |row| {
            Some(row.number)
        }),
        unsigned("objects", "Of those looked at", |row| {
            Some(row.cluster.objects)
        }),
        real("share", "Of all that were looked at, up to 1", |row| {
            row.share
        }),
        text("text", "That they begin with", |row| {
            maybe(&row.cluster.text)
        }),
        text("format", "The format string that made the text", |row| {
            some(&row.cluster.format.as_ref()?.format)
        }),
        text(
            "symbols",
            "That they point to, each with its offset, by blanks",
            |row| {
                let all = row.cluster.symbols.iter();
                let named = all.map(|at| format!("{:#x}:{}", at.offset, at.symbol));
                made(named.collect::<Vec<_>>().join(" "))
            },
        ),
        text("modules", "Of these symbols, by blanks", |row| {
            let mut modules: Vec<&str> = row
                .cluster
                .symbols
                .iter()
                .filter_map(|at| at.module.as_deref())
                .collect();
            modules.sort_unstable();
            modules.dedup();
            made(modules.join(" "))
        }),
        text("example", "Address of one", |row| {
            made(row.cluster.examples.first()?)
        }),
    ],
};
