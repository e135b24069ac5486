//! `diff`: which caches grew from one dump to another, or from a saved /proc/slabinfo to a dump.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use vmleak::addr::SMALLEST_PAGE;
use vmleak::analysis::growth::{self, Sample, View};
use vmleak::analysis::saved_slabinfo;
use vmleak::dump::Dump;
use vmleak::open::{FileKind, kind_of};
use vmleak::render;
use vmleak::report::Document;
use vmleak::report::diff::{DiffReport, SampleIdentity};
use vmleak::space::boot;
use vmleak::subsys::mm::slab::{SlabFacts, SlabHeap};
use vmleak::subsys::system::SystemFacts;
use vmleak::types::build_id_of;

use super::args::Common;
use super::output::{Reader, json_lines, output};
use super::series;
use super::session::{Session, exit};
use super::wrong::wrong;

/// Of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = DiffFormat::Table, help_heading = "Output")]
    pub(crate) format: DiffFormat,
    /// Also the caches that stayed as they were
    #[arg(short, long, help_heading = "Output")]
    pub(crate) all: bool,
}

/// Forms of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people, what grew most first
    Table,
    /// One document
    Json,
    /// A cache a line
    Jsonl,
    /// A cache a row
    Csv,
}

/// One of the two that are compared, in the order given: the older first.
#[derive(Debug)]
enum Given {
    Dump(PathBuf),
    Slabinfo(PathBuf),
}

/// A sample that has been read.
struct Taken {
    identity: SampleIdentity,
    facts: Option<(SlabFacts, Session)>,
    /// Of a saved slabinfo.
    text: String,
}

pub(crate) fn diff(args: &DiffArgs) -> Result<ExitCode> {
    if series::is_wanted(&args.common) {
        return series::diff(args);
    }
    let (old, new, vmlinux) = sort_out(&args.common)?;
    let view = match (&old, &new) {
        (Given::Dump(_), Given::Dump(_)) => View::Exact,
        _ => View::Slabinfo,
    };
    let old = take(&args.common, &old, &vmlinux)?;
    let new = take(&args.common, &new, &vmlinux)?;
    let page_size = |taken: &Taken| {
        let (_, session) = taken.facts.as_ref()?;
        Some(session.kernel.dump().page_size() as u64)
    };
    let page_size = page_size(&new)
        .or_else(|| page_size(&old))
        .unwrap_or_else(|| u64::from(SMALLEST_PAGE));
    let aliases = aliases(&old, &new);
    let growth = growth::compare(
        &sample(&old, view, page_size)?,
        &sample(&new, view, page_size)?,
        &aliases,
    );
    let time = |taken: &Taken| taken.facts.as_ref()?.1.run().system.crash_time;
    let between = time(&new)
        .zip(time(&old))
        .map(|(new, old)| (new - old) as f64);
    let same_boot = same_boot(&old, &new);
    let complete = is_complete(&old) && is_complete(&new);
    let body = DiffReport {
        old: old.identity,
        new: new.identity,
        compared: view,
        same_boot,
        seconds_between: between,
        growth,
    };
    // The frame is that of the newer dump.
    let (Some((_, session)), older) = (match new.facts {
        Some(facts) => (Some(facts), old.facts),
        None => (old.facts, None),
    }) else {
        bail!("no dump given");
    };
    let diag = &session.kernel.diag;
    for warning in older.iter().flat_map(|(_, of)| of.kernel.diag.warnings()) {
        let text = format!("{}: {}", body.old.path, warning.message);
        diag.warn_many(warning.code, text, warning.count);
    }
    if same_boot == Some(false) {
        let text = "the dumps are of two boots: nothing grew from the one to the other, they are only set side by side";
        diag.note("two-boots", text);
    } else if between.is_some_and(|seconds| seconds < 0.0) {
        let text = "the first dump is younger than the second: give the older one first";
        diag.note("order", text);
    }
    let document = session.document(&args.common, complete, body);
    show(args, &document)?;
    Ok(exit(document.complete))
}

fn show(args: &DiffArgs, document: &Document<DiffReport>) -> Result<()> {
    let reader = match args.format {
        DiffFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, width| match args.format {
        DiffFormat::Table => render::diff::write_text(out, document, width, args.all),
        DiffFormat::Json => render::json(out, document),
        DiffFormat::Jsonl => json_lines(out, &document.dump, &document.body.growth.caches),
        DiffFormat::Csv => render::diff::write_csv(out, document),
    })
}

/// The older and the newer sample in the order given, and each vmlinux, wherever it stands.
fn sort_out(common: &Common) -> Result<(Given, Given, Vec<PathBuf>)> {
    let mut given = Vec::new();
    let mut vmlinux = Vec::new();
    for path in &common.files {
        if kind_of(path) == FileKind::Vmlinux {
            vmlinux.push(path.clone());
        } else if is_slabinfo(path) {
            given.push(Given::Slabinfo(path.clone()));
        } else {
            given.push(Given::Dump(path.clone()));
        }
    }
    let count = given.len();
    let mut given = given.into_iter();
    match (given.next(), given.next(), given.next()) {
        (Some(old), Some(new), None) => Ok((old, new, vmlinux)),
        _ => Err(wrong(format!(
            "two dumps or saved slabinfos are compared, and {count} given; usage: vmleak diff OLDER NEWER [VMLINUX]"
        ))),
    }
}

fn is_slabinfo(path: &Path) -> bool {
    let mut start = vec![0; saved_slabinfo::MAGIC.len()];
    path.is_file()
        && fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok()
        && start == saved_slabinfo::MAGIC.as_bytes()
}

fn take(common: &Common, given: &Given, vmlinux: &[PathBuf]) -> Result<Taken> {
    let identity = |path: &Path, kind| SampleIdentity {
        path: path.display().to_string(),
        kind,
        release: None,
        crash_time: None,
    };
    let path = match given {
        Given::Dump(path) => path,
        Given::Slabinfo(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            return Ok(Taken {
                identity: identity(path, "slabinfo"),
                facts: None,
                text,
            });
        }
    };
    let own = own_vmlinux(common, path, vmlinux);
    let files = std::iter::once(path.clone()).chain(own);
    let common = Common {
        files: files.collect(),
        ..common.clone()
    };
    let session = Session::open(&common)?;
    let heap = session.explain(SlabHeap::read(&session.kernel, &*session.progress))?;
    let facts = session.explain(heap.facts(&*session.progress))?;
    drop(heap);
    session.progress.finish();
    let system = &session.run().system;
    let identity = SampleIdentity {
        release: system.release.clone(),
        crash_time: system.crash_time_text(),
        ..identity(session.kernel.dump().path(), "dump")
    };
    Ok(Taken {
        identity,
        facts: Some((facts, session)),
        text: String::new(),
    })
}

/// Of the vmlinux files given that of this dump: two dumps may be of two kernels. Where nothing
/// tells, the first.
pub(super) fn own_vmlinux(common: &Common, path: &Path, given: &[PathBuf]) -> Option<PathBuf> {
    given.first()?;
    let dump = Dump::open_with(&[path.to_owned()], 0, common.access()).ok();
    let located = dump.and_then(|dump| boot::locate(dump).ok());
    let info = located.and_then(|located| located.dump.notes().vmcoreinfo.clone());
    let Some(wanted) = info.as_ref().and_then(|info| info.build_id()) else {
        return given.first().cloned();
    };
    let is_own = |file: &&PathBuf| {
        let found = build_id_of(file, common.access());
        found.is_none_or(|found| found == wanted) || (common.force && given.len() == 1)
    };
    given.iter().find(is_own).cloned()
}

/// The names that the allocator merged into one cache, in either dump.
fn aliases(old: &Taken, new: &Taken) -> Vec<Vec<String>> {
    let facts = [old, new]
        .into_iter()
        .filter_map(|taken| taken.facts.as_ref());
    let caches = facts.flat_map(|(facts, _)| &facts.caches);
    let merged = caches.filter(|cache| !cache.aliases.is_empty());
    merged
        .map(|cache| [&[cache.name.clone()][..], &cache.aliases].concat())
        .collect()
}

/// Clocks of one boot may be set by so many seconds.
const CLOCK_SET: f64 = 60.0;

/// Whether two dumps are of one boot: the same kernel, booted at the same time.
fn same_boot(old: &Taken, new: &Taken) -> Option<bool> {
    let [old, new] = [old, new].map(|taken| taken.facts.as_ref().map(|(_, session)| session.run()));
    let (old, new) = (&old?.system, &new?.system);
    if old.build_id.is_some() && new.build_id.is_some() && old.build_id != new.build_id {
        return Some(false);
    }
    let booted = |of: &SystemFacts| Some(of.crash_time? as f64 - of.uptime_seconds?);
    Some((booted(old)? - booted(new)?).abs() <= CLOCK_SET)
}

fn sample(taken: &Taken, view: View, page_size: u64) -> Result<Sample> {
    match &taken.facts {
        Some((facts, _)) => Ok(growth::sample(&facts.caches, view)),
        None => saved_slabinfo::parse(&taken.text, page_size)
            .with_context(|| taken.identity.path.clone()),
    }
}

fn is_complete(taken: &Taken) -> bool {
    taken.facts.as_ref().is_none_or(|(facts, session)| {
        let dump = &session.run().dump;
        facts.complete
            && facts.caches.iter().all(|cache| cache.exact.complete)
            && !dump.incomplete
            && !dump.contradictory
    })
}
